package plan

import (
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// absorbOrders removes conversions between channels-last images and the rows of matrices that are the same images channel
// by channel: products with constant weights take these in the other order.
func (b *builder) absorbOrders() error {
	e := b.edges()
	for _, n := range slices.Clone(b.g.Nodes) {
		if n.Domain != "" || n.OpType != "Transpose" || b.isDynamic(n) {
			continue
		}
		rank := len(b.facts[n.In[0]].Shape)
		if rank < 3 {
			continue
		}
		var err error
		var changed bool
		if isPerm(n, firstPerm(rank)) {
			changed, err = b.absorbBefore(e, n)
		} else if isPerm(n, lastPerm(rank)) {
			changed, err = b.absorbAfter(e, n)
		}
		if err != nil {
			return err
		}
		if changed {
			b.g.RemoveDead()
			e = b.edges()
		}
	}
	return nil
}

// edges are the nodes that make and that read each value.
type edges struct {
	maker   []*graph.Node
	readers [][]*graph.Node // none of a value that is read by something else than nodes too
}

func (b *builder) edges() *edges {
	e := &edges{maker: make([]*graph.Node, len(b.g.Values)), readers: make([][]*graph.Node, len(b.g.Values))}
	for _, n := range b.g.Nodes {
		for _, id := range n.Out {
			if id != graph.None {
				e.maker[id] = n
			}
		}
		for i, id := range n.In {
			if id != graph.None && !slices.Contains(n.In[:i], id) {
				e.readers[id] = append(e.readers[id], n)
			}
		}
	}
	for _, id := range b.g.Outputs {
		e.readers[id] = nil
	}
	for _, c := range b.g.Commits {
		e.readers[c.From] = nil
	}
	return e
}

// absorbBefore removes a conversion t whose result is read as rows by products alone.
func (b *builder) absorbBefore(e *edges, t *graph.Node) (changed bool, err error) {
	image := b.facts[t.In[0]].Shape
	rows := e.readers[t.Out[0]]
	if len(rows) != 1 || !isRows(rows[0]) || rows[0].In[0] != t.Out[0] {
		return false, nil
	}
	r := rows[0]
	flat := b.facts[r.Out[0]]
	if len(flat.Shape) != 2 || flat.Shape[0] != image[0] || flat.Shape[0] == 0 {
		return false, nil
	}
	readers := e.readers[r.Out[0]]
	ops := make([]op.Op, len(readers))
	for i, p := range readers {
		var ok bool
		if p.In[0] != r.Out[0] || b.isDynamic(p) || !b.readsOnce(p, r.Out[0]) {
			return false, nil
		}
		if ops[i], ok = op.FromChannelsLast(p.Op, b.inFacts(p), image[len(image)-1]); !ok {
			return false, nil
		}
	}
	if len(readers) == 0 {
		return false, nil
	}
	n, err := b.reshape(t.In[0], flat.Shape, b.g.Value(r.Out[0]).Name+"_nhwc")
	if err != nil {
		return false, err
	}
	for i, p := range readers {
		p.Op, p.In = ops[i], slices.Clone(p.In)
		p.In[0] = n.Out[0]
	}
	b.g.Nodes = slices.Insert(b.g.Nodes, slices.Index(b.g.Nodes, r), n)
	return true, nil
}

// absorbAfter removes a conversion t of what a product has computed as rows.
func (b *builder) absorbAfter(e *edges, t *graph.Node) (changed bool, err error) {
	image := b.facts[t.Out[0]].Shape
	maker := func(id graph.ValueID) *graph.Node {
		if n := e.maker[id]; n != nil && len(e.readers[id]) == 1 && !b.isDynamic(n) {
			return n
		}
		return nil
	}
	r := maker(t.In[0])
	if len(e.readers[t.Out[0]]) == 0 || r == nil || !isRows(r) || len(b.facts[r.In[0]].Shape) != 2 || b.facts[r.In[0]].Shape[0] != image[0] || image[0] == 0 {
		return false, nil
	}
	p := maker(r.In[0])
	for p != nil && op.IsTable(p.Op) {
		p = maker(p.In[0])
	}
	if p == nil {
		return false, nil
	}
	channels := image[len(image)-1]
	o, row, ok := op.ToChannelsLast(p.Op, b.inFacts(p), channels)
	if !ok {
		return false, nil
	}
	n, err := b.reshape(r.In[0], image, b.g.Value(t.Out[0]).Name+"_rows")
	if err != nil {
		return false, err
	}
	if row > 0 {
		t, err := op.PixelOrder(b.facts[p.In[row]].Const, channels)
		if err != nil {
			return false, err
		}
		p.In = slices.Clone(p.In)
		p.In[row] = b.g.AddConst(b.g.Value(p.In[row]).Name+"_pixels", t)
		b.setFact(p.In[row], op.FactOf(t))
	}
	p.Op = o
	b.g.Nodes[slices.Index(b.g.Nodes, t)] = n
	b.g.Replace(t.Out[0], n.Out[0])
	return true, nil
}

// isRows reports whether a node only gives its first input another shape.
func isRows(n *graph.Node) bool {
	return n.Domain == "" && (n.OpType == "Reshape" || n.OpType == "Flatten") && len(n.Out) == 1
}

// reshape returns a node that gives a value another shape.
func (b *builder) reshape(id graph.ValueID, shape tensor.Shape, name string) (*graph.Node, error) {
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	t, err := tensor.Of(dims, len(dims))
	if err != nil {
		return nil, err
	}
	c := b.g.AddConst(name+"_shape", t)
	b.setFact(c, op.FactOf(t))
	n, err := b.g.Make(graph.Spec{Name: name, Opset: graph.NewestOpset(b.g.Set, ""), OpType: "Reshape", In: []graph.ValueID{id, c}, OutName: name,
		Attrs: []*onnx.Attribute{{Name: "allowzero", Type: onnx.AttrInt, Int: 1}}})
	if err != nil {
		return nil, err
	}
	b.setFact(n.Out[0], op.Fact{DType: b.facts[id].DType, Shape: shape.Clone()})
	return n, nil
}
