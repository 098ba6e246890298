package op

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestQuantFewMisaligned computes a convolution to three channels of an image that does not begin at a word, and wants what
// it is for one that does.
func TestQuantFewMisaligned(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := convCase{n: 2, c: 16, o: 3, groups: 1, in: []int{9, 17}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}
	q, err := newQLinearConv(NewAttrs(&onnx.Node{Attrs: c.attrs()}, 13, nil))
	if err != nil {
		t.Fatal(err)
	}
	x := rand8(r, tensor.Uint8, 2, 16, 9, 17)
	in := []*tensor.Tensor{x, of(t, []float32{0.02}), scalar8(tensor.Uint8, 3), rand8(r, tensor.Int8, c.weightShape()...), of(t, []float32{0.01, 0.02, 0.03}),
		rand8(r, tensor.Int8, 3), of(t, []float32{1.7}), scalar8(tensor.Uint8, 100)}
	clear(in[5].Bytes())
	var facts []Fact
	for _, v := range in {
		facts = append(facts, FactOf(v))
	}
	v, _, ok := q.(LayoutAware).ChannelsLast(facts)
	if !ok {
		t.Fatal("no channels-last form")
	}
	in[0] = channelsLast(x)
	want := runOp(t, v, nil, true, in...)[0].Bytes()
	memory := tensor.AlignedBytes(len(in[0].Bytes()) + 1)[1:]
	copy(memory, in[0].Bytes())
	in[0].Set(tensor.Uint8, memory, in[0].Shape())
	run := newOpRun(t, v, nil, true, in...)
	run.run(t)
	if !bytes.Equal(run.out[0].Bytes(), want) {
		t.Errorf("%v, want %v", run.out[0].Bytes(), want)
	}
	if s := StateOf[quantConvState](run.ctx); kernel.HasPixelsQ8(3) && s.few.packed == nil {
		t.Error("the results were not computed by position")
	}
}
