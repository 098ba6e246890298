package plan_test

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
)

// overlapLayer is a transposed convolution of 4×4 and stride 2 to one channel or to three, the last of many decoders.
func overlapLayer(r *rand.Rand, n, c, o, h, w int) qdqLayer {
	return qdqLayer{op: "ConvTranspose", axis: 1, x: []int{n, c, h, w}, w: []int{c, o, 4, 4}, signed: r.IntN(2) == 0, relu: r.IntN(3) == 0, noBias: r.IntN(4) == 0,
		attrs: []*onnx.Attribute{onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1)}}
}

func TestIslandsOfOverlaps(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	for range 40 {
		overlapLayer(r, 1+r.IntN(4), 4*(1+r.IntN(9)), 1+2*r.IntN(2), 1+r.IntN(18), 1+r.IntN(40)).check(t, r)
	}
	// An image that several threads share.
	overlapLayer(r, 1, 64, 1, 96, 96).check(t, r)
	overlapLayer(r, 1, 64, 3, 97, 90).check(t, r)
}
