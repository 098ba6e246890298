package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
)

// valueJSON is an input or output of a model.
type valueJSON struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []any  `json:"shape"` // numbers, and names of open axes; null if not declared
}

// infoJSON is what `info --json` prints.
type infoJSON struct {
	File       string            `json:"file"`
	Bytes      int64             `json:"bytes"`
	Producer   string            `json:"producer"`
	IRVersion  int64             `json:"ir_version"`
	Opsets     map[string]int64  `json:"opsets"`
	Backend    string            `json:"backend"`
	Inputs     []valueJSON       `json:"inputs"`
	Outputs    []valueJSON       `json:"outputs"`
	Nodes      int               `json:"nodes"`
	Operators  map[string]int    `json:"operators"`
	Parameters int64             `json:"parameters"`
	Weights    int64             `json:"weight_bytes"`
	Cost       *costJSON         `json:"cost,omitempty"`
	CostError  string            `json:"cost_error,omitempty"`
	Kernels    map[string]string `json:"kernels"`
	Features   []string          `json:"features"`
	Roles      *autoencoder.Info `json:"autoencoder,omitempty"`
	Metadata   map[string]string `json:"metadata"`
	Graph      []nodeJSON        `json:"graph,omitempty"`
}

// costJSON is what one run costs.
type costJSON struct {
	Batch  int   `json:"batch"`
	MACs   int64 `json:"macs"`
	Arena  int   `json:"arena_bytes"`
	Packed int   `json:"packed_bytes"`
	Steps  int   `json:"steps"`
	// Integer says that all arithmetic is on integers, with the same results everywhere.
	Integer bool `json:"fully_integer"`
}

type nodeJSON struct {
	Name    string   `json:"name"`
	OpType  string   `json:"op"`
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
}

// shapeFlags complete the shapes that a model leaves open.
type shapeFlags struct{ shapes []string }

func (f *shapeFlags) add(all *cli.Flags) {
	all.Section(modelSection).StringArrayVar(&f.shapes, "shape", nil, "`NAME=1x3x64x64`: shape of an input whose axes are open; may be repeated")
}

// inputs returns the shapes of the inputs of s for a batch. m may be nil.
func (f *shapeFlags) inputs(s *runtime.Session, batch int, m *autoencoder.Model) (map[string]tensor.Shape, error) {
	given := map[string]tensor.Shape{}
	for _, arg := range f.shapes {
		name, dims, ok := strings.Cut(arg, "=")
		var shape tensor.Shape
		for d := range strings.SplitSeq(strings.ToLower(dims), "x") {
			v, err := strconv.Atoi(d)
			ok = ok && err == nil && v >= 0
			shape = append(shape, v)
		}
		if !ok {
			return nil, usagef("--shape %q: want NAME=1x3x64x64", arg)
		}
		given[name] = shape
	}
	out := map[string]tensor.Shape{}
	for _, v := range s.Inputs() {
		if shape, ok := given[v.Name]; ok {
			out[v.Name] = shape
			delete(given, v.Name)
			continue
		}
		shape := v.Shape.Clone()
		if len(shape) > 0 && shape[0] < 0 {
			shape[0] = batch
		}
		if (v.Shape == nil || slices.Contains(shape, -1)) && m != nil {
			if img, ok := m.InputShape(v.Name, batch); ok {
				shape = img
			}
		}
		if v.Shape == nil && len(shape) == 0 || slices.Contains(shape, -1) {
			return nil, fmt.Errorf("the model leaves the shape of input %q open (%v): give it with --shape %s=…", v.Name, &v, v.Name)
		}
		out[v.Name] = shape
	}
	for name := range given {
		return nil, usagef("--shape: the model has no input %q", name)
	}
	return out, nil
}

