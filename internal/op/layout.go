package op

import "github.com/aekit/aekit/tensor"

// LayoutAware is an Op that can also work on tensors whose axes are stored channels-last.
type LayoutAware interface {
	// ChannelsLast returns the variant of the op whose outputs, and whose inputs i with
	// nhwc[i], have the physical shape [N, spatial…, C] in place of [N, C, spatial…]. in
	// holds the facts of the inputs in their logical order. Infer and Run of the variant
	// take and give physical shapes. ok is false where there is no such variant.
	ChannelsLast(in []Fact) (o Op, nhwc []bool, ok bool)
}

// MixedLayout is a variant, as ChannelsLast returns it, that keeps some outputs in their
// logical order, and may have several.
type MixedLayout interface {
	// OutputsLast says which outputs are channels-last; those beyond its end are not.
	OutputsLast() []bool
}

// toChannelsLast returns the physical shape [N, spatial…, C] of a logical [N, C, spatial…].
func toChannelsLast(s tensor.Shape) tensor.Shape {
	if len(s) < 2 {
		return s.Clone()
	}
	out := make(tensor.Shape, 0, len(s))
	out = append(out, s[0])
	out = append(out, s[2:]...)
	return append(out, s[1])
}

// toChannelsFirst is the inverse of toChannelsLast.
//
//go:noinline
func toChannelsFirst(s tensor.Shape) tensor.Shape {
	if len(s) < 2 {
		return s.Clone()
	}
	out := make(tensor.Shape, 0, len(s))
	out = append(out, s[0], s[len(s)-1])
	return append(out, s[1:len(s)-1]...)
}

// channelsLastAxis maps an axis of the logical order to the physical one.
func channelsLastAxis(axis, rank int) int {
	switch {
	case axis == 0 || rank < 2:
		return axis
	case axis == 1:
		return rank - 1
	}
	return axis - 1
}
