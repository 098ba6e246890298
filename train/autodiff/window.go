package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

// windowRules: p-norms over windows, normalisation by neighbours, and what undoes MaxPool.
var windowRules = map[op.Key]rule{
	{Type: "GlobalLpPool"}:              lpPoolRule(true),
	{Type: "LRN"}:                       lrnRule,
	{Type: "LpPool"}:                    lpPoolRule(false),
	{Type: "MaxUnpool"}:                 maxUnpoolRule,
	{Type: "MeanVarianceNormalization"}: meanVarianceRule,
}

func (d *differ) mul(a, b graph.ValueID) graph.ValueID {
	return d.op("Mul", []graph.ValueID{a, b})
}

// fill returns a constant of the shape and type of like.
func (d *differ) fill(like graph.ValueID, v float32) graph.ValueID {
	return d.grad("FillLike", []graph.ValueID{like}, onnx.AttrF("alpha", v))
}

// power is v to the power p.
func (d *differ) power(v graph.ValueID, p float32) graph.ValueID {
	if p == 1 {
		return v
	}
	return d.op("Pow", []graph.ValueID{v, d.fill(v, p)})
}

// lpPoolRule: y = (Σ |x|ᵖ)^(1/p) over a window, so that dx = sign(x)·|x|^(p-1)·Σ dy·y^(1-p) over the
// windows that x is in. Where a norm is 0 the gradient is 0.
func lpPoolRule(global bool) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		x, y := n.In[0], n.Out[0]
		if attrInt(n, "ceil_mode", 0) != 0 {
			return errNoRule
		}
		p := float32(attrInt(n, "p", 2))
		share := dy[0]
		if p != 1 {
			zero := d.op("Equal", []graph.ValueID{y, d.fill(y, 0)})
			y = d.op("Where", []graph.ValueID{zero, d.fill(y, 1), y})
			share = d.op("Div", []graph.ValueID{dy[0], d.power(y, p-1)})
		}
		spread := share
		if global {
			spread = d.mul(share, d.fill(x, 1))
		} else {
			size := int64(1)
			if k := attr(n, "kernel_shape"); k != nil {
				for _, e := range k.Ints {
					size *= e
				}
			}
			attrs := append(windowAttrs(n), onnx.AttrI("count_include_pad", 1))
			spread = d.scale(d.grad("AveragePoolGrad", []graph.ValueID{share, x}, attrs...), float32(size))
		}
		dx := d.mul(spread, d.op("Sign", []graph.ValueID{x}))
		if p != 1 {
			dx = d.mul(dx, d.power(d.op("Abs", []graph.ValueID{x}), p-1))
		}
		d.add(x, dx)
		return nil
	}
}

// lrnRule: y = x·D^-β with D = bias + α/size·Σ x² over size channels around that of x, so
// that dx = dy·D^-β - 2αβ/size·x·Σ dy·x·D^(-β-1) over the channels that have x among theirs.
func lrnRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	x := n.In[0]
	size := attrInt(n, "size", 1)
	alpha, beta := attrFloat(n, "alpha", 1e-4), attrFloat(n, "beta", 0.75)
	before := (size - 1) / 2
	after := size - 1 - before
	scale := alpha / float32(size)
	sum := d.channelSum(d.mul(x, x), before, after)
	den := d.op("Add", []graph.ValueID{d.scale(sum, scale), d.fill(x, attrFloat(n, "bias", 1))})
	inv := d.power(den, -beta)
	inner := d.op("Div", []graph.ValueID{d.mul(d.mul(dy[0], x), inv), den})
	far := d.scale(d.mul(x, d.channelSum(inner, after, before)), 2*scale*beta)
	d.add(x, d.op("Sub", []graph.ValueID{d.mul(dy[0], inv), far}))
	return nil
}

// channelSum sums each channel of v with that many before and after it.
func (d *differ) channelSum(v graph.ValueID, before, after int64) graph.ValueID {
	size := before + after + 1
	flat := d.op("Reshape", []graph.ValueID{v, d.g.AddConst("planes", int64s(0, 0, -1))})
	one := d.op("Unsqueeze", []graph.ValueID{flat, d.g.AddConst("axis", int64s(1))})
	mean := d.op("AveragePool", []graph.ValueID{one}, onnx.AttrIs("kernel_shape", size, 1), onnx.AttrIs("pads", before, 0, after, 0), onnx.AttrI("count_include_pad", 1))
	return d.scale(d.grad("ReshapeLike", []graph.ValueID{mean, v}), float32(size))
}

// maxUnpoolRule takes gradients from where the elements were put.
func maxUnpoolRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if input(n, 2) != graph.None {
		return errNoRule
	}
	flat := d.op("Reshape", []graph.ValueID{dy[0], d.g.AddConst("flat", int64s(-1))})
	d.add(n.In[0], d.op("Gather", []graph.ValueID{flat, n.In[1]}))
	return nil
}

// meanVarianceRule: y = (x-m)/s, so that dx = (dy - E[dy] - y·E[dy·y])/s.
func meanVarianceRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	x, y := n.In[0], n.Out[0]
	axes := []int64{0, 2, 3}
	if a := attr(n, "axes"); a != nil {
		axes = a.Ints
	}
	mean := func(v graph.ValueID) graph.ValueID {
		return d.node18("ReduceMean", []graph.ValueID{v, d.g.AddConst("axes", int64s(axes...))})
	}
	c := d.op("Sub", []graph.ValueID{x, mean(x)})
	v := mean(d.mul(c, c))
	const tiny = 1e-9 // of the operator
	s := d.op("Add", []graph.ValueID{d.op("Sqrt", []graph.ValueID{v}), d.fill(v, tiny)})
	g := d.op("Sub", []graph.ValueID{d.op("Sub", []graph.ValueID{dy[0], mean(dy[0])}), d.mul(y, mean(d.mul(dy[0], y)))})
	d.add(x, d.op("Div", []graph.ValueID{g, s}))
	return nil
}
