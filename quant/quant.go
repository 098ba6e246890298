// Package quant turns float32 ONNX models into 8-bit integer ones.
//
// [Calibrate] runs a model over sample inputs and records the distribution of every
// activation in histograms of fixed size. [Quantize] chooses scales from them and rewrites
// the model: weights become int8, symmetric, with one scale for each output channel; biases
// int32; activations uint8 (or int8) with a scale and a zero point. The result is in QDQ
// form, where QuantizeLinear and DequantizeLinear nodes stand at which ONNX Runtime and
// this module's runtime recognise what they can compute in integers, or in QOperator form.
// [Dynamic], [WeightsInt8] and [WeightsFloat16] need no calibration.
//
// The quantisation is q = saturate(round(x / scale) + zero_point), with rounding half to
// even, as the ONNX operator QuantizeLinear has it; zero is always exactly representable.
//
// Functions do not change the models and calibrations that they are given, and may be called from
// several goroutines at once. A [Source] is for one goroutine.
package quant

import (
	"errors"
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Options says how a model is quantised. The zero value is good.
type Options struct {
	// Format is how the result is written; "" means QDQ.
	Format Format
	// Method chooses the range of activations; "" means MinMax.
	Method Method
	// Percentile is the share of values that the range covers, for the method Percentile;
	// 0 means 0.9999.
	Percentile float64
	// Signed makes activations int8 instead of uint8.
	Signed bool
	// ReduceRange uses 7 of the 8 bits of weights, for processors on which other runtimes
	// saturate when they add two products of 8-bit numbers (AVX2 without VNNI). This
	// module's runtime does not need it.
	ReduceRange bool
	// PerTensor gives weights one scale for the whole tensor.
	PerTensor bool
	// BiasCorrection changes biases such that the rounding of weights does not shift the mean
	// of what each channel gives for the calibration's inputs.
	BiasCorrection bool
	// Rounding, unless nil, chooses for each weight whether it is rounded up or down by what
	// that does to the outputs, for the operators it has: see [Correlate].
	Rounding Correlations
	// Params, unless nil, gives the scale and zero point of an activation by name, instead of
	// the calibration. ok is false for activations that it does not know.
	Params func(name string) (p Params, ok bool)
	// Exclude reports whether the node of that name stays float32.
	Exclude func(name string) bool
}

// Method is a way to choose the range of an activation.
type Method string

// Methods.
const (
	MinMax        Method = "minmax"         // from the smallest to the largest value
	MovingAverage Method = "moving-average" // the mean, over batches, of the smallest and of the largest value of each
	Percentile    Method = "percentile"     // without the most extreme values
	Entropy       Method = "entropy"        // the range whose quantised distribution is nearest in KL divergence
	MSE           Method = "mse"            // the range with the smallest mean squared error
)

// ParseMethod returns the method of that name; "" is MinMax.
func ParseMethod(s string) (Method, error) {
	switch m := Method(s); m {
	case "":
		return MinMax, nil
	case MinMax, MovingAverage, Percentile, Entropy, MSE:
		return m, nil
	}
	return "", fmt.Errorf("quant: no calibration method %q; there are minmax, moving-average, percentile, entropy and mse", s)
}

// minOpset is the first opset at which DequantizeLinear takes a scale for each channel.
const minOpset = 13

// prepare returns the optimised graph of a model, whose activations are the ones that
// Calibrate measures and Quantize rewrites.
func prepare(m *onnx.Model) (*graph.Graph, error) { return prepareWith(m, op.Core) }

func prepareWith(m *onnx.Model, set op.Set) (*graph.Graph, error) {
	if err := onnx.Check(m); err != nil {
		return nil, err
	}
	m, err := onnx.Inline(m, 0)
	if err != nil {
		return nil, err
	}
	g, err := graph.New(m, graph.Config{Set: set, Body: plan.Body})
	if err != nil {
		return nil, err
	}
	return g, optimize(g, m)
}

// ErrNothing is returned by Quantize for a model without an operator that it can turn to
// integers.
var ErrNothing = errors.New("quant: the model has no Gemm, MatMul, Conv or ConvTranspose with constant weights to quantise")

// Quantize returns the integer form of a model, with ranges from a calibration of the same
// model. m is not changed. The result imports opset 13 or higher.
func Quantize(m *onnx.Model, c *Calibration, o Options) (*onnx.Model, *Report, error) {
	r, err := newRewriter(m, c, o, op.Core)
	if err != nil {
		return nil, nil, err
	}
	if err := r.run(); err != nil {
		return nil, nil, err
	}
	if o.Format == QOperator {
		if err := r.toQOperator(); err != nil {
			return nil, nil, fmt.Errorf("quant: %w", err)
		}
	}
	return r.finish(m)
}

// newRewriter checks a calibration and prepares the graph of its model for rewriting.
func newRewriter(m *onnx.Model, c *Calibration, o Options, set op.Set) (*rewriter, error) {
	g, err := prepareWith(m, set)
	if err != nil {
		return nil, err
	}
	if c.Digest != digestOf(g) {
		return nil, errors.New("quant: the calibration is of another model")
	}
	if _, err := ParseFormat(string(o.Format)); err != nil {
		return nil, err
	}
	r := &rewriter{g: g, cal: c, opts: o, quantised: map[graph.ValueID]graph.ValueID{}, behind: map[graph.ValueID]pairOf{}, report: &Report{Method: string(o.method())}}
	r.cut(m)
	return r, nil
}

// finish returns the rewritten graph as a model that is like m otherwise.
func (r *rewriter) finish(m *onnx.Model) (*onnx.Model, *Report, error) {
	if !slices.ContainsFunc(r.report.Layers, func(l Layer) bool { return !l.Float }) {
		return nil, nil, ErrNothing
	}
	out, err := writeModel(r.g, m)
	return out, r.report, err
}

// writeModel returns a graph as a model that is like m otherwise.
func writeModel(g *graph.Graph, m *onnx.Model) (*onnx.Model, error) {
	opset := max(minOpset, int(m.Opset("")))
	out, err := g.Model(opset)
	if err != nil {
		return nil, fmt.Errorf("quant: %w", err)
	}
	out.IRVersion = max(m.IRVersion, onnx.IRVersionFor(int64(opset)))
	out.ProducerName, out.ProducerVersion, out.DocString = "aekit", "", m.DocString
	out.Metadata = append([]onnx.StringPair{}, m.Metadata...)
	out.Graph.Name, out.Graph.DocString = m.Graph.Name, m.Graph.DocString
	types := map[string]onnx.Type{}
	for _, list := range [][]*onnx.ValueInfo{m.Graph.Inputs, m.Graph.Outputs} {
		for _, v := range list {
			types[v.Name] = v.Type
		}
	}
	for _, list := range [][]*onnx.ValueInfo{out.Graph.Inputs, out.Graph.Outputs} {
		for _, v := range list {
			if t, ok := types[v.Name]; ok {
				v.Type = t
			}
		}
	}
	return out, onnx.Check(out)
}

func (o Options) method() Method {
	if o.Method == "" {
		return MinMax
	}
	return o.Method
}

// Report describes what Quantize did.
type Report struct {
	Method string  `json:"method"`
	Layers []Layer `json:"layers"`
}

// Layer is one operator that became integer, or stayed float.
type Layer struct {
	Node       string  `json:"node"`
	OpType     string  `json:"op_type"`
	Float      bool    `json:"float,omitempty"` // excluded
	Weights    int     `json:"weights"`         // elements
	Scale      float32 `json:"scale,omitempty"` // of the output
	ZeroPoint  int     `json:"zero_point"`
	WeightSQNR float64 `json:"weight_sqnr_db,omitempty"` // signal to quantisation noise of the weights
}

// Params are the scale and zero point of a quantised tensor.
type Params struct {
	Scale     float32
	ZeroPoint int
	DType     tensor.DType
}

func limits(d tensor.DType) (lo, hi int) {
	if d == tensor.Int8 {
		return -128, 127
	}
	return 0, 255
}
