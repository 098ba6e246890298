package quant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Source gives batches of inputs by name. Next returns io.EOF after the last one.
type Source interface {
	Next(ctx context.Context) (map[string]*tensor.Tensor, error)
}

// Calibration is the distribution of every float32 activation of a model over some inputs.
// It takes 32 KiB for each activation, and 8 bytes for each feature of the inputs of
// operators with weights, however many inputs there were.
type Calibration struct {
	Digest  string                `json:"digest"`  // of the model's optimised graph
	Batches int                   `json:"batches"` // that were run
	Values  map[string]*histogram `json:"values"`  // by name of the value
	// Means are, by the name of the input of a Gemm, MatMul, Conv or ConvTranspose, the mean
	// of each of its channels (axis 1).
	Means map[string][]float64 `json:"means,omitempty"`
}

// Calibrate runs a model on every batch of a source. Where the metadata say that latents
// are drawn from a standard normal prior, the decoder also runs on as many draws, always
// the same, so that what it generates is covered too.
func Calibrate(ctx context.Context, m *onnx.Model, src Source, o runtime.Options) (*Calibration, error) {
	g, err := prepare(m)
	if err != nil {
		return nil, err
	}
	k := &calibrator{Calibration: &Calibration{Digest: digestOf(g), Values: map[string]*histogram{}, Means: map[string][]float64{}}}
	for _, id := range g.Inputs {
		if t := g.Value(id).Type.Elem; t == tensor.Float32 || t == tensor.Undefined {
			k.Values[g.Value(id).Name] = &histogram{}
		}
	}
	r := &rewriter{g: g}
	for _, n := range g.Nodes {
		if _, _, ok := r.weightOf(n); ok {
			k.Means[g.Value(n.In[0]).Name] = nil
		}
	}
	if err := k.open(g, m, o); err != nil {
		return nil, err
	}
	defer k.close()
	for {
		in, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := k.batch(ctx, in); err != nil {
			return nil, err
		}
	}
	if k.Batches == 0 {
		return nil, errors.New("quant: no inputs to calibrate with")
	}
	for name, sums := range k.Means {
		if n := k.counts[name]; n > 0 {
			for i := range sums {
				sums[i] /= n
			}
		}
	}
	return k.Calibration, nil
}

// calibrator is the state of Calibrate.
type calibrator struct {
	*Calibration
	s      *runtime.Session
	counts map[string]float64 // of values in a channel, by name as in Means
	// decoder runs on draws of the latents; nil where there is no such prior.
	decoder *runtime.Session
	latent  string
}

// open makes the sessions: of the model with every activation as an output, and of the
// decoder likewise.
func (k *calibrator) open(g *graph.Graph, m *onnx.Model, o runtime.Options) error {
	k.counts = map[string]float64{}
	latent := latentOf(g, m)
	have := map[graph.ValueID]bool{}
	for _, id := range g.Outputs {
		have[id] = true
	}
	behind := map[graph.ValueID]bool{latent: latent != graph.None}
	var decoded []string
	for _, n := range g.Nodes {
		from := false
		for _, id := range n.In {
			from = from || id != graph.None && behind[id]
		}
		for _, id := range n.Out {
			if id == graph.None {
				continue
			}
			if behind[id] = behind[id] || from; from {
				decoded = append(decoded, g.Value(id).Name)
			}
			if !have[id] {
				have[id] = true
				g.Outputs = append(g.Outputs, id)
			}
		}
	}
	full, err := g.Model(0)
	if err != nil {
		return err
	}
	full.IRVersion = m.IRVersion
	if k.s, err = runtime.New(full, o); err != nil {
		return err
	}
	if latent == graph.None || len(decoded) == 0 {
		return nil
	}
	for _, s := range description(m).Prior {
		if name := g.Value(latent).Name; s.Distribution == meta.DistNormal && s.Value == name && len(s.Given) == 0 {
			k.latent = name
			// A decoder that needs more than the latents is calibrated with the inputs alone.
			k.decoder, _ = k.s.Sub([]string{name}, decoded)
		}
	}
	return nil
}

func (k *calibrator) close() {
	k.s.Close()
	if k.decoder != nil {
		k.decoder.Close()
	}
}

