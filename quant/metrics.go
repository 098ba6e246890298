package quant

import (
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/metric"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Metric is a measure of what quantisation costs.
type Metric string

// Metrics.
const (
	// ByMSE is the relative growth of the mean squared error of the reconstruction or, where
	// a model does not reconstruct its input, the mean squared difference of its first output
	// from the float model's, relative to that output's power.
	ByMSE Metric = "mse"
	// ByPSNR is the loss of the reconstruction's PSNR, in dB.
	ByPSNR Metric = "psnr"
	// ByCosine is 1 less the mean cosine between the latent vectors.
	ByCosine Metric = "cosine"
	// ByAUC is the loss of the area under the ROC curve, with the error of an image as its
	// score: 0.01 is a point.
	ByAUC Metric = "auc"
)

// ParseMetric returns the metric of that name; "" is ByMSE.
func ParseMetric(s string) (Metric, error) {
	switch m := Metric(s); m {
	case "":
		return ByMSE, nil
	case ByMSE, ByPSNR, ByCosine, ByAUC:
		return m, nil
	}
	return "", fmt.Errorf("quant: no metric %q; there are mse, psnr, cosine and auc", s)
}

// Loss returns the relative growth of the error: [Evaluation.LossBy] with ByMSE.
func (e *Evaluation) Loss() float64 {
	l, _ := e.LossBy(ByMSE)
	return l
}

// LossBy returns what the second model has lost by a metric. It fails where that was not
// measured.
func (e *Evaluation) LossBy(m Metric) (float64, error) {
	switch m {
	case ByMSE, "":
		if r := e.Reconstruction; r != nil && r[0] > 0 {
			return r[1]/r[0] - 1, nil
		}
		if len(e.Outputs) == 0 || e.Outputs[0].signal == 0 {
			return 0, nil
		}
		return e.Outputs[0].noise / e.Outputs[0].signal, nil
	case ByPSNR:
		if e.PSNR != nil {
			return e.PSNR[0] - e.PSNR[1], nil
		}
	case ByCosine:
		if e.Latents != nil {
			return 1 - *e.Latents, nil
		}
	case ByAUC:
		if e.AUC != nil {
			return e.AUC[0] - e.AUC[1], nil
		}
	}
	return 0, fmt.Errorf("quant: the metric %q was not measured: the model does not reconstruct, does not say which values are its latents, or no image is marked as an anomaly", m)
}

// Marked is a Source that knows which images are anomalies.
type Marked interface {
	// Anomalies says it of each image of the batch that Next gave last.
	Anomalies() []bool
}

// commonLatent returns the name of the latents, by the metadata of one model, if all of
// others have them, else "".
func commonLatent(of *onnx.Model, others ...*onnx.Model) string {
	d := description(of)
	if d == nil || d.Values.Z == "" {
		return ""
	}
	for _, m := range others {
		if !slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return slices.Contains(n.Outputs, d.Values.Z) }) {
			return ""
		}
	}
	return d.Values.Z
}

// withOutput returns the model with a float32 value as a further output.
func withOutput(m *onnx.Model, name string) *onnx.Model {
	if slices.ContainsFunc(m.Graph.Outputs, func(v *onnx.ValueInfo) bool { return v.Name == name }) {
		return m
	}
	copied, g := *m, *m.Graph
	g.Outputs = append(slices.Clone(g.Outputs), &onnx.ValueInfo{Name: name, Type: onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32}})
	copied.Graph = &g
	return &copied
}

// scores collects what is measured image by image.
type scores struct {
	cosines  []float64
	errors   [2][]float64
	positive []bool
}

// rows returns the float32 elements of each image of a batch.
func rows(t *tensor.Tensor) [][]float32 {
	if t == nil || t.DType() != tensor.Float32 || t.Rank() == 0 || t.Shape()[0] == 0 {
		return nil
	}
	var out [][]float32
	for r := range slices.Chunk(t.Float32s(), max(1, t.Elems()/t.Shape()[0])) {
		out = append(out, r)
	}
	return out
}

func (s *scores) latents(a, b *tensor.Tensor) {
	x, y := rows(a), rows(b)
	for i := range min(len(x), len(y)) {
		if len(x[i]) == len(y[i]) {
			if c := metric.Cosine(x[i], y[i]); !math.IsNaN(c) {
				s.cosines = append(s.cosines, c)
			}
		}
	}
}

func (s *scores) images(x *tensor.Tensor, y [2]*tensor.Tensor, positive []bool) {
	in := rows(x)
	if len(positive) != len(in) {
		return
	}
	s.positive = append(s.positive, positive...)
	for k := range y {
		for i, r := range rows(y[k]) {
			s.errors[k] = append(s.errors[k], metric.MSE(in[i], r))
		}
	}
}

func (s *scores) finish(e *Evaluation) error {
	if len(s.cosines) > 0 {
		mean := 0.0
		for _, c := range s.cosines {
			mean += c / float64(len(s.cosines))
		}
		e.Latents = &mean
	}
	if !slices.Contains(s.positive, true) || !slices.Contains(s.positive, false) {
		return nil
	}
	e.AUC = new([2]float64)
	for k := range s.errors {
		var err error
		if e.AUC[k], err = metric.AUC(s.errors[k], s.positive); err != nil {
			return fmt.Errorf("quant: %w", err)
		}
	}
	return nil
}
