package train

import (
	"fmt"
	"strings"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/gradop"
)

// VQVAE trains a vector-quantised autoencoder (van den Oord et al. 2017): the squared error,
// summed over pixels and divided by the deviation Sigma squared, plus Beta times the
// commitment of the encoder to its codes. Gradients pass the quantiser unchanged, the
// codebook follows the encoder as a moving average, and codes that fall out of use start
// again. A second phase fits the model's autoregressive prior to the codes; its term is the
// code length in nats per image.
type VQVAE struct {
	Beta      float64 // 0 means 0.25
	Decay     float64 // of the moving averages; 0 means 0.99
	Threshold float64 // average use, in vectors a batch, below which a code starts again; 0 means 0.5
}

// Parts implements [Objective].
func (VQVAE) Parts() []string { return []string{"loss", "reconstruction", "commitment", "prior"} }

// Unit implements [Objective].
func (VQVAE) Unit() string   { return "squared error/image" }
func (VQVAE) String() string { return "vq-vae" }

func (o VQVAE) check() error {
	if o.Decay >= 1 {
		return fmt.Errorf("train: VQ-VAE with decay %g", o.Decay)
	}
	return positive("VQ-VAE", o.Beta, o.Decay, o.Threshold)
}

const (
	codeCounts = "vq/counts"
	codeSums   = "vq/sums"
)

func (o VQVAE) equip(k *kit, model *graph.Graph, m *meta.Model, _ uint64) error {
	v := model.Lookup(arch.Codebook)
	if v == graph.None || model.Value(v).Data == nil || model.Value(v).Data.Rank() != 2 {
		return fmt.Errorf("train: the model has no codebook %q", arch.Codebook)
	}
	shape := model.Value(v).Data.Shape()
	counts, err := tensor.New(tensor.Float32, shape[0])
	if err != nil {
		return err
	}
	sums, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		return err
	}
	k.states = []state{{arch.Codebook, nil}, {codeCounts, counts}, {codeSums, sums}}
	return nil
}

func fitsPrior(name string) bool { return strings.HasPrefix(name, "prior") }

func (o VQVAE) phases() []phase {
	return []phase{
		{name: "autoencoder", fits: func(name string) bool { return !fitsPrior(name) }, build: o.autoencoder},
		{name: "prior", fits: fitsPrior, keepsStatistics: true, build: o.prior},
	}
}

func (o VQVAE) autoencoder(b *lossBuilder) error {
	x, err := b.value("embedding", arch.Embedding)
	if err != nil {
		return err
	}
	q, err := b.value("quantised embedding", arch.Quantized)
	if err != nil {
		return err
	}
	codes, err := b.value("codes", b.values.Codes)
	if err != nil {
		return err
	}
	n, err := b.g.Make(graph.Spec{Name: "loss/StraightThrough", Domain: gradop.Domain, OpType: "StraightThrough", In: []id{x, q}, OutName: "loss/quantized"})
	if err != nil {
		return err
	}
	b.g.Replace(q, n.Out[0])
	n.In[1] = q
	b.g.Nodes = append(b.g.Nodes, n)
	if err := b.g.Sort(); err != nil {
		return err
	}
	c := &calc{b: b}
	rec := c.mean(c.errorOf())
	commit := c.mean(c.reduce("ReduceSum", c.square(c.rows(c.sub(x, q))), 1))
	if err := c.finish(rec, commit, orElse(o.Beta, 0.25)); err != nil || !b.training {
		return err
	}
	book := b.g.Lookup(arch.Codebook)
	rows := c.reshape(x, -1, b.g.Value(book).Data.Shape()[1])
	if c.err != nil {
		return c.err
	}
	states := []id{book, b.g.Lookup(codeCounts), b.g.Lookup(codeSums)}
	u, err := b.g.Add(graph.Spec{Name: "loss/CodebookUpdate", Domain: gradop.Domain, OpType: "CodebookUpdate", In: append([]id{rows, codes}, states...), Outputs: 3,
		Attrs: []*onnx.Attribute{onnx.AttrF("decay", float32(orElse(o.Decay, 0.99))), onnx.AttrF("threshold", float32(orElse(o.Threshold, 0.5)))}})
	if err != nil {
		return err
	}
	for i, s := range states {
		b.g.Commits = append(b.g.Commits, graph.Commit{State: s, From: u.Out[i]})
	}
	return nil
}

// prior is the code length under the prior: Σ -log p(code | those before it).
func (o VQVAE) prior(b *lossBuilder) error {
	logits, err := b.value("prior", arch.PriorLogits)
	if err != nil {
		return err
	}
	codes, err := b.value("codes", b.values.Codes)
	if err != nil {
		return err
	}
	c := &calc{b: b}
	shape, err := b.shapeOf(codes)
	if err != nil {
		return err
	}
	n, _ := shape.Elems()
	p := c.attrs("LogSoftmax", []*onnx.Attribute{onnx.AttrI("axis", -1)}, logits)
	taken := c.attrs("GatherElements", []*onnx.Attribute{onnx.AttrI("axis", 2)}, p, c.reshape(codes, -1, n, 1))
	b.add(c.negative(c.mean(c.reduce("ReduceSum", taken, 1, 2))))
	return c.err
}
