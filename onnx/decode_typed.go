package onnx

import (
	"encoding/binary"
	"math"

	"github.com/aekit/aekit/tensor"
)

// typedData converts the values of a typed field, whose number is known to be right, to
// elements in the machine's byte order; those of types that package tensor does not
// represent to the form of raw_data.
func (d *decoder) typedData(t *Tensor, r reader, field fieldNumber, size int) []byte {
	data := tensor.AlignedBytes(size)
	put := putter(t.DType)
	out := data
	for r.next() {
		if r.num != field {
			r.skip()
			continue
		}
		if r.typ != bytesType {
			out = d.putOne(t, &r, put, out)
			continue
		}
		p := r.message()
		p.num = field
		switch field {
		case 4:
			p.typ = fixed32Type
		case 10:
			p.typ = fixed64Type
		default:
			p.typ = varintType
		}
		for p.pos < p.end && d.err == nil {
			p.at = p.pos
			out = d.putOne(t, &p, put, out)
		}
	}
	return data
}

func (d *decoder) putOne(t *Tensor, r *reader, put putFunc, out []byte) []byte {
	var v uint64
	switch r.num {
	case 4:
		v = uint64(r.fixed32())
	case 10:
		v = r.fixed64()
	default:
		v = r.varint()
	}
	if d.err != nil {
		return out
	}
	n := put(out, v)
	if n == 0 {
		d.fail(r.at, "tensor %q: value %d does not fit %v", t.Name, int64(v), t.DType)
	}
	return out[n:]
}

// A putFunc stores one value of a typed field and returns the bytes stored, 0 if the value
// is out of the type's range.
type putFunc func(out []byte, v uint64) int

func putter(t tensor.DType) putFunc {
	unsigned := func(limit uint64) putFunc {
		return func(out []byte, v uint64) int {
			if v > limit {
				return 0
			}
			if limit == math.MaxUint16 {
				binary.NativeEndian.PutUint16(out, uint16(v))
				return 2
			}
			out[0] = byte(v)
			return 1
		}
	}
	switch t {
	case tensor.Float32, tensor.Uint32, tensor.Int32:
		signed := t == tensor.Int32
		return func(out []byte, v uint64) int {
			if signed && int64(int32(v)) != int64(v) || !signed && v > math.MaxUint32 {
				return 0
			}
			binary.NativeEndian.PutUint32(out, uint32(v))
			return 4
		}
	case tensor.Complex64:
		return func(out []byte, v uint64) int {
			binary.LittleEndian.PutUint32(out, uint32(v))
			return 4
		}
	case tensor.Complex128:
		return func(out []byte, v uint64) int {
			binary.LittleEndian.PutUint64(out, v)
			return 8
		}
	case tensor.Float64, tensor.Int64, tensor.Uint64:
		return func(out []byte, v uint64) int {
			binary.NativeEndian.PutUint64(out, v)
			return 8
		}
	case tensor.Int16:
		return func(out []byte, v uint64) int {
			if int64(int16(v)) != int64(v) {
				return 0
			}
			binary.NativeEndian.PutUint16(out, uint16(v))
			return 2
		}
	case tensor.Uint16, tensor.Float16, tensor.BFloat16:
		return unsigned(math.MaxUint16)
	case tensor.Int8:
		return func(out []byte, v uint64) int {
			if int64(int8(v)) != int64(v) {
				return 0
			}
			out[0] = byte(v)
			return 1
		}
	case tensor.Bool:
		return func(out []byte, v uint64) int {
			out[0] = byte(min(v, 1))
			return 1
		}
	}
	return unsigned(math.MaxUint8)
}
