package graph

import (
	"slices"

	"github.com/aekit/aekit/tensor"
)

// RemoveIdentity takes out Identity nodes, and Dropout nodes that do not train.
func RemoveIdentity(g *Graph) (bool, error) {
	changed := false
	kept := g.Nodes[:0:0]
	for _, n := range g.Nodes {
		if g.isIdentity(n) && !slices.Contains(g.Outputs, n.Out[0]) {
			g.Replace(n.Out[0], n.In[0])
			changed = true
			continue
		}
		kept = append(kept, n)
	}
	g.Nodes = kept
	return changed, nil
}

func (g *Graph) isIdentity(n *Node) bool {
	if n.Domain != "" || len(n.In) == 0 || n.In[0] == None || len(n.Out) == 0 || n.Out[0] == None {
		return false
	}
	switch n.OpType {
	case "Identity":
		return true
	case "Dropout":
		if len(n.Out) > 1 && n.Out[1] != None {
			return false
		}
		if len(n.In) < 3 || n.In[2] == None {
			return true
		}
		t, err := g.ConstOf(n.In[2])
		return err == nil && t.DType() == tensor.Bool && t.Elems() == 1 && !tensor.Data[bool](t)[0]
	}
	return false
}
