package op

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestDeformConv checks that whole offsets move the picture under the window, that the mask
// weighs the taps, and that a fraction lies between.
func TestDeformConv(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	x, w, b := randTensor(r, 2, 4, 6, 7), randTensor(r, 6, 2, 3, 3), randTensor(r, 6)
	attrs := []*onnx.Attribute{attrInt("group", 2), attrInts("pads", 1, 1, 1, 1)}
	plain, err := makeOp(t, newConv, "Conv", 22, attrs...)
	if err != nil {
		t.Fatal(err)
	}
	o, err := makeOp(t, newDeformConv, "DeformConv", 22, append(attrs, attrInt("offset_group", 2))...)
	if err != nil {
		t.Fatal(err)
	}
	offset := tensor.Must(tensor.New(tensor.Float32, 2, 2*9*2, 6, 7))
	mask := tensor.Must(tensor.New(tensor.Float32, 2, 2*9, 6, 7))
	// move returns the picture moved up by dy and left by dx, with zeros behind it.
	move := func(dy, dx int) *tensor.Tensor {
		y := tensor.Must(tensor.New(tensor.Float32, x.Shape()...))
		forEach(x.Shape(), func(p []int, at int) {
			if i, j := p[2]+dy, p[3]+dx; i >= 0 && i < 6 && j >= 0 && j < 7 {
				y.Float32s()[at] = x.Float32s()[((p[0]*4+p[1])*6+i)*7+j]
			}
		})
		return y
	}
	// Away from the border, moving the taps is moving the picture.
	inside := func(t *tensor.Tensor) (v []float32) {
		forEach(t.Shape(), func(p []int, at int) {
			if p[2] > 1 && p[2] < 4 && p[3] > 1 && p[3] < 5 {
				v = append(v, t.Float32s()[at])
			}
		})
		return v
	}
	set := func(t *tensor.Tensor, v func(channel int) float32) {
		for i := range t.Float32s() {
			t.Float32s()[i] = v(i / 42)
		}
	}
	at := func(dy, dx float32) []float32 {
		set(offset, func(c int) float32 { return [2]float32{dy, dx}[c%2] })
		return inside(runOp(t, o, nil, false, x, w, offset, b)[0])
	}
	conv := func(dy, dx int) []float32 { return inside(runOp(t, plain, nil, false, move(dy, dx), w, b)[0]) }
	wantClose(t, at(0, 0), conv(0, 0), 1e-5)
	wantClose(t, at(1, -1), conv(1, -1), 1e-5)
	mean := conv(0, 0)
	for i, v := range conv(0, 1) {
		mean[i] = (mean[i] + v) / 2
	}
	wantClose(t, at(0, 0.5), mean, 1e-5)

	set(offset, func(int) float32 { return 0 })
	set(mask, func(c int) float32 { return float32(c%9) / 8 })
	weighted := w.Clone()
	for i := range weighted.Float32s() {
		weighted.Float32s()[i] *= float32(i%9) / 8
	}
	wantClose(t, runOp(t, o, nil, false, x, w, offset, b, mask)[0].Float32s(), runOp(t, plain, nil, false, x, weighted, b)[0].Float32s(), 1e-5)
	if _, err := o.Infer([]Fact{FactOf(x), FactOf(w), FactOf(mask)}); err == nil {
		t.Error("offsets of the wrong shape were accepted")
	}
}
