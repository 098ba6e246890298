package op

import (
	"fmt"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// BenchmarkGemm reports the speed of packed and unpacked products, with one thread and two.
func BenchmarkGemm(b *testing.B) {
	for _, s := range [][3]int{{1, 784, 400}, {1, 400, 20}, {16, 784, 400}, {128, 784, 400}, {128, 400, 20}, {256, 256, 256}} {
		for _, packed := range []bool{true, false} {
			for _, threads := range []int{1, 2} {
				m, k, n := s[0], s[1], s[2]
				b.Run(fmt.Sprintf("%dx%dx%d/packed=%t/threads=%d", m, k, n, packed, threads), func(b *testing.B) {
					a := NewAttrs(&onnx.Node{OpType: "Gemm", Inputs: []string{"a", "b", "c"}, Outputs: []string{"y"}}, 13, nil)
					o, err := Core.Make(a)
					if err != nil {
						b.Fatal(err)
					}
					x, w, c, y := tensor.Must(tensor.New(tensor.Float32, m, k)), tensor.Must(tensor.New(tensor.Float32, k, n)), tensor.Must(tensor.New(tensor.Float32, n)), tensor.Must(tensor.New(tensor.Float32, m, n))
					for i := range x.Float32s() {
						x.Float32s()[i] = 1
					}
					pool := parallel.New(threads)
					defer pool.Close()
					var state any
					ctx := &Context{Pool: pool, State: &state}
					in, out := []*tensor.Tensor{x, w, c}, []*tensor.Tensor{y}
					if packed {
						p, err := o.(Prepacker).Prepack(1, []Fact{FactOf(x), FactOf(w), FactOf(c)}, Slices{})
						if err != nil {
							b.Fatal(err)
						}
						ctx.Packed = []Packed{nil, p}
						in[1] = nil
					}
					b.ReportAllocs()
					for b.Loop() {
						if err := o.Run(ctx, out, in); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		}
	}
}
