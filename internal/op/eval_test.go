package op

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// node is an operator in a test: a type of the standard domain unless domain is set, at
// opset 22 unless opset is set.
type node struct {
	typ     string
	domain  string
	opset   int
	attrs   []*onnx.Attribute
	outputs int
}

func (n node) make(inputs int) (Op, error) {
	if n.opset == 0 {
		n.opset = 22
	}
	on := &onnx.Node{OpType: n.typ, Domain: n.domain, Attrs: n.attrs, Outputs: []string{"y"}}
	for range inputs {
		on.Inputs = append(on.Inputs, "x")
	}
	for i := 1; i < n.outputs; i++ {
		on.Outputs = append(on.Outputs, fmt.Sprint("y", i))
	}
	return Core.Make(NewAttrs(on, n.opset, nil))
}

// eval runs a node in every way that a plan may: with one thread and with two, with state
// left over from another run, with constant inputs prepacked, and over each input that
// output 0 may overwrite. All must give the same bits. It returns the outputs.
func (n node) eval(t *testing.T, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := n.try(t, in...)
	if err != nil {
		t.Fatalf("%s(%v): %v", n.typ, in, err)
	}
	return out
}

func (n node) try(t *testing.T, in ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	t.Helper()
	o, err := n.make(len(in))
	if err != nil {
		return nil, err
	}
	facts := make([]Fact, len(in))
	for i, x := range in {
		facts[i] = FactOf(x)
	}
	got, err := o.Infer(facts)
	if err != nil {
		if errors.Is(err, ErrDeferred) {
			t.Errorf("%s(%v): deferred with all values known", n.typ, in)
		}
		return nil, err
	}
	want := max(1, n.outputs)
	if len(got) < want {
		t.Fatalf("%s(%v): Infer gives %d outputs, want %d", n.typ, in, len(got), want)
	}
	pool := parallel.New(2)
	defer pool.Close()
	var state any
	var first []*tensor.Tensor
	check := func(how string, out []*tensor.Tensor) {
		t.Helper()
		if first == nil {
			first = out
			return
		}
		for i := range out {
			if string(out[i].Bytes()) != string(first[i].Bytes()) {
				t.Errorf("%s(%v): output %d differs %s", n.typ, in, i, how)
			}
		}
	}
	alloc := func() []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(got))
		for i, f := range got {
			out[i] = tensor.Must(tensor.New(f.DType, f.Shape...))
			if f.DType != tensor.Bool {
				for j := range out[i].Bytes() {
					out[i].Bytes()[j] = 0xa5
				}
			}
		}
		return out
	}
	var scratch []byte
	if w, ok := o.(Workspacer); ok {
		scratch = tensor.AlignedBytes(w.Workspace(facts))
	}
	run := func(ctx *Context, out, in []*tensor.Tensor) error {
		ctx.Scratch = scratch
		return o.Run(ctx, out, in)
	}
	out := alloc()
	if err := run(&Context{}, out, in); err != nil {
		return nil, err
	}
	check("", out)
	for range 2 {
		out := alloc()
		if err := run(&Context{Pool: pool, State: &state}, out, in); err != nil {
			return nil, err
		}
		check("with two threads", out)
	}
	if p, ok := o.(InPlacer); ok {
		for _, i := range p.InPlace() {
			if i >= len(in) || in[i] == nil || in[i].DType() != got[0].DType || !in[i].Shape().Equal(got[0].Shape) {
				continue
			}
			over := slices.Clone(in)
			over[i] = in[i].Clone()
			out := alloc()
			out[0] = over[i]
			if err := run(&Context{Pool: pool, State: &state}, out, over); err != nil {
				return nil, err
			}
			check(fmt.Sprintf("over input %d", i), out)
		}
	}
	if p, ok := o.(Prepacker); ok {
		packed := make([]Packed, len(in))
		left := slices.Clone(in)
		any := false
		for i := range in {
			if _, ok := p.PackKey(i, facts); !ok || in[i] == nil {
				continue
			}
			if packed[i], err = p.Prepack(i, facts, Slices{}); err != nil {
				return nil, err
			}
			left[i], any = nil, true
		}
		if any {
			out := alloc()
			if err := run(&Context{Pool: pool, State: &state, Packed: packed}, out, left); err != nil {
				return nil, err
			}
			for i := range out {
				// Sums in another order differ by their rounding, which does not shrink where terms cancel.
				want, largest := floats(first[i]), 0.0
				for _, v := range want {
					if v = math.Abs(v); v <= math.MaxFloat32 {
						largest = max(largest, v)
					}
				}
				wantNear(t, n.typ+" prepacked", out[i], want, max(1e-4, 1e-6*largest), in)
			}
		}
	}
	if a, ok := o.(Allocator); ok {
		out, err := a.RunAlloc(&Context{}, in)
		if err != nil {
			return nil, err
		}
		check("from RunAlloc", out)
	}
	return first, nil
}

