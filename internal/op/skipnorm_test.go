package op

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestSkipLayerNormalization(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 7))
	eps := attrFloat("epsilon", 1e-3)
	for _, d := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16} {
		tol := map[tensor.DType]float64{tensor.Float32: 1e-5, tensor.Float64: 1e-6, tensor.Float16: 4e-3}[d]
		x, gamma, beta, bias := randomOf(r, d, 2, 3, 8), randomOf(r, d, 8), randomOf(r, d, 8), randomOf(r, d, 8)
		for _, skip := range []*tensor.Tensor{randomOf(r, d, 2, 3, 8), randomOf(r, d, 1, 3, 8), randomOf(r, d, 3, 8)} {
			for _, in := range [][]*tensor.Tensor{{x, skip, gamma}, {x, skip, gamma, beta}, {x, skip, gamma, beta, bias}, {x, skip, gamma, nil, bias}} {
				sum := node{typ: "Add"}.eval(t, x, skip)[0]
				if len(in) > 4 {
					sum = node{typ: "Add"}.eval(t, sum, bias)[0]
				}
				norm := []*tensor.Tensor{sum, gamma}
				if len(in) > 3 && in[3] != nil {
					norm = append(norm, beta)
				}
				want := node{typ: "LayerNormalization", attrs: []*onnx.Attribute{eps}}.eval(t, norm...)[0]
				for _, outputs := range []int{1, 4} {
					got := node{typ: "SkipLayerNormalization", domain: "com.microsoft", opset: 1, outputs: outputs, attrs: []*onnx.Attribute{eps}}.eval(t, in...)
					wantNear(t, "SkipLayerNormalization", got[0], floats(want), tol, d, skip, len(in))
					if outputs > 1 {
						wantNear(t, "the sum", got[3], floats(sum), tol, d, skip, len(in))
					}
				}
			}
		}
	}
	f := func(s ...int) *tensor.Tensor { return randomOf(r, tensor.Float32, s...) }
	for _, bad := range [][]*tensor.Tensor{{f(2, 3, 8), f(2, 3, 8), f(7)}, {f(2, 3, 8), f(2, 1, 8), f(8)}, {f(2, 3, 8), f(3, 3, 8), f(8)}, {f(2, 3, 8), f(2, 3, 8), f(8), f(3, 8)}} {
		if _, err := (node{typ: "SkipLayerNormalization", domain: "com.microsoft", opset: 1}).try(t, bad...); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}
