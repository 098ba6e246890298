package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// quantSoftmax is QLinearSoftmax of com.microsoft: inputs X, its scale and zero point, and
// those of the result. Attribute opset says which version of Softmax it stands for.
type quantSoftmax struct{ softmax }

func newQLinearSoftmax(a *Attrs) (Op, error) {
	a.Require("opset")
	o := &quantSoftmax{softmax{types: types8, kind: softmaxExp, axis: a.Int("axis", -1)}}
	o.flatten = a.Int("opset", 13) < 13
	return o, nil
}

// Infer implements [Op].
func (o *quantSoftmax) Infer(in []Fact) ([]Fact, error) {
	if len(in) < 4 || len(in) > 5 {
		return nil, fmt.Errorf("%d inputs, want 4 or 5", len(in))
	}
	out, err := o.softmax.Infer(in[:1])
	if err != nil {
		return nil, err
	}
	for _, i := range []int{1, 3} {
		if err := checkParams(in, i, in[0].DType); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Run implements [Op]. The exponentials of all distances from the largest value of a slice
// are in a table; their sum is taken in float32, in order.
func (o *quantSoftmax) Run(ctx *Context, out, in []*tensor.Tensor) error {
	x, y, d := paramsAt(in, 1), paramsAt(in, 3), in[0].DType()
	var exp [256]float32
	for i := range exp {
		exp[i] = float32(math.Exp(-float64(x.scale) * float64(i)))
	}
	// With the sign bit flipped, signed bytes compare as unsigned ones do.
	flip := uint8(0)
	if d == tensor.Int8 {
		flip = 0x80
	}
	src, dst := in[0].Bytes(), out[0].Bytes()
	outer, n, inner := o.split(in[0].Shape())
	for i := range outer * inner {
		at := i/inner*n*inner + i%inner
		largest := uint8(0)
		for k := range n {
			largest = max(largest, src[at+k*inner]^flip)
		}
		sum := float32(0)
		for k := range n {
			sum += exp[largest-(src[at+k*inner]^flip)]
		}
		for k := range n {
			v := exp[largest-(src[at+k*inner]^flip)]
			dst[at+k*inner] = uint8(saturate8(v/sum/y.scale, y.zero, d))
		}
	}
	return nil
}
