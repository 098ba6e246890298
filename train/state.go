package train

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// findStates lists the running statistics of g's BatchNormalization nodes, as ranges of one
// vector. A node whose scale is frozen keeps its statistics.
func findStates(g *graph.Graph, freeze func(string) bool) (ss []parameter, size int) {
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		if !hasStatistics(g, n, freeze) {
			continue
		}
		for _, id := range n.In[3:5] {
			v := g.Value(id)
			if seen[v.Name] {
				continue
			}
			seen[v.Name] = true
			ss = append(ss, parameter{name: v.Name, shape: v.Data.Shape(), off: size, n: v.Data.Elems()})
			size += v.Data.Elems()
		}
	}
	return ss, size
}

func hasStatistics(g *graph.Graph, n *graph.Node, freeze func(string) bool) bool {
	if n.Domain != "" || n.OpType != "BatchNormalization" || len(n.In) != 5 {
		return false
	}
	for _, id := range n.In[1:] {
		if v := g.Value(id); v.Data == nil || v.Data.DType() != tensor.Float32 || v.Origin == "" {
			return false
		}
	}
	return freeze == nil || !freeze(g.Value(n.In[1]).Origin)
}

// bindStates makes the statistics states of g whose data are in the vector v.
func bindStates(g *graph.Graph, ss []parameter, v []float32) {
	for i := range ss {
		val := g.Value(lookupOrAdd(g, ss[i].name))
		val.Kind, val.Data = graph.State, ss[i].view(v)
	}
}

// trainStatistics makes the nodes whose statistics are states normalise by the batch, and,
// with commit, commits the running statistics after each step.
func trainStatistics(g *graph.Graph, commit bool) error {
	for i, n := range g.Nodes {
		if n.Domain != "" || n.OpType != "BatchNormalization" || g.Value(n.In[3]).Kind != graph.State {
			continue
		}
		s := graph.Spec{Name: n.Name, OpType: n.OpType, In: n.In, Out: []graph.ValueID{n.Out[0]}}
		for _, a := range n.Attrs {
			if a.Name != "training_mode" {
				s.Attrs = append(s.Attrs, a)
			}
		}
		if n.Opset >= 14 {
			s.Attrs = append(s.Attrs, onnx.AttrI("training_mode", 1))
		}
		for k, id := range n.In[3:5] {
			out := g.AddValue(graph.Value{Name: fmt.Sprintf("%s/running%d", n.Name, k)})
			s.Out = append(s.Out, out)
			if commit {
				g.Commits = append(g.Commits, graph.Commit{State: id, From: out})
			}
		}
		m, err := g.Make(s)
		if err != nil {
			return err
		}
		g.Nodes[i] = m
	}
	return nil
}
