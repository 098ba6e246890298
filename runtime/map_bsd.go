//go:build unix && !linux

package runtime

// dontNeed does nothing: the system drops clean pages of files when memory is short.
func dontNeed([]byte) {}
