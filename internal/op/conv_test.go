package op

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// attrInts makes an attribute from a list of integers.
func attrInts(name string, v ...int) *onnx.Attribute {
	a := &onnx.Attribute{Name: name, Type: onnx.AttrInts}
	for _, x := range v {
		a.Ints = append(a.Ints, int64(x))
	}
	return a
}

func attrInt(name string, v int64) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrInt, Int: v}
}

func attrFloat(name string, v float32) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrFloat, Float: v}
}

func attrString(name, v string) *onnx.Attribute {
	return &onnx.Attribute{Name: name, Type: onnx.AttrString, String: []byte(v)}
}

// runOp infers and runs an operator once, with prepacked constants where wanted.
func runOp(t *testing.T, o Op, pool *parallel.Pool, pack bool, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	r := newOpRun(t, o, pool, pack, in...)
	r.run(t)
	return r.out
}

// opRun is an operator with everything that a planner would give it.
type opRun struct {
	o       Op
	ctx     *Context
	state   any
	out, in []*tensor.Tensor
}

func newOpRun(t testing.TB, o Op, pool *parallel.Pool, pack bool, in ...*tensor.Tensor) *opRun {
	t.Helper()
	facts := make([]Fact, len(in))
	for i, x := range in {
		facts[i] = FactOf(x)
	}
	of, err := o.Infer(facts)
	if err != nil {
		t.Fatalf("Infer(%v): %v", facts, err)
	}
	r := &opRun{o: o, in: slices.Clone(in)}
	r.ctx = &Context{Pool: pool, State: &r.state}
	for _, f := range of {
		r.out = append(r.out, tensor.Must(tensor.New(f.DType, f.Shape...)))
	}
	if p, ok := o.(Prepacker); ok && pack {
		r.ctx.Packed = make([]Packed, len(in))
		for i := range in {
			if _, ok := p.PackKey(i, facts); ok {
				if r.ctx.Packed[i], err = p.Prepack(i, facts, Slices{}); err != nil {
					t.Fatalf("Prepack(%d): %v", i, err)
				}
				r.in[i] = nil
			}
		}
	}
	if w, ok := o.(Workspacer); ok {
		n := w.Workspace(facts)
		r.ctx.Scratch = tensor.AlignedBytes(n)
		for i := range r.ctx.Scratch {
			r.ctx.Scratch[i] = 0xff // not a number
		}
	}
	return r
}

func (r *opRun) run(t testing.TB) {
	t.Helper()
	if err := r.o.Run(r.ctx, r.out, r.in); err != nil {
		t.Fatalf("Run: %v", err)
	}
}

func randTensor(r *rand.Rand, shape ...int) *tensor.Tensor {
	x := tensor.Must(tensor.New(tensor.Float32, shape...))
	for i := range x.Float32s() {
		x.Float32s()[i] = r.Float32()*2 - 1
	}
	return x
}

// permuted returns t with its axes in another order.
func permuted(t *tensor.Tensor, perm ...int) *tensor.Tensor {
	shape := make([]int, len(perm))
	for i, p := range perm {
		shape[i] = t.Shape()[p]
	}
	y := tensor.Must(tensor.New(t.DType(), shape...))
	st, size := t.Shape().Strides(), t.DType().Size()
	idx := make([]int, len(perm))
	for k := range y.Elems() {
		at := 0
		for i, p := range perm {
			at += idx[i] * st[p]
		}
		copy(y.Bytes()[k*size:(k+1)*size], t.Bytes()[at*size:])
		for i := len(idx) - 1; i >= 0; i-- {
			if idx[i]++; idx[i] < shape[i] {
				break
			}
			idx[i] = 0
		}
	}
	return y
}

func channelsLast(t *tensor.Tensor) *tensor.Tensor {
	perm := []int{0}
	for i := 2; i < t.Rank(); i++ {
		perm = append(perm, i)
	}
	return permuted(t, append(perm, 1)...)
}

func channelsFirst(t *tensor.Tensor) *tensor.Tensor {
	perm := []int{0, t.Rank() - 1}
	for i := 1; i < t.Rank()-1; i++ {
		perm = append(perm, i)
	}
	return permuted(t, perm...)
}

// wantClose fails unless got equals want within tol times the scale of want.
func wantClose(t *testing.T, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d elements, want %d", len(got), len(want))
	}
	scale := 1.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tol*scale) {
			t.Fatalf("element %d of %d: %v, want %v", i, len(got), got[i], want[i])
		}
	}
}

