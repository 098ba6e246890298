//go:build !unix

package runtime

import "os"

// mapFile reads a file where files cannot be mapped, limit bytes of it and one more.
func mapFile(path string, limit int64) (*mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readUpTo(f, limit)
	return &mapping{data: data}, err
}

func (m *mapping) forget([]byte) {}

func (m *mapping) close() { m.data = nil }
