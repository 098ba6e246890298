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
	for _, n := range slices.Clone(b.g.Nodes) {
		if n.Domain != "" || n.OpType != "Transpose" || b.isDynamic(n) || !slices.Contains(b.g.Nodes, n) {
			continue
		}
		rank := len(b.facts[n.In[0]].Shape)
		if rank < 3 {
			continue
		}
		var err error
		if isPerm(n, firstPerm(rank)) {
			err = b.absorbBefore(n)
		} else if isPerm(n, lastPerm(rank)) {
			err = b.absorbAfter(n)
		}
		if err != nil {
			return err
		}
	}
	b.g.RemoveDead()
	return nil
}

// absorbBefore removes a conversion t whose result is read as rows by products alone.
func (b *builder) absorbBefore(t *graph.Node) error {
	image := b.facts[t.In[0]].Shape
	rows := b.onlyReaders(t.Out[0])
	if len(rows) != 1 || !isRows(rows[0]) || rows[0].In[0] != t.Out[0] {
		return nil
	}
	r := rows[0]
	flat := b.facts[r.Out[0]]
	if len(flat.Shape) != 2 || flat.Shape[0] != image[0] || flat.Shape[0] == 0 {
		return nil
	}
	readers := b.onlyReaders(r.Out[0])
	ops := make([]op.Op, len(readers))
	for i, p := range readers {
		var ok bool
		if p.In[0] != r.Out[0] || b.isDynamic(p) || !b.readsOnce(p, r.Out[0]) {
			return nil
		}
		if ops[i], ok = op.FromChannelsLast(p.Op, b.inFacts(p), image[len(image)-1]); !ok {
			return nil
		}
	}
	if len(readers) == 0 {
		return nil
	}
	n, err := b.reshape(t.In[0], flat.Shape, b.g.Value(r.Out[0]).Name+"_nhwc")
	if err != nil {
		return err
	}
	for i, p := range readers {
		p.Op, p.In = ops[i], slices.Clone(p.In)
		p.In[0] = n.Out[0]
	}
	b.g.Nodes = slices.Insert(b.g.Nodes, slices.Index(b.g.Nodes, r), n)
	return nil
}

// absorbAfter removes a conversion t of what a product has computed as rows.
func (b *builder) absorbAfter(t *graph.Node) error {
	image := b.facts[t.Out[0]].Shape
	maker := func(id graph.ValueID) *graph.Node {
		i := slices.IndexFunc(b.g.Nodes, func(n *graph.Node) bool { return slices.Contains(n.Out, id) })
		if i < 0 || len(b.onlyReaders(id)) != 1 || b.isDynamic(b.g.Nodes[i]) {
			return nil
		}
		return b.g.Nodes[i]
	}
	r := maker(t.In[0])
	if len(b.onlyReaders(t.Out[0])) == 0 || r == nil || !isRows(r) || len(b.facts[r.In[0]].Shape) != 2 || b.facts[r.In[0]].Shape[0] != image[0] || image[0] == 0 {
		return nil
	}
	p := maker(r.In[0])
	for p != nil && op.IsTable(p.Op) {
		p = maker(p.In[0])
	}
	if p == nil {
		return nil
	}
	channels := image[len(image)-1]
	o, row, ok := op.ToChannelsLast(p.Op, b.inFacts(p), channels)
	if !ok {
		return nil
	}
	n, err := b.reshape(r.In[0], image, b.g.Value(t.Out[0]).Name+"_rows")
	if err != nil {
		return err
	}
	if row > 0 {
		t, err := op.PixelOrder(b.facts[p.In[row]].Const, channels)
		if err != nil {
			return err
		}
		p.In = slices.Clone(p.In)
		p.In[row] = b.g.AddConst(b.g.Value(p.In[row]).Name+"_pixels", t)
		b.setFact(p.In[row], op.FactOf(t))
	}
	p.Op = o
	b.g.Nodes[slices.Index(b.g.Nodes, t)] = n
	b.g.Replace(t.Out[0], n.Out[0])
	return nil
}

// isRows reports whether a node only gives its first input another shape.
func isRows(n *graph.Node) bool {
	return n.Domain == "" && (n.OpType == "Reshape" || n.OpType == "Flatten") && len(n.Out) == 1
}

// onlyReaders returns the nodes that read a value, or none if something else does too.
func (b *builder) onlyReaders(id graph.ValueID) []*graph.Node {
	if slices.Contains(b.g.Outputs, id) || slices.ContainsFunc(b.g.Commits, func(c graph.Commit) bool { return c.From == id }) {
		return nil
	}
	var nodes []*graph.Node
	for _, n := range b.g.Nodes {
		if slices.Contains(n.In, id) {
			nodes = append(nodes, n)
		}
	}
	return nodes
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
