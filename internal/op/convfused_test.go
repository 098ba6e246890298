package op

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestFusedConv(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	x, w, b := randTensor(r, 2, 3, 6, 7), randTensor(r, 5, 3, 3, 3), randTensor(r, 5)
	z := randTensor(r, 2, 5, 6, 7)
	pads := attrInts("pads", 1, 1, 1, 1)
	plain, err := newConv(NewAttrs(&onnx.Node{Attrs: []*onnx.Attribute{pads}}, 13, nil))
	if err != nil {
		t.Fatal(err)
	}
	sum := runOp(t, plain, nil, true, x, w, b)[0].Float32s()
	for _, withZ := range []bool{false, true} {
		in := []*tensor.Tensor{x, w, b}
		if withZ {
			in = append(in, z)
		}
		leaky := &onnx.Attribute{Name: "activation_params", Type: onnx.AttrFloats, Floats: []float32{0.25}}
		n := &onnx.Node{Inputs: make([]string, len(in)), Attrs: []*onnx.Attribute{pads, attrString("activation", "LeakyRelu"), leaky}}
		a := NewAttrs(n, 1, nil)
		o, err := newFusedConv(a)
		if err == nil {
			err = a.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float32, len(sum))
		for i, v := range sum {
			if withZ {
				v += z.Float32s()[i]
			}
			if v < 0 {
				v *= 0.25
			}
			want[i] = v
		}
		wantClose(t, runOp(t, o, nil, true, in...)[0].Float32s(), want, 1e-6)
		var facts []Fact
		for _, v := range in {
			facts = append(facts, FactOf(v))
		}
		v, nhwc, ok := o.(LayoutAware).ChannelsLast(facts)
		if !ok {
			t.Fatal("no channels-last form")
		}
		for i, last := range nhwc {
			if last {
				in[i] = channelsLast(in[i])
			}
		}
		wantClose(t, channelsFirst(runOp(t, v, nil, true, in...)[0]).Float32s(), want, 1e-6)
	}
	hard := node{typ: "FusedConv", domain: "com.microsoft", opset: 1, attrs: []*onnx.Attribute{pads, attrString("activation", "HardSigmoid"), onnx.AttrFs("activation_params", 0.3, 0.4)}}
	for _, in := range [][]*tensor.Tensor{{x, w, b}, {x, w, b, z}} {
		var want []float64
		for i, v := range sum {
			if len(in) > 3 {
				v += z.Float32s()[i]
			}
			want = append(want, min(max(0.3*float64(v)+0.4, 0), 1))
		}
		wantNear(t, "FusedConv with HardSigmoid", hard.eval(t, in...)[0], want, 1e-6, len(in))
	}
}
