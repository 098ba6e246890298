package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/gradop"
)

// operators is the set that training graphs are made of.
var operators = op.Core.With(gradop.Set)

// Names of the inputs that a loss graph has beside the model's.
const (
	inputTarget  = "aekit:target"
	inputEpsilon = "aekit:epsilon"
	inputWeight  = "aekit:weight"
)

// lossBuilder appends a loss to the graph of a model.
type lossBuilder struct {
	g      *graph.Graph
	values meta.Values
	// target is what the reconstruction is compared with.
	target graph.ValueID
	// parts are the terms that the objective reports, scalars, the total first.
	parts []graph.ValueID
	// epsilon is the shape of the noise of one image, nil if the objective uses none.
	epsilon tensor.Shape
}

// newLossBuilder prepares the loss graph of a model. With denoise, the reconstruction is
// compared with an input of its own.
func newLossBuilder(g *graph.Graph, values meta.Values, denoise bool) (*lossBuilder, error) {
	b := &lossBuilder{g: g, values: values}
	in, err := b.value("image", values.Image)
	if err != nil {
		return nil, err
	}
	b.target = in
	if denoise {
		t := g.Value(in).Type
		b.target = g.AddInput(inputTarget, tensor.Float32, t.Shape...)
	}
	return b, nil
}

// value returns the graph value that has a role.
func (b *lossBuilder) value(role, name string) (graph.ValueID, error) {
	if name == "" {
		return graph.None, fmt.Errorf("train: the model does not say which value is its %s", role)
	}
	id := b.g.Lookup(name)
	if id == graph.None {
		return graph.None, fmt.Errorf("train: the model has no value %q, which should be its %s", name, role)
	}
	return id, nil
}

func (b *lossBuilder) node(domain, opType string, in []graph.ValueID, attrs ...*onnx.Attribute) (graph.ValueID, error) {
	n, err := b.g.Add(graph.Spec{Name: "loss/" + opType, Domain: domain, OpType: opType, Attrs: attrs, In: in, OutName: "loss/" + opType})
	if err != nil {
		return graph.None, err
	}
	return n.Out[0], nil
}

// batchMean averages a value [batch] to a scalar.
func (b *lossBuilder) batchMean(v graph.ValueID) (graph.ValueID, error) {
	return b.node("", "ReduceMean", []graph.ValueID{v}, onnx.AttrI("keepdims", 0))
}

// bernoulli returns the cross-entropy of each image.
func (b *lossBuilder) bernoulli() (graph.ValueID, error) {
	l, err := b.logits()
	if err != nil {
		return graph.None, err
	}
	return b.node(gradop.Domain, "BCEWithLogits", []graph.ValueID{l, b.target})
}

// squared returns alpha·Σ(x-t)² + beta·n of each image, or the mean over its pixels.
func (b *lossBuilder) squared(alpha, beta float64, mean bool) (graph.ValueID, error) {
	x, err := b.value("reconstruction", b.values.Reconstruction)
	if err != nil {
		return graph.None, err
	}
	m := int64(0)
	if mean {
		m = 1
	}
	return b.node(gradop.Domain, "SquaredError", []graph.ValueID{x, b.target},
		onnx.AttrF("alpha", float32(alpha)), onnx.AttrF("beta", float32(beta)), onnx.AttrI("mean", m))
}

var errNoLogits = errors.New("train: the reconstruction does not come from a Sigmoid, which a Bernoulli likelihood needs")

// logits returns the value whose Sigmoid the reconstruction is, up to its shape.
func (b *lossBuilder) logits() (graph.ValueID, error) {
	v, err := b.value("reconstruction", b.values.Reconstruction)
	if err != nil {
		return graph.None, err
	}
	prod := b.g.Producers()
	for {
		p := prod[v]
		if p < 0 {
			return graph.None, errNoLogits
		}
		n := b.g.Nodes[p]
		switch n.OpType {
		case "Sigmoid":
			return n.In[0], nil
		case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity":
			v = n.In[0]
		default:
			return graph.None, errNoLogits
		}
	}
}

// sample makes the decoder start from a draw of N(mu, exp(logvar)) and returns mu and
// logvar.
func (b *lossBuilder) sample() (mu, logvar graph.ValueID, err error) {
	if mu, err = b.value("mu", b.values.Mu); err != nil {
		return mu, logvar, err
	}
	if logvar, err = b.value("logvar", b.values.LogVar); err != nil {
		return mu, logvar, err
	}
	z, err := b.value("z", b.values.Z)
	if err != nil {
		return mu, logvar, err
	}
	dims := b.g.Value(mu).Type.Shape
	if len(dims) < 2 {
		return mu, logvar, fmt.Errorf("train: the model does not declare the shape of %q", b.values.Mu)
	}
	b.epsilon = tensor.Shape{}
	for _, d := range dims[1:] {
		if d.Value < 1 || d.Value > math.MaxInt32 {
			return mu, logvar, fmt.Errorf("train: the shape of %q is not fixed but for the batch", b.values.Mu)
		}
		b.epsilon = append(b.epsilon, int(d.Value))
	}
	eps := b.g.AddInput(inputEpsilon, tensor.Float32, dims...)
	n, err := b.g.Make(graph.Spec{Name: "loss/GaussianSample", Domain: gradop.Domain, OpType: "GaussianSample", In: []graph.ValueID{mu, logvar, eps}, OutName: "loss/z"})
	if err != nil {
		return mu, logvar, err
	}
	b.g.Replace(z, n.Out[0])
	b.g.Nodes = append(b.g.Nodes, n)
	return mu, logvar, b.g.Sort()
}

// finish records total = reconstruction + weight·regulariser, where weight is an input.
func (b *lossBuilder) finish(reconstruction, regulariser graph.ValueID) error {
	w := b.g.AddInput(inputWeight, tensor.Float32)
	weighted, err := b.node("", "Mul", []graph.ValueID{regulariser, w})
	if err != nil {
		return err
	}
	total, err := b.node("", "Add", []graph.ValueID{reconstruction, weighted})
	if err != nil {
		return err
	}
	b.parts = []graph.ValueID{total, reconstruction, regulariser}
	return nil
}

func (MSE) append(b *lossBuilder) error {
	l, err := b.squared(1, 0, true)
	if err != nil {
		return err
	}
	l, err = b.batchMean(l)
	b.parts = []graph.ValueID{l}
	return err
}

func (BCE) append(b *lossBuilder) error {
	l, err := b.bernoulli()
	if err != nil {
		return err
	}
	l, err = b.batchMean(l)
	b.parts = []graph.ValueID{l}
	return err
}

func (e ELBO) append(b *lossBuilder) error {
	e = e.filled()
	mu, logvar, err := b.sample()
	if err != nil {
		return err
	}
	var rec graph.ValueID
	if e.Likelihood == Bernoulli {
		rec, err = b.bernoulli()
	} else {
		rec, err = b.squared(1/(2*e.Sigma*e.Sigma), 0.5*math.Log(2*math.Pi*e.Sigma*e.Sigma), false)
	}
	if err != nil {
		return err
	}
	kl, err := b.node(gradop.Domain, "GaussianKL", []graph.ValueID{mu, logvar})
	if err != nil {
		return err
	}
	if rec, err = b.batchMean(rec); err != nil {
		return err
	}
	if kl, err = b.batchMean(kl); err != nil {
		return err
	}
	return b.finish(rec, kl)
}
