package op

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestDynamicQuantizeLSTM compares with one LSTM a step, whose weights are dequantised and whose
// input and state are rounded by DynamicQuantizeLinear.
func TestDynamicQuantizeLSTM(t *testing.T) {
	const seq, batch, features, hidden = 5, 3, 6, 4
	r := rand.New(rand.NewPCG(5, 8))
	of := func(d tensor.DType, s ...int) *tensor.Tensor { return randomOf(r, d, s...) }
	rounded := func(x *tensor.Tensor) *tensor.Tensor {
		q := node{typ: "DynamicQuantizeLinear", outputs: 3}.eval(t, x)
		return node{typ: "DequantizeLinear"}.eval(t, q...)[0]
	}
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		for _, each := range []bool{false, true} {
			scale, zero := []int{1}, []int{1}
			if each {
				scale, zero = []int{1, 4 * hidden}, []int{1, 4 * hidden}
			}
			positive := func() *tensor.Tensor {
				s := of(tensor.Float32, scale...)
				for i := range s.Float32s() {
					s.Float32s()[i] = 0.002 + 0.003*r.Float32()
				}
				return s
			}
			x, w, rec := of(tensor.Float32, seq, batch, features), of(d, 1, features, 4*hidden), of(d, 1, hidden, 4*hidden)
			bias, h, c, p := of(tensor.Float32, 1, 8*hidden), of(tensor.Float32, 1, batch, hidden), of(tensor.Float32, 1, batch, hidden), of(tensor.Float32, 1, 3*hidden)
			ws, wz, rs, rz := positive(), of(d, zero...), positive(), of(d, zero...)
			plain := func(q, s, z *tensor.Tensor) *tensor.Tensor {
				v, err := q.Reshape(q.Shape()[1:]...)
				if err != nil {
					t.Fatal(err)
				}
				n := s.Elems()
				s, z = tensor.Must(s.Reshape(n)), tensor.Must(z.Reshape(n))
				if n == 1 {
					s, z = tensor.Must(s.Reshape()), tensor.Must(z.Reshape())
				}
				f := node{typ: "DequantizeLinear", attrs: []*onnx.Attribute{attrInt("axis", 1)}}.eval(t, v, s, z)[0]
				f = node{typ: "Transpose"}.eval(t, f)[0]
				return tensor.Must(f.Reshape(1, f.Shape()[0], f.Shape()[1]))
			}
			size := attrInt("hidden_size", hidden)
			got := node{typ: "DynamicQuantizeLSTM", domain: "com.microsoft", opset: 1, outputs: 3, attrs: []*onnx.Attribute{size}}.eval(t, x, w, rec, bias, nil, h, c, p, ws, wz, rs, rz)
			wf, rf, xf := plain(w, ws, wz), plain(rec, rs, rz), rounded(x)
			step := batch * features
			for i := range seq {
				now := tensor.Must(tensor.Of(xf.Float32s()[i*step:(i+1)*step], 1, batch, features))
				out := node{typ: "LSTM", outputs: 3, attrs: []*onnx.Attribute{size}}.eval(t, now, wf, rf, bias, nil, rounded(h), c, p)
				h, c = out[1], out[2]
				for k, v := range h.Float32s() {
					if g := got[0].Float32s()[i*batch*hidden+k]; !(g-v < 1e-5 && v-g < 1e-5) {
						t.Fatalf("%v, scales %v, step %d: state %d is %v, want %v", d, scale, i, k, g, v)
					}
				}
			}
			wantNear(t, "the last state", got[1], floats(h), 1e-5, d)
			wantNear(t, "the last cell", got[2], floats(c), 1e-5, d)
			for _, bad := range [][]*tensor.Tensor{
				{x, w, rec, bias, nil, h, c, p, ws, wz, rs},
				{x, w, rec, bias, nil, h, c, p, ws, rs, rs, rz},
				{x, w, rec, bias, nil, h, c, p, of(tensor.Float32, 2), of(d, 2), rs, rz},
				{x, of(tensor.Float32, 1, features, 4*hidden), rec, bias, nil, h, c, p, ws, wz, rs, rz},
			} {
				if _, err := (node{typ: "DynamicQuantizeLSTM", domain: "com.microsoft", opset: 1, attrs: []*onnx.Attribute{size}}).try(t, bad...); err == nil {
					t.Errorf("%v was accepted", bad)
				}
			}
		}
	}
}