type convCase struct {
	transposed                            bool
	n, c, o, groups                       int
	in, kernel, strides, dilations, pads  []int
	autoPad                               string
	outputPadding, outputShape, wantShape []int
	bias                                  bool
}

func (c convCase) attrs() []*onnx.Attribute {
	var a []*onnx.Attribute
	for _, l := range []struct {
		name string
		v    []int
	}{{"strides", c.strides}, {"dilations", c.dilations}, {"pads", c.pads}, {"output_padding", c.outputPadding}, {"output_shape", c.outputShape}} {
		if l.v != nil {
			a = append(a, attrInts(l.name, l.v...))
		}
	}
	if c.autoPad != "" {
		a = append(a, attrString("auto_pad", c.autoPad))
	}
	if c.groups > 1 {
		a = append(a, attrInt("group", int64(c.groups)))
	}
	return a
}

func (c convCase) op(t testing.TB) *conv {
	t.Helper()
	a := NewAttrs(&onnx.Node{Attrs: c.attrs()}, 13, nil)
	make := newConv
	if c.transposed {
		make = newConvTranspose
	}
	o, err := make(a)
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return o.(*conv)
}

func (c convCase) weightShape() []int {
	s := []int{c.o, c.c / c.groups}
	if c.transposed {
		s = []int{c.c, c.o / c.groups}
	}
	return append(s, c.kernel...)
}

// expected returns the results of a channels-last operator with the facts f, channels first and
// without activation, and the largest absolute value among them.
func (c convCase) expected(f *convFacts, x, w *tensor.Tensor, bias []float32) (results []float32, largest float64) {
	var begin []int
	for _, a := range f.ax {
		begin = append(begin, a.begin)
	}
	results = c.reference(x, w, bias, begin, toChannelsFirst(f.out))
	for _, v := range results {
		largest = max(largest, math.Abs(float64(v)))
	}
	return results, largest
}

// reference computes the case by scattering every product, from the definition: operand
// position i and tap k meet at position i·stride − begin + k·dilation of the other side.
func (c convCase) reference(x, w *tensor.Tensor, bias []float32, begin []int, out tensor.Shape) []float32 {
	y := make([]float64, out[0]*out[1]*product(out[2:]))
	xs, ws := x.Shape(), w.Shape()
	large, small := xs[2:], out[2:]
	if c.transposed {
		large, small = small, large
	}
	one := func(v []int, i int) int {
		if v == nil {
			return 1
		}
		return v[i]
	}
	cg, og := c.c/c.groups, c.o/c.groups
	forEach(small, func(s []int, si int) {
		forEach(ws[2:], func(k []int, ki int) {
			li := 0
			for i := range k {
				p := s[i]*one(c.strides, i) - begin[i] + k[i]*one(c.dilations, i)
				if p < 0 || p >= large[i] {
					return
				}
				li = li*large[i] + p
			}
			from, to := li, si
			if c.transposed {
				from, to = si, li
			}
			for n := range xs[0] {
				for g := range c.groups {
					for ic := range cg {
						for oc := range og {
							wi := ((g*og+oc)*cg+ic)*product(ws[2:]) + ki
							if c.transposed {
								wi = ((g*cg+ic)*og+oc)*product(ws[2:]) + ki
							}
							y[(n*c.o+g*og+oc)*product(out[2:])+to] += float64(x.Float32s()[(n*c.c+g*cg+ic)*product(xs[2:])+from]) * float64(w.Float32s()[wi])
						}
					}
				}
			}
		})
	})
	r := make([]float32, len(y))
	for i, v := range y {
		if bias != nil {
			v += float64(bias[i/product(out[2:])%c.o])
		}
		r[i] = float32(v)
	}
	return r
}

// forEach calls f for each index of a shape, with its row-major position.
func forEach(shape []int, f func(idx []int, at int)) {
	idx := make([]int, len(shape))
	for at := range product(shape) {
		f(idx, at)
		for i := len(idx) - 1; i >= 0; i-- {
			if idx[i]++; idx[i] < shape[i] {
				break
			}
			idx[i] = 0
		}
	}
}

