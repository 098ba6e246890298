package train

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/train/gradop"
)

// calc appends formulas to a loss graph. After an error, which it keeps, its methods return
// None.
type calc struct {
	b   *lossBuilder
	err error
}

func (c *calc) keep(v id, err error) id {
	if c.err == nil {
		c.err = err
	}
	if c.err != nil {
		return graph.None
	}
	return v
}

// op appends a standard operator.
func (c *calc) op(opType string, in ...id) id { return c.attrs(opType, nil, in...) }

func (c *calc) attrs(opType string, attrs []*onnx.Attribute, in ...id) id {
	if c.err != nil {
		return graph.None
	}
	return c.keep(c.b.node("", opType, in, attrs...))
}

// grad appends an operator of package gradop.
func (c *calc) grad(opType string, attrs []*onnx.Attribute, in ...id) id {
	if c.err != nil {
		return graph.None
	}
	return c.keep(c.b.node(gradop.Domain, opType, in, attrs...))
}

func (c *calc) num(v float64) id { return c.b.number(v) }

// times multiplies by a number.
func (c *calc) times(v id, by float64) id { return c.op("Mul", v, c.num(by)) }

// plus adds a number.
func (c *calc) plus(v id, n float64) id { return c.op("Add", v, c.num(n)) }

// sum adds up values of one shape.
func (c *calc) sum(v ...id) id {
	s := v[0]
	for _, x := range v[1:] {
		s = c.op("Add", s, x)
	}
	return s
}

func (c *calc) sub(a, b id) id   { return c.op("Sub", a, b) }
func (c *calc) square(v id) id   { return c.op("Mul", v, v) }
func (c *calc) negative(v id) id { return c.op("Neg", v) }

// reduce applies a reduction, such as "ReduceSum", over axes, which it removes; over all
// without axes.
func (c *calc) reduce(opType string, v id, axes ...int64) id {
	in := []id{v}
	if len(axes) > 0 {
		in = append(in, c.b.ints(axes...))
	}
	return c.attrs(opType, []*onnx.Attribute{onnx.AttrI("keepdims", 0)}, in...)
}

// mean averages over everything.
func (c *calc) mean(v id) id { return c.reduce("ReduceMean", v) }

func (c *calc) reshape(v id, shape ...int) id {
	if c.err != nil {
		return graph.None
	}
	return c.keep(c.b.reshape(v, shape...))
}

// rows flattens all axes but the first.
func (c *calc) rows(v id) id { return c.attrs("Flatten", []*onnx.Attribute{onnx.AttrI("axis", 1)}, v) }

// like returns a constant of the shape of v.
func (c *calc) like(v id, value float64) id {
	return c.grad("FillLike", []*onnx.Attribute{onnx.AttrF("alpha", float32(value))}, v)
}

// call applies a network of the kit.
func (c *calc) call(name string, in ...id) []id {
	if c.err != nil {
		return []id{graph.None, graph.None}
	}
	out, err := c.b.call(name, in...)
	if c.keep(graph.None, err); err != nil {
		return []id{graph.None, graph.None}
	}
	return out
}

// gaussianKL is Σ KL(N(m, exp(v)) ‖ N(p, exp(w))) of each image, over all axes but the
// first.
func (c *calc) gaussianKL(m, v, p, w id) id {
	// ½ Σ w - v - 1 + (exp(v) + (m-p)²)/exp(w)
	spread := c.op("Mul", c.op("Add", c.op("Exp", v), c.square(c.sub(m, p))), c.op("Exp", c.negative(w)))
	return c.times(c.reduce("ReduceSum", c.rows(c.sum(c.sub(w, v), c.plus(spread, -1))), 1), 0.5)
}
