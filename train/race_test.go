//go:build race

package train

// The race detector makes sync.Pool drop items at random.
func init() { countAllocations = false }