// floats returns the elements of any tensor as float64.
func floats(x *tensor.Tensor) []float64 {
	y := tensor.Must(tensor.New(tensor.Float64, x.Shape()...))
	convert(y, x)
	return tensor.Data[float64](y)
}

// wantNear compares with a relative tolerance, absolute below 1.
func wantNear(t *testing.T, what string, got *tensor.Tensor, want []float64, tol float64, in ...any) {
	t.Helper()
	g := floats(got)
	if len(g) != len(want) {
		t.Fatalf("%s %v: %d elements, want %d", what, in, len(g), len(want))
	}
	for i := range g {
		if g[i] == want[i] || g[i] != g[i] && want[i] != want[i] {
			continue
		}
		if !(math.Abs(g[i]-want[i]) <= tol*max(1, math.Abs(want[i]))) {
			t.Errorf("%s %v: element %d is %v, want %v", what, in, i, g[i], want[i])
			return
		}
	}
}

// wantShape compares the type and shape.
func wantShape(t *testing.T, what string, got *tensor.Tensor, d tensor.DType, shape ...int) {
	t.Helper()
	if got.DType() != d || !got.Shape().Equal(shape) {
		t.Fatalf("%s: %v, want %v%v", what, got, d, tensor.Shape(shape))
	}
}

// random returns a tensor with small values, whole ones for integer types.
func randomOf(r *rand.Rand, d tensor.DType, shape ...int) *tensor.Tensor {
	f := tensor.Must(tensor.New(tensor.Float64, shape...))
	for i := range tensor.Data[float64](f) {
		v := r.Float64()*8 - 4
		switch {
		case d == tensor.Bool:
			v = float64(r.IntN(2))
		case d.IsInteger() && !d.IsSigned():
			v = float64(r.IntN(9))
		case d.IsInteger():
			v = float64(r.IntN(17) - 8)
		}
		tensor.Data[float64](f)[i] = v
	}
	x := tensor.Must(tensor.New(d, shape...))
	convert(x, f)
	return x
}

// randomShape returns a shape of up to most axes with extents up to 5.
func randomShape(r *rand.Rand, least, most int) tensor.Shape {
	s := make(tensor.Shape, least+r.IntN(most-least+1))
	for i := range s {
		s[i] = 1 + r.IntN(5)
	}
	return s
}

func ints(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

// indexOf returns the row-major position of an index.
func indexOf(s tensor.Shape, idx []int) int {
	at := 0
	for i, d := range s {
		at = at*d + idx[i]
	}
	return at
}

// broadcastIndex returns the position in a tensor of shape s that index idx of the result
// reads.
func broadcastIndex(s tensor.Shape, idx []int) int {
	own := slices.Clone(idx[len(idx)-len(s):])
	for i, d := range s {
		if d == 1 {
			own[i] = 0
		}
	}
	return indexOf(s, own)
}

// typesIn lists the types of a set.
func typesIn(set Types) []tensor.DType {
	var out []tensor.DType
	for d := tensor.DType(1); d < 32; d++ {
		if set.Has(d) {
			out = append(out, d)
		}
	}
	return out
}
