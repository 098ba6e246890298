package op

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/impl"
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// TestMappedConv compares convolutions whose windows tables find with the definition, and threads with one thread.
func TestMappedConv(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for _, c := range []struct {
			transposed   bool
			n, group     int
			size, kernel []int
			strides      []int
			dilations    []int
			pads         []int
			in, out      int // channels per group
			wantNoMap    bool
		}{
			{n: 1, group: 1, size: []int{6, 6}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, in: 16, out: 24},
			{n: 5, group: 1, size: []int{8, 6}, kernel: []int{3, 3}, strides: []int{2, 1}, pads: []int{0, 2, 1, 0}, in: 17, out: 33},
			{n: 3, group: 2, size: []int{9, 7}, kernel: []int{3, 2}, strides: []int{3, 2}, dilations: []int{1, 2}, pads: []int{2, 1, 2, 1}, in: 16, out: 16},
			{n: 40, group: 1, size: []int{2, 2}, kernel: []int{3, 3}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, in: 32, out: 40},
			{n: 2, group: 1, size: []int{15}, kernel: []int{5}, strides: []int{2}, pads: []int{2, 2}, in: 20, out: 18},
			{n: 2, group: 1, size: []int{4, 5, 6}, kernel: []int{2, 3, 2}, strides: []int{1, 2, 2}, pads: []int{1, 0, 1, 0, 1, 0}, in: 16, out: 17},
			{transposed: true, n: 1, group: 1, size: []int{3, 3}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, in: 32, out: 16},
			{transposed: true, n: 7, group: 1, size: []int{3, 5}, kernel: []int{3, 3}, strides: []int{2, 2}, pads: []int{1, 1, 0, 0}, in: 19, out: 35},
			{transposed: true, n: 3, group: 3, size: []int{4, 4}, kernel: []int{5, 4}, strides: []int{2, 3}, dilations: []int{1, 1}, pads: []int{2, 0, 1, 2}, in: 16, out: 16},
			{transposed: true, n: 2, group: 1, size: []int{3, 3}, kernel: []int{2, 2}, strides: []int{3, 3}, pads: []int{0, 0, 0, 0}, in: 16, out: 16},
			{n: 1, group: 1, size: []int{8, 8}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, in: 15, out: 24, wantNoMap: true},
		} {
			o := &conv{window: window{kernel: c.kernel, strides: c.strides, dilations: c.dilations, pads: c.pads, autoPad: "NOTSET"}, group: c.group, last: true, transposed: c.transposed,
				act: kernel.Epilogue{Act: kernel.ActLeakyRelu, Alpha: 0.1}}
			ws := append(tensor.Shape{c.out * c.group, c.in}, c.kernel...)
			if c.transposed {
				ws = append(tensor.Shape{c.in * c.group, c.out}, c.kernel...)
			}
			xs := append(append(tensor.Shape{c.n}, c.size...), c.in*c.group)
			x, w, bias := filled(xs), filled(ws), filled(tensor.Shape{c.out * c.group})
			facts := []Fact{FactOf(x), FactOf(w), FactOf(bias)}
			facts[0].Const = nil
			f, err := o.facts(facts)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			what := fmt.Sprintf("x %v, weights %v, strides %v, transposed %v, %d groups", xs, ws, c.strides, c.transposed, c.group)
			if want := kernel.HasRowsF32() && !c.wantNoMap; f.mapped != want {
				t.Errorf("%s: by tables %v, want %v", what, f.mapped, want)
			}
			p, err := o.Prepack(1, facts, Slices{})
			if err != nil {
				t.Fatal(err)
			}
			run := func(threads int, packed Packed) []float32 {
				y := tensor.Must(tensor.New(tensor.Float32, f.out...))
				pool := parallel.New(threads)
				defer pool.Close()
				var state any
				ctx := &Context{Pool: pool, Packed: []Packed{nil, packed}, Scratch: tensor.AlignedBytes(o.Workspace(facts)), State: &state}
				for range 2 {
					if err := o.Run(ctx, []*tensor.Tensor{y}, []*tensor.Tensor{x, w, bias}); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
				}
				return y.Float32s()
			}
			got := run(1, p)
			for _, threads := range []int{2, 3} {
				if other := run(threads, p); !slices.Equal(got, other) {
					t.Errorf("%s: %d threads give other results than one", what, threads)
				}
			}
			if other := run(1, nil); !slices.Equal(got, other) {
				t.Errorf("%s: weights packed in the run give other results", what)
			}
			want := tensor.Must(tensor.New(tensor.Float32, f.out...))
			if err := runDirectConv[float32](o, &Context{Pool: parallel.New(1)}, []*tensor.Tensor{want}, []*tensor.Tensor{x, w, bias}); err != nil {
				t.Fatal(err)
			}
			kernel.ActivateF32(want.Float32s(), want.Float32s(), &o.act)
			for i, v := range want.Float32s() {
				if math.Abs(float64(got[i]-v)) > 1e-4 || got[i] != got[i] {
					t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], v)
				}
			}
		}
	})
}
