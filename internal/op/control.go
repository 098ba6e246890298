package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// deferred is what control flow shares: the types and shapes of its outputs are found by
// running its bodies.
type deferred struct{}

func (deferred) Run(ctx *Context, out, in []*tensor.Tensor) error {
	return fmt.Errorf("internal error: Run of an operator whose outputs are found during the run")
}

// Impure implements [Impure]: a body may hold random operators.
func (deferred) Impure() {}

// ifOp is If. Its inputs are the condition, then what the bodies capture.
type ifOp struct {
	deferred
	yes, no Body
}

var _ Allocator = (*ifOp)(nil)

func newIf(a *Attrs) (Op, error) {
	o := &ifOp{yes: a.Body("then_branch"), no: a.Body("else_branch")}
	if o.yes != nil && o.no != nil {
		if o.yes.NumInputs() != 0 || o.no.NumInputs() != 0 {
			a.Fail("a branch has inputs")
		}
		if o.yes.NumOutputs() != o.no.NumOutputs() || a.NumOutputs() > o.yes.NumOutputs() {
			a.Fail("the branches have %d and %d outputs, the node %d", o.yes.NumOutputs(), o.no.NumOutputs(), a.NumOutputs())
		}
	}
	return o, nil
}

// Infer implements [Op].
func (o *ifOp) Infer(in []Fact) ([]Fact, error) {
	n := 1 + o.yes.NumCaptured() + o.no.NumCaptured()
	if err := arity(in, n, n); err != nil {
		return nil, err
	}
	if err := wantCondition(in, 0); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("outputs of a branch: %w", ErrDeferred)
}

func wantCondition(in []Fact, i int) error {
	if n, ok := in[i].Shape.Elems(); in[i].DType != tensor.Bool || !ok || n != 1 {
		return fmt.Errorf("input %d: condition %v, want one bool", i, in[i])
	}
	return nil
}

// RunAlloc implements [Allocator].
func (o *ifOp) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	split := 1 + o.no.NumCaptured()
	if tensor.Data[bool](in[0])[0] {
		return o.yes.Run(ctx, in[split:])
	}
	return o.no.Run(ctx, in[1:split])
}

// loopOp is Loop. Its inputs are the number of iterations and the condition, both optional,
// the initial values of the variables that iterations hand on, and what the body captures.
// The body maps the iteration number, the condition and the variables to the condition, the
// variables and one slice of each scan output.
type loopOp struct {
	deferred
	body      Body
	variables int
}

var _ Allocator = (*loopOp)(nil)

func newLoop(a *Attrs) (Op, error) {
	o := &loopOp{body: a.Body("body")}
	if o.body != nil {
		o.variables = o.body.NumInputs() - 2
		if o.variables < 0 || o.body.NumOutputs() < 1+o.variables {
			a.Fail("the body has %d inputs and %d outputs", o.body.NumInputs(), o.body.NumOutputs())
		} else if a.NumOutputs() > o.body.NumOutputs()-1 {
			a.Fail("the body has %d outputs, the node %d", o.body.NumOutputs(), a.NumOutputs())
		}
	}
	return o, nil
}

// Infer implements [Op].
func (o *loopOp) Infer(in []Fact) ([]Fact, error) {
	if n := 2 + o.variables + o.body.NumCaptured(); len(in) != n {
		return nil, fmt.Errorf("%d inputs, want %d", len(in), n)
	}
	if in[0].Present() {
		if n, ok := in[0].Shape.Elems(); in[0].DType != tensor.Int64 || !ok || n != 1 {
			return nil, fmt.Errorf("input 0: %v, want one int64", in[0])
		}
	}
	if in[1].Present() {
		if err := wantCondition(in, 1); err != nil {
			return nil, err
		}
	}
	for i := 2; i < len(in); i++ {
		if !in[i].Present() {
			return nil, fmt.Errorf("input %d is missing", i)
		}
	}
	return nil, fmt.Errorf("outputs of a loop: %w", ErrDeferred)
}

