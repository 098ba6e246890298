package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// reduceOther reduces the types that have no kernels.
func reduceOther(kind reduceKind, out, x *tensor.Tensor, outer, n, inner int) error {
	switch x.DType() {
	case tensor.Float64:
		reduceFloat(kind, tensor.Data[float64](out), tensor.Data[float64](x), outer, n, inner)
	case tensor.Int64:
		reduceInt(kind, out.Int64s(), x.Int64s(), outer, n, inner)
	case tensor.Uint64:
		reduceInt(kind, tensor.Data[uint64](out), tensor.Data[uint64](x), outer, n, inner)
	case tensor.Bool:
		// Max and Min of bytes that are 0 or 1; over nothing, Max is false and Min is true.
		dst, src := words[uint8](out), words[uint8](x)
		each(dst, src, outer, n, inner, func(get func(int) uint8) uint8 {
			v := uint8(0)
			if kind == reduceMin {
				v = 1
			}
			for i := range n {
				if kind == reduceMin {
					v = min(v, get(i))
				} else {
					v = max(v, get(i))
				}
			}
			return v
		})
	default:
		return fmt.Errorf("type %v is not supported", x.DType())
	}
	return nil
}

// each calls f for every output element; get returns the element's i-th input.
func each[T any](dst, x []T, outer, n, inner int, f func(get func(i int) T) T) {
	base := 0
	get := func(i int) T { return x[base+i*inner] }
	for o := range outer {
		for c := range inner {
			base = o*n*inner + c
			dst[o*inner+c] = f(get)
		}
	}
}

func reduceFloat(kind reduceKind, dst, x []float64, outer, n, inner int) {
	each(dst, x, outer, n, inner, func(get func(int) float64) float64 {
		acc := 0.0
		switch kind {
		case reduceMax:
			acc = math.Inf(-1)
			for i := range n {
				acc = max(acc, get(i))
			}
			return acc
		case reduceMin:
			acc = math.Inf(1)
			for i := range n {
				acc = min(acc, get(i))
			}
			return acc
		case reduceProd:
			acc = 1
			for i := range n {
				acc *= get(i)
			}
			return acc
		case reduceL1:
			for i := range n {
				acc += math.Abs(get(i))
			}
			return acc
		case reduceL2, reduceSumSquare:
			for i := range n {
				acc += get(i) * get(i)
			}
			if kind == reduceL2 {
				return math.Sqrt(acc)
			}
			return acc
		case reduceLogSumExp:
			top := math.Inf(-1)
			for i := range n {
				top = max(top, get(i))
			}
			if math.IsInf(top, 0) {
				return top
			}
			for i := range n {
				acc += math.Exp(get(i) - top)
			}
			return top + math.Log(acc)
		}
		for i := range n {
			acc += get(i)
		}
		switch kind {
		case reduceMean:
			return acc / float64(n)
		case reduceLogSum:
			return math.Log(acc)
		}
		return acc
	})
}

// reduceInt reduces integers: sums and products wrap around, means and roots are
// truncated, and logarithms are taken in float64 and truncated.
func reduceInt[T int64 | uint64](kind reduceKind, dst, x []T, outer, n, inner int) {
	lowest, highest := limits[T]()
	each(dst, x, outer, n, inner, func(get func(int) T) T {
		acc := T(0)
		switch kind {
		case reduceMax:
			acc = lowest
			for i := range n {
				acc = max(acc, get(i))
			}
		case reduceMin:
			acc = highest
			for i := range n {
				acc = min(acc, get(i))
			}
		case reduceProd:
			acc = 1
			for i := range n {
				acc *= get(i)
			}
		case reduceSum:
			for i := range n {
				acc += get(i)
			}
		case reduceL1:
			for i := range n {
				v := get(i)
				if v < 0 {
					v = -v
				}
				acc += v
			}
		case reduceSumSquare:
			for i := range n {
				acc += get(i) * get(i)
			}
		default:
			return T(reduceIntFloat(kind, n, func(i int) float64 { return float64(get(i)) }))
		}
		return acc
	})
}

func reduceIntFloat(kind reduceKind, n int, get func(int) float64) int64 {
	var r [1]float64
	x := make([]float64, n)
	for i := range x {
		x[i] = get(i)
	}
	reduceFloat(kind, r[:], x, 1, n, 1)
	return toInt64(r[0])
}

// limits returns the least and greatest value of an integer type.
func limits[T int64 | uint64]() (lowest, highest T) {
	if ^T(0) > 0 {
		return 0, ^T(0)
	}
	// The sign bit is the only one that is lost when the value doubles to zero.
	lowest = 1
	for lowest<<1 != 0 {
		lowest <<= 1
	}
	return lowest, ^lowest
}
