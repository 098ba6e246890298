package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"unsafe"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// mapping is a model file in memory: mapped where that is possible, else read.
type mapping struct {
	data   []byte
	mapped bool
}

// errFileChanged is returned when a mapped file has become shorter while it was read.
var errFileChanged = errors.New("the file was changed while it was being read")

// readUpTo reads all of f, or limit bytes and one more: a device has no size, and a file may grow.
func readUpTo(f fs.File, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		b.Grow(int(min(st.Size(), limit)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(f, max(limit, limit+1)))
	return b.Bytes(), err
}

// holds reports whether b is part of the mapped file. A nil mapping holds nothing.
func (m *mapping) holds(b []byte) bool {
	if m == nil || !m.mapped || len(b) == 0 || len(m.data) == 0 {
		return false
	}
	at, from := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	return at >= from && at < from+uintptr(len(m.data))
}

// cloneSlice is how many bytes cloned copies before it drops their pages.
const cloneSlice = 1 << 20

// cloned copies a tensor whose bytes are not needed in the file any more.
func (m *mapping) cloned(t *tensor.Tensor) *tensor.Tensor {
	if !op.Complete || !m.holds(t.Bytes()) {
		return t.Clone()
	}
	c := tensor.Must(tensor.New(t.DType(), t.Shape()...))
	dst, src := c.Bytes(), t.Bytes()
	for len(src) > 0 {
		n := copy(dst, src[:min(cloneSlice, len(src))])
		m.forget(src[:n])
		dst, src = dst[n:], src[n:]
	}
	return c
}

// enter makes a fault on the memory of this goroutine a panic, until leave is called.
func (m *mapping) enter() (leave func()) {
	old := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(old) }
}

// guard makes a fault on the mapped memory an error of the function that defers its result:
//
//	defer m.guard(&err)()
//
// It covers this goroutine only. Any other panic becomes an error too. A nil mapping has
// no memory to guard.
func (m *mapping) guard(err *error) func() {
	old := false
	if m != nil {
		old = debug.SetPanicOnFault(true)
	}
	return func() {
		if m != nil {
			debug.SetPanicOnFault(old)
		}
		v := recover()
		if v == nil {
			return
		}
		if m == nil {
			*err = fmt.Errorf("internal error: %v", v)
			return
		}
		if f, ok := v.(interface{ Addr() uintptr }); ok && m.covers(f.Addr()) {
			*err = errFileChanged
			return
		}
		*err = fmt.Errorf("internal error: %v", v)
	}
}

func (m *mapping) covers(addr uintptr) bool {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	return m.mapped && addr >= from && addr < from+uintptr(len(m.data))
}