// RunAlloc implements [Allocator].
func (o *loopOp) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	limit := int64(-1)
	if in[0] != nil {
		limit = max(0, in[0].Int64s()[0])
	}
	run := in[1] == nil || tensor.Data[bool](in[1])[0]
	vars := in[2 : 2+o.variables]
	captured := in[2+o.variables:]
	scans := make([]stacker, o.body.NumOutputs()-1-o.variables)
	for i := int64(0); run && (limit < 0 || i < limit); i++ {
		if ctx.Ctx != nil && ctx.Ctx.Err() != nil {
			return nil, ctx.Ctx.Err()
		}
		number, err := tensor.Of([]int64{i})
		if err != nil {
			return nil, err
		}
		cond, err := tensor.Of([]bool{true})
		if err != nil {
			return nil, err
		}
		args := append([]*tensor.Tensor{number, cond}, vars...)
		outs, err := o.body.Run(ctx, append(args, captured...))
		if err != nil {
			return nil, fmt.Errorf("iteration %d: %w", i, err)
		}
		if c := outs[0]; c.DType() != tensor.Bool || c.Elems() != 1 {
			return nil, fmt.Errorf("iteration %d: the condition is %v, want one bool", i, c)
		}
		run = tensor.Data[bool](outs[0])[0]
		vars = outs[1 : 1+o.variables]
		for k := range scans {
			if err := scans[k].add(ctx, outs[1+o.variables+k]); err != nil {
				return nil, fmt.Errorf("iteration %d: scan output %d: %w", i, k, err)
			}
		}
	}
	if len(scans) > 0 && len(scans[0].slices) == 0 {
		args := append([]*tensor.Tensor{tensor.Scalar(int64(0)), tensor.Scalar(true)}, vars...)
		if err := describe(ctx, o.body, append(args, captured...), 1+o.variables, scans); err != nil {
			return nil, err
		}
	}
	out := make([]*tensor.Tensor, 0, len(vars)+len(scans))
	for _, v := range vars {
		out = append(out, v)
	}
	for k := range scans {
		t, err := scans[k].stack(ctx, 0, false)
		if err != nil {
			return nil, fmt.Errorf("scan output %d: %w", k, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// stacker collects slices of equal type and shape.
type stacker struct {
	slices []*tensor.Tensor
	empty  Fact // of a slice, where there is none
}

// describe finds what slices would be like, where a body has not run.
func describe(ctx *Context, b Body, args []*tensor.Tensor, skip int, to []stacker) error {
	s, ok := b.(BodyShaper)
	if !ok || len(to) == 0 {
		return nil
	}
	facts, err := s.Shapes(ctx, args)
	if err != nil {
		return err
	}
	for k := range to {
		to[k].empty = facts[skip+k]
	}
	return nil
}

// sliceBytes is what keeping a slice takes apart from its elements: without it, slices of
// few or no elements would be free.
const sliceBytes = 160

func (s *stacker) add(ctx *Context, t *tensor.Tensor) error {
	if ctx.Account != nil {
		if err := ctx.Account(sliceBytes); err != nil {
			return err
		}
	}
	if len(s.slices) > 0 {
		if f := s.slices[0]; f.DType() != t.DType() || !f.Shape().Equal(t.Shape()) {
			return fmt.Errorf("%v after %v", t, f)
		}
	}
	s.slices = append(s.slices, t)
	return nil
}

// stack returns the slices along a new axis, the last one first if reverse.
func (s *stacker) stack(ctx *Context, axis int, reverse bool) (*tensor.Tensor, error) {
	first := s.empty
	if len(s.slices) > 0 {
		first = FactOf(s.slices[0])
	}
	if !first.Present() {
		return nil, fmt.Errorf("its shape is not known where there are no iterations")
	}
	axis, err := tensor.Axis(axis, len(first.Shape)+1)
	if err != nil {
		return nil, err
	}
	shape := append(first.Shape[:axis].Clone(), len(s.slices))
	shape = append(shape, first.Shape[axis:]...)
	out, err := ctx.New(first.DType, shape)
	if err != nil {
		return nil, err
	}
	row := product(shape[axis+1:]) * first.DType.Size()
	for i, t := range s.slices {
		if reverse {
			i = len(s.slices) - 1 - i
		}
		copySlices(out.Bytes(), t.Bytes(), row, len(s.slices), i)
	}
	return out, nil
}

// copySlices copies rows of src to every n-th row of dst, from row i on.
func copySlices(dst, src []byte, row, n, i int) {
	for k := 0; row > 0 && k*row < len(src); k++ {
		copy(dst[(k*n+i)*row:][:row], src[k*row:])
	}
}

// scanOp is Scan. Its inputs are the initial values of the state, the tensors that are
// read slice by slice, and what the body captures. The body maps state and slices to state
// and slices of the outputs.
type scanOp struct {
	deferred
	body            Body
	states, scans   int
	inBack, outBack []bool
	inAxes, outAxes []int
}

var _ Allocator = (*scanOp)(nil)

func newScan(a *Attrs) (Op, error) {
	a.Require("num_scan_inputs")
	o := &scanOp{body: a.Body("body"), scans: a.Int("num_scan_inputs", 0)}
	directions := func(name string) (back []bool) {
		for _, v := range a.Ints(name) {
			if v != 0 && v != 1 {
				a.Fail("attribute %q: value %d is neither 0 nor 1", name, v)
			}
			back = append(back, v == 1)
		}
		return back
	}
	if a.Opset() < 9 {
		o.inBack = directions("directions")
	} else {
		o.inBack, o.outBack = directions("scan_input_directions"), directions("scan_output_directions")
		o.inAxes, o.outAxes = a.Ints("scan_input_axes"), a.Ints("scan_output_axes")
	}
	if o.body == nil {
		return o, nil
	}
	o.states = o.body.NumInputs() - o.scans
	outs := o.body.NumOutputs() - o.states
	if o.scans < 1 || o.states < 0 || outs < 0 || a.NumOutputs() > o.body.NumOutputs() {
		a.Fail("the body has %d inputs and %d outputs, %d inputs are scanned", o.body.NumInputs(), o.body.NumOutputs(), o.scans)
	}
	for _, l := range []struct{ n, want int }{{len(o.inBack), o.scans}, {len(o.inAxes), o.scans}, {len(o.outBack), outs}, {len(o.outAxes), outs}} {
		if l.n != 0 && l.n != l.want {
			a.Fail("%d directions or axes for %d scanned values", l.n, l.want)
		}
	}
	return o, nil
}

// length returns the number of slices.
func (o *scanOp) length(shape func(i int) tensor.Shape) (int, error) {
	n := -1
	for i := range o.scans {
		s := shape(o.states + i)
		axis, err := o.axis(i, len(s))
		if err != nil {
			return 0, err
		}
		if n >= 0 && n != s[axis] {
			return 0, fmt.Errorf("scanned inputs have %d and %d slices", n, s[axis])
		}
		n = s[axis]
	}
	return n, nil
}

func (o *scanOp) axis(i, rank int) (int, error) {
	if len(o.inAxes) == 0 {
		return tensor.Axis(0, rank)
	}
	return tensor.Axis(o.inAxes[i], rank)
}

// Infer implements [Op].
func (o *scanOp) Infer(in []Fact) ([]Fact, error) {
	n := o.body.NumInputs() + o.body.NumCaptured()
	if err := arity(in, n, n); err != nil {
		return nil, err
	}
	if _, err := o.length(func(i int) tensor.Shape { return in[i].Shape }); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("outputs of a scan: %w", ErrDeferred)
}

// RunAlloc implements [Allocator].
func (o *scanOp) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	n, err := o.length(func(i int) tensor.Shape { return in[i].Shape() })
	if err != nil {
		return nil, err
	}
	states, captured := in[:o.states], in[o.states+o.scans:]
	results := make([]stacker, o.body.NumOutputs()-o.states)
	for i := range n {
		if ctx.Ctx != nil && ctx.Ctx.Err() != nil {
			return nil, ctx.Ctx.Err()
		}
		args := append([]*tensor.Tensor{}, states...)
		for k, x := range in[o.states : o.states+o.scans] {
			at := i
			if len(o.inBack) > 0 && o.inBack[k] {
				at = n - 1 - i
			}
			axis, err := o.axis(k, x.Rank())
			if err != nil {
				return nil, err
			}
			s, err := sliceAt(ctx, x, axis, at)
			if err != nil {
				return nil, err
			}
			args = append(args, s)
		}
		outs, err := o.body.Run(ctx, append(args, captured...))
		if err != nil {
			return nil, fmt.Errorf("slice %d: %w", i, err)
		}
		states = outs[:o.states]
		for k := range results {
			if err := results[k].add(ctx, outs[o.states+k]); err != nil {
				return nil, fmt.Errorf("slice %d: scan output %d: %w", i, k, err)
			}
		}
	}
	if n == 0 {
		args := append([]*tensor.Tensor{}, states...)
		for k, x := range in[o.states : o.states+o.scans] {
			axis, err := o.axis(k, x.Rank())
			if err != nil {
				return nil, err
			}
			s, err := ctx.New(x.DType(), append(x.Shape()[:axis].Clone(), x.Shape()[axis+1:]...))
			if err != nil {
				return nil, err
			}
			args = append(args, s)
		}
		if err := describe(ctx, o.body, append(args, captured...), o.states, results); err != nil {
			return nil, err
		}
	}
	out := append([]*tensor.Tensor{}, states...)
	for k := range results {
		axis := 0
		if len(o.outAxes) > 0 {
			axis = o.outAxes[k]
		}
		t, err := results[k].stack(ctx, axis, len(o.outBack) > 0 && o.outBack[k])
		if err != nil {
			return nil, fmt.Errorf("scan output %d: %w", k, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// sliceAt returns a copy of one slice along an axis, which the copy lacks.
func sliceAt(ctx *Context, x *tensor.Tensor, axis, i int) (*tensor.Tensor, error) {
	s := x.Shape()
	out, err := ctx.New(x.DType(), append(s[:axis].Clone(), s[axis+1:]...))
	if err != nil {
		return nil, err
	}
	row := product(s[axis+1:]) * x.DType().Size()
	for k := 0; row > 0 && k*row < len(out.Bytes()); k++ {
		copy(out.Bytes()[k*row:][:row], x.Bytes()[(k*s[axis]+i)*row:])
	}
	return out, nil
}
