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
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Source gives batches of inputs by name. Next returns io.EOF after the last one.
type Source interface {
	Next(ctx context.Context) (map[string]*tensor.Tensor, error)
}

// Calibration is the distribution of every float32 activation of a model over some inputs.
// It takes 32 KiB for each activation, however many inputs there were.
type Calibration struct {
	Digest  string                `json:"digest"`  // of the model's optimised graph
	Batches int                   `json:"batches"` // that were run
	Values  map[string]*histogram `json:"values"`  // by name of the value
}

// Calibrate runs a model on every batch of a source.
func Calibrate(ctx context.Context, m *onnx.Model, src Source, o runtime.Options) (*Calibration, error) {
	g, err := prepare(m)
	if err != nil {
		return nil, err
	}
	c := &Calibration{Digest: digestOf(g), Values: map[string]*histogram{}}
	for _, id := range g.Inputs {
		if t := g.Value(id).Type.Elem; t == tensor.Float32 || t == tensor.Undefined {
			c.Values[g.Value(id).Name] = &histogram{}
		}
	}
	have := map[graph.ValueID]bool{}
	for _, id := range g.Outputs {
		have[id] = true
	}
	for _, n := range g.Nodes {
		for _, id := range n.Out {
			if id != graph.None && !have[id] {
				have[id] = true
				g.Outputs = append(g.Outputs, id)
			}
		}
	}
	full, err := g.Model(0)
	if err != nil {
		return nil, err
	}
	full.IRVersion = m.IRVersion
	s, err := runtime.New(full, o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for {
		in, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		out, err := s.Run(ctx, in)
		if err != nil {
			return nil, err
		}
		for name, h := range c.Values {
			if t := in[name]; t != nil {
				if err := record(h, t); err != nil {
					return nil, fmt.Errorf("input %q: %w", name, err)
				}
			}
		}
		for name, t := range out {
			if t.DType() != tensor.Float32 {
				continue
			}
			if c.Values[name] == nil {
				c.Values[name] = &histogram{}
			}
			if err := record(c.Values[name], t); err != nil {
				return nil, fmt.Errorf("value %q: %w", name, err)
			}
		}
		c.Batches++
	}
	if c.Batches == 0 {
		return nil, errors.New("quant: no inputs to calibrate with")
	}
	return c, nil
}

// Matches reports whether the calibration is of this model.
func (c *Calibration) Matches(m *onnx.Model) (bool, error) {
	g, err := prepare(m)
	if err != nil {
		return false, err
	}
	return c.Digest == digestOf(g), nil
}

func record(h *histogram, t *tensor.Tensor) error {
	if t.DType() != tensor.Float32 {
		return nil
	}
	return h.add(t.Float32s())
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
			for _, v := range []float64{h.Limit, h.Min, h.Max} {
				ok = ok && !math.IsNaN(v) && !math.IsInf(v, 0)
			}
		}
		if !ok || h.Min > h.Max || h.Counts != nil && h.Limit <= 0 {
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
