package quant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aekit/aekit/internal/metric"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Difference compares one value of two models over all inputs of a Source.
type Difference struct {
	Name   string  `json:"name"`
	SQNR   float64 `json:"sqnr_db"` // 10·log10(Σa² / Σ(a-b)²), at most 200
	MSE    float64 `json:"mse"`     // mean of (a-b)²
	Max    float64 `json:"max_abs"` // largest |a-b|
	Cosine float64 `json:"cosine"`
	Elems  int64   `json:"elements"`

	signal, noise, ab, bb float64
}

func (d *Difference) add(a, b []float32) error {
	if len(a) != len(b) {
		return fmt.Errorf("quant: value %q: %d and %d elements", d.Name, len(a), len(b))
	}
	for i, x := range a {
		u, v := float64(x), float64(b[i])
		e := u - v
		d.signal += u * u
		d.noise += e * e
		d.ab += u * v
		d.bb += v * v
		if !(math.Abs(e) <= d.Max) {
			d.Max = math.Abs(e)
		}
	}
	d.Elems += int64(len(a))
	return nil
}

func (d *Difference) finish() {
	d.MSE, d.SQNR, d.Cosine = d.noise/float64(max(1, d.Elems)), decibels(d.signal, d.noise), 1
	if d.signal > 0 && d.bb > 0 {
		d.Cosine = d.ab / math.Sqrt(d.signal*d.bb)
	}
}

// noNoise is the ratio in dB that stands for an exact result.
const noNoise = 200

func decibels(signal, noise float64) float64 {
	if noise == 0 {
		return noNoise
	}
	return max(-noNoise, min(noNoise, 10*math.Log10(signal/noise)))
}

// Evaluation is what [Evaluate] measures.
type Evaluation struct {
	Outputs []Difference `json:"outputs"`
	Tensors []Difference `json:"tensors,omitempty"` // values inside, in the order of the graph
	Times   [2]float64   `json:"seconds"`           // of one batch, the fastest, for a and b
	// Reconstruction is set where the model has an output of the size of its only input:
	// the mean squared error between the two, for a and b.
	Reconstruction *[2]float64 `json:"reconstruction_mse,omitempty"`
	// PSNR is that of the reconstructions, in dB, with a peak of 1.
	PSNR *[2]float64 `json:"reconstruction_psnr_db,omitempty"`
	// Latents is the cosine between the latent vectors of a and b, where the metadata say
	// which value they are, averaged over images.
	Latents *float64 `json:"latent_cosine,omitempty"`
	// AUC is the area under the ROC curve of the mean squared error of an image as the score
	// of anomalies, for a and b, where the source says which images are anomalies.
	AUC    *[2]float64 `json:"auc,omitempty"`
	Images int         `json:"images"`
}