// batch records the activations of one batch of inputs.
func (k *calibrator) batch(ctx context.Context, in map[string]*tensor.Tensor) error {
	out, err := k.s.Run(ctx, in)
	if err != nil {
		return err
	}
	for name := range k.Values {
		if t := in[name]; t != nil {
			if err := k.record(name, t); err != nil {
				return fmt.Errorf("input %q: %w", name, err)
			}
		}
	}
	if err := k.recordAll(out); err != nil {
		return err
	}
	k.Batches++
	z := out[k.latent]
	if k.decoder == nil || z == nil {
		return nil
	}
	draws, err := tensor.New(tensor.Float32, z.Shape()...)
	if err != nil {
		return err
	}
	rng.New(0, uint64(k.Batches)).Normal(draws.Float32s(), 0)
	if out, err = k.decoder.Run(ctx, map[string]*tensor.Tensor{k.latent: draws}); err != nil {
		return err
	}
	return k.recordAll(out)
}

func (k *calibrator) recordAll(out map[string]*tensor.Tensor) error {
	for name, t := range out {
		if t.DType() != tensor.Float32 {
			continue
		}
		if err := k.record(name, t); err != nil {
			return fmt.Errorf("value %q: %w", name, err)
		}
	}
	return nil
}

func (k *calibrator) record(name string, t *tensor.Tensor) error {
	if t.DType() != tensor.Float32 {
		return nil
	}
	if k.Values[name] == nil {
		k.Values[name] = &histogram{}
	}
	if err := k.Values[name].add(t.Float32s()); err != nil {
		return err
	}
	sums, ok := k.Means[name]
	if !ok || t.Rank() < 2 || t.Elems() == 0 {
		return nil
	}
	channels, at := channelIndex(t.Shape(), 1)
	if sums == nil {
		sums = make([]float64, channels)
	}
	if len(sums) != channels {
		return fmt.Errorf("%d channels, before %d", channels, len(sums))
	}
	for i, v := range t.Float32s() {
		sums[at(i)] += float64(v)
	}
	k.Means[name] = sums
	k.counts[name] += float64(t.Elems() / channels)
	return nil
}

// Matches reports whether the calibration is of this model.
func (c *Calibration) Matches(m *onnx.Model) (bool, error) {
	g, err := prepare(m)
	if err != nil {
		return false, err
	}
	return c.Digest == digestOf(g), nil
}

// Write stores a calibration, so that it need not be repeated.
func (c *Calibration) Write(w io.Writer) error { return json.NewEncoder(w).Encode(c) }

// ReadCalibration is the inverse of [Calibration.Write]. The content is not trusted.
func ReadCalibration(r io.Reader) (*Calibration, error) {
	var c Calibration
	if err := json.NewDecoder(io.LimitReader(r, 1<<30)).Decode(&c); err != nil {
		return nil, fmt.Errorf("quant: calibration: %w", err)
	}
	for name, h := range c.Values {
		ok := h != nil && (h.Counts == nil || len(h.Counts) == 2*histBins)
		if ok {
			for _, v := range []float64{h.Limit, h.Min, h.Max, h.MinSum, h.MaxSum} {
				ok = ok && !math.IsNaN(v) && !math.IsInf(v, 0)
			}
		}
		if !ok || h.Min > h.Max || h.Counts != nil && (h.Limit <= 0 || h.Batches == 0) {
			return nil, fmt.Errorf("quant: calibration: value %q is malformed", name)
		}
	}
	return &c, nil
}

// digestOf identifies a graph: its nodes, attributes, names and constants.
func digestOf(g *graph.Graph) string {
	h := sha256.New()
	for _, n := range g.Nodes {
		fmt.Fprintf(h, "%q %q %v %v\n", n.Domain, n.OpType, n.In, n.Out)
		for _, a := range n.Attrs {
			fmt.Fprintf(h, "%q %d %x %d %q %v %v %q\n", a.Name, a.Type, a.Float, a.Int, a.String, a.Floats, a.Ints, a.Strings)
		}
	}
	for _, v := range g.Values {
		fmt.Fprintf(h, "%q %d\n", v.Name, v.Kind)
		if v.Data != nil {
			fmt.Fprintf(h, "%v\n", v.Data)
			h.Write(v.Data.Bytes())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
