package runtime_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// randomNetwork returns a network of a few layers that image models have, for pictures of the given channels and size, large
// enough that threads share its operators.
func randomNetwork(t testing.TB, r *rand.Rand, channels, size int) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(int64(channels)), onnx.FixedDim(int64(size)), onnx.FixedDim(int64(size)))
	label := r.Uint64()
	layers := 0
	convolution := func(op string, x string, in, out, kernel, stride, group int) string {
		layers++
		name := fmt.Sprintf("layer%d", layers)
		shape, pad := []int{out, in / group, kernel, kernel}, (kernel-1)/2
		if op == "ConvTranspose" {
			shape = []int{in, out / group, kernel, kernel}
			pad = (kernel - stride) / 2
		}
		label += 2
		spread := 1.5 / float32(in/group*kernel*kernel)
		w := b.Initializer(name+".w", random(t, label, spread*float32(kernel), shape...))
		c := b.Initializer(name+".b", random(t, label+1, 0.1, out))
		p, s := int64(pad), int64(stride)
		return b.Op(op, name, []string{x, w, c}, onnx.AttrIs("pads", p, p, p, p), onnx.AttrIs("strides", s, s), onnx.AttrI("group", int64(group)))
	}
	activate := func(x string) string {
		return b.Op([]string{"Relu", "LeakyRelu", "Sigmoid", "Tanh"}[r.IntN(4)], "", []string{x})
	}
	pick := func(n ...int) int { return n[r.IntN(len(n))] }
	for range 3 + r.IntN(4) {
		before := channels
		switch r.IntN(10) {
		case 0, 1:
			channels = pick(16, 24, 32, 48)
			x = activate(convolution("Conv", x, before, channels, 3, 1, 1))
		case 2:
			channels = pick(16, 24, 40, 64)
			x = activate(convolution("Conv", x, before, channels, 1, 1, 1))
		case 3:
			if size > 8 && size%2 == 0 {
				channels = pick(16, 32, 48)
				x, size = activate(convolution("Conv", x, before, channels, 4, 2, 1)), size/2
			}
		case 4:
			if size <= 32 {
				channels = pick(1, 3, 16, 32)
				x, size = activate(convolution("ConvTranspose", x, before, channels, 4, 2, 1)), size*2
			}
		case 5:
			x = activate(convolution("Conv", x, before, before, 3, 1, before))
		case 6:
			if size <= 32 {
				x, size = activate(convolution("ConvTranspose", x, before, before, 4, 2, before)), size*2
			}
		case 7:
			y := activate(convolution("Conv", x, before, before, pick(3, 5), 1, pick(1, before)))
			x = b.Op("Add", "", []string{x, y})
		case 8:
			if before%4 == 0 {
				channels = pick(16, 32, 48)
				x = activate(convolution("Conv", x, before, channels, pick(1, 3), 1, pick(2, 4)))
			}
		case 9:
			if size <= 32 {
				factors := b.Initializer(b.Fresh("factors"), tensor.Must(tensor.Of([]float32{1, 1, 2, 2}, 4)))
				up := b.Op("Resize", "", []string{x, "", factors}, onnx.AttrS("mode", "nearest"))
				channels, size = pick(16, 24), size*2
				x = activate(convolution("Conv", up, before, channels, 3, 1, 1))
			}
		}
	}
	y := convolution("Conv", x, channels, pick(1, 3, 8, 20), 3, 1, 1)
	b.Output(y, tensor.Float32)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestThreads runs random networks, in float32 and int8, on several numbers of threads: the results have the same bytes, also
// where a session is given other memory, other values and other batches in between.
func TestThreads(t *testing.T) {
	n := 40
	if testing.Short() {
		n = 6
	}
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 77))
		channels, size := []int{1, 3, 16, 32}[r.IntN(4)], 8*(1+r.IntN(4))
		m := randomNetwork(t, r, channels, size)
		var inputs []map[string]*tensor.Tensor
		for i, batch := range []int{1, 1, 3, 1, 2 + r.IntN(4), 1} {
			inputs = append(inputs, map[string]*tensor.Tensor{"x": random(t, seed*10+uint64(i), 1, batch, channels, size, size)})
		}
		c, err := quant.Calibrate(context.Background(), m, quant.Tensors(inputs[2]), runtime.Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		q, _, err := quant.Quantize(m, c, quant.Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for form, m := range map[string]*onnx.Model{"float32": m, "int8": q} {
			var want [][]byte
			for _, threads := range []int{1, 2, 3, 5} {
				s, err := runtime.New(m, runtime.Options{Threads: threads})
				if err != nil {
					t.Fatalf("seed %d, %s: %v", seed, form, err)
				}
				for i, in := range inputs {
					out, err := s.Run(context.Background(), in)
					if err != nil {
						t.Fatalf("seed %d, %s, %d threads: %v", seed, form, threads, err)
					}
					for _, y := range out {
						if threads == 1 {
							want = append(want, y.Bytes())
						} else if !bytes.Equal(y.Bytes(), want[i]) {
							t.Errorf("seed %d, %s: run %d on %d threads differs from that on one", seed, form, i, threads)
						}
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
