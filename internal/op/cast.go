package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

type cast struct {
	types Types
	to    tensor.DType
	narrowing
}

func newCast(a *Attrs) (Op, error) {
	a.Require("to")
	o := cast{a.Types(), a.DType("to", tensor.Undefined), newNarrowing(a)}
	if !typesStored.Has(o.to) {
		a.Fail("attribute \"to\": type %v is not supported", o.to)
	}
	return o, nil
}

func (o cast) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	return []Fact{{DType: o.to, Shape: in[0].Shape}}, nil
}

func (o cast) Run(_ *Context, out, in []*tensor.Tensor) error {
	o.convert(out[0], in[0])
	return nil
}

type castLike struct {
	types Types
	narrowing
}

func newCastLike(a *Attrs) (Op, error) {
	return castLike{a.Types(), newNarrowing(a)}, nil
}

func (o castLike) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if !typesStored.Has(in[1].DType) {
		return nil, fmt.Errorf("input 1: type %v is not supported", in[1].DType)
	}
	return []Fact{{DType: in[1].DType, Shape: in[0].Shape}}, nil
}

func (o castLike) Run(_ *Context, out, in []*tensor.Tensor) error {
	o.convert(out[0], in[0])
	return nil
}

// convert converts all elements of src to dst's type. Floating-point values are rounded to
// nearest even; on the way to an integer they are truncated, and values that an int64 (or,
// above it, a uint64) cannot hold saturate, NaN becomes 0. Integers wrap around. Anything
// but 0 is true.
func convert(dst, src *tensor.Tensor) {
	if dst.DType() == src.DType() {
		copy(dst.Bytes(), src.Bytes())
		return
	}
	switch src.DType() {
	case tensor.Float32:
		fromFloat(dst, 0, src.Float32s())
	case tensor.Float64:
		fromFloat(dst, 0, tensor.Data[float64](src))
	case tensor.Float16, tensor.BFloat16:
		if dst.DType() == tensor.Float32 {
			widen(dst.Float32s(), src)
			return
		}
		var buf [512]float32
		for lo, n := 0, src.Elems(); lo < n; lo += len(buf) {
			b := buf[:min(len(buf), n-lo)]
			widenFrom(b, src, lo)
			fromFloat(dst, lo, b)
		}
	case tensor.Int64:
		fromInt(dst, 0, src.Int64s())
	case tensor.Uint64:
		fromInt(dst, 0, tensor.Data[uint64](src))
	default:
		switch {
		case dst.DType() == tensor.Int64:
			lengthen(dst.Int64s(), src, 0)
			return
		case dst.DType() == tensor.Float32 && src.DType() == tensor.Uint8:
			convertEach(dst.Float32s(), src.Bytes())
			return
		case dst.DType() == tensor.Float32 && src.DType() == tensor.Int32:
			kernel.FloatsI32(dst.Float32s(), tensor.Data[int32](src))
			return
		}
		var buf [512]int64
		for lo, n := 0, src.Elems(); lo < n; lo += len(buf) {
			b := buf[:min(len(buf), n-lo)]
			lengthen(b, src, lo)
			fromInt(dst, lo, b)
		}
	}
}

// fromFloat converts floating-point values to the elements of dst from at on.
func fromFloat[S floating](dst *tensor.Tensor, at int, src []S) {
	switch dst.DType() {
	case tensor.Float32:
		convertEach(tensor.Data[float32](dst)[at:], src)
	case tensor.Float64:
		convertEach(tensor.Data[float64](dst)[at:], src)
	case tensor.Float16:
		d := tensor.Data[tensor.F16](dst)[at:]
		for i, v := range src {
			d[i] = tensor.ToF16(roundToOdd(v))
		}
	case tensor.BFloat16:
		d := tensor.Data[tensor.BF16](dst)[at:]
		for i, v := range src {
			d[i] = tensor.ToBF16(roundToOdd(v))
		}
	case tensor.Bool:
		d := tensor.Data[bool](dst)[at:]
		for i, v := range src {
			d[i] = v != 0
		}
	case tensor.Int8:
		truncate(tensor.Data[int8](dst)[at:], src)
	case tensor.Int16:
		truncate(tensor.Data[int16](dst)[at:], src)
	case tensor.Int32:
		truncate(tensor.Data[int32](dst)[at:], src)
	case tensor.Int64:
		truncate(tensor.Data[int64](dst)[at:], src)
	case tensor.Uint8:
		truncate(tensor.Data[uint8](dst)[at:], src)
	case tensor.Uint16:
		truncate(tensor.Data[uint16](dst)[at:], src)
	case tensor.Uint32:
		truncate(tensor.Data[uint32](dst)[at:], src)
	case tensor.Uint64:
		d := tensor.Data[uint64](dst)[at:]
		for i, v := range src {
			switch {
			case v >= 1<<64:
				d[i] = math.MaxUint64
			case v >= 1<<63:
				d[i] = 1<<63 + uint64(v-1<<63)
			default:
				d[i] = uint64(toInt64(float64(v)))
			}
		}
	}
}

