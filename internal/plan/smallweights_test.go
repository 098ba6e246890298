package plan_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// bytesOf returns a tensor with random bytes as elements.
func bytesOf(r *rand.Rand, d tensor.DType, shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(d, shape...))
	for i := range t.Bytes() {
		t.Bytes()[i] = byte(r.IntN(256))
	}
	return t
}

func halves(r *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float16, shape...))
	for i := range tensor.Data[tensor.F16](t) {
		tensor.Data[tensor.F16](t)[i] = tensor.ToF16(r.Float32()*0.1 - 0.05)
	}
	return t
}

func scalesOf(r *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float32, shape...))
	for i := range t.Float32s() {
		t.Float32s()[i] = (1 + r.Float32()) * 1e-3
	}
	return t
}

// TestWeightsStaySmall checks that 8-bit and half-precision weights are multiplied from
// where they are packed in that form, with the results of float32 weights.
func TestWeightsStaySmall(t *testing.T) {
	type axis struct {
		n     int64
		of    func(shape []int) []int // shape of the scale
		block int64
	}
	whole := axis{0, func([]int) []int { return nil }, 0}
	per := func(a int) axis { return axis{int64(a), func(s []int) []int { return s[a : a+1] }, 0} }
	blocks := axis{0, func(s []int) []int { return []int{s[0] / 32, s[1]} }, 32}
	for _, c := range []struct {
		name   string
		opType string
		weight []int
		dtype  tensor.DType // Float16: through Cast
		axis   axis
		zero   bool
		attrs  []*onnx.Attribute
	}{
		{"one scale", "MatMul", []int{128, 96}, tensor.Int8, whole, false, nil},
		{"zero point", "MatMul", []int{128, 96}, tensor.Uint8, whole, true, nil},
		{"columns", "MatMul", []int{128, 96}, tensor.Int8, per(1), false, nil},
		{"rows", "MatMul", []int{128, 96}, tensor.Int8, per(0), false, nil},
		{"blocks", "MatMul", []int{128, 96}, tensor.Int8, blocks, false, nil},
		{"transposed columns", "Gemm", []int{96, 128}, tensor.Int8, per(0), false, []*onnx.Attribute{onnx.AttrI("transB", 1), onnx.AttrF("alpha", 0.5)}},
		{"transposed rows", "Gemm", []int{96, 128}, tensor.Int8, per(1), true, []*onnx.Attribute{onnx.AttrI("transB", 1)}},
		{"half", "Gemm", []int{96, 128}, tensor.Float16, whole, false, []*onnx.Attribute{onnx.AttrI("transB", 1)}},
		{"half", "MatMul", []int{128, 96}, tensor.Float16, whole, false, nil},
		{"one scale", "Conv", []int{96, 32, 3, 3}, tensor.Int8, whole, false, nil},
		{"channels", "Conv", []int{96, 32, 3, 3}, tensor.Int8, per(0), false, []*onnx.Attribute{onnx.AttrIs("strides", 2, 2)}},
		{"groups", "Conv", []int{96, 16, 3, 3}, tensor.Int8, per(0), false, []*onnx.Attribute{onnx.AttrI("group", 2)}},
		{"half", "Conv", []int{96, 32, 3, 3}, tensor.Float16, whole, false, nil},
		{"channels", "ConvTranspose", []int{32, 96, 4, 4}, tensor.Int8, per(1), true, []*onnx.Attribute{onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1)}},
		{"half", "ConvTranspose", []int{32, 96, 4, 4}, tensor.Float16, whole, false, []*onnx.Attribute{onnx.AttrIs("strides", 2, 2)}},
	} {
		for _, precision := range []string{"float32", "float16"} {
			if precision == "float16" && c.dtype != tensor.Float16 {
				continue
			}
			t.Run(c.opType+"/"+c.name+"/"+precision, func(t *testing.T) {
				r := rand.New(rand.NewPCG(11, 12))
				b := onnx.NewBuilder(21)
				shape := []int{3, 128}
				if len(c.weight) == 4 {
					shape = []int{2, 32, 7, 9}
				}
				var dims []onnx.Dim
				for _, d := range shape {
					dims = append(dims, onnx.FixedDim(int64(d)))
				}
				x := b.Input("x", tensor.Float32, dims...)
				var w *tensor.Tensor
				var weights string
				switch {
				case c.dtype == tensor.Float16:
					w = halves(r, c.weight...)
					weights = b.Initializer("w", w)
					if precision == "float32" {
						weights = b.Op("Cast", "", []string{weights}, onnx.AttrI("to", int64(tensor.Float32)))
					} else {
						x = b.Op("Cast", "", []string{x}, onnx.AttrI("to", int64(tensor.Float16)))
					}
				default:
					w = bytesOf(r, c.dtype, c.weight...)
					s := c.axis.of(c.weight)
					in := []string{b.Initializer("w", w), b.Initializer("s", scalesOf(r, s...))}
					if c.zero {
						z := tensor.Must(tensor.New(c.dtype, s...))
						for i := range z.Bytes() {
							z.Bytes()[i] = 7
						}
						in = append(in, b.Initializer("z", z))
					}
					attrs := []*onnx.Attribute{onnx.AttrI("axis", c.axis.n)}
					if c.axis.block > 0 {
						attrs = append(attrs, onnx.AttrI("block_size", c.axis.block))
					}
					weights = b.Op("DequantizeLinear", "", in, attrs...)
				}
				y := b.Op(c.opType, "", []string{x, weights}, c.attrs...)
				if precision == "float16" {
					y = b.Op("Cast", "", []string{y}, onnx.AttrI("to", int64(tensor.Float32)))
				}
				b.Output(b.Op("Relu", "", []string{y}), tensor.Float32)
				m, err := b.Model()
				if err != nil {
					t.Fatal(err)
				}
				g, err := graph.New(m, graph.Config{Set: op.Core})
				if err != nil {
					t.Fatal(err)
				}
				in := randomTensor(r, shape...)
				want := execute(t, g, plan.Options{Plain: true}, in)
				if err := graph.Optimize(g); err != nil {
					t.Fatal(err)
				}
				p, err := plan.Build(g, []op.Fact{{DType: in.DType(), Shape: in.Shape()}}, plan.Options{})
				if err != nil {
					t.Fatal(err)
				}
				got := execute(t, g, plan.Options{}, in)
				if precision == "float16" { // sums in another order may round to the neighbour
					for i, v := range got[0].Float32s() {
						if w := want[0].Float32s()[i]; !(math.Abs(float64(v-w)) <= 2e-3*(1+math.Abs(float64(w)))) {
							t.Fatalf("element %d: %v, want %v", i, v, w)
						}
					}
				} else {
					sameOutputs(t, "", got, want)
				}
				// The last panel of each group is padded, to 32 columns at most, and blocks have scales.
				columns := 96
				for _, a := range c.attrs {
					if a.Name == "group" {
						columns /= int(a.Int)
					}
				}
				padded := len(w.Bytes()) / columns * ((columns + 31) / 32 * 32)
				if got, most := p.Stats().Packed, padded*5/4+1024; got == 0 || got > most {
					t.Errorf("%d bytes of packed weights, want at most %d for %d bytes in the model", got, most, len(w.Bytes()))
				}
			})
		}
	}
}
