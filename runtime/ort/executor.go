//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"unsafe"

	onnxruntime "github.com/yalue/onnxruntime_go"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// maxBindings is how many sets of caller's buffers an executor keeps bound.
const maxBindings = 4

// executor is a session of ONNX Runtime.
type executor struct {
	session           *onnxruntime.DynamicAdvancedSession
	ins, outs         []runtime.ValueInfo
	inNames, outNames []string
	halves            bool // some outputs are cast from 16-bit floats

	mu       sync.Mutex
	bindings []*binding // not in use, the most recent first
}

func (e *executor) Inputs() []runtime.ValueInfo  { return e.ins }
func (e *executor) Outputs() []runtime.ValueInfo { return e.outs }

func (e *executor) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range e.bindings {
		b.destroy()
	}
	e.bindings = nil
	return e.session.Destroy()
}

// Run executes the model. Where the caller gives all outputs, its buffers stay bound to the
// session for the next run with the same ones, and ctx is looked at before and after;
// otherwise cancelling ctx ends the run.
func (e *executor) Run(ctx context.Context, outs, ins []*tensor.Tensor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, t := range ins {
		if t.DType() != e.ins[i].DType {
			return fmt.Errorf("input %q is %v, want %v", e.ins[i].Name, t, &e.ins[i])
		}
	}
	if !e.halves && len(outs) > 0 && !slices.Contains(outs, nil) {
		return e.runBound(ctx, outs, ins)
	}
	return e.runFree(ctx, outs, ins)
}

// runFree lets ONNX Runtime allocate the outputs.
func (e *executor) runFree(ctx context.Context, outs, ins []*tensor.Tensor) error {
	in := make([]onnxruntime.Value, len(ins))
	out := make([]onnxruntime.Value, len(outs))
	defer func() {
		for _, v := range append(in, out...) {
			// After an error the binding leaves nil pointers among the outputs.
			if v != nil && !reflect.ValueOf(v).IsNil() {
				v.Destroy()
			}
		}
	}()
	for i, t := range ins {
		v, err := wrap(t)
		if err != nil {
			return fmt.Errorf("input %q: %w", e.ins[i].Name, err)
		}
		in[i] = v
	}
	for i := range outs {
		// The binding cannot allocate outputs of rank 0.
		if s := e.outs[i].Shape; s != nil && len(s) == 0 {
			v, err := newScalar(e.boundType(i))
			if err != nil {
				return fmt.Errorf("output %q: %w", e.outs[i].Name, err)
			}
			out[i] = v
		}
	}
	ro, err := onnxruntime.NewRunOptions()
	if err != nil {
		return err
	}
	defer ro.Destroy()
	stop := context.AfterFunc(ctx, func() { _ = ro.Terminate() })
	err = e.session.RunWithOptions(in, out, ro)
	if !stop() && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("ONNX Runtime: %w", err)
	}
	for i := range outs {
		t, err := unwrap(out[i])
		if err == nil && e.halves {
			t, err = narrow(t, e.outs[i].DType)
		}
		if err == nil && outs[i] != nil {
			if !outs[i].Shape().Equal(t.Shape()) {
				err = fmt.Errorf("the buffer is %v, the result %v", outs[i], t)
			} else {
				err = outs[i].CopyFrom(t)
			}
			t = outs[i]
		}
		if err != nil {
			return fmt.Errorf("output %q: %w", e.outs[i].Name, err)
		}
		outs[i] = t
	}
	return nil
}

// boundType is the type that output i has in ONNX Runtime.
func (e *executor) boundType(i int) tensor.DType {
	switch d := e.outs[i].DType; d {
	case tensor.Float16, tensor.BFloat16:
		return tensor.Float32
	default:
		return d
	}
}

// binding is a set of buffers that a session reads and writes in place.
type binding struct {
	io      *onnxruntime.IoBinding
	values  []onnxruntime.Value
	buffers []buffer
}

// buffer identifies a tensor's memory. The binding keeps the memory alive, so an address
// is not used again while it is there.
type buffer struct {
	data  unsafe.Pointer
	dtype tensor.DType
	shape tensor.Shape
}

func (b *buffer) is(t *tensor.Tensor) bool {
	return b.data == unsafe.Pointer(unsafe.SliceData(t.Bytes())) && b.dtype == t.DType() && b.shape.Equal(t.Shape())
}

