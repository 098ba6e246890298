package train

import (
	"errors"
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/gradop"
)

// operators is the set that training graphs are made of.
var operators = op.Core.With(gradop.Set)

// lossBuilder appends losses to the graph of a model.
type lossBuilder struct {
	g        *graph.Graph
	meta     *meta.Model
	values   meta.Values
	kit      *kit
	images   int  // in the training set
	training bool // not evaluation
	// target is what the reconstruction is compared with.
	target graph.ValueID
	// parts are the terms that are reported, scalars, the total first.
	parts   []graph.ValueID
	noises  *noises
	scalars []scalar
	sampled *sampled // what sample returned
	prior   graph.ValueID
}

type id = graph.ValueID

// newLossBuilder prepares the loss graph of a model. With denoise, the reconstruction is
// compared with an input of its own.
func newLossBuilder(g *graph.Graph, m *meta.Model, k *kit, n *noises, denoise bool) (*lossBuilder, error) {
	b := &lossBuilder{g: g, meta: m, values: m.Values, kit: k, noises: n, prior: graph.None}
	if b.values.Image == "" {
		img := m.Image
		b.target = g.AddInput(inputTarget, tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(int64(img.Channels)), onnx.FixedDim(int64(img.Height)), onnx.FixedDim(int64(img.Width)))
		return b, nil
	}
	in, err := b.value("image", b.values.Image)
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
func (b *lossBuilder) value(role, name string) (id, error) {
	if name == "" {
		return graph.None, fmt.Errorf("train: the model does not say which value is its %s", role)
	}
	v := b.g.Lookup(name)
	if v == graph.None {
		return graph.None, fmt.Errorf("train: the model has no value %q, which should be its %s", name, role)
	}
	return v, nil
}

func (b *lossBuilder) reconstruction() (id, error) {
	return b.value("reconstruction", b.values.Reconstruction)
}

// opset is the version of the standard operators in whose terms losses are written.
const opset = 21

func (b *lossBuilder) node(domain, opType string, in []id, attrs ...*onnx.Attribute) (id, error) {
	s := graph.Spec{Name: "loss/" + opType, Domain: domain, OpType: opType, Attrs: attrs, In: in, OutName: "loss/" + opType}
	if domain == "" {
		s.Opset = opset
	}
	n, err := b.g.Add(s)
	if err != nil {
		return graph.None, err
	}
	return n.Out[0], nil
}

// add records the terms of a loss, scalars, the total first.
func (b *lossBuilder) add(parts ...id) { b.parts = append(b.parts, parts...) }

// batchMean averages a value [batch] to a scalar.
func (b *lossBuilder) batchMean(v id) (id, error) {
	return b.node("", "ReduceMean", []id{v}, onnx.AttrI("keepdims", 0))
}

// bernoulli returns the cross-entropy of each image between the target and the reconstruction x.
func (b *lossBuilder) bernoulli(x, target id) (id, error) {
	l, err := b.logits(x)
	if err != nil {
		return graph.None, err
	}
	return b.node(gradop.Domain, "BCEWithLogits", []id{l, target})
}

// squared returns alpha·Σ(x-t)² + beta·n of each image, or the mean over its pixels.
func (b *lossBuilder) squared(x, target id, alpha, beta float64, mean bool) (id, error) {
	m := int64(0)
	if mean {
		m = 1
	}
	return b.node(gradop.Domain, "SquaredError", []id{x, target},
		onnx.AttrF("alpha", float32(alpha)), onnx.AttrF("beta", float32(beta)), onnx.AttrI("mean", m))
}

var errNoLogits = errors.New("train: the reconstruction does not come from a Sigmoid, which a Bernoulli likelihood needs")

// logits returns the value whose Sigmoid v is, up to its shape, with its elements in the
// order of v's.
func (b *lossBuilder) logits(v id) (id, error) {
	prod := b.g.Producers()
	at, moved := v, false
	for {
		p := prod[at]
		if p < 0 {
			return graph.None, errNoLogits
		}
		n := b.g.Nodes[p]
		switch n.OpType {
		case "Sigmoid":
			if moved {
				return b.again(at, n.In[0], v)
			}
			return n.In[0], nil
		case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose":
			at, moved = n.In[0], moved || n.OpType == "Transpose"
		default:
			return graph.None, errNoLogits
		}
	}
}

// sampled is a draw from the encoder's distribution that the decoder starts from.
type sampled struct{ mu, logvar, epsilon, z id }

// sample makes the decoder start from k draws of N(mu, exp(logvar)) for each image; with
// k > 1 its batch is k times as large, the draws of an image side by side, and mu and
// logvar are repeated likewise. Later calls return the same.
func (b *lossBuilder) sample(k int) (*sampled, error) {
	if b.sampled != nil {
		return b.sampled, nil
	}
	var s sampled
	var err error
	if s.mu, err = b.value("mu", b.values.Mu); err != nil {
		return nil, err
	}
	if s.logvar, err = b.value("logvar", b.values.LogVar); err != nil {
		return nil, err
	}
	z, err := b.value("z", b.values.Z)
	if err != nil {
		return nil, err
	}
	shape, err := b.shapeOf(s.mu)
	if err != nil {
		return nil, err
	}
	if k == 1 {
		s.epsilon, err = b.noise(inputEpsilon, false, shape...)
	} else {
		if s.epsilon, err = b.noise(inputEpsilon, false, append([]int{k}, shape...)...); err == nil {
			s.epsilon, err = b.joinBatch(s.epsilon, shape)
		}
		if err == nil {
			s.mu, err = b.repeat(s.mu, k, shape)
		}
		if err == nil {
			s.logvar, err = b.repeat(s.logvar, k, shape)
		}
	}
	if err != nil {
		return nil, err
	}
	n, err := b.g.Make(graph.Spec{Name: "loss/GaussianSample", Domain: gradop.Domain, OpType: "GaussianSample", In: []id{s.mu, s.logvar, s.epsilon}, OutName: "loss/z"})
	if err != nil {
		return nil, err
	}
	s.z = n.Out[0]
	b.g.Replace(z, s.z)
	b.g.Nodes = append(b.g.Nodes, n)
	b.sampled = &s
	return &s, b.g.Sort()
}

// joinBatch reshapes [batch, k, shape…] to [batch·k, shape…].
func (b *lossBuilder) joinBatch(v id, shape tensor.Shape) (id, error) {
	return b.reshape(v, append([]int{-1}, shape...)...)
}

// repeat gives every row of v, of this shape for one image, k times in succession.
func (b *lossBuilder) repeat(v id, k int, shape tensor.Shape) (id, error) {
	v, err := b.node("", "Unsqueeze", []id{v, b.ints(1)})
	if err != nil {
		return graph.None, err
	}
	times := []int64{1, int64(k)}
	for range shape {
		times = append(times, 1)
	}
	if v, err = b.node("", "Tile", []id{v, b.ints(times...)}); err != nil {
		return graph.None, err
	}
	return b.joinBatch(v, shape)
}

func (b *lossBuilder) reshape(v id, shape ...int) (id, error) {
	s := make([]int64, len(shape))
	for i, d := range shape {
		s[i] = int64(d)
	}
	return b.node("", "Reshape", []id{v, b.ints(s...)})
}

func (b *lossBuilder) ints(v ...int64) id {
	return b.g.AddConst("loss/ints", tensor.Must(tensor.Of(v, len(v))))
}

func (b *lossBuilder) number(v float64) id {
	return b.g.AddConst("loss/number", tensor.Scalar(float32(v)))
}

// finish records total = reconstruction + weight·regulariser, where weight is an input.
func (b *lossBuilder) finish(reconstruction, regulariser id, at func(float64) float64) error {
	weighted, err := b.node("", "Mul", []id{regulariser, b.scalar(inputWeight, at, 1)})
	if err != nil {
		return err
	}
	total, err := b.node("", "Add", []id{reconstruction, weighted})
	if err != nil {
		return err
	}
	b.add(total, reconstruction, regulariser)
	return nil
}
