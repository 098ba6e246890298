//go:build unix

package runtime

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// mapFile maps a file for reading. Small, empty and irregular files are read instead, limit
// bytes of them and one more.
func mapFile(path string, limit int64) (*mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() < 1<<16 || int64(int(st.Size())) != st.Size() {
		data, err := readUpTo(f, limit)
		return &mapping{data: data}, err
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(st.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%s: mapping the file: %w", path, err)
	}
	return &mapping{data: data, mapped: true}, nil
}

// forget tells the system that the whole pages of b, part of the file, are not needed soon.
// Reading them again is allowed, and slow.
func (m *mapping) forget(b []byte) {
	if !m.holds(b) {
		return
	}
	page := uintptr(os.Getpagesize())
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b))) - base
	to := from + uintptr(len(b))
	from = (from + page - 1) / page * page
	if to < uintptr(len(m.data)) {
		to = to / page * page
	}
	if from < to {
		dontNeed(m.data[from:to])
	}
}

func (m *mapping) close() {
	if m.mapped {
		syscall.Munmap(m.data)
	}
	m.data, m.mapped = nil, false
}
