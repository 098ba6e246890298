package plan_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// denseBetween makes an 8-bit convolution, heads that read its result as rows, and a dense layer whose result another
// convolution reads as images. With open, the values that are reordered are outputs too, so that they stay in the model's
// order. The last outputs are those of the heads and of the second convolution.
func denseBetween(seed uint64, transB, table, open bool) *onnx.Builder {
	r := rand.New(rand.NewPCG(seed, 2))
	b := onnx.NewBuilder(17)
	names := 0
	name := func() string { names++; return fmt.Sprint("c", names) }
	params := func() (s, z string) {
		return b.Initializer(name(), tensor.Scalar(0.01+0.02*r.Float32())), b.Initializer(name(), scalar8(tensor.Uint8, r.IntN(100)))
	}
	pair := func(v string, keep bool) string {
		s, z := params()
		q := b.Op("QuantizeLinear", "", []string{v, s, z})
		if keep && open {
			b.Output(q, tensor.Uint8)
		}
		return b.Op("DequantizeLinear", "", []string{q, s, z})
	}
	weights := func(axis int, shape ...int) []string {
		w := b.Initializer(name(), narrowed(randomBytes(r, -127, 127, shape), tensor.Int8))
		s := tensor.Must(tensor.New(tensor.Float32, shape[axis]))
		bias := tensor.Must(tensor.New(tensor.Float32, shape[axis]))
		for i := range s.Float32s() {
			s.Float32s()[i], bias.Float32s()[i] = 0.001+0.002*r.Float32(), r.Float32()-0.5
		}
		return []string{b.Op("DequantizeLinear", "", []string{w, b.Initializer(name(), s)}, onnx.AttrI("axis", int64(axis))), b.Initializer(name(), bias)}
	}
	dense := func(v string, k, n int) string {
		shape, axis := []int{k, n}, 1
		if transB {
			shape, axis = []int{n, k}, 0
		}
		return b.Op("Gemm", "", append([]string{v}, weights(axis, shape...)...), onnx.AttrI("transB", int64(1-axis)))
	}
	s, z := params()
	x := b.Op("DequantizeLinear", "", []string{b.Input("x", tensor.Uint8, onnx.NamedDim("n"), onnx.FixedDim(2), onnx.FixedDim(5), onnx.FixedDim(6)), s, z})
	x = b.Op("Conv", "", append([]string{x}, weights(0, 12, 2, 3, 3)...), onnx.AttrIs("pads", 1, 1, 1, 1))
	x = b.Op("Flatten", "", []string{pair(b.Op("Relu", "", []string{x}), true)})
	mean, spread := pair(dense(x, 360, 7), false), pair(dense(x, 360, 20), false)
	x = pair(dense(spread, 20, 240), true)
	if table {
		x = pair(b.Op("Sigmoid", "", []string{x}), true)
	}
	x = b.Op("Reshape", "", []string{x, b.Initializer(name(), tensor.Must(tensor.Of([]int64{-1, 8, 5, 6}, 4)))})
	x = pair(b.Op("Conv", "", append([]string{x}, weights(0, 9, 8, 3, 3)...)), false)
	b.Output(mean, tensor.Float32)
	b.Output(x, tensor.Float32)
	return b
}

// TestOrdersOfRows compares products that take images channels-last, or give them so, with products between conversions.
func TestOrdersOfRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for i, n := range []int{1, 3, 40} {
		for k := range 4 {
			transB, table := k&1 != 0, k&2 != 0
			x := narrowed(randomBytes(r, 0, 255, []int{n, 2, 5, 6}), tensor.Uint8)
			model := func(open bool) *onnx.Builder { return denseBetween(uint64(4*i+k), transB, table, open) }
			got, want := runModel(t, model(false), plan.Options{}, x), runModel(t, model(true), plan.Options{}, x)
			want = want[len(want)-len(got):]
			for o := range got {
				if !got[o].Shape().Equal(want[o].Shape()) || !bytes.Equal(got[o].Bytes(), want[o].Bytes()) {
					t.Errorf("%d rows, transB %t, table %t: output %d is another without conversions", n, transB, table, o)
				}
			}
			count := func(open bool) (n int) {
				for _, s := range steps(t, model(open), x) {
					if s.OpType == "Transpose" {
						n++
					}
				}
				return n
			}
			// Input and output are converted.
			if kernel.HasQ8() && (count(false) != 2 || count(true) < 4) {
				t.Errorf("%d rows: %d and %d conversions", n, count(false), count(true))
			}
		}
	}
}

// TestOrdersOfRowsF32 does the same in float32, where only rounding may differ from the model as it is.
func TestOrdersOfRowsF32(t *testing.T) {
	for k := range 8 {
		transB, bias, relu := k&1 != 0, k&2 != 0, k&4 != 0
		model := func() *onnx.Builder {
			m := &modelMaker{Rand: rand.New(rand.NewPCG(uint64(k), 3)), b: onnx.NewBuilder(17)}
			dense := func(x string, k, n int) string {
				in := []string{x, m.weight(k, n)}
				if transB {
					in[1] = m.weight(n, k)
				}
				if bias {
					in = append(in, m.weight(n))
				}
				trans := int64(0)
				if transB {
					trans = 1
				}
				return m.b.Op("Gemm", "", in, onnx.AttrI("transB", trans))
			}
			x := m.b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(2), onnx.FixedDim(5), onnx.FixedDim(6))
			x = m.b.Op("Conv", "", []string{x, m.weight(12, 2, 3, 3)}, onnx.AttrIs("pads", 1, 1, 1, 1))
			x = m.b.Op("Flatten", "", []string{x})
			m.b.Output(dense(x, 360, 7), tensor.Float32)
			x = dense(dense(x, 360, 20), 20, 240)
			if relu {
				x = m.b.Op("Relu", "", []string{x})
			}
			x = m.b.Op("Reshape", "", []string{x, m.ints(-1, 8, 5, 6)})
			m.b.Output(m.b.Op("Conv", "", []string{x, m.weight(9, 8, 3, 3)}), tensor.Float32)
			return m.b
		}
		for _, n := range []int{1, 3, 40} {
			x := randomTensor(rand.New(rand.NewPCG(9, 9)), n, 2, 5, 6)
			sameOutputs(t, fmt.Sprintf("%d rows, transB %t, bias %t, relu %t", n, transB, bias, relu), runModel(t, model(), plan.Options{}, x), runModel(t, model(), plan.Options{Plain: true}, x))
			conversions := 0
			for _, s := range steps(t, model(), x) {
				if s.OpType == "Transpose" {
					conversions++
				}
			}
			if conversions > 2 { // of input and output
				t.Errorf("%d rows: %d conversions", n, conversions)
			}
		}
	}
}
