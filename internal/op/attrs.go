package op

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Attrs reads a node's attributes. It remembers which were read and the first error, so
// that a constructor can read them all and check once, with Close.
type Attrs struct {
	node   *onnx.Node
	opset  int
	types  Types
	read   []string
	err    error
	bodies map[string]Body
}

// NewAttrs returns a reader of n's attributes. opset is the version of n's domain that the
// model imports; bodies holds the compiled sub-graphs by attribute name, and may be nil.
func NewAttrs(n *onnx.Node, opset int, bodies map[string]Body) *Attrs {
	return &Attrs{node: n, opset: opset, bodies: bodies}
}

// Opset returns the version of the node's domain.
func (a *Attrs) Opset() int { return a.opset }

// Types returns the element types that the operator's version accepts; see [Version].
func (a *Attrs) Types() Types { return a.types }

// OpType returns the node's operator type.
func (a *Attrs) OpType() string { return a.node.OpType }

// NumInputs returns the number of inputs that the node lists, omitted ones included.
func (a *Attrs) NumInputs() int { return len(a.node.Inputs) }

// NumOutputs returns the number of outputs that the node lists, unwanted ones included.
func (a *Attrs) NumOutputs() int { return len(a.node.Outputs) }

// Wanted reports whether output i has a name.
func (a *Attrs) Wanted(i int) bool { return i < len(a.node.Outputs) && a.node.Outputs[i] != "" }

// Has reports whether the attribute is present. It does not count as reading it.
func (a *Attrs) Has(name string) bool { return a.node.Attr(name) != nil }

//go:noinline
func (a *Attrs) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// get returns the attribute if it is there and has the type.
func (a *Attrs) get(name string, typ onnx.AttrType) *onnx.Attribute {
	a.read = append(a.read, name)
	at := a.node.Attr(name)
	if at == nil {
		return nil
	}
	if at.Type != typ {
		a.fail("attribute %q has type %v, want %v", name, at.Type, typ)
		return nil
	}
	return at
}

// Int64 returns an integer attribute, or def.
//
//go:noinline
func (a *Attrs) Int64(name string, def int64) int64 {
	if at := a.get(name, onnx.AttrInt); at != nil {
		return at.Int
	}
	return def
}

// Int returns an integer attribute, or def. A value that int cannot hold is an error.
func (a *Attrs) Int(name string, def int) int {
	return a.toInt(name, a.Int64(name, int64(def)))
}

// Bool returns an integer attribute as a flag: an error unless it is 0 or 1.
func (a *Attrs) Bool(name string, def bool) bool {
	d := int64(0)
	if def {
		d = 1
	}
	v := a.Int64(name, d)
	if v != 0 && v != 1 {
		a.fail("attribute %q: value %d is neither 0 nor 1", name, v)
	}
	return v == 1
}

func (a *Attrs) toInt(name string, v int64) int {
	if v > math.MaxInt || v < math.MinInt {
		a.fail("attribute %q: value %d out of range", name, v)
		return 0
	}
	return int(v)
}

// Float returns a float attribute, or def.
//
//go:noinline
func (a *Attrs) Float(name string, def float32) float32 {
	if at := a.get(name, onnx.AttrFloat); at != nil {
		return at.Float
	}
	return def
}

// String returns a string attribute, or def.
func (a *Attrs) String(name, def string) string {
	if at := a.get(name, onnx.AttrString); at != nil {
		return string(at.String)
	}
	return def
}

// OneOf returns a string attribute, or the first of the allowed values. Any value that is
// not listed is an error.
func (a *Attrs) OneOf(name string, allowed ...string) string {
	v := a.String(name, allowed[0])
	if !slices.Contains(allowed, v) {
		a.fail("attribute %q: value %q is not one of %q", name, v, allowed)
		return allowed[0]
	}
	return v
}

// Ints returns a list of integers, or nil if the attribute is absent. An attribute that is
// present but empty gives a slice that is not nil.
func (a *Attrs) Ints(name string) []int {
	at := a.get(name, onnx.AttrInts)
	if at == nil {
		return nil
	}
	out := make([]int, len(at.Ints))
	for i, v := range at.Ints {
		out[i] = a.toInt(name, v)
	}
	return out
}

// Int64s is Ints without the conversion.
func (a *Attrs) Int64s(name string) []int64 {
	if at := a.get(name, onnx.AttrInts); at != nil {
		return append([]int64{}, at.Ints...)
	}
	return nil
}

// Floats returns a list of floats, or nil if the attribute is absent.
func (a *Attrs) Floats(name string) []float32 {
	if at := a.get(name, onnx.AttrFloats); at != nil {
		return append([]float32{}, at.Floats...)
	}
	return nil
}

// Strings returns a list of strings, or nil if the attribute is absent.
func (a *Attrs) Strings(name string) []string {
	at := a.get(name, onnx.AttrStrings)
	if at == nil {
		return nil
	}
	out := make([]string, len(at.Strings))
	for i, s := range at.Strings {
		out[i] = string(s)
	}
	return out
}

// Tensor returns a tensor attribute, or nil if it is absent.
func (a *Attrs) Tensor(name string) *tensor.Tensor {
	at := a.get(name, onnx.AttrTensor)
	if at == nil {
		return nil
	}
	if at.Tensor == nil || at.Tensor.Value == nil {
		a.fail("attribute %q: its tensor has no data of a supported type", name)
		return nil
	}
	return at.Tensor.Value
}

// DType returns an integer attribute as an element type, or def.
func (a *Attrs) DType(name string, def tensor.DType) tensor.DType {
	v := a.Int64(name, int64(def))
	if v < 0 || v > 255 {
		a.fail("attribute %q: %d is not an element type", name, v)
		return def
	}
	return tensor.DType(v)
}

// Body returns the compiled sub-graph of a graph attribute. Its absence is an error.
func (a *Attrs) Body(name string) Body {
	a.get(name, onnx.AttrGraph)
	b := a.bodies[name]
	if b == nil {
		a.fail("attribute %q: no sub-graph", name)
	}
	return b
}

// Require makes the absence of an attribute an error.
func (a *Attrs) Require(names ...string) {
	for _, n := range names {
		if !a.Has(n) {
			a.fail("attribute %q is missing", n)
		}
	}
}

// Ignore marks attributes as read whose value does not matter to this implementation.
func (a *Attrs) Ignore(names ...string) { a.read = append(a.read, names...) }

// Fail records an error that the constructor found itself.
//
//go:noinline
func (a *Attrs) Fail(format string, args ...any) { a.fail(format, args...) }

// Close returns the first error, or an error that names the attributes that nobody read.
func (a *Attrs) Close() error {
	if a.err != nil {
		return a.err
	}
	var errs []error
	for _, at := range a.node.Attrs {
		if !slices.Contains(a.read, at.Name) {
			errs = append(errs, fmt.Errorf("attribute %q is not supported", at.Name))
		}
	}
	return errors.Join(errs...)
}
