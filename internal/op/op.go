// Package op defines the operators that graphs are made of: for each, its attributes, the
// rule that gives the types and shapes of its outputs, and its computation.
//
// An operator is an [Op] value whose attributes have been parsed. What else it can do
// (take prepacked weights, work in place, absorb a following activation …) it declares by
// implementing the optional interfaces of this file, which the planner finds once by type
// assertion. [Core] is the table of operators that the runtime knows.
package op

import (
	"context"
	"errors"
	"fmt"

	"github.com/aekit/aekit/internal/late"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// Fact is what is known of a value before it is computed. The zero Fact stands for an
// omitted optional input.
type Fact struct {
	DType tensor.DType
	Shape tensor.Shape   // all extents are known and not negative
	Const *tensor.Tensor // the value itself where it is known, else nil; not to be changed
}

// FactOf returns the fact of a known value.
//
//go:noinline
func FactOf(t *tensor.Tensor) Fact {
	if t == nil {
		return Fact{}
	}
	return Fact{DType: t.DType(), Shape: t.Shape(), Const: t}
}

// SizeOf returns the bytes of a constant, which it does not read.
func SizeOf(t *tensor.Tensor) int {
	if !Complete {
		return len(t.Bytes())
	}
	return t.Elems() * t.DType().Size()
}

// Present reports whether f describes a value, not an omitted input.
func (f Fact) Present() bool { return f.DType != tensor.Undefined }

// String formats f as "float32[2 3]".
func (f Fact) String() string {
	if !f.Present() {
		return "none"
	}
	return f.DType.String() + f.Shape.String()
}

// Op is one operator whose attributes are already parsed. It is immutable and safe for
// concurrent use.
type Op interface {
	// Infer returns the facts of the outputs, at least as many as the node names. Where an
	// output's type or shape depends on the value of an input whose Const is nil, it
	// returns an error that wraps [ErrDeferred]; the planner then calls Infer again during
	// the run, with every input's Const set. It checks the inputs: their number, types
	// and shapes can be trusted in Run if Infer accepted them. A fact may carry a Const.
	Infer(in []Fact) ([]Fact, error)

	// Run computes the outputs. in and out have the types and shapes that Infer saw and
	// returned, are contiguous, and do not overlap except as InPlacer allows. An omitted
	// input and an unwanted output are nil.
	Run(ctx *Context, out, in []*tensor.Tensor) error
}

// ErrDeferred is returned by Infer where the shape of an output depends on a value that is
// not known yet.
var ErrDeferred = errors.New("the output's shape depends on a value that is not known before the run")

// ErrTooLarge is matched by errors of Infer and Run that say that a size is beyond what an
// int counts, which on a 32-bit machine any limit on sizes that a caller sets may exceed.
var ErrTooLarge = errors.New("a size is too large")

type tooLarge struct{ msg string }

func (e *tooLarge) Error() string        { return e.msg }
func (e *tooLarge) Is(target error) bool { return target == ErrTooLarge }

// tooLargef returns an error that matches [ErrTooLarge].
//
//go:noinline
func tooLargef(format string, args ...any) error {
	return &tooLarge{fmt.Sprintf(format, args...)}
}

// Packed is a constant input in the form that an operator's Run wants. It is immutable and
// may be shared by several sessions.
type Packed interface {
	Bytes() int // memory that it occupies
}

// Prepacker is an Op that wants constant inputs in another form.
type Prepacker interface {
	// PackKey says whether constant input i is wanted packed, given the facts of all
	// inputs, and names the form: two ops that return the same key for the same tensor
	// accept each other's result.
	PackKey(i int, in []Fact) (key string, ok bool)
	// Prepack returns input i, which is in[i].Const, in that form. In Run, in[i] is then
	// nil and ctx.Packed[i] holds the result. Large constants are packed slice by slice, as s says.
	Prepack(i int, in []Fact, s Slices) (Packed, error)
}

// Slices is what packing a constant slice by slice finds around it: each slice is read once, and
// several at the same time. The zero value packs on one goroutine and reports nothing. What is
// not packed by slices leaves it aside.
type Slices struct {
	Pool *parallel.Pool
	// Enter is called on every goroutine before it reads the constant, and what it returns
	// afterwards.
	Enter func() (leave func())
	// Packed is told of the bytes of each slice after they have been packed, or of those that they
	// were computed from.
	Packed func(b []byte)
}

// packed reports the elements [from, to) of a float32 constant.
func (s *Slices) packed(t *tensor.Tensor, from, to int) {
	if s.Packed != nil {
		s.Packed(late.Bytes(t, from, to))
	}
}

// InPlacer is an Op that may write output 0 over an input of the same type and shape.
type InPlacer interface {
	InPlace() []int // the inputs that output 0 may overwrite
}

// Viewer is an Op whose output 0 has the very bytes of an input, under another shape. The
// planner then makes the output a view and does not call Run.
type Viewer interface {
	View() int // the input
}

// Workspacer is an Op that needs scratch memory.
type Workspacer interface {
	Workspace(in []Fact) int // bytes; Run finds at least as many in ctx.Scratch
}

// ThreadWorkspacer is a Workspacer whose scratch memory depends on how many threads share it.
type ThreadWorkspacer interface {
	Workspacer
	// WorkspaceFor returns the bytes of scratch memory where a given number of threads works, at most those of Workspace, and how
	// many of them lie before those that only the second thread uses, or 0 where threads have no memory of their own.
	WorkspaceFor(in []Fact, threads int) (size, first int)
}

// Allocator is an Op whose output sizes depend on the values of its inputs in a way that
// only the computation itself finds (NonZero, Loop). When Infer returns ErrDeferred, the
// planner calls RunAlloc in place of Infer and Run. The op gets memory from ctx.New.
type Allocator interface {
	RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error)
}

