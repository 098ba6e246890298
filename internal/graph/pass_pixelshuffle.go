package graph

import (
	"slices"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

// shuffle is a way to spell DepthToSpace or SpaceToDepth out as Reshape, Transpose, Reshape.
type shuffle struct {
	opType string
	mode   string
	perm   []int64
	// rows, cols and depth are the axes, of the six between the Reshapes, that hold the
	// position in a block and the channel of the large picture; the other ones are batch,
	// height and width.
	rows, cols, depth, height, width int
}

// shuffles are those that ONNX has operators for. The last form of SpaceToDepth, with the
// position in a block as the low part of the channel, has none.
var shuffles = []shuffle{
	{"DepthToSpace", "DCR", []int64{0, 3, 4, 1, 5, 2}, 1, 2, 3, 4, 5},
	{"DepthToSpace", "CRD", []int64{0, 1, 4, 2, 5, 3}, 2, 3, 1, 4, 5},
	{"SpaceToDepth", "", []int64{0, 3, 5, 1, 2, 4}, 3, 5, 1, 2, 4},
}

// FuseShuffles turns Reshape, Transpose, Reshape that move channels into blocks of pixels,
// or back, into DepthToSpace and SpaceToDepth.
func FuseShuffles(g *Graph) (bool, error) {
	if !op.Complete {
		return false, nil
	}
	prod, uses := g.Producers(), g.Uses()
	changed := false
	var s *shapes
	node := func(id ValueID, opType string) *Node {
		if id == None || prod[id] < 0 || uses[id] != 1 {
			return nil
		}
		if n := g.Nodes[prod[id]]; n.Domain == "" && n.OpType == opType && len(n.In) > 0 && n.In[0] != None {
			return n
		}
		return nil
	}
	for i, last := range g.Nodes {
		if last.Domain != "" || last.OpType != "Reshape" || len(last.In) == 0 || len(last.Out) != 1 || last.Out[0] == None {
			continue
		}
		t := node(last.In[0], "Transpose")
		if t == nil {
			continue
		}
		first := node(t.In[0], "Reshape")
		if first == nil {
			continue
		}
		if s == nil {
			s = shapesOf(g)
		}
		for _, f := range shuffles {
			block, ok := f.match(s, first, t, last)
			if !ok || f.mode == "CRD" && g.Opsets[""] < 11 {
				continue
			}
			attrs := []*onnx.Attribute{onnx.AttrI("blocksize", block)}
			if f.mode == "CRD" {
				attrs = append(attrs, onnx.AttrS("mode", f.mode))
			}
			n, err := g.Make(Spec{Name: last.Name, OpType: f.opType, Attrs: attrs, In: first.In[:1], Out: last.Out})
			if err != nil {
				return changed, err
			}
			g.Nodes[i] = n
			changed = true
			break
		}
	}
	if changed {
		g.RemoveDead()
	}
	return changed, nil
}

// match reports whether three nodes are this form, and with which size of blocks.
func (f *shuffle) match(s *shapes, first, t, last *Node) (block int64, ok bool) {
	x, mid, y := s.dims[first.In[0]], s.dims[first.Out[0]], s.dims[last.Out[0]]
	if len(x) != 4 || len(mid) != 6 || len(y) != 4 {
		return 0, false
	}
	if a := attr(t, "perm"); a == nil || !slices.Equal(a.Ints, f.perm) {
		return 0, false
	}
	b := mid[f.rows]
	if !b.known() || b.n < 1 || mid[f.cols] != b || mid[0] != x[0] || mid[0] != y[0] {
		return 0, false
	}
	times := func(small, large extent, factor int64) bool {
		return small.known() && large.known() && small.n <= maxInt && small.n*factor == large.n
	}
	small, large := x, y // the pictures with many channels and with few
	if f.opType == "SpaceToDepth" {
		small, large = y, x
	}
	same := mid[f.depth] == large[1] && mid[f.height] == small[2] && mid[f.width] == small[3]
	return b.n, same && times(large[1], small[1], b.n*b.n) && b.n < 1<<15 &&
		times(small[2], large[2], b.n) && times(small[3], large[3], b.n)
}