var convCases = []convCase{
	{n: 1, c: 1, o: 1, groups: 1, in: []int{5}, kernel: []int{3}, wantShape: []int{3}},
	{n: 2, c: 3, o: 5, groups: 1, in: []int{9}, kernel: []int{4}, strides: []int{2}, pads: []int{1, 2}, bias: true, wantShape: []int{5}},
	{n: 2, c: 40, o: 20, groups: 1, in: []int{17}, kernel: []int{3}, dilations: []int{3}, pads: []int{3, 3}, wantShape: []int{17}},
	{n: 2, c: 3, o: 8, groups: 1, in: []int{11, 13}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{11, 13}},
	{n: 3, c: 16, o: 33, groups: 1, in: []int{8, 10}, kernel: []int{3, 4}, strides: []int{2, 1}, pads: []int{0, 1, 1, 2}, bias: true, wantShape: []int{4, 10}},
	{n: 1, c: 64, o: 32, groups: 1, in: []int{16, 16}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{8, 8}},
	{n: 2, c: 24, o: 40, groups: 1, in: []int{6, 6}, kernel: []int{1, 1}, bias: true, wantShape: []int{6, 6}},
	{n: 2, c: 24, o: 17, groups: 1, in: []int{7, 6}, kernel: []int{1, 1}, strides: []int{2, 2}, wantShape: []int{4, 3}},
	{n: 5, c: 32, o: 20, groups: 1, in: []int{4, 4}, kernel: []int{4, 4}, bias: true, wantShape: []int{1, 1}},
	{n: 2, c: 12, o: 18, groups: 3, in: []int{7, 9}, kernel: []int{3, 2}, pads: []int{1, 0, 1, 1}, bias: true, wantShape: []int{7, 9}},
	{n: 2, c: 10, o: 10, groups: 10, in: []int{7, 9}, kernel: []int{3, 3}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{4, 5}},
	{n: 2, c: 6, o: 12, groups: 6, in: []int{7, 9}, kernel: []int{3, 3}, dilations: []int{2, 2}, pads: []int{2, 2, 2, 2}, wantShape: []int{7, 9}},
	{n: 2, c: 24, o: 40, groups: 8, in: []int{9, 7}, kernel: []int{1, 1}, bias: true, wantShape: []int{9, 7}},
	{n: 2, c: 32, o: 16, groups: 8, in: []int{9, 7}, kernel: []int{1, 1}, strides: []int{2, 1}, bias: true, wantShape: []int{5, 7}},
	{n: 2, c: 48, o: 32, groups: 2, in: []int{5, 8}, kernel: []int{1, 1}, wantShape: []int{5, 8}},
	{n: 3, c: 64, o: 64, groups: 4, in: []int{6, 6}, kernel: []int{1, 1}, bias: true, wantShape: []int{6, 6}},
	{n: 1, c: 32, o: 48, groups: 4, in: []int{7, 9}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{7, 9}},
	{n: 2, c: 20, o: 30, groups: 5, in: []int{7, 9}, kernel: []int{3, 1}, pads: []int{1, 0, 1, 0}, bias: true, wantShape: []int{7, 9}},
	{n: 1, c: 36, o: 18, groups: 6, in: []int{8, 7}, kernel: []int{3, 1}, dilations: []int{2, 1}, pads: []int{2, 1, 2, 0}, wantShape: []int{8, 8}},
	{n: 1, c: 8, o: 24, groups: 8, in: []int{5, 6}, kernel: []int{2, 2}, pads: []int{0, 1, 1, 0}, wantShape: []int{5, 6}},
	{n: 1, c: 36, o: 4, groups: 1, in: []int{12, 11}, kernel: []int{3, 3}, dilations: []int{2, 3}, pads: []int{2, 3, 2, 3}, wantShape: []int{12, 11}},
	{n: 1, c: 3, o: 4, groups: 1, in: []int{10, 7}, kernel: []int{3, 3}, strides: []int{2, 2}, autoPad: "SAME_UPPER", wantShape: []int{5, 4}},
	{n: 1, c: 3, o: 4, groups: 1, in: []int{10, 7}, kernel: []int{4, 3}, strides: []int{3, 2}, autoPad: "SAME_LOWER", wantShape: []int{4, 4}},
	{n: 1, c: 3, o: 4, groups: 1, in: []int{10, 7}, kernel: []int{4, 3}, strides: []int{3, 2}, autoPad: "VALID", wantShape: []int{3, 3}},
	{n: 2, c: 5, o: 6, groups: 1, in: []int{5, 6, 7}, kernel: []int{3, 2, 3}, strides: []int{2, 1, 2}, pads: []int{1, 0, 1, 1, 1, 1}, bias: true, wantShape: []int{3, 6, 4}},
	{n: 1, c: 16, o: 17, groups: 1, in: []int{4, 5, 6}, kernel: []int{2, 3, 3}, pads: []int{0, 1, 1, 1, 1, 1}, wantShape: []int{4, 5, 6}},
	{n: 2, c: 2, o: 3, groups: 1, in: []int{3, 4, 3, 4}, kernel: []int{2, 2, 2, 3}, pads: []int{0, 1, 1, 1, 1, 0, 0, 1}, bias: true, wantShape: []int{3, 4, 3, 4}},
	{n: 1, c: 8, o: 64, groups: 1, in: []int{40, 40}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{40, 40}},
	{n: 2, c: 16, o: 3, groups: 1, in: []int{9, 11}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{9, 11}},
	{n: 2, c: 12, o: 5, groups: 1, in: []int{9, 12}, kernel: []int{4, 3}, strides: []int{3, 2}, pads: []int{1, 0, 1, 1}, bias: true, wantShape: []int{3, 6}},
	{n: 3, c: 9, o: 1, groups: 1, in: []int{14}, kernel: []int{7}, strides: []int{3}, pads: []int{2, 3}, bias: true, wantShape: []int{5}},
	{n: 2, c: 8, o: 2, groups: 1, in: []int{3, 4, 5}, kernel: []int{2, 3, 2}, pads: []int{1, 1, 0, 0, 1, 1}, dilations: []int{1, 1, 2}, wantShape: []int{3, 4, 4}},
	{n: 0, c: 8, o: 4, groups: 1, in: []int{4, 4}, kernel: []int{3, 3}, wantShape: []int{2, 2}},
	{n: 1, c: 8, o: 4, groups: 1, in: []int{2, 300}, kernel: []int{2, 5}, wantShape: []int{1, 296}},
	{n: 1, c: 4, o: 3, groups: 1, in: []int{3, 3}, kernel: []int{2, 2}, pads: []int{2000, 2000, 2000, 2000}, strides: []int{1000, 1000}, wantShape: []int{5, 5}},
	{n: 2, c: 24, o: 24, groups: 24, in: []int{12, 11}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{12, 11}},
	{n: 1, c: 21, o: 21, groups: 21, in: []int{9, 8}, kernel: []int{5, 5}, strides: []int{2, 1}, pads: []int{2, 2, 2, 2}, bias: true, wantShape: []int{5, 8}},
	{n: 1, c: 40, o: 40, groups: 40, in: []int{3, 2}, kernel: []int{3, 4}, pads: []int{2, 3, 2, 3}, wantShape: []int{5, 5}},
	{n: 1, c: 8, o: 8, groups: 8, in: []int{6, 6}, kernel: []int{2, 2}, bias: true, wantShape: []int{5, 5}},
	{n: 1, c: 16, o: 16, groups: 16, in: []int{12, 13}, kernel: []int{3, 2}, dilations: []int{2, 3}, strides: []int{1, 2}, pads: []int{2, 1, 1, 0}, bias: true, wantShape: []int{11, 6}},
	{n: 2, c: 32, o: 32, groups: 32, in: []int{11, 13}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{11, 13}},
	{n: 1, c: 48, o: 48, groups: 48, in: []int{6, 9}, kernel: []int{3, 3}, pads: []int{0, 1, 0, 1}, bias: true, wantShape: []int{4, 9}},
	{n: 1, c: 16, o: 16, groups: 16, in: []int{8, 10}, kernel: []int{3, 3}, strides: []int{1, 2}, pads: []int{1, 1, 1, 1}, wantShape: []int{8, 5}},
	{n: 2, c: 9, o: 9, groups: 9, in: []int{20}, kernel: []int{9}, pads: []int{4, 4}, bias: true, wantShape: []int{20}},
	{n: 1, c: 6, o: 6, groups: 6, in: []int{4, 5, 6}, kernel: []int{3, 3, 3}, pads: []int{1, 1, 1, 1, 1, 1}, bias: true, wantShape: []int{4, 5, 6}},

	{transposed: true, n: 1, c: 1, o: 1, groups: 1, in: []int{3}, kernel: []int{3}, wantShape: []int{5}},
	{transposed: true, n: 2, c: 24, o: 24, groups: 24, in: []int{6, 5}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{12, 10}},
	{transposed: true, n: 1, c: 19, o: 19, groups: 19, in: []int{5, 6}, kernel: []int{3, 3}, strides: []int{2, 3}, pads: []int{1, 0, 1, 1}, outputPadding: []int{1, 0}, bias: true, wantShape: []int{10, 17}},
	{transposed: true, n: 1, c: 8, o: 8, groups: 8, in: []int{4, 4}, kernel: []int{2, 1}, strides: []int{3, 3}, bias: true, wantShape: []int{11, 10}},
	{transposed: true, n: 1, c: 8, o: 8, groups: 8, in: []int{4, 5}, kernel: []int{3, 3}, dilations: []int{2, 3}, strides: []int{2, 1}, pads: []int{1, 2, 2, 1}, wantShape: []int{8, 8}},
	{transposed: true, n: 1, c: 7, o: 7, groups: 7, in: []int{2, 3, 3}, kernel: []int{2, 3, 2}, strides: []int{2, 1, 2}, pads: []int{0, 1, 0, 0, 1, 0}, wantShape: []int{4, 3, 6}},
	{transposed: true, n: 2, c: 8, o: 1, groups: 1, in: []int{7, 7}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{14, 14}},
	{transposed: true, n: 2, c: 8, o: 3, groups: 1, in: []int{5, 6}, kernel: []int{3, 3}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, outputPadding: []int{1, 1}, bias: true, wantShape: []int{10, 12}},
	{transposed: true, n: 2, c: 16, o: 32, groups: 1, in: []int{8, 8}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, bias: true, wantShape: []int{16, 16}},
	{transposed: true, n: 2, c: 9, o: 20, groups: 1, in: []int{5, 4}, kernel: []int{3, 3}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}, outputPadding: []int{1, 1}, wantShape: []int{10, 8}},
	{transposed: true, n: 2, c: 9, o: 20, groups: 1, in: []int{5, 4}, kernel: []int{2, 2}, strides: []int{2, 2}, bias: true, wantShape: []int{10, 8}},
	{transposed: true, n: 1, c: 9, o: 20, groups: 1, in: []int{5, 4}, kernel: []int{2, 1}, strides: []int{3, 3}, bias: true, wantShape: []int{14, 10}},
	{transposed: true, n: 1, c: 9, o: 2, groups: 1, in: []int{5, 4}, kernel: []int{2, 1}, strides: []int{3, 3}, bias: true, wantShape: []int{14, 10}},
	{transposed: true, n: 1, c: 6, o: 40, groups: 2, in: []int{5, 4}, kernel: []int{3, 3}, strides: []int{2, 1}, dilations: []int{2, 3}, pads: []int{0, 1, 2, 1}, bias: true, wantShape: []int{11, 8}},
	{transposed: true, n: 2, c: 6, o: 4, groups: 2, in: []int{5, 4}, kernel: []int{3, 3}, strides: []int{2, 3}, dilations: []int{3, 2}, pads: []int{0, 1, 2, 1}, bias: true, wantShape: []int{13, 12}},
	{transposed: true, n: 1, c: 4, o: 20, groups: 1, in: []int{3, 3}, kernel: []int{3, 3}, strides: []int{3, 2}, outputShape: []int{10, 8}, outputPadding: []int{1, 1}, wantShape: []int{10, 8}},
	{transposed: true, n: 1, c: 4, o: 2, groups: 1, in: []int{3, 3}, kernel: []int{3, 3}, strides: []int{3, 2}, outputShape: []int{12, 9}, wantShape: []int{12, 9}},
	{transposed: true, n: 1, c: 4, o: 20, groups: 1, in: []int{3, 3}, kernel: []int{3, 3}, strides: []int{2, 2}, autoPad: "SAME_UPPER", wantShape: []int{6, 6}},
	{transposed: true, n: 1, c: 4, o: 20, groups: 1, in: []int{3, 3}, kernel: []int{3, 3}, strides: []int{2, 2}, autoPad: "SAME_LOWER", wantShape: []int{6, 6}},
	{transposed: true, n: 1, c: 3, o: 18, groups: 1, in: []int{3, 2, 4}, kernel: []int{3, 2, 4}, strides: []int{2, 1, 2}, pads: []int{1, 0, 1, 1, 1, 1}, bias: true, wantShape: []int{5, 2, 8}},
	{transposed: true, n: 1, c: 3, o: 2, groups: 1, in: []int{3, 2, 4}, kernel: []int{3, 2, 4}, strides: []int{2, 1, 2}, pads: []int{1, 0, 1, 1, 1, 1}, bias: true, wantShape: []int{5, 2, 8}},
	{transposed: true, n: 1, c: 2, o: 2, groups: 1, in: []int{2, 2, 2, 3}, kernel: []int{2, 2, 2, 2}, strides: []int{2, 1, 1, 2}, wantShape: []int{4, 3, 3, 6}},
	{transposed: true, n: 1, c: 2, o: 2, groups: 1, in: []int{3, 3}, kernel: []int{2, 2}, strides: []int{200, 100}, bias: true, wantShape: []int{402, 202}},
}

