package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// decoder holds what all readers of one input share. The first error stops them all.
type decoder struct {
	buf     []byte
	opts    DecodeOptions
	err     error
	nodes   int
	tensors int
	depth   int
	budget  int64 // bytes that may still be allocated for structs
}

func newDecoder(b []byte, opts DecodeOptions) *decoder {
	opts.Limits = opts.Limits.withDefaults()
	d := &decoder{buf: b, opts: opts, budget: 16<<20 + 32*int64(len(b))}
	if int64(len(b)) > opts.Limits.Bytes {
		d.err = &LimitError{"bytes", opts.Limits.Bytes}
	}
	return d
}

//go:noinline
func (d *decoder) fail(at int, format string, args ...any) {
	if d.err == nil {
		d.err = &FormatError{int64(at), fmt.Sprintf(format, args...)}
	}
}

func (d *decoder) unsupported(format string, args ...any) {
	if d.err == nil {
		d.err = UnsupportedError(fmt.Sprintf(format, args...))
	}
}

// charge counts n bytes of memory about to be allocated.
//
//go:noinline
func (d *decoder) charge(n int) {
	d.budget -= int64(n)
	if d.budget < 0 && d.err == nil {
		d.err = &LimitError{"bytes of memory for structs", 16<<20 + 32*int64(len(d.buf))}
	}
}

func alloc[T any](d *decoder) *T {
	var z T
	d.charge(int(unsafe.Sizeof(z)) + 8)
	return new(T)
}

// reader walks the fields of one message: buf[pos:end]. After next, num and typ describe
// the field and pos is at its value, which the caller consumes with one of the methods.
type reader struct {
	*decoder
	pos, end int
	at       int // start of the current field
	num      fieldNumber
	typ      wireType
}

func (r *reader) next() bool {
	if r.err != nil || r.pos >= r.end {
		return false
	}
	r.at = r.pos
	num, typ, n, err := consumeTag(r.buf[r.pos:r.end])
	if err != nil {
		r.fail(r.pos, "field tag: %v", err)
		return false
	}
	r.num, r.typ, r.pos = num, typ, r.pos+n
	return true
}

func (r *reader) skip() {
	n, err := fieldLen(r.num, r.typ, r.buf[r.pos:r.end])
	if err != nil {
		r.fail(r.at, "field %d: %v", r.num, err)
		return
	}
	r.pos += n
}

func (r *reader) want(typ wireType) bool {
	if r.err != nil {
		return false
	}
	if r.typ != typ {
		r.fail(r.at, "field %d has wire type %d, want %d", r.num, r.typ, typ)
		return false
	}
	return true
}

// bytes returns the value of a length-delimited field as a view of the input.
func (r *reader) bytes() []byte {
	if !r.want(bytesType) {
		return nil
	}
	size, n, err := consumeVarint(r.buf[r.pos:r.end])
	if err != nil {
		r.fail(r.at, "length of field %d: %v", r.num, err)
		return nil
	}
	r.pos += n
	if size > uint64(r.end-r.pos) {
		r.fail(r.at, "field %d has %d bytes, only %d are left", r.num, size, r.end-r.pos)
		return nil
	}
	lo := r.pos
	r.pos += int(size)
	return r.buf[lo:r.pos:r.pos]
}

// message returns a reader of the nested message in the current field.
func (r *reader) message() reader {
	n := len(r.bytes())
	return reader{decoder: r.decoder, pos: r.pos - n, end: r.pos, at: r.pos - n}
}

func (r *reader) str() string {
	b := r.bytes()
	r.charge(len(b))
	if r.err != nil {
		return ""
	}
	return string(b)
}

func (r *reader) blob() []byte {
	b := r.bytes()
	r.charge(len(b))
	if r.err != nil {
		return nil
	}
	return append([]byte{}, b...)
}

func (r *reader) strs(s []string) []string {
	v := r.str()
	r.charge(16)
	return append(s, v)
}

func (r *reader) varint() uint64 {
	if !r.want(varintType) {
		return 0
	}
	v, n, err := consumeVarint(r.buf[r.pos:r.end])
	if err != nil {
		r.fail(r.at, "field %d: %v", r.num, err)
		return 0
	}
	r.pos += n
	return v
}

func (r *reader) int64() int64 { return int64(r.varint()) }

func (r *reader) enum() int32 {
	v := r.int64()
	if int64(int32(v)) != v {
		r.fail(r.at, "field %d: %d is not a 32-bit number", r.num, v)
	}
	return int32(v)
}

func (r *reader) fixed32() uint32 {
	if !r.want(fixed32Type) {
		return 0
	}
	b := r.buf[r.pos:r.end]
	if len(b) < 4 {
		r.fail(r.at, "field %d: %v", r.num, errTruncated)
		return 0
	}
	r.pos += 4
	return binary.LittleEndian.Uint32(b)
}

func (r *reader) fixed64() uint64 {
	if !r.want(fixed64Type) {
		return 0
	}
	b := r.buf[r.pos:r.end]
	if len(b) < 8 {
		r.fail(r.at, "field %d: %v", r.num, errTruncated)
		return 0
	}
	r.pos += 8
	return binary.LittleEndian.Uint64(b)
}

// varints appends a repeated integer field in either form: one value, or packed.
func (r *reader) varints(s []int64) []int64 {
	if r.typ != bytesType {
		r.charge(8)
		return append(s, r.int64())
	}
	b := r.bytes()
	n := countVarints(b)
	r.charge(8 * n)
	if r.err != nil {
		return s
	}
	if s == nil {
		s = make([]int64, 0, n)
	}
	for len(b) > 0 {
		v, k, err := consumeVarint(b)
		if err != nil {
			r.fail(r.at, "field %d: %v", r.num, err)
			return s
		}
		s, b = append(s, int64(v)), b[k:]
	}
	return s
}

// floats appends a repeated float field in either form.
func (r *reader) floats(s []float32) []float32 {
	if r.typ != bytesType {
		r.charge(4)
		return append(s, math.Float32frombits(r.fixed32()))
	}
	b := r.bytes()
	if len(b)%4 != 0 {
		r.fail(r.at, "field %d: %d bytes are not whole floats", r.num, len(b))
	}
	r.charge(len(b))
	if r.err != nil {
		return s
	}
	if s == nil {
		s = make([]float32, 0, len(b)/4)
	}
	for ; len(b) >= 4; b = b[4:] {
		s = append(s, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return s
}

// countVarints returns how many varints b holds if it is well-formed.
func countVarints(b []byte) int {
	n := 0
	for _, c := range b {
		n += int(^c >> 7)
	}
	return n
}
