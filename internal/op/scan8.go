package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// batchScan is Scan of opset 8: each item of a batch, which axis 0 of all inputs and outputs
// counts, is scanned along its first axis, up to the length that input 0 gives for it. Slices
// of outputs after that are zeros.
type batchScan struct {
	deferred
	scan *scanOp
}

var _ Allocator = (*batchScan)(nil)

func newBatchScan(a *Attrs) (Op, error) {
	o, err := newScan(a)
	if err != nil {
		return nil, err
	}
	return &batchScan{scan: o.(*scanOp)}, nil
}

// Infer implements [Op].
func (o *batchScan) Infer(in []Fact) ([]Fact, error) {
	body := o.scan.body
	n := 1 + body.NumInputs() + body.NumCaptured()
	if err := arity(in, n, n); err != nil && (len(in) != n || present(in, 0)) {
		return nil, err
	}
	items := in[1 : 1+body.NumInputs()]
	for i, f := range items {
		least := 1
		if i >= o.scan.states {
			least = 2
		}
		if !f.Present() || len(f.Shape) < least || f.Shape[0] != items[0].Shape[0] {
			return nil, fmt.Errorf("input %d: %v, want a batch as that of the other inputs", i+1, f)
		}
		if i > o.scan.states && f.Shape[1] != items[o.scan.states].Shape[1] {
			return nil, fmt.Errorf("scanned inputs have %d and %d slices", items[o.scan.states].Shape[1], f.Shape[1])
		}
	}
	if items[0].Shape[0] == 0 {
		return nil, fmt.Errorf("a batch of 0 cannot be scanned")
	}
	if present(in, 0) && (in[0].DType != tensor.Int64 || len(in[0].Shape) != 1 || in[0].Shape[0] != items[0].Shape[0]) {
		return nil, fmt.Errorf("sequence lengths %v for a batch of %d", in[0], items[0].Shape[0])
	}
	return nil, fmt.Errorf("outputs of a scan: %w", ErrDeferred)
}

// RunAlloc implements [Allocator].
func (o *batchScan) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	inputs := o.scan.body.NumInputs()
	items, captured := in[1:1+inputs], in[1+inputs:]
	slices := items[o.scan.states].Shape()[1]
	results := make([]stacker, o.scan.body.NumOutputs())
	for b := range items[0].Shape()[0] {
		length := slices
		if in[0] != nil {
			l := in[0].Int64s()[b]
			if l < 0 || l > int64(slices) {
				return nil, fmt.Errorf("batch item %d: length %d of %d slices", b, l, slices)
			}
			length = int(l)
		}
		args := make([]*tensor.Tensor, 0, inputs+len(captured))
		for i, x := range items {
			s, err := sliceAt(ctx, x, 0, b)
			if err == nil && i >= o.scan.states {
				s, err = resized(ctx, s, length)
			}
			if err != nil {
				return nil, err
			}
			args = append(args, s)
		}
		outs, err := o.scan.RunAlloc(ctx, append(args, captured...))
		if err != nil {
			return nil, fmt.Errorf("batch item %d: %w", b, err)
		}
		for k, y := range outs {
			if k >= o.scan.states {
				if y, err = resized(ctx, y, slices); err != nil {
					return nil, err
				}
			}
			if err := results[k].add(ctx, y); err != nil {
				return nil, fmt.Errorf("batch item %d: output %d: %w", b, k, err)
			}
		}
	}
	out := make([]*tensor.Tensor, len(results))
	for k := range results {
		t, err := results[k].stack(ctx, 0, false)
		if err != nil {
			return nil, fmt.Errorf("output %d: %w", k, err)
		}
		out[k] = t
	}
	return out, nil
}

// resized returns the first n slices of x, and zeros for those that it lacks.
func resized(ctx *Context, x *tensor.Tensor, n int) (*tensor.Tensor, error) {
	if x.Shape()[0] == n {
		return x, nil
	}
	shape := x.Shape().Clone()
	shape[0] = n
	y, err := ctx.New(x.DType(), shape)
	if err != nil {
		return nil, err
	}
	copy(y.Bytes(), x.Bytes())
	return y, nil
}
