package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

var elementwiseRules = map[op.Key]rule{
	{Type: "Add"}:   addRule(1),
	{Type: "Sub"}:   addRule(-1),
	{Type: "Mul"}:   mulRule,
	{Type: "Div"}:   divRule,
	{Type: "Pow"}:   powRule,
	{Type: "Sum"}:   sumRule(false),
	{Type: "Mean"}:  sumRule(true),
	{Type: "Mod"}:   modRule,
	{Type: "Max"}:   extremeRule,
	{Type: "Min"}:   extremeRule,
	{Type: "Where"}: whereRule,
	{Type: "Clip"}:  clipRule,
	{Type: "PRelu"}: preluRule,
	{Type: "Neg"}: unaryRule(func(d *differ, _ *graph.Node, dy graph.ValueID) graph.ValueID {
		return d.op("Neg", []graph.ValueID{dy})
	}),
	{Type: "Identity"}: unaryRule(func(_ *differ, _ *graph.Node, dy graph.ValueID) graph.ValueID { return dy }),
	{Type: "Cast"}:     castRule,
	{Type: "Exp"}: unaryRule(func(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID {
		return d.op("Mul", []graph.ValueID{dy, n.Out[0]})
	}),
	{Type: "Log"}: unaryRule(func(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID {
		return d.op("Div", []graph.ValueID{dy, n.In[0]})
	}),
	{Type: "Dropout"}:                       dropoutRule,
	{Type: "Abs"}:                           ofArgument("Abs"),
	{Type: "Acos"}:                          ofArgument("Acos"),
	{Type: "Acosh"}:                         ofArgument("Acosh"),
	{Type: "Asin"}:                          ofArgument("Asin"),
	{Type: "Asinh"}:                         ofArgument("Asinh"),
	{Type: "Atan"}:                          ofArgument("Atan"),
	{Type: "Atanh"}:                         ofArgument("Atanh"),
	{Type: "Celu"}:                          ofArgument("Celu", param{"alpha", "alpha", 1}),
	{Type: "Cos"}:                           ofArgument("Cos"),
	{Type: "Cosh"}:                          ofArgument("Cosh"),
	{Type: "Elu"}:                           ofArgument("Elu", param{"alpha", "alpha", 1}),
	{Type: "Erf"}:                           ofArgument("Erf"),
	{Type: "Gelu"}:                          geluRule,
	{Type: "HardSigmoid"}:                   ofArgument("HardSigmoid", param{"alpha", "alpha", 0.2}, param{"beta", "beta", 0.5}),
	{Type: "HardSwish"}:                     ofArgument("HardSwish"),
	{Type: "LeakyRelu"}:                     leakyReluRule,
	{Type: "Mish"}:                          ofArgument("Mish"),
	{Type: "Reciprocal"}:                    ofValue("Reciprocal"),
	{Type: "Relu"}:                          ofValue("Relu"),
	{Type: "Selu"}:                          ofArgument("Selu", param{"alpha", "alpha", 1.67326319217681884765625}, param{"gamma", "beta", 1.05070102214813232421875}),
	{Type: "Sigmoid"}:                       ofValue("Sigmoid"),
	{Type: "Sin"}:                           ofArgument("Sin"),
	{Type: "Sinh"}:                          ofArgument("Sinh"),
	{Type: "Softplus"}:                      ofArgument("Softplus"),
	{Type: "Softsign"}:                      ofArgument("Softsign"),
	{Type: "Sqrt"}:                          ofValue("Sqrt"),
	{Type: "Swish"}:                         ofArgument("Swish", param{"alpha", "alpha", 1}),
	{Type: "Tan"}:                           ofArgument("Tan"),
	{Type: "Tanh"}:                          ofValue("Tanh"),
	{Type: "ThresholdedRelu"}:               ofArgument("ThresholdedRelu", param{"alpha", "alpha", 1}),
	{Domain: "com.microsoft", Type: "Gelu"}: ofArgument("Gelu"),
	{Domain: "com.microsoft", Type: "QuickGelu"}: ofArgument("Swish", param{"alpha", "alpha", 1.702}),
}

// unaryRule makes a rule of a function that returns dx.
func unaryRule(f func(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		d.add(n.In[0], f(d, n, dy[0]))
		return nil
	}
}

// leakyReluRule takes the function's value for its argument where they have the same sign, so
// that the argument need not be kept.
func leakyReluRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if attrFloat(n, "alpha", 0.01) > 0 {
		return ofValue("LeakyRelu", param{"alpha", "alpha", 0.01})(d, n, dy)
	}
	return ofArgument("LeakyRelu", param{"alpha", "alpha", 0.01})(d, n, dy)
}

// param says which attribute of an operator a pointwise gradient takes as alpha or beta.
type param struct {
	from, to string
	def      float32
}

func (p param) of(n *graph.Node) *onnx.Attribute {
	return onnx.AttrF(p.to, attrFloat(n, p.from, p.def))
}

// ofArgument is the rule of a function whose derivative is a function of its argument.
func ofArgument(name string, params ...param) rule {
	return pointwiseRule(name, func(n *graph.Node) graph.ValueID { return n.In[0] }, params)
}

// ofValue is the rule of a function whose derivative is a function of its value.
func ofValue(name string, params ...param) rule {
	return pointwiseRule(name, func(n *graph.Node) graph.ValueID { return n.Out[0] }, params)
}

func pointwiseRule(name string, v func(n *graph.Node) graph.ValueID, params []param) rule {
	return unaryRule(func(d *differ, n *graph.Node, dy graph.ValueID) graph.ValueID {
		var attrs []*onnx.Attribute
		for _, p := range params {
			attrs = append(attrs, p.of(n))
		}
		return d.grad(name+"Grad", []graph.ValueID{dy, v(n)}, attrs...)
	})
}

func addRule(sign float32) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		if d.needs(n.In[0]) {
			d.add(n.In[0], d.reduceTo(dy[0], n.In[0]))
		}
		if d.needs(n.In[1]) {
			d.add(n.In[1], d.scale(d.reduceTo(dy[0], n.In[1]), sign))
		}
		return nil
	}
}

func mulRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	for i := range 2 {
		if x := n.In[i]; d.needs(x) {
			d.add(x, d.reduceTo(d.op("Mul", []graph.ValueID{dy[0], n.In[1-i]}), x))
		}
	}
	return nil
}

// divRule: ∂(a/b)/∂b = -y/b.
func divRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	a, b := n.In[0], n.In[1]
	q := d.op("Div", []graph.ValueID{dy[0], b})
	if d.needs(a) {
		d.add(a, d.reduceTo(q, a))
	}
	if d.needs(b) {
		d.add(b, d.scale(d.reduceTo(d.op("Mul", []graph.ValueID{q, n.Out[0]}), b), -1))
	}
	return nil
}

// modRule: a mod b = a - k·b with a whole number k.
func modRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	a, b := n.In[0], n.In[1]
	d.add(a, d.reduceTo(dy[0], a))
	if d.needs(b) {
		k := d.op("Div", []graph.ValueID{d.op("Sub", []graph.ValueID{n.Out[0], a}), b})
		d.add(b, d.reduceTo(d.op("Mul", []graph.ValueID{dy[0], k}), b))
	}
	return nil
}

func powRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	for i := range 2 {
		if x := n.In[i]; d.needs(x) {
			f := d.grad("PowDerivative", []graph.ValueID{n.In[0], n.In[1]}, onnx.AttrI("side", int64(i)))
			d.add(x, d.reduceTo(d.op("Mul", []graph.ValueID{dy[0], f}), x))
		}
	}
	return nil
}

func sumRule(mean bool) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		g := dy[0]
		if mean {
			g = d.scale(g, 1/float32(len(n.In)))
		}
		for _, x := range n.In {
			if d.needs(x) {
				d.add(x, d.reduceTo(g, x))
			}
		}
		return nil
	}
}

// extremeRule is that of Max and Min.
func extremeRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	in := append([]graph.ValueID{dy[0], n.Out[0]}, n.In...)
	for i, x := range n.In {
		if d.needs(x) {
			d.add(x, d.reduceTo(d.grad("ExtremeGrad", in, onnx.AttrI("index", int64(i))), x))
		}
	}
	return nil
}

func whereRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	zero := d.grad("FillLike", []graph.ValueID{dy[0]}, onnx.AttrF("alpha", 0))
	if d.needs(n.In[1]) {
		d.add(n.In[1], d.reduceTo(d.op("Where", []graph.ValueID{n.In[0], dy[0], zero}), n.In[1]))
	}
	if d.needs(n.In[2]) {
		d.add(n.In[2], d.reduceTo(d.op("Where", []graph.ValueID{n.In[0], zero, dy[0]}), n.In[2]))
	}
	return nil
}

// clipRule passes the gradient where the value was not clipped.
func clipRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	d.add(n.In[0], d.grad("ClipGrad", []graph.ValueID{dy[0], n.In[0], input(n, 1), input(n, 2)}))
	return nil
}

func preluRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	x, slope := n.In[0], n.In[1]
	zero := d.grad("FillLike", []graph.ValueID{x}, onnx.AttrF("alpha", 0))
	neg := d.op("Less", []graph.ValueID{x, zero})
	if d.needs(x) {
		d.add(x, d.op("Where", []graph.ValueID{neg, d.op("Mul", []graph.ValueID{dy[0], slope}), dy[0]}))
	}
	if d.needs(slope) {
		m := d.op("Mul", []graph.ValueID{dy[0], x})
		d.add(slope, d.reduceTo(d.op("Where", []graph.ValueID{neg, m, zero}), slope))
	}
	return nil
}

func geluRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	name := "GeluGrad"
	if attrString(n, "approximate", "none") == "tanh" {
		name = "GeluTanhGrad"
	}
	d.add(n.In[0], d.grad(name, []graph.ValueID{dy[0], n.In[0]}))
	return nil
}

// castRule casts back to the type of the input, which is known at run time only.
func castRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	d.add(n.In[0], d.grad("CastLike", []graph.ValueID{dy[0], n.In[0]}))
	return nil
}

// dropoutRule covers inference mode, in which Dropout is the identity.
func dropoutRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if mode := input(n, 2); mode != graph.None {
		c, err := d.g.ConstOf(mode)
		if err != nil || len(c.Bytes()) != 1 || c.Bytes()[0] != 0 {
			return errNoRule
		}
	}
	d.add(n.In[0], dy[0])
	return nil
}