func TestConv(t *testing.T) {
	pool := parallel.New(4)
	defer pool.Close()
	for _, c := range convCases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			o := c.op(t)
			x := randTensor(r, append([]int{c.n, c.c}, c.in...)...)
			w := randTensor(r, c.weightShape()...)
			in := []*tensor.Tensor{x, w}
			var bias []float32
			if c.bias {
				b := randTensor(r, c.o)
				in, bias = append(in, b), b.Float32s()
			}
			f, err := o.geometry(x.Shape(), w.Shape())
			if err != nil {
				t.Fatal(err)
			}
			if want := append(tensor.Shape{c.n, c.o}, c.wantShape...); !f.out.Equal(want) {
				t.Fatalf("shape %v, want %v", f.out, want)
			}
			var begin []int
			for _, a := range f.ax {
				begin = append(begin, a.begin)
			}
			want := c.reference(x, w, bias, begin, f.out)
			var first []float32
			for _, p := range []*parallel.Pool{nil, pool} {
				for _, pack := range []bool{false, true} {
					got := runOp(t, o, p, pack, in...)[0].Float32s()
					wantClose(t, got, want, 1e-5)
					if first == nil {
						first = got
					} else if !slices.Equal(got, first) {
						t.Fatalf("threads %d, packed %v: results differ in bits", p.Threads(), pack)
					}
				}
			}
			facts := []Fact{FactOf(x), FactOf(w)}
			if v, _, ok := o.ChannelsLast(facts); ok {
				in2 := slices.Clone(in)
				in2[0] = channelsLast(x)
				wantClose(t, channelsFirst(runOp(t, v, pool, true, in2...)[0]).Float32s(), want, 1e-5)
			}
			relu := *o
			relu.act = kernel.Epilogue{Act: kernel.ActRelu}
			got := runOp(t, &relu, pool, true, in...)[0].Float32s()
			for i, v := range first {
				if got[i] != max(v, 0) {
					t.Fatalf("with Relu, element %d is %v, without %v", i, got[i], v)
				}
			}
			for _, d := range []tensor.DType{tensor.Float64, tensor.Float16, tensor.BFloat16} {
				tol := map[tensor.DType]float64{tensor.Float64: 1e-6, tensor.Float16: 2e-2, tensor.BFloat16: 1e-1}[d]
				var conv []*tensor.Tensor
				for _, x := range in {
					conv = append(conv, asType(x, d))
				}
				wantClose(t, asType(runOp(t, o, pool, true, conv...)[0], tensor.Float32).Float32s(), want, tol)
			}
		})
	}
}

