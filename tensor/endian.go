package tensor

import (
	"encoding/binary"
	"io"
)

// HostLittleEndian says whether elements in memory have their low byte first, as they have
// in ONNX, safetensors and most .npy files.
var HostLittleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// SwapBytes reverses the bytes of each element of size 2, 4 or 8; it does nothing for others.
func SwapBytes(b []byte, size int) {
	switch size {
	case 2:
		for i := 0; i+2 <= len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	case 4:
		for i := 0; i+4 <= len(b); i += 4 {
			binary.LittleEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
		}
	case 8:
		for i := 0; i+8 <= len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], binary.BigEndian.Uint64(b[i:]))
		}
	}
}

// WriteLittleEndian writes the elements of t to w, low byte first.
func (t *Tensor) WriteLittleEndian(w io.Writer) error {
	size := t.dtype.Size()
	if HostLittleEndian || size < 2 {
		_, err := w.Write(t.Bytes())
		return err
	}
	var part [4096]byte
	for b := t.Bytes(); len(b) > 0; {
		n := copy(part[:], b)
		SwapBytes(part[:n], size)
		if _, err := w.Write(part[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// CanonicalBools makes every byte of b that is not 0 a 1, which is what Go asks of a bool.
// It reports whether b was already so.
func CanonicalBools(b []byte) bool {
	ok := true
	for i, c := range b {
		if c > 1 {
			b[i], ok = 1, false
		}
	}
	return ok
}