func runInfo(a *app, args []string) error {
	var mf modelFlags
	var shapes shapeFlags
	all, fs := a.flags()
	asJSON := fs.Bool("json", false, "print JSON")
	nodes := fs.Bool("nodes", false, "list the nodes of the graph")
	shapes.add(all)
	mf.add(all)
	rest, err := a.parse(all, args, 1, 1)
	if err != nil {
		return err
	}
	ao, err := mf.options()
	if err != nil {
		return err
	}
	s, err := mf.open(rest[0])
	if err != nil {
		return err
	}
	defer s.Close()
	inf, err := describe(s, rest[0])
	if err != nil {
		return err
	}
	m, err := autoencoder.New(s, ao)
	switch {
	case err == nil:
		defer m.Close()
		roles := m.Info()
		inf.Roles = &roles
	case mf.fs.Changed("input") || mf.fs.Changed("latent") || mf.fs.Changed("output"):
		return err
	default:
		m = nil
	}
	batch := max(1, mf.o.Batch)
	if err := inf.cost(s, m, &shapes, batch); err != nil {
		return err
	}
	if *nodes {
		inf.Graph = listNodes(s.Model().Graph)
	}
	if *asJSON {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(inf)
	}
	inf.print(a)
	return nil
}

func describe(s *runtime.Session, path string) (*infoJSON, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	md := s.Model()
	inf := &infoJSON{
		File: path, Bytes: st.Size(), IRVersion: md.IRVersion, Backend: s.Backend(), Opsets: map[string]int64{},
		Producer: strings.TrimSpace(md.ProducerName + " " + md.ProducerVersion),
		Nodes:    len(md.Graph.Nodes), Operators: map[string]int{}, Kernels: map[string]string{}, Features: kernel.Features(),
		Metadata: s.Metadata(), Inputs: values(s.Inputs()), Outputs: values(s.Outputs()),
	}
	for _, o := range md.Opsets {
		domain := o.Domain
		if domain == "" {
			domain = "ai.onnx"
		}
		inf.Opsets[domain] = o.Version
	}
	for _, n := range md.Graph.Nodes {
		name := n.OpType
		if n.Domain != "" {
			name = n.Domain + "." + name
		}
		inf.Operators[name]++
	}
	for _, c := range kernel.Kernels() {
		inf.Kernels[c.Family] = c.Kernel
	}
	return inf, nil
}

func values(infos []runtime.ValueInfo) []valueJSON {
	out := []valueJSON{}
	for _, v := range infos {
		j := valueJSON{Name: v.Name, DType: v.DType.String()}
		for i, d := range v.Shape {
			switch {
			case d >= 0:
				j.Shape = append(j.Shape, d)
			case i < len(v.Dims) && v.Dims[i] != "":
				j.Shape = append(j.Shape, v.Dims[i])
			default:
				j.Shape = append(j.Shape, "?")
			}
		}
		out = append(out, j)
	}
	return out
}

func (inf *infoJSON) cost(s *runtime.Session, m *autoencoder.Model, sf *shapeFlags, batch int) error {
	in, err := sf.inputs(s, batch, m)
	if err != nil {
		if _, ok := errors.AsType[cli.UsageError](err); ok {
			return err
		}
		inf.CostError = err.Error()
		in = nil
	}
	st, err := s.Stats(in)
	inf.Parameters, inf.Weights = st.Parameters, st.Weights
	switch {
	case inf.CostError != "" || errors.Is(err, runtime.ErrNotNative):
	case err != nil:
		return err
	default:
		inf.Cost = &costJSON{Batch: batch, MACs: st.MACs, Arena: st.Arena, Packed: st.Packed, Steps: st.Steps, Integer: st.FullyInteger()}
	}
	return nil
}

func listNodes(g *onnx.Graph) []nodeJSON {
	out := []nodeJSON{}
	for _, n := range g.Nodes {
		out = append(out, nodeJSON{Name: n.Name, OpType: n.OpType, Inputs: n.Inputs, Outputs: n.Outputs})
	}
	return out
}