// asType converts between floating-point types.
func asType(x *tensor.Tensor, d tensor.DType) *tensor.Tensor {
	y := tensor.Must(tensor.New(d, x.Shape()...))
	f := make([]float32, x.Elems())
	switch x.DType() {
	case tensor.Float32:
		copy(f, x.Float32s())
	case tensor.Float64:
		for i, v := range tensor.Data[float64](x) {
			f[i] = float32(v)
		}
	default:
		widen(f, x)
	}
	switch d {
	case tensor.Float32:
		copy(y.Float32s(), f)
	case tensor.Float64:
		for i, v := range f {
			tensor.Data[float64](y)[i] = float64(v)
		}
	default:
		narrow(y, f)
	}
	return y
}

func TestConvDoesNotAllocate(t *testing.T) {
	pool := parallel.New(2)
	defer pool.Close()
	runs := 10
	if testing.Short() {
		runs = 5 // for emulators
	}
	for _, c := range []convCase{
		{n: 2, c: 16, o: 32, groups: 1, in: []int{16, 16}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}},
		{n: 2, c: 3, o: 32, groups: 1, in: []int{16, 16}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}},
		{n: 2, c: 32, o: 32, groups: 32, in: []int{16, 16}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}},
		{transposed: true, n: 2, c: 16, o: 32, groups: 1, in: []int{16, 16}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}},
		{transposed: true, n: 2, c: 16, o: 3, groups: 1, in: []int{16, 16}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		for _, pack := range []bool{true, false} {
			run := newOpRun(t, c.op(t), pool, pack, randTensor(r, append([]int{c.n, c.c}, c.in...)...), randTensor(r, c.weightShape()...), randTensor(r, c.o))
			run.run(t)
			if n := testing.AllocsPerRun(runs, func() { run.run(t) }); n != 0 {
				t.Errorf("%+v, packed %v: %v allocations", c, pack, n)
			}
		}
	}
}

