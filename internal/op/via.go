package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// runner is the Run of an operator.
type runner func(ctx *Context, out, in []*tensor.Tensor) error

// viaFloat32 computes an operator on float16 or bfloat16 tensors: the inputs are widened
// to float32, run computes in float32, and the outputs are rounded once.
//
//go:noinline
func viaFloat32(ctx *Context, out, in []*tensor.Tensor, run runner) error {
	return via(ctx, out, in, typesHalf, tensor.Float32, run)
}

// typesShort are the integers that viaInt64 takes.
const typesShort = typesInt &^ (1<<tensor.Int64 | 1<<tensor.Uint64)

// viaInt64 computes an operator on integers of fewer than 64 bits in int64. Sums, products,
// bitwise functions and what else depends on no higher bit of the operands than of the result
// wrap around as they would in the type itself; order and quotients are exact. Only the common
// types have code of their own in every operator, so that a program stays small.
//
//go:noinline
func viaInt64(ctx *Context, out, in []*tensor.Tensor, run runner) error {
	return via(ctx, out, in, typesShort, tensor.Int64, run)
}

// via runs an operator on copies of the tensors of the given types in a wider type.
func via(ctx *Context, out, in []*tensor.Tensor, set Types, to tensor.DType, run runner) error {
	b := &ctx.wide
	b.used = 0
	b.in, b.out = append(b.in[:0], in...), append(b.out[:0], out...)
	win, wout := b.in, b.out
	for i, t := range in {
		if t == nil || !set.Has(t.DType()) {
			continue
		}
		w, err := b.next(ctx, to, t.Shape())
		if err != nil {
			return err
		}
		convert(w, t)
		win[i] = w
	}
	for i, t := range out {
		if t == nil || !set.Has(t.DType()) {
			continue
		}
		w, err := b.next(ctx, to, t.Shape())
		if err != nil {
			return err
		}
		wout[i] = w
	}
	if err := run(ctx, wout, win); err != nil {
		return err
	}
	for i, t := range out {
		if t != nil && set.Has(t.DType()) {
			convert(t, wout[i])
		}
	}
	return nil
}

// wideBuffers are the copies that via works on. A Context keeps them from run to run; they
// serve one operator at a time.
type wideBuffers struct {
	in, out []*tensor.Tensor
	tensors []*tensor.Tensor
	bytes   [][]byte
	used    int
}

// next returns a tensor with arbitrary contents.
func (b *wideBuffers) next(ctx *Context, dtype tensor.DType, shape tensor.Shape) (*tensor.Tensor, error) {
	n, err := tensor.ByteSize(dtype, shape)
	if err != nil {
		return nil, err
	}
	i := b.used
	if b.used++; i == len(b.tensors) {
		b.tensors, b.bytes = append(b.tensors, new(tensor.Tensor)), append(b.bytes, nil)
	}
	if cap(b.bytes[i]) < n {
		if ctx.Account != nil {
			if err := ctx.Account(n); err != nil {
				return nil, err
			}
		}
		b.bytes[i] = tensor.AlignedBytes(n)
	}
	b.tensors[i].Set(dtype, b.bytes[i][:n], shape)
	return b.tensors[i], nil
}

// widen converts a float16 or bfloat16 tensor to float32.
func widen(dst []float32, src *tensor.Tensor) {
	dst = dst[:src.Elems()]
	if src.DType() == tensor.Float16 {
		kernel.WidenF16(dst, src.Bytes())
	} else {
		kernel.WidenBF16(dst, src.Bytes())
	}
}

// narrow rounds float32 values into a float16 or bfloat16 tensor.
func narrow(dst *tensor.Tensor, src []float32) {
	if dst.DType() == tensor.Float16 {
		d := tensor.Data[tensor.F16](dst)
		for i, v := range src {
			d[i] = tensor.ToF16(v)
		}
		return
	}
	d := tensor.Data[tensor.BF16](dst)
	for i, v := range src {
		d[i] = tensor.ToBF16(v)
	}
}

// widenFrom is widen for the elements from at on, as many as dst has.
func widenFrom(dst []float32, src *tensor.Tensor, at int) {
	b := src.Bytes()[2*at : 2*(at+len(dst))]
	if src.DType() == tensor.Float16 {
		kernel.WidenF16(dst, b)
	} else {
		kernel.WidenBF16(dst, b)
	}
}

// lengthen converts bools or integers shorter than 64 bits, as many as dst has, from at on.
func lengthen(dst []int64, src *tensor.Tensor, at int) {
	n := at + len(dst)
	switch src.DType() {
	case tensor.Bool:
		convertEach(dst, words[uint8](src)[at:n])
	case tensor.Int8:
		convertEach(dst, tensor.Data[int8](src)[at:n])
	case tensor.Int16:
		convertEach(dst, tensor.Data[int16](src)[at:n])
	case tensor.Int32:
		convertEach(dst, tensor.Data[int32](src)[at:n])
	case tensor.Uint8:
		convertEach(dst, tensor.Data[uint8](src)[at:n])
	case tensor.Uint16:
		convertEach(dst, tensor.Data[uint16](src)[at:n])
	case tensor.Uint32:
		convertEach(dst, tensor.Data[uint32](src)[at:n])
	}
}

// integersOf converts numbers, as many as dst has, from at on, to int64 as Cast does.
func integersOf(dst []int64, src *tensor.Tensor, at int) {
	n := at + len(dst)
	switch src.DType() {
	case tensor.Int64:
		copy(dst, src.Int64s()[at:n])
	case tensor.Uint64:
		convertEach(dst, tensor.Data[uint64](src)[at:n])
	case tensor.Float32:
		truncate(dst, src.Float32s()[at:n])
	case tensor.Float64:
		truncate(dst, tensor.Data[float64](src)[at:n])
	case tensor.Float16, tensor.BFloat16:
		var buf [64]float32
		for len(dst) > 0 {
			b := buf[:min(len(buf), len(dst))]
			widenFrom(b, src, at)
			truncate(dst[:len(b)], b)
			dst, at = dst[len(b):], at+len(b)
		}
	default:
		lengthen(dst, src, at)
	}
}
