package op

import (
	"math"

	"github.com/aekit/aekit/tensor"
)

// numbers64 returns the elements of a numeric tensor as float64.
func numbers64(t *tensor.Tensor) []float64 {
	if !t.DType().IsInteger() {
		return floats64(nil, t)
	}
	out := tensor.Must(tensor.New(tensor.Float64, t.Elems()))
	convert(out, t)
	return tensor.Data[float64](out)
}

// setNumbers stores values in a numeric tensor. Integers are cut off towards zero and held
// within their range; a NaN becomes 0. It changes v.
func setNumbers(t *tensor.Tensor, v []float64) {
	d := t.DType()
	if !d.IsInteger() {
		setFloats(t, v)
		return
	}
	bits := 8 * d.Size()
	least, most := 0.0, math.Ldexp(1, bits)-1
	if typesSigned.Has(d) {
		least, most = -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)-1
	}
	for i, x := range v {
		v[i] = min(max(x, least), most) // a NaN stays, and is 0 as an integer
	}
	fromFloat(t, 0, v)
}