// Evaluate runs two models with equal inputs and outputs on every batch of a source. With
// inside, it also compares the values that b, a quantised form of a, has under names that
// Quantize gave them: the error accumulated up to there.
func Evaluate(ctx context.Context, a, b *onnx.Model, src Source, inside bool, o runtime.Options) (*Evaluation, error) {
	pairs := map[string]string{} // name in b → in a
	var order []string
	ma, mb := a, b
	if inside {
		var err error
		if ma, mb, order, pairs, err = withInside(a, b); err != nil {
			return nil, err
		}
	}
	latent := ""
	if latent = commonLatent(a, ma, mb); latent != "" {
		ma, mb = withOutput(ma, latent), withOutput(mb, latent)
	}
	marked, _ := src.(Marked)
	var scores scores
	sa, err := runtime.New(ma, o)
	if err != nil {
		return nil, err
	}
	defer sa.Close()
	sb, err := runtime.New(mb, o)
	if err != nil {
		return nil, err
	}
	defer sb.Close()
	e := &Evaluation{Times: [2]float64{math.Inf(1), math.Inf(1)}}
	var recon [2]Difference
	list := map[string]*Difference{}
	var names []string
	for _, v := range b.Graph.Outputs {
		names = append(names, v.Name)
		pairs[v.Name] = v.Name
	}
	for _, name := range slices.Concat(names, order) {
		list[name] = &Difference{Name: pairs[name]}
	}
	for {
		in, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var outs [2]map[string]*tensor.Tensor
		for i, s := range []*runtime.Session{sa, sb} {
			start := time.Now()
			if outs[i], err = s.Run(ctx, in); err != nil {
				return nil, err
			}
			e.Times[i] = min(e.Times[i], time.Since(start).Seconds())
		}
		for name, d := range list {
			x, y := outs[0][pairs[name]], outs[1][name]
			if x == nil || y == nil || x.DType() != tensor.Float32 || y.DType() != tensor.Float32 {
				continue
			}
			if err := d.add(x.Float32s(), y.Float32s()); err != nil {
				return nil, err
			}
		}
		if latent != "" {
			scores.latents(outs[0][latent], outs[1][latent])
		}
		if x := e.image(in, a); x != nil {
			e.Images += x.Shape()[0]
			for _, name := range names {
				if outs[0][name] == nil || outs[0][name].Elems() != x.Elems() || x.DType() != tensor.Float32 {
					continue
				}
				for i := range recon {
					if err := recon[i].add(x.Float32s(), outs[i][name].Float32s()); err != nil {
						return nil, err
					}
				}
				if marked != nil {
					scores.images(x, [2]*tensor.Tensor{outs[0][name], outs[1][name]}, marked.Anomalies())
				}
				break
			}
		}
	}
	for _, name := range names {
		list[name].finish()
		e.Outputs = append(e.Outputs, *list[name])
	}
	for _, name := range order {
		if list[name].Elems > 0 {
			list[name].finish()
			e.Tensors = append(e.Tensors, *list[name])
		}
	}
	if recon[0].Elems > 0 {
		recon[0].finish()
		recon[1].finish()
		e.Reconstruction = &[2]float64{recon[0].MSE, recon[1].MSE}
		if recon[0].MSE > 0 && recon[1].MSE > 0 {
			e.PSNR = &[2]float64{metric.PSNR(recon[0].MSE, 1), metric.PSNR(recon[1].MSE, 1)}
		}
	}
	return e, scores.finish(e)
}

// image returns the input that the outputs may be reconstructions of: the only one, or the
// one that the metadata of the model name.
func (e *Evaluation) image(in map[string]*tensor.Tensor, m *onnx.Model) *tensor.Tensor {
	if len(in) == 1 {
		for _, x := range in {
			return x
		}
	}
	if d := description(m); d != nil {
		return in[d.Values.Image]
	}
	return nil
}

// withInside returns both models with the values that correspond to each other as further
// outputs.
func withInside(a, b *onnx.Model) (ma, mb *onnx.Model, order []string, pairs map[string]string, err error) {
	g, err := prepare(a)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	pairs = map[string]string{}
	outputs := map[string]bool{}
	for _, v := range b.Graph.Outputs {
		outputs[v.Name] = true
	}
	copied := *b
	graphB := *b.Graph
	copied.Graph = &graphB
	graphB.Outputs = slices.Clone(graphB.Outputs)
	for _, n := range b.Graph.Nodes {
		if n.OpType != "DequantizeLinear" || b.Graph.Initializer(n.Inputs[0]) != nil || len(n.Outputs) != 1 || outputs[n.Outputs[0]] {
			continue
		}
		name := n.Outputs[0]
		base := strings.TrimSuffix(name, "_dq")
		id := g.Lookup(base)
		if id < 0 || slices.Contains(g.Outputs, id) || slices.Contains(g.Inputs, id) {
			continue
		}
		g.Outputs = append(g.Outputs, id)
		graphB.Outputs = append(graphB.Outputs, &onnx.ValueInfo{Name: name, Type: onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}})
		order = append(order, name)
		pairs[name] = base
	}
	ma, err = g.Model(0)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	ma.IRVersion = a.IRVersion
	return ma, &copied, order, pairs, nil
}
