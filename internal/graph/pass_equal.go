package graph

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

// MergeEqual makes nodes that compute the same thing from the same values one node.
func MergeEqual(g *Graph) (bool, error) {
	changed := false
	seen := map[string]*Node{}
	kept := g.Nodes[:0:0]
	for _, n := range g.Nodes {
		key, ok := keyOf(n)
		first := seen[key]
		if !ok || first == nil || slices.ContainsFunc(n.Out, func(o ValueID) bool { return slices.Contains(g.Outputs, o) }) ||
			!slices.EqualFunc(first.Out, n.Out, func(a, b ValueID) bool { return (a == None) == (b == None) }) {
			if ok && first == nil {
				seen[key] = n
			}
			kept = append(kept, n)
			continue
		}
		for i, o := range n.Out {
			if o != None {
				g.Replace(o, first.Out[i])
			}
		}
		changed = true
	}
	g.Nodes = kept
	return changed, nil
}

// keyOf describes what a node computes, and false for nodes that must not be merged.
func keyOf(n *Node) (string, bool) {
	if _, impure := n.Op.(op.Impure); impure || len(n.Bodies) > 0 {
		return "", false
	}
	attrs := slices.Clone(n.Attrs)
	slices.SortFunc(attrs, func(a, b *onnx.Attribute) int { return strings.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	fmt.Fprintf(&b, "%q %q %d %v", n.Domain, n.OpType, n.Opset, n.In)
	for _, a := range attrs {
		if a.Tensor != nil || a.Graph != nil || a.Tensors != nil || a.Graphs != nil {
			return "", false
		}
		fmt.Fprintf(&b, " %q %d %x %d %q %v %v %q", a.Name, a.Type, a.Float, a.Int, a.String, a.Floats, a.Ints, a.Strings)
	}
	return b.String(), true
}
