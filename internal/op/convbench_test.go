package op

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// BenchmarkConvLayer times layers of autoencoders, channels-last, on one thread.
func BenchmarkConvLayer(b *testing.B) {
	for _, l := range []struct {
		op                     string
		n, size, in, out, k, s int
		pad                    int
	}{
		{"Conv", 16, 64, 3, 32, 4, 2, 1},
		{"Conv", 16, 32, 32, 64, 4, 2, 1},
		{"Conv", 16, 16, 64, 128, 4, 2, 1},
		{"Conv", 16, 8, 128, 256, 4, 2, 1},
		{"Conv", 1, 16, 64, 128, 4, 2, 1},
		{"Conv", 1, 8, 128, 256, 4, 2, 1},
		{"Conv", 16, 28, 1, 32, 3, 2, 1},
		{"Conv", 16, 14, 32, 64, 3, 2, 1},
		{"Conv", 1, 64, 64, 64, 3, 1, 1},
		{"Conv", 1, 256, 64, 64, 3, 1, 1},
		{"Conv", 1, 32, 16, 16, 3, 1, 1},
		{"Conv", 1, 32, 32, 32, 3, 1, 1},
		{"Conv", 1, 16, 128, 128, 3, 1, 1},
		{"Conv", 1, 8, 256, 256, 3, 1, 1},
		{"Conv", 16, 8, 256, 256, 3, 1, 1},
		{"Conv", 1, 128, 64, 3, 3, 1, 1},
		{"ConvTranspose", 16, 4, 256, 128, 4, 2, 1},
		{"ConvTranspose", 16, 16, 64, 32, 4, 2, 1},
		{"ConvTranspose", 1, 16, 64, 32, 4, 2, 1},
		{"ConvTranspose", 16, 32, 32, 3, 4, 2, 1},
		{"ConvTranspose", 16, 14, 32, 1, 4, 2, 1},
	} {
		b.Run(fmt.Sprintf("%s/%dx%dx%dx%d-%d/%dx%d", l.op, l.n, l.size, l.size, l.in, l.out, l.k, l.s), func(b *testing.B) {
			o := &conv{window: window{kernel: []int{l.k, l.k}, strides: []int{l.s, l.s}, pads: []int{l.pad, l.pad, l.pad, l.pad}, autoPad: "NOTSET"}, group: 1, last: true, transposed: l.op != "Conv"}
			ws := tensor.Shape{l.out, l.in, l.k, l.k}
			if o.transposed {
				ws = tensor.Shape{l.in, l.out, l.k, l.k}
			}
			w, x := filled(ws), filled(tensor.Shape{l.n, l.size, l.size, l.in})
			facts := []Fact{{DType: tensor.Float32, Shape: x.Shape()}, {DType: tensor.Float32, Shape: ws, Const: w}}
			out, err := o.Infer(facts)
			if err != nil {
				b.Fatal(err)
			}
			p, err := o.Prepack(1, facts, Slices{})
			if err != nil {
				b.Fatal(err)
			}
			y := tensor.Must(tensor.New(tensor.Float32, out[0].Shape...))
			ctx := &Context{Pool: parallel.New(1), Packed: []Packed{nil, p}, Scratch: tensor.AlignedBytes(o.Workspace(facts))}
			var state any
			ctx.State = &state
			macs := o.MACs(facts, out)
			for b.Loop() {
				if err := o.Run(ctx, []*tensor.Tensor{y}, []*tensor.Tensor{x, nil}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(2*float64(macs)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			if share := shareOfPeak(2*float64(macs), func() { _ = o.Run(ctx, []*tensor.Tensor{y}, []*tensor.Tensor{x, nil}) }); share > 0 {
				b.ReportMetric(100*share, "%peak")
			}
		})
	}
}

// shareOfPeak returns the median over many pairs of the rate of f, which does the given number of floating-point
// operations, to that of independent multiply-adds timed just before it: neighbouring samples see the same clock and the
// same other load. It is 0 where there is no such loop.
func shareOfPeak(flops float64, f func()) float64 {
	_, n, fma, _ := kernel.Peak()
	if fma == nil {
		return 0
	}
	ratios := make([]float64, 51)
	for i := range ratios {
		t0 := time.Now()
		for range 16 {
			fma()
		}
		t1 := time.Now()
		f()
		ratios[i] = flops / float64(time.Since(t1)) * float64(t1.Sub(t0)) / (16 * float64(n))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// filled returns a tensor of small numbers.
func filled(s tensor.Shape) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float32, s...))
	for i := range t.Float32s() {
		t.Float32s()[i] = float32(i*7919%2003)/1001.5 - 1
	}
	return t
}