// Fuser is an Op that can do the work of the single consumer of its output 0 as well.
type Fuser interface {
	// Fuse returns an op that computes next(op(in)). extra is how many inputs of next,
	// other than the one that op feeds, are appended to op's inputs; pos is the index of
	// the input of next that op feeds, and nextIn are the facts of next's inputs.
	Fuse(next Op, pos int, nextIn []Fact) (fused Op, extra int, ok bool)
}

// Coster is an Op that can count its multiply-accumulate operations.
type Coster interface {
	MACs(in, out []Fact) int64
}

// Impure is an Op whose outputs are not a function of its inputs alone (random numbers).
// It is never folded, nor merged with an equal node.
type Impure interface {
	Impure()
}

// Body is a sub-graph held by a control-flow operator. Values that it captures from the
// surrounding graph are its last inputs. The node has them as its last inputs too: those of
// each body in turn, bodies in the order of their attributes' names. It is safe for
// concurrent use.
type Body interface {
	NumInputs() int   // formal inputs, without the captured ones
	NumCaptured() int // captured values
	NumOutputs() int
	// Run computes the body's outputs in memory of their own.
	Run(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error)
}

// BodyShaper is a Body that knows the types and shapes of its outputs for given inputs
// without computing them: what a loop without iterations collects has a shape all the same.
type BodyShaper interface {
	// Shapes returns the facts of the outputs; an output whose shape depends on data has the
	// zero Fact. The values of the inputs are not used.
	Shapes(ctx *Context, in []*tensor.Tensor) ([]Fact, error)
}

// BodyLimits bounds what the body of a control-flow operator may ask for. Zero fields are
// unlimited.
type BodyLimits struct {
	Elements int   // of one tensor
	Arena    int   // bytes of activations and scratch memory
	MACs     int64 // multiply-accumulate operations of one iteration
}

// Context is what Run finds around it. One Context serves one Run at a time.
type Context struct {
	Ctx     context.Context // for long operators: control flow checks it between iterations
	Limits  BodyLimits      // of what bodies may ask for
	Pool    *parallel.Pool
	Packed  []Packed // by input index; nil or shorter where nothing is packed
	Scratch []byte   // aligned to tensor.Align, contents arbitrary
	State   *any     // belongs to this node in this execution state; survives between runs
	wide    wideBuffers
	Seed    uint64 // for random operators; differs from run to run
	// Account is told of memory that an operator allocates during the run; an error means
	// that a limit would be exceeded. Nil accepts everything.
	Account func(bytes int) error
}

// New allocates a tensor whose size was not known before the run, within the limits.
func (c *Context) New(dtype tensor.DType, shape tensor.Shape) (*tensor.Tensor, error) {
	n, err := tensor.ByteSize(dtype, shape)
	if err != nil {
		return nil, err
	}
	if c.Account != nil {
		if err := c.Account(n); err != nil {
			return nil, err
		}
	}
	return tensor.New(dtype, shape...)
}

// PackedInput returns the packed form of input i, or nil.
func (c *Context) PackedInput(i int) Packed {
	if i < len(c.Packed) {
		return c.Packed[i]
	}
	return nil
}

// StateOf returns the node's state as a *T, which it makes on first use. Operators keep
// there what would otherwise be allocated in every run.
func StateOf[T any](c *Context) *T {
	if c.State == nil {
		return new(T)
	}
	if s, ok := (*c.State).(*T); ok {
		return s
	}
	s := new(T)
	*c.State = s
	return s
}