func TestConvRejects(t *testing.T) {
	huge := int(min(int64(1)<<40, math.MaxInt))
	x, w := tensor.Shape{1, 4, 8, 8}, tensor.Shape{6, 4, 3, 3}
	tests := []struct {
		name  string
		x, w  tensor.Shape
		b     tensor.Shape
		attrs []*onnx.Attribute
	}{
		{"rank", tensor.Shape{1, 4}, tensor.Shape{6, 4}, nil, nil},
		{"ranks", tensor.Shape{1, 4, 8}, w, nil, nil},
		{"channels", tensor.Shape{1, 5, 8, 8}, w, nil, nil},
		{"no channels", tensor.Shape{1, 0, 8, 8}, tensor.Shape{6, 0, 3, 3}, nil, nil},
		{"empty kernel", x, tensor.Shape{6, 4, 0, 3}, nil, nil},
		{"kernel too large", x, tensor.Shape{6, 4, 9, 3}, nil, nil},
		{"kernel_shape differs", x, w, nil, []*onnx.Attribute{attrInts("kernel_shape", 3, 4)}},
		{"kernel_shape length", x, w, nil, []*onnx.Attribute{attrInts("kernel_shape", 3)}},
		{"bias", x, w, tensor.Shape{5}, nil},
		{"bias rank", x, w, tensor.Shape{6, 1}, nil},
		{"group 0", x, w, nil, []*onnx.Attribute{attrInt("group", 0)}},
		{"group -1", x, w, nil, []*onnx.Attribute{attrInt("group", -1)}},
		{"group huge", x, w, nil, []*onnx.Attribute{attrInt("group", int64(huge))}},
		{"stride 0", x, w, nil, []*onnx.Attribute{attrInts("strides", 0, 1)}},
		{"stride negative", x, w, nil, []*onnx.Attribute{attrInts("strides", -2, 1)}},
		{"strides", x, w, nil, []*onnx.Attribute{attrInts("strides", 1)}},
		{"dilation 0", x, w, nil, []*onnx.Attribute{attrInts("dilations", 1, 0)}},
		{"dilation huge", x, w, nil, []*onnx.Attribute{attrInts("dilations", huge, 1)}},
		{"pad negative", x, w, nil, []*onnx.Attribute{attrInts("pads", -1, 0, 0, 0)}},
		{"pad huge", x, w, nil, []*onnx.Attribute{attrInts("pads", huge, huge, huge, huge)}},
		{"pads sum", x, w, nil, []*onnx.Attribute{attrInts("pads", maxExtent, 0, maxExtent, 0)}},
		{"extent huge", tensor.Shape{0, 4, math.MaxInt, 8}, w, nil, []*onnx.Attribute{attrInts("pads", 1, 1, 1, 1)}},
	}
	for _, c := range tests {
		for _, transposed := range []bool{false, true} {
			if transposed && c.name == "kernel too large" {
				continue
			}
			a := NewAttrs(&onnx.Node{Attrs: c.attrs}, 13, nil)
			make := newConv
			in := []Fact{{DType: tensor.Float32, Shape: c.x}, {DType: tensor.Float32, Shape: c.w}}
			if transposed {
				make = newConvTranspose
				if s := in[1].Shape; len(s) >= 2 {
					in[1].Shape = append(tensor.Shape{s[1], s[0]}, s[2:]...)
				}
			}
			if c.b != nil {
				in = append(in, Fact{DType: tensor.Float32, Shape: c.b})
			}
			o, err := make(a)
			if err == nil {
				err = a.Close()
			}
			if err == nil {
				_, err = o.Infer(in)
			}
			if err == nil || errors.Is(err, ErrDeferred) {
				t.Errorf("%s, transposed %v: error %v", c.name, transposed, err)
			}
		}
	}
}

