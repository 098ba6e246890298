package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

type transpose struct {
	types Types
	perm  []int // nil: the axes in reverse order
}

func newTranspose(a *Attrs) (Op, error) {
	return &transpose{types: a.Types(), perm: a.Ints("perm")}, nil
}

func (o *transpose) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	out := make(tensor.Shape, len(s))
	if o.perm == nil {
		for i := range out {
			out[i] = s[len(s)-1-i]
		}
		return []Fact{{DType: in[0].DType, Shape: out}}, nil
	}
	if len(o.perm) != len(s) {
		return nil, fmt.Errorf("perm %v does not fit shape %v", o.perm, s)
	}
	seen := make([]bool, len(s))
	for i, p := range o.perm {
		if p < 0 || p >= len(s) || seen[p] {
			return nil, fmt.Errorf("perm %v is not a permutation of %d axes", o.perm, len(s))
		}
		seen[p] = true
		out[i] = s[p]
	}
	return []Fact{{DType: in[0].DType, Shape: out}}, nil
}

// transposeState is what a transpose keeps between runs.
type transposeState struct {
	moveState
	bytes byteTransposes
}

// moveState is the state of operators whose work is one strided copy.
type moveState struct {
	mover
	steps []int
}

func (o *transpose) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[transposeState](ctx)
	s := in[0].Shape()
	if in[0].DType().Size() == 1 && o.perm != nil && in[0].Elems() > 0 {
		if lead, split, ok := rotation(o.perm); ok {
			st.bytes.transposeAll(ctx.Pool, product(s[:lead]), product(s[lead:split]), product(s[split:]), out[0].Bytes(), in[0].Bytes())
			return nil
		}
	}
	st.steps = rowMajor(st.steps, s)
	st.reset()
	for i := range s {
		p := len(s) - 1 - i
		if o.perm != nil {
			p = o.perm[i]
		}
		st.axis(s[p], st.steps[p])
	}
	st.run(ctx, out[0], in[0])
	return nil
}

type expand struct{ types Types }

func newExpand(a *Attrs) (Op, error) { return expand{a.Types()}, nil }

func (o expand) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	target, err := constShape(in, 1)
	if err != nil {
		return nil, err
	}
	s, err := tensor.Broadcast(in[0].Shape, target)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, s)
}

// constShape returns a shape that is the value of input i.
func constShape(in []Fact, i int) (tensor.Shape, error) {
	v, err := constInts(in, i)
	if err != nil {
		return nil, err
	}
	if len(v) > maxRank {
		return nil, fmt.Errorf("input %d: rank %d is too large", i, len(v))
	}
	s := make(tensor.Shape, len(v))
	for k, d := range v {
		if s[k], err = toInt(d); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
		if d < 0 {
			return nil, fmt.Errorf("input %d: %v is not a shape", i, v)
		}
	}
	if _, ok := s.Elems(); !ok {
		return nil, tooLargef("input %d: shape %v has too many elements", i, s)
	}
	return s, nil
}

func (o expand) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[moveState](ctx)
	st.steps = rowMajor(st.steps, in[0].Shape())
	st.reset()
	st.broadcast(in[0].Shape(), st.steps, out[0].Shape())
	st.run(ctx, out[0], in[0])
	return nil
}

// broadcast appends the axes of shape to, over which a tensor of shape from is broadcast.
func (s *strided) broadcast(from tensor.Shape, steps []int, to tensor.Shape) {
	off := len(to) - len(from)
	for i, d := range to {
		step := 0
		if i >= off && from[i-off] != 1 {
			step = steps[i-off]
		}
		s.axis(d, step)
	}
}

type tile struct{ types Types }

func newTile(a *Attrs) (Op, error) { return tile{a.Types()}, nil }

func (o tile) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	rep, err := constInts(in, 1)
	if err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(rep) != len(s) {
		return nil, fmt.Errorf("%d repeats for shape %v", len(rep), s)
	}
	out := make(tensor.Shape, len(s))
	for i, r := range rep {
		n, err := toInt(r)
		if err != nil {
			return nil, fmt.Errorf("repeats: %w", err)
		}
		if n < 0 {
			return nil, fmt.Errorf("repeats %v are negative", rep)
		}
		d, ok := tensor.Shape{s[i], n}.Elems()
		if !ok {
			return nil, tooLargef("repeats %v of shape %v are too many", rep, s)
		}
		out[i] = d
	}
	return outFact(in[0].DType, out)
}

func (o tile) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[moveState](ctx)
	s := in[0].Shape()
	st.steps = rowMajor(st.steps, s)
	st.reset()
	for i, d := range out[0].Shape() {
		if s[i] == 0 {
			return nil
		}
		st.axis(d/s[i], 0)
		st.axis(s[i], st.steps[i])
	}
	st.run(ctx, out[0], in[0])
	return nil
}
