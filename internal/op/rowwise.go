package op

import "github.com/aekit/aekit/tensor"

// RowWise is an Op that may treat the rows of a batch, along axis 0, one by one.
type RowWise interface {
	// RowWise reports whether row r of every output depends on row r of the inputs that
	// are batched, and on the other inputs, but neither on other rows nor on their number.
	// in and out are what Infer was given and returned for two rows or more. The caller has
	// checked that outputs have as many rows as the batched inputs, of which there is one at least.
	RowWise(in, out []Fact, batched []bool) bool
}

// onlyFirst reports whether input 0 alone is batched, and there is one output.
//
//go:noinline
func onlyFirst(out []Fact, batched []bool) bool {
	for i, b := range batched {
		if b != (i == 0) {
			return false
		}
	}
	return len(out) == 1
}

// broadcastRows reports whether inputs that are broadcast to each other meet row by row.
func broadcastRows(in, out []Fact, batched []bool) bool {
	for i, f := range in {
		if !f.Present() {
			continue
		}
		full := len(f.Shape) == len(out[0].Shape)
		if batched[i] != full && !(full && f.Shape[0] == 1) {
			return false
		}
	}
	return len(out) == 1
}

// beyondRows reports whether an axis of a tensor of the given rank is not the first.
func beyondRows(axis, rank int) bool {
	a, err := tensor.Axis(axis, rank)
	return err == nil && a > 0
}

// RowWise implements [RowWise].
func (o *conv) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise].
func (o *gemm) RowWise(in, out []Fact, batched []bool) bool {
	return !o.transA && batched[0] && !batched[1] && len(out) == 1 && (len(in) < 3 || broadcastRows(in[2:3], out, batched[2:3]))
}

// RowWise implements [RowWise].
func (o *matmul) RowWise(in, out []Fact, batched []bool) bool {
	rank := len(in[0].Shape)
	return onlyFirst(out, batched) && rank >= 2 && len(in[1].Shape) <= 2 && !(o.transA && rank == 2)
}

// RowWise implements [RowWise].
func (o *unary) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise].
func (o *clip) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise].
func (o cast) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise].
func (o *binary) RowWise(in, out []Fact, batched []bool) bool {
	return broadcastRows(in, out, batched)
}

// RowWise implements [RowWise].
func (o *variadic) RowWise(in, out []Fact, batched []bool) bool {
	return broadcastRows(in, out, batched)
}

// RowWise implements [RowWise].
func (o *batchNorm) RowWise(_, out []Fact, batched []bool) bool {
	return !o.training && onlyFirst(out, batched)
}

// RowWise implements [RowWise].
func (o *groupNorm) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise]. Indices of maxima count from the first row.
func (o *pool) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise].
func (o *resizeOp) RowWise(_, out []Fact, batched []bool) bool {
	return o.transform != "tf_crop_and_resize" && onlyFirst(out, batched)
}

// RowWise implements [RowWise].
func (o *depthSpace) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise].
func (view) RowWise(_, out []Fact, batched []bool) bool { return onlyFirst(out, batched) }

// RowWise implements [RowWise].
func (o *transpose) RowWise(_, out []Fact, batched []bool) bool {
	return len(o.perm) > 0 && o.perm[0] == 0 && onlyFirst(out, batched)
}

// RowWise implements [RowWise].
func (o concat) RowWise(in, _ []Fact, batched []bool) bool {
	for _, b := range batched {
		if !b {
			return false
		}
	}
	return beyondRows(o.axis, len(in[0].Shape))
}

// RowWise implements [RowWise].
func (o *softmax) RowWise(in, out []Fact, batched []bool) bool {
	return beyondRows(o.axis, len(in[0].Shape)) && onlyFirst(out, batched)
}

// RowWise implements [RowWise].
func (o *linear) RowWise(in, out []Fact, batched []bool) bool {
	scales, _ := in[1].Shape.Elems()
	return (scales == 1 || beyondRows(o.axis, len(in[0].Shape))) && onlyFirst(out, batched)
}

// ShapesOnly reports whether constant input i of an operator serves only to give its output
// a shape: two values of it that lead to the same shape give the same elements.
func ShapesOnly(o Op, i int) bool {
	switch o := o.(type) {
	case reshape:
		return i == 1
	case *resizeOp:
		return i == o.sizes && o.axes == nil
	}
	return false
}
