package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/aekit/aekit/internal/atomicfile"
)

// maxDepth bounds the nesting of graphs that is written, so that a graph that contains
// itself is an error.
const maxDepth = 1000

// maxMessage is the largest encoded message that readers of protocol buffers accept.
const maxMessage = math.MaxInt32

// Encode returns the encoded model. Equal models give equal bytes: fields are in the order
// of their numbers, empty ones are absent, and elements are in raw_data, little-endian.
//
// It fails for a model that cannot be written: no graph, a tensor whose value does not
// agree with its type and dimensions, an attribute without a type, or more than 2 GiB.
func Encode(m *Model) ([]byte, error) {
	var b bytes.Buffer
	err := write(&b, b.Grow, func(e *encoder) { e.model(m) })
	return b.Bytes(), err
}

// EncodeTensor returns the encoded TensorProto of t.
func EncodeTensor(t *Tensor) ([]byte, error) {
	var b bytes.Buffer
	err := write(&b, b.Grow, func(e *encoder) { e.tensor(t) })
	return b.Bytes(), err
}

// Write writes the bytes of [Encode] to w without holding them in memory.
func Write(w io.Writer, m *Model) error {
	return write(w, nil, func(e *encoder) { e.model(m) })
}

// WriteFile writes the model to a file that appears, or replaces an older one, only when
// it is complete and on disk.
func WriteFile(path string, m *Model) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error { return Write(w, m) })
}

// write runs f twice: to measure each nested message, whose length comes before it, and
// then to write. A message that cannot be written fails in the first run.
func write(w io.Writer, grow func(int), f func(*encoder)) error {
	e := &encoder{}
	f(e)
	if e.err == nil && e.n > maxMessage {
		e.err = errorf("encoded size of %d bytes exceeds the 2 GiB that readers accept", e.n)
	}
	if e.err != nil {
		return errorf("onnx: encode: %w", e.err)
	}
	if grow != nil {
		grow(int(e.n))
	}
	e = &encoder{w: w, sizes: e.sizes, buf: make([]byte, 0, chunk)}
	f(e)
	e.flush()
	return e.err
}

const chunk = 32 << 10

// encoder writes fields. Without w it only measures.
type encoder struct {
	w     io.Writer
	buf   []byte
	n     int64   // bytes so far
	sizes []int64 // of the nested messages, in the order in which they begin
	next  int     // when writing: the next message's index in sizes
	depth int     // graphs inside one another
	err   error
}

//go:noinline
func (e *encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = errorf(format, args...)
	}
}

func (e *encoder) flush() {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

func (e *encoder) write(b []byte) {
	e.n += int64(len(b))
	if e.w == nil {
		return
	}
	if len(e.buf)+len(b) > chunk {
		e.flush()
	}
	if len(b) < chunk/2 {
		e.buf = append(e.buf, b...)
		return
	}
	e.flush()
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
}

func (e *encoder) raw(v uint64) {
	var a [10]byte
	e.write(appendVarint(a[:0], v))
}

func (e *encoder) tag(num fieldNumber, typ wireType) {
	e.raw(tagOf(num, typ))
}

// int writes a number, zero too; optInt writes it unless it is zero.
func (e *encoder) int(num fieldNumber, v int64) {
	e.tag(num, varintType)
	e.raw(uint64(v))
}

func (e *encoder) optInt(num fieldNumber, v int64) {
	if v != 0 {
		e.int(num, v)
	}
}

func (e *encoder) ints(num fieldNumber, vs []int64) {
	for _, v := range vs {
		e.int(num, v)
	}
}

func (e *encoder) float(num fieldNumber, v float32) {
	e.tag(num, fixed32Type)
	var a [4]byte
	e.write(binary.LittleEndian.AppendUint32(a[:0], math.Float32bits(v)))
}

// bytes writes a field, empty too.
func (e *encoder) bytes(num fieldNumber, b []byte) {
	e.tag(num, bytesType)
	e.raw(uint64(len(b)))
	e.write(b)
}

//go:noinline
func (e *encoder) str(num fieldNumber, s string) { e.bytes(num, []byte(s)) }

//go:noinline
func (e *encoder) optStr(num fieldNumber, s string) {
	if s != "" {
		e.str(num, s)
	}
}

func (e *encoder) strs(num fieldNumber, s []string) {
	for _, v := range s {
		e.str(num, v)
	}
}

// message writes a nested message, whose fields f writes.
func (e *encoder) message(num fieldNumber, f func()) {
	if e.err != nil {
		return
	}
	e.tag(num, bytesType)
	if e.w != nil {
		e.raw(uint64(e.sizes[e.next]))
		e.next++
		f()
		return
	}
	i, start := len(e.sizes), e.n
	e.sizes = append(e.sizes, 0)
	f()
	e.sizes[i] = e.n - start
	e.n += int64(varintLen(uint64(e.sizes[i])))
}

var errNilPart = errors.New("a part of the model is nil")

func messages[T any](e *encoder, num fieldNumber, parts []*T, f func(*T)) {
	for _, p := range parts {
		if p == nil {
			e.fail("%w", errNilPart)
			return
		}
		e.message(num, func() { f(p) })
	}
}

func (e *encoder) pairs(num fieldNumber, s []StringPair) {
	for _, p := range s {
		e.message(num, func() {
			e.str(1, p.Key)
			e.str(2, p.Value)
		})
	}
}

func (e *encoder) opsets(num fieldNumber, s []OpsetID) {
	for _, o := range s {
		e.message(num, func() {
			e.optStr(1, o.Domain)
			e.int(2, o.Version)
		})
	}
}
