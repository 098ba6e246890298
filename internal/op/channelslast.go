package op

import "github.com/aekit/aekit/tensor"

// Operators on single elements do not care about the order of the axes, as long as all
// operands have the same: every operand is then moved. An operand of one element stays as
// it is.

// allMoved returns the nhwc list of an elementwise operator whose inputs are broadcast to
// each other, and false if an input has too few axes to be moved.
func allMoved(in []Fact) ([]bool, bool) {
	rank := 0
	for _, f := range in {
		rank = max(rank, len(f.Shape))
	}
	if rank < 3 {
		return nil, false
	}
	nhwc := make([]bool, len(in))
	for i, f := range in {
		switch n, _ := f.Shape.Elems(); {
		case len(f.Shape) == rank:
			nhwc[i] = true
		case n != 1 || !f.Present():
			return nil, false
		}
	}
	return nhwc, true
}

// ChannelsLast implements [LayoutAware].
func (o identity) ChannelsLast([]Fact) (Op, []bool, bool) { return o, []bool{true}, true }

// ChannelsLast implements [LayoutAware].
func (o *unary) ChannelsLast([]Fact) (Op, []bool, bool) { return o, []bool{true}, true }

// ChannelsLast implements [LayoutAware].
func (o *clip) ChannelsLast([]Fact) (Op, []bool, bool) { return o, []bool{true, false, false}, true }

// ChannelsLast implements [LayoutAware].
func (o *shrink) ChannelsLast([]Fact) (Op, []bool, bool) { return o, []bool{true}, true }

// ChannelsLast implements [LayoutAware].
func (o cast) ChannelsLast([]Fact) (Op, []bool, bool) { return o, []bool{true}, true }

// ChannelsLast implements [LayoutAware].
func (o not) ChannelsLast([]Fact) (Op, []bool, bool) { return o, []bool{true}, true }

// ChannelsLast implements [LayoutAware].
func (o *variadic) ChannelsLast(in []Fact) (Op, []bool, bool) {
	nhwc, ok := allMoved(in)
	return o, nhwc, ok
}

// ChannelsLast implements [LayoutAware].
func (o *compare) ChannelsLast(in []Fact) (Op, []bool, bool) {
	nhwc, ok := allMoved(in)
	return o, nhwc, ok
}

// ChannelsLast implements [LayoutAware].
func (o where) ChannelsLast(in []Fact) (Op, []bool, bool) {
	nhwc, ok := allMoved(in)
	return o, nhwc, ok
}

// ChannelsLast implements [LayoutAware].
func (o *pow) ChannelsLast(in []Fact) (Op, []bool, bool) {
	nhwc, ok := allMoved(in)
	return o, nhwc, ok
}

// ChannelsLast implements [LayoutAware]. One operand may also be a value for each channel,
// of shape [C 1 …], which the variant reads as [C].
func (o *binary) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if nhwc, ok := allMoved(in); ok {
		return o, nhwc, true
	}
	if o.perChannel != 0 || len(in) != 2 {
		return nil, nil, false
	}
	for i, f := range in {
		x := in[1-i]
		if len(x.Shape) < 3 || len(f.Shape) != len(x.Shape)-1 || f.Shape[0] != x.Shape[1] {
			continue
		}
		if n, _ := f.Shape[1:].Elems(); n != 1 {
			continue
		}
		v := *o
		v.perChannel = i + 1
		return &v, []bool{i == 1, i == 0}, true
	}
	return nil, nil, false
}

// channelVector returns the fact of a per-channel operand as the variant reads it.
func channelVector(f Fact) Fact {
	n, _ := f.Shape.Elems()
	f.Shape, f.Const = tensor.Shape{n}, nil
	return f
}

// ChannelsLast implements [LayoutAware].
func (o concat) ChannelsLast(in []Fact) (Op, []bool, bool) {
	rank := len(in[0].Shape)
	axis, err := tensor.Axis(o.axis, rank)
	if err != nil || rank < 3 {
		return nil, nil, false
	}
	nhwc := make([]bool, len(in))
	for i := range nhwc {
		nhwc[i] = true
	}
	o.axis = channelsLastAxis(axis, rank)
	return o, nhwc, true
}

// ChannelsLast implements [LayoutAware].
func (o split) ChannelsLast(in []Fact) (Op, []bool, bool) {
	rank := len(in[0].Shape)
	axis, err := tensor.Axis(o.axis, rank)
	o.axis = channelsLastAxis(axis, rank)
	return o, []bool{true, false}, err == nil && rank > 2
}

// ChannelsLast implements [LayoutAware].
func (o *softmax) ChannelsLast(in []Fact) (Op, []bool, bool) {
	rank := len(in[0].Shape)
	axis, err := tensor.Axis(o.axis, rank)
	// Axes that are taken together stay together only if they are the last one.
	if err != nil || rank < 3 || o.flatten && axis != rank-1 {
		return nil, nil, false
	}
	v := *o
	v.flatten = false
	v.axis = channelsLastAxis(axis, rank)
	return &v, []bool{true}, true
}

// ChannelsLast implements [LayoutAware], for reductions that keep the rank and whose axes
// are constant.
func (o *reduce) ChannelsLast(in []Fact) (Op, []bool, bool) {
	rank := len(in[0].Shape)
	if !o.keep || rank < 3 || o.fixed != nil {
		return nil, nil, false
	}
	var axes []int64
	if present(in, 1) {
		if in[1].Const == nil {
			return nil, nil, false
		}
		axes = intsOf(in[1].Const)
	}
	if len(axes) == 0 {
		return nil, nil, false
	}
	set, err := axesOf(axes, rank)
	if err != nil {
		return nil, nil, false
	}
	v := *o
	for i, on := range set {
		if on {
			v.fixed = append(v.fixed, int64(channelsLastAxis(i, rank)))
		}
	}
	return &v, []bool{true, false}, true
}