func (b *binding) matches(outs, ins []*tensor.Tensor) bool {
	for i, t := range ins {
		if !b.buffers[i].is(t) {
			return false
		}
	}
	for i, t := range outs {
		if !b.buffers[len(ins)+i].is(t) {
			return false
		}
	}
	return true
}

func (b *binding) destroy() {
	if b.io != nil {
		b.io.Destroy()
	}
	for _, v := range b.values {
		v.Destroy()
	}
}

func (e *executor) runBound(ctx context.Context, outs, ins []*tensor.Tensor) error {
	b, err := e.take(outs, ins)
	if err != nil {
		return err
	}
	err = e.session.RunWithBinding(b.io)
	if err != nil {
		// What ONNX Runtime did with the binding is not known.
		b.destroy()
		return fmt.Errorf("ONNX Runtime: %w", err)
	}
	e.give(b)
	return ctx.Err()
}

// take returns the binding of these buffers, which nobody else uses.
func (e *executor) take(outs, ins []*tensor.Tensor) (*binding, error) {
	e.mu.Lock()
	for i, b := range e.bindings {
		if b.matches(outs, ins) {
			e.bindings = slices.Delete(e.bindings, i, i+1)
			e.mu.Unlock()
			return b, nil
		}
	}
	e.mu.Unlock()
	b := &binding{}
	if err := e.bind(b, outs, ins); err != nil {
		b.destroy()
		return nil, err
	}
	return b, nil
}

func (e *executor) bind(b *binding, outs, ins []*tensor.Tensor) (err error) {
	if b.io, err = e.session.CreateIoBinding(); err != nil {
		return fmt.Errorf("ONNX Runtime: %w", err)
	}
	for i, t := range slices.Concat(ins, outs) {
		set, name := b.io.BindInput, ""
		if i < len(ins) {
			name = e.inNames[i]
		} else {
			set, name = b.io.BindOutput, e.outNames[i-len(ins)]
		}
		v, err := wrapShared(t)
		if err != nil {
			return fmt.Errorf("buffer for %q: %w", name, err)
		}
		b.values = append(b.values, v)
		b.buffers = append(b.buffers, buffer{unsafe.Pointer(unsafe.SliceData(t.Bytes())), t.DType(), t.Shape().Clone()})
		if err := set(name, v); err != nil {
			return fmt.Errorf("ONNX Runtime: binding %q: %w", name, err)
		}
	}
	return nil
}

// give makes a binding available to the next run, and drops the oldest one.
func (e *executor) give(b *binding) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bindings = slices.Insert(e.bindings, 0, b)
	if n := len(e.bindings); n > maxBindings {
		e.bindings[n-1].destroy()
		e.bindings = e.bindings[:n-1]
	}
}

// wrap returns t as a value of ONNX Runtime, over the same memory unless t is a scalar.
func wrap(t *tensor.Tensor) (onnxruntime.Value, error) {
	if t.Rank() == 0 {
		return wrapScalar(t)
	}
	return wrapShared(t)
}

func wrapShared(t *tensor.Tensor) (onnxruntime.Value, error) {
	if t.Rank() == 0 {
		return nil, errors.New("buffers of rank 0 are not supported on this backend: use Run")
	}
	shape := make(onnxruntime.Shape, t.Rank())
	for i, d := range t.Shape() {
		shape[i] = int64(d)
	}
	switch t.DType() {
	case tensor.Float32:
		return onnxruntime.NewTensor(shape, tensor.Data[float32](t))
	case tensor.Float64:
		return onnxruntime.NewTensor(shape, tensor.Data[float64](t))
	case tensor.Int8:
		return onnxruntime.NewTensor(shape, tensor.Data[int8](t))
	case tensor.Int16:
		return onnxruntime.NewTensor(shape, tensor.Data[int16](t))
	case tensor.Int32:
		return onnxruntime.NewTensor(shape, tensor.Data[int32](t))
	case tensor.Int64:
		return onnxruntime.NewTensor(shape, tensor.Data[int64](t))
	case tensor.Uint8:
		return onnxruntime.NewTensor(shape, tensor.Data[uint8](t))
	case tensor.Uint16:
		return onnxruntime.NewTensor(shape, tensor.Data[uint16](t))
	case tensor.Uint32:
		return onnxruntime.NewTensor(shape, tensor.Data[uint32](t))
	case tensor.Uint64:
		return onnxruntime.NewTensor(shape, tensor.Data[uint64](t))
	case tensor.Bool:
		return onnxruntime.NewTensor(shape, tensor.Data[bool](t))
	case tensor.Float16, tensor.BFloat16:
		// The numbers of element types are ONNX's own.
		return onnxruntime.NewCustomDataTensor(shape, t.Bytes(), onnxruntime.TensorElementDataType(t.DType()))
	}
	return nil, fmt.Errorf("type %v is not supported on this backend", t.DType())
}

