package op

import "github.com/aekit/aekit/tensor"

const (
	typesNarrow Types = 1<<tensor.Float8E4M3FN | 1<<tensor.Float8E4M3FNUZ | 1<<tensor.Float8E5M2 | 1<<tensor.Float8E5M2FNUZ | 1<<tensor.Float4E2M1 |
		1<<tensor.Float8E8M0 | 1<<tensor.Uint4 | 1<<tensor.Int4 | 1<<tensor.Uint2 | 1<<tensor.Int2
	typesNarrowInt Types = 1<<tensor.Uint4 | 1<<tensor.Int4 | 1<<tensor.Uint2 | 1<<tensor.Int2
	typesFloat8    Types = 1<<tensor.Float8E4M3FN | 1<<tensor.Float8E4M3FNUZ | 1<<tensor.Float8E5M2 | 1<<tensor.Float8E5M2FNUZ | 1<<tensor.Float4E2M1

	// typesQuantised are the types that QuantizeLinear gives.
	typesQuantised = 1<<tensor.Int8 | 1<<tensor.Uint8 | 1<<tensor.Int16 | 1<<tensor.Uint16 | typesFloat8 | typesNarrowInt
)

// typesStored are the types of what moves without being computed with.
var typesStored = typesAll | typesNarrow

// narrowing are the attributes of Cast and CastLike for 8-bit floats.
type narrowing struct {
	saturate bool
	round    tensor.Rounding
}

func newNarrowing(a *Attrs) narrowing {
	n := narrowing{saturate: a.Bool("saturate", true)}
	switch a.OneOf("round_mode", "up", "down", "nearest") {
	case "down":
		n.round = tensor.RoundDown
	case "nearest":
		n.round = tensor.RoundNearest
	}
	return n
}

// convert is the function convert, with the narrow types as well.
func (n narrowing) convert(dst, src *tensor.Tensor) {
	to, from := dst.DType(), src.DType()
	if to == from || !to.IsNarrow() && !from.IsNarrow() {
		convert(dst, src)
		return
	}
	// All values of narrow types are float32 values. From wider ones the last bit says that
	// something was lost (see roundToOdd), as 24 bits hold two more than any narrow type.
	var buf [512]float32
	for lo, total := 0, src.Elems(); lo < total; lo += len(buf) {
		b := buf[:min(len(buf), total-lo)]
		switch {
		case from.IsNarrow():
			for i, c := range src.Bytes()[lo : lo+len(b)] {
				b[i] = tensor.NarrowFloat32(from, c)
			}
		case to >= tensor.Uint4 && to != tensor.Float4E2M1 && to != tensor.Float8E8M0:
			n.lowBits(dst, src, lo, len(b))
			continue
		default:
			oddFloats(b, src, lo)
		}
		if !to.IsNarrow() {
			fromFloat(dst, lo, b)
			continue
		}
		for i, v := range b {
			dst.Bytes()[lo+i] = tensor.NarrowOf(to, v, n.saturate, n.round)
		}
	}
}

// lowBits converts count elements to integers of 4 and 2 bits, which are the low bits of larger ones.
func (n narrowing) lowBits(dst, src *tensor.Tensor, at, count int) {
	var buf [512]int64
	b := buf[:count]
	integersOf(b, src, at)
	for i, v := range b {
		dst.Bytes()[at+i] = tensor.NarrowOf(dst.DType(), float32(int8(v)), true, 0)
	}
}

// widenNarrow converts elements of a narrow type to float32, exactly.
func widenNarrow(dst []float32, src *tensor.Tensor) {
	d := src.DType()
	for i, c := range src.Bytes() {
		dst[i] = tensor.NarrowFloat32(d, c)
	}
}

// oddFloats converts numbers, as many as dst has, from at on, to float32 such that a second
// rounding to a narrow type gives what one rounding would.
func oddFloats(dst []float32, src *tensor.Tensor, at int) {
	n := at + len(dst)
	switch d := src.DType(); {
	case d == tensor.Float32:
		copy(dst, src.Float32s()[at:n])
	case isHalf(d):
		widenFrom(dst, src, at)
	case d == tensor.Float64:
		for i, v := range tensor.Data[float64](src)[at:n] {
			dst[i] = roundToOdd(v)
		}
	case d == tensor.Uint64:
		for i, v := range tensor.Data[uint64](src)[at:n] {
			dst[i] = roundToOdd(float64(v))
		}
	default:
		// Integers beyond 2^24 round to more than any narrow type but powers of two holds,
		// and for those float64 is exact enough.
		var buf [512]int64
		b := buf[:len(dst)]
		integersOf(b, src, at)
		for i, v := range b {
			dst[i] = roundToOdd(float64(v))
		}
	}
}