func (inf *infoJSON) print(a *app) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-12s %s\n", name, cli.OneLine(fmt.Sprintf(format, args...)))
	}
	line("file", "%s, %s", inf.File, bytesOf(inf.Bytes))
	producer := inf.Producer
	if producer == "" {
		producer = "unknown producer"
	}
	line("format", "ONNX IR %d, %s, by %s", inf.IRVersion, joinMap(inf.Opsets, "%s %d"), producer)
	for _, v := range inf.Inputs {
		line("input", "%s", v)
	}
	for _, v := range inf.Outputs {
		line("output", "%s", v)
	}
	line("nodes", "%d: %s", inf.Nodes, joinMap(inf.Operators, "%s %d"))
	line("parameters", "%s in %s", group(inf.Parameters), bytesOf(inf.Weights))
	switch c := inf.Cost; {
	case c != nil:
		line("cost", "batch %d: %s multiply-adds in %d steps", c.Batch, group(c.MACs), c.Steps)
		line("arithmetic", "fully integer: %s", map[bool]string{true: "yes", false: "no"}[c.Integer])
		line("memory", "arena %s, packed weights %s", bytesOf(int64(c.Arena)), bytesOf(int64(c.Packed)))
	case inf.CostError != "":
		line("cost", "unknown: %s", inf.CostError)
	}
	line("backend", "%s", inf.Backend)
	line("kernels", "%s", joinMap(inf.Kernels, "%s: %s"))
	line("features", "%s", strings.Join(inf.Features, " "))
	if r := inf.Roles; r != nil {
		inf.printRoles(line, r)
	}
	inf.printMetadata(line)
	for _, n := range inf.Graph {
		line("node", "%s (%s): %s -> %s", n.Name, n.OpType, strings.Join(n.Inputs, ", "), strings.Join(n.Outputs, ", "))
	}
}

func (inf *infoJSON) printRoles(line func(string, string, ...any), r *autoencoder.Info) {
	kind := r.Kind
	if kind == "" {
		kind = "autoencoder (concluded from the graph)"
	}
	if r.Preset != "" {
		kind += ", preset " + r.Preset
	}
	line("kind", "%s", kind)
	var names []string
	for _, f := range [][2]string{{"image", r.Input}, {"label", r.Label}, {"mu", r.Mu}, {"logvar", r.LogVar}, {"latent", r.Latent}, {"codes", r.Codes}, {"reconstruction", r.Output}} {
		if f[1] != "" {
			names = append(names, fmt.Sprintf("%s = %q", f[0], f[1]))
		}
	}
	line("values", "%s", strings.Join(names, ", "))
	line("image", "%dx%d, %d channel(s), %s, mean %v, std %v", r.Width, r.Height, r.Channels, r.Layout, r.Mean, r.Std)
	if r.Threshold >= 0 {
		line("threshold", "unusual from a reconstruction error of %g", r.Threshold)
	}
}

// printMetadata lists the metadata; the parts that other lines show, or that are long, are
// left out.
func (inf *infoJSON) printMetadata(line func(string, string, ...any)) {
	for _, p := range meta.FromMap(inf.Metadata) {
		switch strings.TrimPrefix(p.Key, meta.Prefix) {
		case "schema", "kind", "preset", "values", "image", "anomaly":
			continue
		}
		v := p.Value
		if r := []rune(v); len(r) > 160 {
			v = string(r[:160]) + fmt.Sprintf("… (%d bytes)", len(p.Value))
		}
		line("metadata", "%s = %s", p.Key, v)
	}
}

func (v valueJSON) String() string {
	if v.Shape == nil {
		return fmt.Sprintf("%q %s", v.Name, v.DType)
	}
	return fmt.Sprintf("%q %s%v", v.Name, v.DType, v.Shape)
}

// joinMap formats the entries of m in the order of their keys.
func joinMap[V any](m map[string]V, format string) string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out []string
	for _, k := range keys {
		out = append(out, fmt.Sprintf(format, k, m[k]))
	}
	return strings.Join(out, ", ")
}

// bytesOf formats a number of bytes.
func bytesOf(n int64) string {
	switch {
	case n < 10<<10:
		return group(n) + " bytes"
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// group formats a number with commas between groups of three digits.
func group(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