func wrapScalar(t *tensor.Tensor) (onnxruntime.Value, error) {
	switch t.DType() {
	case tensor.Float32:
		return onnxruntime.NewScalar(tensor.Data[float32](t)[0])
	case tensor.Float64:
		return onnxruntime.NewScalar(tensor.Data[float64](t)[0])
	case tensor.Int8:
		return onnxruntime.NewScalar(tensor.Data[int8](t)[0])
	case tensor.Int16:
		return onnxruntime.NewScalar(tensor.Data[int16](t)[0])
	case tensor.Int32:
		return onnxruntime.NewScalar(tensor.Data[int32](t)[0])
	case tensor.Int64:
		return onnxruntime.NewScalar(tensor.Data[int64](t)[0])
	case tensor.Uint8:
		return onnxruntime.NewScalar(tensor.Data[uint8](t)[0])
	case tensor.Uint16:
		return onnxruntime.NewScalar(tensor.Data[uint16](t)[0])
	case tensor.Uint32:
		return onnxruntime.NewScalar(tensor.Data[uint32](t)[0])
	case tensor.Uint64:
		return onnxruntime.NewScalar(tensor.Data[uint64](t)[0])
	case tensor.Bool:
		return onnxruntime.NewScalar(tensor.Data[bool](t)[0])
	}
	return nil, fmt.Errorf("scalars of type %v are not supported on this backend", t.DType())
}

func newScalar(dtype tensor.DType) (onnxruntime.Value, error) {
	t, err := tensor.New(dtype)
	if err != nil {
		return nil, err
	}
	return wrapScalar(t)
}

// unwrap returns a value of ONNX Runtime as a tensor that owns its memory.
func unwrap(v onnxruntime.Value) (*tensor.Tensor, error) {
	switch v := v.(type) {
	case *onnxruntime.Tensor[float32]:
		return own(v)
	case *onnxruntime.Tensor[float64]:
		return own(v)
	case *onnxruntime.Tensor[int8]:
		return own(v)
	case *onnxruntime.Tensor[int16]:
		return own(v)
	case *onnxruntime.Tensor[int32]:
		return own(v)
	case *onnxruntime.Tensor[int64]:
		return own(v)
	case *onnxruntime.Tensor[uint8]:
		return own(v)
	case *onnxruntime.Tensor[uint16]:
		return own(v)
	case *onnxruntime.Tensor[uint32]:
		return own(v)
	case *onnxruntime.Tensor[uint64]:
		return own(v)
	case *onnxruntime.Tensor[bool]:
		return own(v)
	case *onnxruntime.Scalar[float32]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[float64]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[int8]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[int16]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[int32]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[int64]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[uint8]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[uint16]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[uint32]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[uint64]:
		return tensor.Scalar(v.GetData()), nil
	case *onnxruntime.Scalar[bool]:
		return tensor.Scalar(v.GetData()), nil
	}
	return nil, fmt.Errorf("a result of type %T is not supported on this backend", v)
}

// own returns a tensor over the binding's copy of a result, which lives in Go's memory.
func own[T interface {
	onnxruntime.TensorData
	tensor.Element
}](v *onnxruntime.Tensor[T]) (*tensor.Tensor, error) {
	shape := make(tensor.Shape, 0, len(v.GetShape()))
	for _, d := range v.GetShape() {
		if int64(int(d)) != d {
			return nil, fmt.Errorf("a result of shape %v is too large", v.GetShape())
		}
		shape = append(shape, int(d))
	}
	return tensor.Of(v.GetData(), shape...)
}

// narrow converts float32 values that were cast from a 16-bit type back to it.
func narrow(t *tensor.Tensor, dtype tensor.DType) (*tensor.Tensor, error) {
	if dtype != tensor.Float16 && dtype != tensor.BFloat16 {
		return t, nil
	}
	out, err := tensor.New(dtype, t.Shape()...)
	if err != nil {
		return nil, err
	}
	for i, x := range t.Float32s() {
		if dtype == tensor.Float16 {
			tensor.Data[tensor.F16](out)[i] = tensor.ToF16(x)
		} else {
			tensor.Data[tensor.BF16](out)[i] = tensor.ToBF16(x)
		}
	}
	return out, nil
}
