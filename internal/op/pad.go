package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// pad is Pad. Input 1 holds the pads (all begins, then all ends; negative ones remove
// elements) of the axes in input 3, or of all axes; input 2 is the constant.
type pad struct {
	mode  string
	types Types
	last  bool
}

var _ LayoutAware = (*pad)(nil)

func newPad(a *Attrs) (Op, error) {
	o := &pad{mode: a.OneOf("mode", "constant", "reflect", "edge", "wrap"), types: a.Types()}
	// Opset 19 defines wrap; PyTorch writes it at 18 as well, and ONNX Runtime reads it there.
	if o.mode == "wrap" && a.Opset() < 18 {
		a.Fail("attribute %q: value %q is not known at opset %d", "mode", o.mode, a.Opset())
	}
	return o, nil
}

// padAxis is how one axis is padded, after removal of what negative pads remove.
type padAxis struct{ skip, in, begin, end int }

// axes returns the padding of each axis of input 0 in its physical order.
func (o *pad) axes(in []Fact) ([]padAxis, error) {
	rank := len(in[0].Shape)
	pads, err := constInts(in, 1)
	if err != nil {
		return nil, err
	}
	which := make([]int64, rank)
	for i := range which {
		which[i] = int64(i)
	}
	if present(in, 3) {
		if which, err = constInts(in, 3); err != nil {
			return nil, err
		}
		if _, err := axesOf(which, rank); err != nil {
			return nil, err
		}
	}
	if len(pads) != 2*len(which) {
		return nil, fmt.Errorf("%d pads for %d axes", len(pads), len(which))
	}
	ax := make([]padAxis, rank)
	for i, d := range in[0].Shape {
		ax[i].in = d
	}
	for i, w := range which {
		b, e := pads[i], pads[len(which)+i]
		if b > maxExtent || e > maxExtent || b < -maxExtent || e < -maxExtent {
			return nil, fmt.Errorf("pads %v are out of range", pads)
		}
		k, _ := tensor.Axis(int(w), rank)
		if o.last {
			k = channelsLastAxis(k, rank)
		}
		a := &ax[k]
		a.begin, a.end = max(0, int(b)), max(0, int(e))
		a.skip = max(0, -int(b))
		kept := int64(a.in) - max(0, -b) - max(0, -e)
		if kept < 0 {
			return nil, fmt.Errorf("pads %d and %d remove more than the extent %d", b, e, a.in)
		}
		a.in = int(kept)
		if a.in == 0 && o.mode != "constant" && a.begin+a.end > 0 {
			return nil, fmt.Errorf("mode %q cannot extend an axis without elements", o.mode)
		}
	}
	return ax, nil
}

// Infer implements [Op].
func (o *pad) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 4); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if present(in, 2) {
		if err := wantSame(in, 0, 2); err != nil {
			return nil, err
		}
		if n, _ := in[2].Shape.Elems(); n != 1 {
			return nil, fmt.Errorf("input 2: shape %v, want one element", in[2].Shape)
		}
	}
	ax, err := o.axes(in)
	if err != nil {
		return nil, err
	}
	s := make(tensor.Shape, len(ax))
	for i, a := range ax {
		if a.in > math.MaxInt-a.begin || a.in+a.begin > math.MaxInt-a.end {
			return nil, fmt.Errorf("extent %d with pads %d and %d is too large", a.in, a.begin, a.end)
		}
		s[i] = a.in + a.begin + a.end
	}
	return outFact(in[0].DType, s)
}

// ChannelsLast implements [LayoutAware].
func (o *pad) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || len(in[0].Shape) < 3 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	return &v, nhwc, true
}

// padState is what a pad keeps between runs.
type padState struct {
	indexMap
	shape      tensor.Shape
	pads, axes []int64
	ready      bool
	zero       [8]byte
}

// Run implements [Op].
func (o *pad) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[padState](ctx)
	if !st.isFor(in) {
		facts := make([]Fact, len(in))
		for i, t := range in {
			facts[i] = FactOf(t)
		}
		ax, err := o.axes(facts)
		if err != nil {
			return err
		}
		st.build(o.mode, in[0], ax)
		st.keep(in)
	}
	fill := st.zero[:in[0].DType().Size()]
	if c := given(in, 2); c != nil {
		fill = c.Bytes()
	}
	st.move(ctx.Pool, out[0].Bytes(), in[0].Bytes(), fill)
	return nil
}

// isFor reports whether the tables belong to these inputs.
func (st *padState) isFor(in []*tensor.Tensor) bool {
	return st.ready && st.shape.Equal(in[0].Shape()) && equalInts(st.pads, in[1]) && equalInts(st.axes, given(in, 3))
}

func (st *padState) keep(in []*tensor.Tensor) {
	st.ready = true
	st.shape = append(st.shape[:0], in[0].Shape()...)
	st.pads = append(st.pads[:0], intsOf(in[1])...)
	st.axes = st.axes[:0]
	if a := given(in, 3); a != nil {
		st.axes = append(st.axes, intsOf(a)...)
	}
}

// equalInts compares v with the elements of an int32 or int64 tensor; nil has none.
func equalInts(v []int64, t *tensor.Tensor) bool {
	if t == nil {
		return len(v) == 0
	}
	if len(v) != t.Elems() {
		return false
	}
	if t.DType() == tensor.Int64 {
		for i, x := range t.Int64s() {
			if v[i] != x {
				return false
			}
		}
		return true
	}
	for i, x := range tensor.Data[int32](t) {
		if v[i] != int64(x) {
			return false
		}
	}
	return true
}

// build fills the tables of all axes up to the last padded one.
func (st *padState) build(mode string, x *tensor.Tensor, ax []padAxis) {
	shape := x.Shape()
	n := len(ax)
	block := x.DType().Size()
	for n > 0 && ax[n-1] == (padAxis{in: shape[n-1]}) {
		n--
		block *= shape[n]
	}
	st.reset(block)
	for i, a := range ax[:n] {
		at := st.axis(shape[i], a.begin+a.in+a.end)
		for p := range at {
			at[p] = a.source(mode, p-a.begin)
		}
	}
}

// source returns the source index for position p relative to the first kept element.
func (a padAxis) source(mode string, p int) int {
	if p < 0 || p >= a.in {
		switch mode {
		case "constant":
			return -1
		case "edge":
			p = min(max(p, 0), a.in-1)
		case "reflect":
			// Reflection repeats with twice the distance between first and last element.
			period := 2 * (a.in - 1)
			if period == 0 {
				p = 0
				break
			}
			p = (p%period + period) % period
			if p >= a.in {
				p = period - p
			}
		case "wrap":
			p = (p%a.in + a.in) % a.in
		}
	}
	return a.skip + p
}