// roundToOdd converts to float32 such that a second rounding to a shorter type gives what
// one rounding would: an inexact result has its last bit set (Boldo and Melquiond 2008).
func roundToOdd[S floating](v S) float32 {
	f := float32(v)
	if S(f) == v || v != v {
		return f
	}
	b := math.Float32bits(f)
	if math.Abs(float64(f)) > math.Abs(float64(v)) {
		b--
	}
	return math.Float32frombits(b | 1)
}

func convertEach[D, S number](dst []D, src []S) {
	for i, v := range src {
		dst[i] = D(v)
	}
}

func truncate[D integer, S floating](dst []D, src []S) {
	for i, v := range src {
		dst[i] = D(toInt64(float64(v)))
	}
}

// toInt64 truncates, saturates and makes NaN 0, alike on every architecture.
func toInt64(v float64) int64 {
	switch {
	case v >= 1<<63:
		return math.MaxInt64
	case v <= -1<<63:
		return math.MinInt64
	case v != v:
		return 0
	}
	return int64(v)
}

// fromInt converts integers to the elements of dst from at on.
func fromInt[S int64 | uint64](dst *tensor.Tensor, at int, src []S) {
	switch dst.DType() {
	case tensor.Float32:
		convertEach(tensor.Data[float32](dst)[at:], src)
	case tensor.Float64:
		convertEach(tensor.Data[float64](dst)[at:], src)
	case tensor.Float16:
		d := tensor.Data[tensor.F16](dst)[at:]
		for i, v := range src {
			d[i] = tensor.ToF16(oddOfInt(v))
		}
	case tensor.BFloat16:
		d := tensor.Data[tensor.BF16](dst)[at:]
		for i, v := range src {
			d[i] = tensor.ToBF16(oddOfInt(v))
		}
	case tensor.Bool:
		d := tensor.Data[bool](dst)[at:]
		for i, v := range src {
			d[i] = v != 0
		}
	case tensor.Int8:
		convertEach(tensor.Data[int8](dst)[at:], src)
	case tensor.Int16:
		convertEach(tensor.Data[int16](dst)[at:], src)
	case tensor.Int32:
		convertEach(tensor.Data[int32](dst)[at:], src)
	case tensor.Int64:
		convertEach(tensor.Data[int64](dst)[at:], src)
	case tensor.Uint8:
		convertEach(tensor.Data[uint8](dst)[at:], src)
	case tensor.Uint16:
		convertEach(tensor.Data[uint16](dst)[at:], src)
	case tensor.Uint32:
		convertEach(tensor.Data[uint32](dst)[at:], src)
	case tensor.Uint64:
		convertEach(tensor.Data[uint64](dst)[at:], src)
	}
}

// oddOfInt is roundToOdd for integers. Below 2^53 float64 is exact; above, bits far below
// the last of a half-precision value only matter as "not zero".
func oddOfInt[S int64 | uint64](v S) float32 {
	const exact = 1 << 53
	f := float64(v)
	switch {
	case f > exact:
		w := uint64(v) &^ 0xfff
		if w != uint64(v) {
			w |= 0x1000
		}
		f = float64(w)
	case f < -exact:
		w := int64(v) &^ 0xfff
		if w != int64(v) {
			w |= 0x1000
		}
		f = float64(w)
	}
	return roundToOdd(f)
}
