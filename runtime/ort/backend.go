//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"os"
	"sync"

	onnxruntime "github.com/yalue/onnxruntime_go"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// library is the shared library that this process has loaded.
var library struct {
	sync.Mutex
	path   string
	loaded bool
}

// New loads ONNX Runtime, if that is not done yet, and returns a backend over it. The
// backend serves any number of sessions. A process that has loaded one library cannot load
// another.
func New(o Options) (runtime.Backend, error) {
	path := o.Library
	if path == "" {
		path = os.Getenv(LibraryEnv)
	}
	if path == "" {
		return nil, fmt.Errorf("no ONNX Runtime library named: set %s to the path of libonnxruntime.so.1 (onnxruntime.dll, libonnxruntime.dylib)", LibraryEnv)
	}
	if err := load(path); err != nil {
		return nil, err
	}
	return backend{o}, nil
}

func load(path string) error {
	library.Lock()
	defer library.Unlock()
	if library.loaded {
		if library.path != path {
			return fmt.Errorf("ONNX Runtime is loaded from %s already, and cannot be loaded from %s as well", library.path, path)
		}
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("the ONNX Runtime library: %w", err)
	}
	onnxruntime.SetSharedLibraryPath(path)
	if err := onnxruntime.InitializeEnvironment(onnxruntime.WithLogLevelError()); err != nil {
		return fmt.Errorf("loading ONNX Runtime from %s: %w", path, err)
	}
	// Nothing needs the telemetry, and builds without it refuse the call.
	_ = onnxruntime.DisableTelemetry()
	library.path, library.loaded = path, true
	return nil
}

type backend struct{ opts Options }

func (backend) Name() string { return "ort" }

// Compile hands the encoded model to ONNX Runtime. Limits of nodes, arena and operations
// are not enforced there.
func (b backend) Compile(m *onnx.Model, o runtime.Options) (runtime.Executor, error) {
	e := &executor{}
	g := m.Graph
	initial := map[string]bool{}
	for _, t := range g.Initializers {
		initial[t.Name] = true
	}
	var inNames, outNames []string
	for _, v := range g.Inputs {
		if initial[v.Name] {
			continue
		}
		if v.Type.Kind != onnx.KindTensor || v.Type.Elem == tensor.Undefined {
			return nil, fmt.Errorf("ONNX Runtime needs the element type of input %q, which the model does not declare", v.Name)
		}
		e.ins = append(e.ins, infoOf(v))
		inNames = append(inNames, v.Name)
	}
	if len(e.ins) == 0 {
		return nil, errors.New("a model without inputs cannot run on ONNX Runtime through this binding")
	}
	m, outNames = e.outputs(m)
	data, err := onnx.Encode(m)
	if err != nil {
		return nil, err
	}
	so, err := b.sessionOptions(o)
	if err != nil {
		return nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	defer so.Destroy()
	if e.session, err = onnxruntime.NewDynamicAdvancedSessionWithONNXData(data, inNames, outNames, so); err != nil {
		return nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	e.inNames, e.outNames = inNames, outNames
	return e, nil
}

func (b backend) sessionOptions(o runtime.Options) (*onnxruntime.SessionOptions, error) {
	so, err := onnxruntime.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	level := onnxruntime.GraphOptimizationLevel(onnxruntime.GraphOptimizationLevelEnableAll)
	if b.opts.Plain {
		level = onnxruntime.GraphOptimizationLevelDisableAll
	}
	err = so.SetGraphOptimizationLevel(level)
	if err == nil && o.Threads > 0 {
		err = so.SetIntraOpNumThreads(o.Threads)
	}
	if err == nil {
		err = so.SetInterOpNumThreads(1)
	}
	for key, value := range b.opts.Config {
		if err == nil {
			err = so.AddSessionConfigEntry(key, value)
		}
	}
	if err != nil {
		so.Destroy()
		return nil, err
	}
	return so, nil
}

// outputs fills e.outs and returns the model to run with the names of its outputs. The
// binding cannot read outputs of 16-bit floats: those are cast to float32 at the end of
// the graph, which loses nothing, and converted back.
func (e *executor) outputs(m *onnx.Model) (*onnx.Model, []string) {
	g := *m.Graph
	g.Outputs = append([]*onnx.ValueInfo(nil), g.Outputs...)
	var names []string
	for i, v := range m.Graph.Outputs {
		info := infoOf(v)
		e.outs = append(e.outs, info)
		name := v.Name
		half := info.DType == tensor.Float16 || info.DType == tensor.BFloat16
		if half {
			name = e.freshName(&g, v.Name)
			g.Nodes = append(g.Nodes[:len(g.Nodes):len(g.Nodes)], &onnx.Node{Name: name, OpType: "Cast", Inputs: []string{v.Name}, Outputs: []string{name},
				Attrs: []*onnx.Attribute{onnx.AttrI("to", int64(tensor.Float32))}})
			c := *v
			c.Name, c.Type.Elem = name, tensor.Float32
			g.Outputs[i] = &c
			e.halves = true
		}
		names = append(names, name)
	}
	if !e.halves {
		return m, names
	}
	c := *m
	c.Graph = &g
	return &c, names
}

// freshName is a name that no value or node of the graph has.
func (e *executor) freshName(g *onnx.Graph, base string) string {
	used := map[string]bool{}
	for _, v := range g.Inputs {
		used[v.Name] = true
	}
	for _, t := range g.Initializers {
		used[t.Name] = true
	}
	for _, n := range g.Nodes {
		used[n.Name] = true
		for _, o := range n.Outputs {
			used[o] = true
		}
	}
	name := base + "_float32"
	for used[name] {
		name += "_"
	}
	return name
}

func infoOf(v *onnx.ValueInfo) runtime.ValueInfo {
	info := runtime.ValueInfo{Name: v.Name}
	if v.Type.Kind != onnx.KindTensor {
		return info
	}
	info.DType = v.Type.Elem
	if !v.Type.HasShape {
		return info
	}
	info.Shape = tensor.Shape{}
	for _, d := range v.Type.Shape {
		n := -1
		if d.Value >= 0 && int64(int(d.Value)) == d.Value {
			n = int(d.Value)
		}
		info.Shape = append(info.Shape, n)
		info.Dims = append(info.Dims, d.Param)
	}
	return info
}
