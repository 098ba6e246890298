package plan_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// quantChainModel makes dense layers of the given widths between pairs; dtypes and
// parameters are random. With open, the 8-bit result of every layer is an output too, so that
// layers cannot be joined. The last output is the result.
func quantChainModel(seed uint64, widths []int, floatIn, floatOut, open bool) *onnx.Builder {
	r := rand.New(rand.NewPCG(seed, 1))
	b := onnx.NewBuilder(17)
	params := func(scale float32) (d tensor.DType, s, z string) {
		d, zero := tensor.Uint8, r.IntN(256)
		if r.IntN(2) == 0 {
			d, zero = tensor.Int8, zero-128
		}
		name := fmt.Sprint(r.Uint64())
		return d, b.Initializer("s"+name, tensor.Scalar(scale)), b.Initializer("z"+name, scalar8(d, zero))
	}
	d, s, z := params(0.02 + 0.01*r.Float32())
	var q string
	if floatIn {
		q = b.Op("QuantizeLinear", "", []string{b.Input("x", tensor.Float32), s, z})
	} else {
		q = b.Input("x", d)
	}
	x := b.Op("DequantizeLinear", "", []string{q, s, z})
	for i, k := range widths[:len(widths)-1] {
		n := widths[i+1]
		ws := tensor.Must(tensor.New(tensor.Float32, n))
		for j := range ws.Float32s() {
			ws.Float32s()[j] = 0.001 + 0.01*r.Float32()
		}
		lo := -127 + r.IntN(2)*63
		w := b.Initializer(fmt.Sprint("w", i), narrowed(randomBytes(r, lo, -lo, []int{k, n}), tensor.Int8))
		in := []string{x, b.Op("DequantizeLinear", "", []string{w, b.Initializer(fmt.Sprint("ws", i), ws)}, onnx.AttrI("axis", 1))}
		if r.IntN(3) > 0 {
			bias := tensor.Must(tensor.New(tensor.Float32, n))
			for j := range bias.Float32s() {
				bias.Float32s()[j] = r.Float32() - 0.5
			}
			in = append(in, b.Initializer(fmt.Sprint("b", i), bias))
		}
		v := b.Op("Gemm", "", in)
		if r.IntN(3) == 0 {
			v = b.Op("Relu", "", []string{v})
		}
		again := r.IntN(3) == 0
		for {
			if d, s, z = params(0.02 + 0.05*r.Float32()); i == 0 {
				d, s, z = params(0.9) // factors near 1 and values that saturate
			}
			q = b.Op("QuantizeLinear", "", []string{v, s, z})
			if open {
				b.Output(q, d)
			}
			x = b.Op("DequantizeLinear", "", []string{q, s, z})
			if !again {
				break
			}
			again, v = false, b.Op("Sigmoid", "", []string{x})
		}
	}
	switch {
	case floatOut:
		b.Output(x, tensor.Float32)
	case open: // the last layer's is one already
	default:
		b.Output(q, d)
	}
	return b
}

// TestChains compares layers that are joined with the same layers one by one.
func TestChains(t *testing.T) {
	pools := []*parallel.Pool{nil, parallel.New(2), parallel.New(3)}
	for _, p := range pools[1:] {
		defer p.Close()
	}
	r := rand.New(rand.NewPCG(5, 6))
	type shape struct {
		m      int
		widths []int
	}
	shapes := []shape{{1, []int{784, 64, 32, 64, 784}}, {256, []int{64, 32, 33}}, {20, []int{1200, 1100, 1500, 1300}}, {130, []int{300, 700, 301, 400}}, {2, []int{1, 1, 1}}, {1, []int{2100, 2100, 30}}}
	for range 20 {
		s := shape{m: 1 + r.IntN(70)}
		for range 2 + r.IntN(4) {
			s.widths = append(s.widths, 1+r.IntN(90))
		}
		shapes = append(shapes, s)
	}
	if testing.Short() {
		shapes = append(shapes[:2], shapes[4:14]...)
	}
	joined := 0
	for i, s := range shapes {
		floatIn, floatOut := i%2 == 0, i%3 != 0
		closed, open := quantChainModel(uint64(i), s.widths, floatIn, floatOut, false), quantChainModel(uint64(i), s.widths, floatIn, floatOut, true)
		d := compile(t, closed).Values[compile(t, closed).Inputs[0]].Type.Elem
		x := tensor.Must(tensor.New(d, s.m, s.widths[0]))
		if floatIn {
			for j := range x.Float32s() {
				x.Float32s()[j] = 8*r.Float32() - 4
			}
		} else {
			for j := range x.Bytes() {
				x.Bytes()[j] = byte(r.Uint32())
			}
		}
		parts := runModel(t, open, plan.Options{}, x)
		want := parts[len(parts)-1]
		for k, pool := range pools {
			got := runModel(t, closed, plan.Options{Pool: pool}, x)[0]
			if got.DType() != want.DType() || !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("%v, float32 in %t, out %t, pool %d: the joined layers give other values", s, floatIn, floatOut, k)
			}
		}
		if kernel.HasQ8() && len(steps(t, closed, x)) == 1 {
			joined++
		}
	}
	if kernel.HasQ8() && joined < len(shapes)/2 {
		t.Errorf("%d of %d models were one step", joined, len(shapes))
	}
}
