package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

type slice struct {
	types Types
	last  bool // input 0 and the output are channels-last; axes are logical
}

var _ LayoutAware = slice{}

func newSlice(a *Attrs) (Op, error) {
	return slice{types: a.Types()}, nil
}

// ChannelsLast implements [LayoutAware].
func (o slice) ChannelsLast(in []Fact) (Op, []bool, bool) {
	o.last = true
	return o, []bool{true, false, false, false, false}, len(in[0].Shape) > 2
}

// span is one axis of a slice: n elements from start on, step apart.
type span struct{ start, step, n int }

// spans returns the part of each axis of a tensor of physical shape s that the inputs starts,
// ends, axes and steps select. It appends to out.
func (o slice) spans(out []span, s tensor.Shape, starts, ends, axes, steps []int64) ([]span, error) {
	if len(starts) != len(ends) || axes != nil && len(axes) != len(starts) || steps != nil && len(steps) != len(starts) {
		return nil, fmt.Errorf("starts %v, ends %v, axes %v and steps %v differ in length", starts, ends, axes, steps)
	}
	if axes == nil && len(starts) > len(s) {
		return nil, fmt.Errorf("%d starts for shape %v", len(starts), s)
	}
	for _, d := range s {
		out = append(out, span{0, 1, d})
	}
	for i, v := range axes {
		for _, w := range axes[:i] {
			if v == w || v == w+int64(len(s)) || w == v+int64(len(s)) {
				return nil, fmt.Errorf("axis %d is repeated in %v", v, axes)
			}
		}
	}
	for i := range starts {
		axis, step := i, int64(1)
		if axes != nil {
			a, err := toInt(axes[i])
			if err == nil {
				axis, err = tensor.Axis(a, len(s))
			}
			if err != nil {
				return nil, err
			}
		}
		if o.last {
			axis = channelsLastAxis(axis, len(s))
		}
		if steps != nil {
			step = steps[i]
		}
		if step == 0 {
			return nil, fmt.Errorf("steps %v: a step is 0", steps)
		}
		out[axis] = sliceAxis(int64(s[axis]), starts[i], ends[i], step)
	}
	return out, nil
}

// sliceAxis selects start:end:step of an axis of d elements. Unlike in Python, a start before
// the first element is the first element where the step is negative too.
func sliceAxis(d, start, end, step int64) span {
	// lo and hi bound the positions that start and end can take.
	lo, hi := int64(0), d
	if step < 0 {
		lo, hi = -1, d-1
	}
	pos := func(v, lo int64) int64 {
		if v < 0 {
			v += d
			if v < 0 {
				return lo
			}
		}
		return min(max(v, lo), hi)
	}
	b, e := min(pos(start, 0), hi), pos(end, lo)
	// Beyond the axis's length, all steps are alike.
	step = min(max(step, -d-1), d+1)
	n := int64(0)
	switch {
	case step > 0 && e > b:
		n = (e - b + step - 1) / step
	case step < 0 && e < b:
		n = (b - e - step - 1) / -step
	}
	if n == 0 {
		b = 0
	}
	return span{int(b), int(step), int(n)}
}

func (o slice) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 5); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	var v [4][]int64
	for i := range v {
		if !present(in, i+1) {
			continue
		}
		var err error
		if v[i], err = constInts(in, i+1); err != nil {
			return nil, err
		}
	}
	spans, err := o.spans(nil, in[0].Shape, v[0], v[1], v[2], v[3])
	if err != nil {
		return nil, err
	}
	out := make(tensor.Shape, len(spans))
	for i, sp := range spans {
		out[i] = sp.n
	}
	return []Fact{{DType: in[0].DType, Shape: out}}, nil
}

type sliceState struct {
	moveState
	spans []span
}

func (o slice) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[sliceState](ctx)
	s := in[0].Shape()
	st.steps = rowMajor(st.steps, s)
	st.reset()
	var v [4][]int64
	for i := range v {
		if t := given(in, i+1); t != nil {
			v[i] = intsOf(t)
		}
	}
	spans, err := o.spans(st.spans[:0], s, v[0], v[1], v[2], v[3])
	if err != nil {
		return err
	}
	st.spans = spans
	off := 0
	for i, sp := range spans {
		off += sp.start * st.steps[i]
		st.axis(sp.n, sp.step*st.steps[i])
	}
	st.off = off
	st.run(ctx, out[0], in[0])
	return nil
}
