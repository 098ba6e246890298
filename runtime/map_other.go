//go:build !unix

package runtime

import "os"

// mapFile reads a file where files cannot be mapped.
func mapFile(path string) (data []byte, release func(), err error) {
	data, err = os.ReadFile(path)
	return data, nil, err
}