func TestConvFuse(t *testing.T) {
	x := []Fact{{DType: tensor.Float32, Shape: tensor.Shape{1, 4, 8, 8}}}
	o := convCase{n: 1, c: 4, o: 4, groups: 1}.op(t)
	leaky := &unary{fn: fnLeakyRelu, alpha: 0.25}
	f, extra, ok := o.Fuse(leaky, 0, x)
	if a := f.(*conv).act; !ok || extra != 0 || a.Act != kernel.ActLeakyRelu || a.Alpha != 0.25 {
		t.Errorf("LeakyRelu: %+v, %d, %v", f, extra, ok)
	}
	if _, _, ok := f.(*conv).Fuse(leaky, 0, x); ok {
		t.Error("a second activation was absorbed")
	}
	six := tensor.Must(tensor.Of([]float32{6}))
	f, _, ok = o.Fuse(&clip{}, 0, append(x, Fact{}, FactOf(six)))
	if act := f.(*conv).act; !ok || act.Act != kernel.ActClip || act.Hi != 6 || !math.IsInf(float64(act.Lo), -1) {
		t.Errorf("Clip: %+v, %v", f, ok)
	}
	if _, _, ok := o.Fuse(&clip{}, 0, append(x, Fact{DType: tensor.Float32})); ok {
		t.Error("Clip with a bound that is not constant was absorbed")
	}
	if _, _, ok := o.Fuse(leaky, 0, []Fact{{DType: tensor.Float64}}); ok {
		t.Error("an activation of float64 was absorbed")
	}
}

