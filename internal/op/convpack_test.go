package op

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestConvPrepackSlices packs weights of several slices in every form that is packed by slices,
// on one thread and three: results are those of weights that are no constants, which are packed
// at once in each run, every byte is reported once, and each goroutine enters and leaves.
func TestConvPrepackSlices(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for _, c := range []struct {
		form          string // that the key begins with
		transposed    bool
		x, w          []int // channels-last, and the weights
		group, stride int64
		close         bool // not the same bytes: products of transformed values
	}{
		{"gather", false, []int{1, 9, 9, 96}, []int{130, 96, 5, 5}, 1, 1, false},
		{"gather", false, []int{1, 9, 9, 64}, []int{70, 32, 6, 5}, 2, 2, false},
		{"gather", true, []int{1, 4, 4, 150}, []int{150, 96, 5, 4}, 1, 2, false},
		{"gather", true, []int{1, 4, 4, 300}, []int{300, 70, 4, 3}, 2, 3, false},
		{"taps", false, []int{1, 5, 30, 96}, []int{130, 96, 5, 5}, 1, 1, false},
		{"taps", false, []int{1, 3, 3, 512}, []int{513, 512, 1, 1}, 1, 1, false},
		{"taps", true, []int{1, 3, 14, 300}, []int{300, 50, 3, 4}, 1, 2, false},
		{"winograd", false, []int{1, 9, 9, 130}, []int{270, 130, 3, 3}, 1, 1, true},
		{"winograd", false, []int{1, 9, 9, 64}, []int{260, 32, 3, 3}, 2, 1, true},
	} {
		name := fmt.Sprintf("%s, transposed %t, %v by %v in %d groups", c.form, c.transposed, c.x, c.w, c.group)
		typ := "Conv"
		if c.transposed {
			typ = "ConvTranspose"
		}
		first, err := node{typ: typ, attrs: []*onnx.Attribute{attrInt("group", c.group), {Name: "strides", Type: onnx.AttrInts, Ints: []int64{c.stride, c.stride}}}}.make(2)
		if err != nil {
			t.Fatal(err)
		}
		x, w := randomOf(r, tensor.Float32, c.x...), randomOf(r, tensor.Float32, c.w...)
		nchw := FactOf(x)
		nchw.Shape = toChannelsFirst(nchw.Shape)
		o, _, ok := first.(LayoutAware).ChannelsLast([]Fact{nchw, FactOf(w)})
		if !ok {
			t.Fatalf("%s: has no channels-last form", name)
		}
		if c.form == "taps" { // wide channels-last pictures are gathered
			o, x = first, tensor.Must(x.Reshape(toChannelsFirst(c.x)...))
		}
		in := []Fact{FactOf(x), FactOf(w)}
		in[0].Const = nil
		if key, ok := o.(Prepacker).PackKey(1, in); !ok || !strings.HasPrefix(key, c.form) {
			t.Fatalf("%s: is packed as %q", name, key)
		}
		result := func(p Packed) []float32 {
			facts, b := []Fact{in[0], in[1]}, w
			if p == nil {
				facts[1].Const = nil
			} else {
				b = nil
			}
			out, err := o.Infer(facts)
			if err != nil {
				t.Fatal(err)
			}
			y := tensor.Must(tensor.New(tensor.Float32, out[0].Shape...))
			ctx := &Context{Packed: []Packed{nil, p}, Scratch: tensor.AlignedBytes(o.(Workspacer).Workspace(facts))}
			var state any
			ctx.State = &state
			if err := o.Run(ctx, []*tensor.Tensor{y}, []*tensor.Tensor{x, b}); err != nil {
				t.Fatal(err)
			}
			return y.Float32s()
		}
		want := result(nil)
		for _, threads := range []int{1, 3} {
			pool := parallel.New(threads)
			watch := sliceWatch{weights: w.Bytes()}
			packed, err := o.(Prepacker).Prepack(1, in, watch.slices(pool))
			pool.Close()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range result(packed) {
				if d := v - want[i]; v != want[i] && !(c.close && d < 1e-3 && d > -1e-3) {
					t.Fatalf("%s, %d threads: element %d is %v, packed at once %v", name, threads, i, v, want[i])
				}
			}
			watch.check(t, fmt.Sprintf("%s, %d threads", name, threads), 2)
		}
	}
}
