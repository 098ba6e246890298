// Package export turns trained models into files that other tools accept: ONNX in a chosen
// opset with names, types and a description of itself, parts of it as separate files,
// weights as safetensors, and test data in the layout of the ONNX backend tests.
//
// Functions may be called from several goroutines at once, for different files.
package export

import (
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/onnx"
)

// Defaults of what is written: the opset and IR version that readers of the last years
// accept.
const (
	DefaultOpset     = 17
	DefaultIRVersion = 8
)

// MinOpset is the lowest opset that is written, the first with broadcasting as it is now;
// MaxOpset is that of the newest release of ONNX that is covered.
const (
	MinOpset = 7
	MaxOpset = 25
)

// Options says what form a model is written in.
type Options struct {
	// Opset is the version of the standard operators, from MinOpset to MaxOpset; 0 means
	// DefaultOpset.
	Opset int
	// IRVersion is the version of the format; 0 means DefaultIRVersion, or the lowest that
	// the opset needs if that is higher.
	IRVersion int
	// Producer and Version name the program that made the model; empty means "aekit" and
	// nothing.
	Producer, Version string
	// DocString says in a sentence or two what the model is.
	DocString string
}

// Check fails for versions that there are not, or that do not go together.
func (o Options) Check() error {
	o = o.filled()
	if o.Opset < MinOpset || o.Opset > MaxOpset {
		return fmt.Errorf("export: opset %d; use %d to %d", o.Opset, MinOpset, MaxOpset)
	}
	if need := int(onnx.IRVersionFor(int64(o.Opset))); o.IRVersion < need || o.IRVersion > onnx.MaxIRVersion {
		return fmt.Errorf("export: IR version %d cannot hold opset %d; use %d to %d", o.IRVersion, o.Opset, need, onnx.MaxIRVersion)
	}
	return nil
}

// filled returns o with the versions that its zero values stand for.
func (o Options) filled() Options {
	if o.Opset == 0 {
		o.Opset = DefaultOpset
	}
	if o.IRVersion == 0 {
		o.IRVersion = max(DefaultIRVersion, int(onnx.IRVersionFor(int64(o.Opset))))
	}
	return o
}

// Finish returns a deployable copy of a model: portable optimisations applied (constants
// folded, batch normalisation merged into weights, dead nodes removed), in the opset asked
// for, with the types of all values. Graph inputs, outputs and named values that the
// metadata refers to keep their names. m is not changed; the result shares its tensors.
//
// It fails if the model has nodes that cannot be expressed in that opset.
func Finish(m *onnx.Model, o Options) (*onnx.Model, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o = o.filled()
	if err := onnx.Check(m); err != nil {
		return nil, err
	}
	g, err := graph.New(m, graph.Config{Set: op.Core, Body: plan.Body})
	if err != nil {
		return nil, err
	}
	keep, err := keepNamed(g, m)
	if err != nil {
		return nil, err
	}
	if err := graph.Optimize(g); err != nil {
		return nil, err
	}
	g.Outputs = g.Outputs[:len(g.Outputs)-keep]
	out, err := g.Model(o.Opset)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	out.IRVersion = int64(o.IRVersion)
	out.ProducerName, out.ProducerVersion, out.DocString = o.Producer, o.Version, o.DocString
	if out.ProducerName == "" {
		out.ProducerName = "aekit"
	}
	if out.DocString == "" {
		out.DocString = m.DocString
	}
	out.Metadata = slices.Clone(m.Metadata)
	out.Graph.Name, out.Graph.DocString = m.Graph.Name, m.Graph.DocString
	keepTypes(out, m)
	return out, onnx.Check(out)
}

// keepNamed makes the values that m's value_info describes outputs for the time of the
// optimisation, so that a pass neither removes nor renames them, and returns how many.
func keepNamed(g *graph.Graph, m *onnx.Model) (int, error) {
	n := 0
	for _, v := range m.Graph.ValueInfo {
		id := g.Lookup(v.Name)
		if id == graph.None || g.Value(id).Kind != graph.Activation || slices.Contains(g.Outputs, id) {
			continue
		}
		g.Outputs = append(g.Outputs, id)
		n++
	}
	return n, nil
}

// keepTypes copies declared types, with the names of their dimensions, to the values that
// still exist.
func keepTypes(out, m *onnx.Model) {
	types := map[string]onnx.Type{}
	for _, list := range [][]*onnx.ValueInfo{m.Graph.Inputs, m.Graph.Outputs, m.Graph.ValueInfo} {
		for _, v := range list {
			types[v.Name] = v.Type
		}
	}
	have := map[string]bool{}
	for _, list := range [][]*onnx.ValueInfo{out.Graph.Inputs, out.Graph.Outputs, out.Graph.ValueInfo} {
		for _, v := range list {
			have[v.Name] = true
			if t, ok := types[v.Name]; ok {
				v.Type = t
			}
		}
	}
	made := map[string]bool{}
	for _, n := range out.Graph.Nodes {
		for _, name := range n.Outputs {
			made[name] = true
		}
	}
	for _, v := range m.Graph.ValueInfo {
		if made[v.Name] && !have[v.Name] {
			out.Graph.ValueInfo = append(out.Graph.ValueInfo, &onnx.ValueInfo{Name: v.Name, Type: v.Type})
		}
	}
}