func BenchmarkConv(b *testing.B) {
	for _, c := range []struct {
		name string
		last bool
		convCase
	}{
		{"4x4s2-64-128@32/nhwc", true, convCase{n: 1, c: 64, o: 128, groups: 1, in: []int{32, 32}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}}},
		{"4x4s2-64-128@32/nchw", false, convCase{n: 1, c: 64, o: 128, groups: 1, in: []int{32, 32}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}}},
		{"3x3-64-64@32/nhwc", true, convCase{n: 1, c: 64, o: 64, groups: 1, in: []int{32, 32}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}},
		{"3x3-3-32@64/nhwc", true, convCase{n: 1, c: 3, o: 32, groups: 1, in: []int{64, 64}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}},
		{"3x3-3-32@64/nchw", false, convCase{n: 1, c: 3, o: 32, groups: 1, in: []int{64, 64}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}},
		{"4x4s2-1-32@28/nhwc", true, convCase{n: 1, c: 1, o: 32, groups: 1, in: []int{28, 28}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}}},
		{"3x3-1-32@28/nhwc", true, convCase{n: 1, c: 1, o: 32, groups: 1, in: []int{28, 28}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}},
		{"3x3-64-3@64/nhwc", true, convCase{n: 1, c: 64, o: 3, groups: 1, in: []int{64, 64}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}},
		{"dw3x3-64@32/nhwc", true, convCase{n: 1, c: 64, o: 64, groups: 64, in: []int{32, 32}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}},
		{"T4x4s2-128-64@8/nhwc", true, convCase{transposed: true, n: 1, c: 128, o: 64, groups: 1, in: []int{8, 8}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}}},
		{"T4x4s2-32-1@14/nhwc", true, convCase{transposed: true, n: 1, c: 32, o: 1, groups: 1, in: []int{14, 14}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}}},
		{"T4x4s2-32-3@32/nhwc", true, convCase{transposed: true, n: 1, c: 32, o: 3, groups: 1, in: []int{32, 32}, kernel: []int{4, 4}, strides: []int{2, 2}, pads: []int{1, 1, 1, 1}}},
		{"1x1-64-64@32/nhwc", true, convCase{n: 1, c: 64, o: 64, groups: 1, in: []int{32, 32}, kernel: []int{1, 1}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			o := c.op(b)
			x, w := randTensor(r, append([]int{c.n, c.c}, c.in...)...), randTensor(r, c.weightShape()...)
			if c.last {
				v, _, _ := o.ChannelsLast([]Fact{FactOf(x), FactOf(w)})
				o, x = v.(*conv), channelsLast(x)
			}
			run := newOpRun(b, o, nil, true, x, w)
			macs := o.MACs([]Fact{FactOf(x), FactOf(w)}, nil)
			for b.Loop() {
				run.run(b)
			}
			b.ReportMetric(2*float64(macs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
