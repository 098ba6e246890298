package runtime

import (
	"errors"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
)

// Errors that callers can test for with errors.Is.
var (
	ErrClosed = errors.New("runtime: session is closed")
	// ErrLimit is matched by every error that says that a limit was exceeded.
	ErrLimit = errors.New("runtime: limit exceeded")
	// ErrNotNative is returned by what only this module's own backend can do.
	ErrNotNative = errors.New("runtime: only the native backend can do this")
)

// UnsupportedError lists every operator of a model that this module does not have, those in
// sub-graphs and functions included. Loading such a model returns it.
type UnsupportedError struct {
	Missing []MissingOp
	text    string
}

// MissingOp is an operator that a model uses and that this module does not have.
type MissingOp struct {
	Domain string // "" is the standard one
	OpType string
	Opset  int      // version of the domain in which the model uses it
	Nodes  []string // names of the nodes that use it; at least one
}

func (e *UnsupportedError) Error() string { return e.text }

// NodeError is a failure at one node, when the model is loaded, prepared for new shapes, or run.
type NodeError struct {
	Name   string   // of the node, or of its first output if it has none
	OpType string   // its operator
	Inputs []string // types and shapes that it was given, for example "float32[1 784]"; may be empty
	Err    error    // what is wrong
}

func (e *NodeError) Error() string {
	return (&plan.NodeError{Name: e.Name, OpType: e.OpType, Inputs: e.Inputs, Err: e.Err}).Error()
}

// Unwrap returns Err.
func (e *NodeError) Unwrap() error { return e.Err }

// InputError says that an input, or a buffer for an output, does not fit the model.
type InputError struct {
	Name string // of the input or output
	Msg  string // what was given and what is expected
}

func (e *InputError) Error() string { return "runtime: " + e.Msg }

// limitError gives a lower package's limit error an identity that callers can test.
type limitError struct{ error }

func (limitError) Is(target error) bool { return target == ErrLimit }

func (e limitError) Unwrap() error { return e.error }

// public returns an error of the packages below in the types of this one.
func public(err error) error {
	var p *plan.LimitError
	var o *onnx.LimitError
	limit := errors.As(err, &p) || errors.As(err, &o) || errors.Is(err, op.ErrTooLarge)
	err = convert(err)
	if limit {
		return limitError{err}
	}
	return err
}

func convert(err error) error {
	switch e := err.(type) {
	case *plan.NodeError:
		return &NodeError{Name: e.Name, OpType: e.OpType, Inputs: e.Inputs, Err: convert(e.Err)}
	case *graph.UnsupportedError:
		u := &UnsupportedError{text: e.Error()}
		for _, m := range e.Missing {
			u.Missing = append(u.Missing, MissingOp(m))
		}
		return u
	case *plan.BufferError:
		return &InputError{e.Name, e.Error()}
	}
	return err
}
