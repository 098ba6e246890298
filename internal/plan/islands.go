package plan

import (
	"math"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// makeIslands turns operators that stand between DequantizeLinear and QuantizeLinear into
// operators on 8-bit integers. Nodes are visited in order. A value that is the dequantised
// form of an 8-bit value is remembered with it; operators that only move data are applied
// to the 8-bit value as well; and where a QuantizeLinear ends an island, one integer
// operator takes its place. What nobody reads any more is removed at the end. A program
// without the integer operators computes such models in float32.
func (b *builder) makeIslands() error {
	if !op.Complete {
		return nil
	}
	if !slices.ContainsFunc(b.g.Nodes, func(n *graph.Node) bool { return n.OpType == "QuantizeLinear" || n.OpType == "DequantizeLinear" }) {
		return nil
	}
	s := &islands{builder: b, uses: b.g.Uses(), makers: map[graph.ValueID]*graph.Node{}, ints: map[graph.ValueID]quantised{}, same: map[graph.ValueID]graph.ValueID{}}
	nodes := b.g.Nodes
	b.g.Nodes = make([]*graph.Node, 0, len(nodes))
	for _, n := range nodes {
		for i, id := range n.In {
			if v, ok := s.same[id]; ok && id != graph.None {
				n.In[i] = v
			}
		}
		for _, id := range n.Out {
			if id != graph.None {
				s.makers[id] = n
			}
		}
		if err := s.visit(n); err != nil {
			return err
		}
	}
	b.g.RemoveDead()
	return nil
}

// quantised is an 8-bit value with the scale and zero point that give its meaning.
type quantised struct {
	value, scale, zero graph.ValueID
}

// islands is the state of the pass.
type islands struct {
	*builder
	uses   []int
	makers map[graph.ValueID]*graph.Node
	ints   map[graph.ValueID]quantised     // float value → the value that it dequantises
	same   map[graph.ValueID]graph.ValueID // 8-bit value → an equal one that stands for it
}

func (s *islands) visit(n *graph.Node) error {
	if s.isDynamic(n) || len(n.Out) != 1 || n.Out[0] == graph.None || s.dynamic[n.Out[0]] {
		s.g.Nodes = append(s.g.Nodes, n)
		return nil
	}
	switch n.OpType {
	case "DequantizeLinear":
		if q, ok := s.params(n, n.In[0]); ok && s.facts[n.Out[0]].DType == tensor.Float32 {
			s.ints[n.Out[0]] = q
		}
	case "QuantizeLinear":
		done, err := s.end(n)
		if done || err != nil {
			return err
		}
	default:
		s.g.Nodes = append(s.g.Nodes, n)
		return s.through(n)
	}
	s.g.Nodes = append(s.g.Nodes, n)
	return nil
}

// params returns the scale and zero point of a QuantizeLinear or DequantizeLinear that
// belong to the whole of the 8-bit value.
func (s *islands) params(n *graph.Node, value graph.ValueID) (quantised, bool) {
	q := quantised{value: value, scale: n.In[1]}
	d := s.facts[value].DType
	if d != tensor.Uint8 && d != tensor.Int8 || n.Domain != "" {
		return q, false
	}
	if c := s.facts[q.scale].Const; c == nil || c.Elems() != 1 || c.DType() != tensor.Float32 {
		return q, false
	}
	if len(n.In) > 2 && n.In[2] != graph.None {
		q.zero = n.In[2]
		c := s.facts[q.zero].Const
		return q, c != nil && c.Elems() == 1
	}
	t, err := tensor.New(d)
	if err != nil {
		return q, false
	}
	q.zero = s.constant(n.Name+"_zero_point", t)
	return q, true
}

func (s *islands) constant(name string, t *tensor.Tensor) graph.ValueID {
	id := s.g.AddConst(name, t)
	s.setFact(id, op.FactOf(t))
	return id
}

// equal reports whether two quantised values have the same type, scale and zero point.
func (s *islands) equal(a, b quantised) bool {
	same := func(x, y graph.ValueID) bool {
		t, u := s.facts[x].Const, s.facts[y].Const
		return x == y || t.DType() == u.DType() && string(t.Bytes()) == string(u.Bytes())
	}
	return s.facts[a.value].DType == s.facts[b.value].DType && same(a.scale, b.scale) && same(a.zero, b.zero)
}

// emit adds a node of an operator that the pass makes. It adds nothing and returns false
// if the operator does not accept the inputs, or gives another type or shape than out has.
func (s *islands) emit(like *graph.Node, opType string, o op.Op, in []graph.ValueID, out graph.ValueID) bool {
	n := &graph.Node{Name: like.Name, OpType: opType, Op: o, In: in, Out: []graph.ValueID{out}}
	if !s.accepts(o, s.inFacts(n), out) {
		return false
	}
	s.g.Nodes = append(s.g.Nodes, n)
	s.makers[out] = n
	return true
}

// accepts reports whether an operator takes these inputs, and gives the type and shape that
// out has.
func (s *islands) accepts(o op.Op, in []op.Fact, out graph.ValueID) bool {
	f, err := o.Infer(in)
	return err == nil && len(f) > 0 && f[0].DType == s.facts[out].DType && f[0].Shape.Equal(s.facts[out].Shape)
}

// dataMovers give elements of input 0 as they are, and nothing else.
var dataMovers = map[string]bool{
	"Reshape": true, "Flatten": true, "Transpose": true, "Squeeze": true, "Unsqueeze": true, "Identity": true,
	"Slice": true, "DepthToSpace": true, "SpaceToDepth": true, "Expand": true, "Gather": true, "Tile": true,
	"MaxPool": true, "GlobalMaxPool": true, "Resize": true, "Pad": true,
}

// movesOnly reports whether a node is one of dataMovers: with windows, interpolation and
// padding that do not make new elements.
func movesOnly(n *graph.Node) bool {
	if n.Domain != "" || !dataMovers[n.OpType] {
		return false
	}
	mode := ""
	for _, a := range n.Attrs {
		if a.Name == "mode" {
			mode = string(a.String)
		}
		if a.Name == "coordinate_transformation_mode" && string(a.String) == "tf_crop_and_resize" {
			return false
		}
	}
	switch n.OpType {
	case "Resize":
		return mode == "" || mode == "nearest"
	case "Pad":
		return mode == "reflect" || mode == "edge" || mode == "wrap"
	}
	return true
}

// through applies an operator that only moves data to the 8-bit form of its input.
func (s *islands) through(n *graph.Node) error {
	if !movesOnly(n) {
		return nil
	}
	q, ok := s.ints[n.In[0]]
	if !ok {
		return nil
	}
	v := s.g.AddValue(graph.Value{Name: s.g.Value(n.Out[0]).Name + "_int"})
	s.setFact(v, op.Fact{DType: s.facts[q.value].DType, Shape: s.facts[n.Out[0]].Shape})
	in := slices.Clone(n.In)
	in[0] = q.value
	if s.emit(n, n.OpType, n.Op, in, v) {
		last := s.g.Nodes[len(s.g.Nodes)-1]
		last.Attrs, last.Opset = n.Attrs, n.Opset
		q.value = v
		s.ints[n.Out[0]] = q
	}
	return nil
}

// end replaces the QuantizeLinear n, and with it the operators before it, if they can be
// one integer operator.
func (s *islands) end(n *graph.Node) (bool, error) {
	y, ok := s.params(n, n.Out[0])
	if !ok || s.facts[n.In[0]].DType != tensor.Float32 {
		return false, nil
	}
	if x, ok := s.ints[n.In[0]]; ok {
		if s.equal(x, y) && !slices.Contains(s.g.Outputs, y.value) {
			s.same[y.value] = x.value
			return true, nil
		}
		return s.table(n, nil, x, y), nil
	}
	p := s.makers[n.In[0]]
	if p == nil || len(p.Out) != 1 {
		return false, nil
	}
	if s.enlarges(p) {
		return s.early(n, p, y)
	}
	if op.Elementwise(p.Op) && p.In[0] != graph.None {
		if x, ok := s.ints[p.In[0]]; ok {
			return s.table(n, p, x, y), nil
		}
	}
	// Bounds commute with quantisation, which is monotone.
	lo, hi := float32(math.Inf(-1)), float32(math.Inf(1))
	for s.uses[p.Out[0]] == 1 {
		l, h, ok := op.Limits(p.Op, s.inFacts(p))
		if !ok {
			break
		}
		lo, hi = min(max(lo, l), h), max(min(hi, h), l)
		if p = s.makers[p.In[0]]; p == nil || len(p.Out) != 1 {
			return false, nil
		}
	}
	if s.uses[p.Out[0]] != 1 || s.isDynamic(p) {
		return false, nil
	}
	clamp := s.clamp(lo, hi, y)
	out := y.value
	if clamp != nil {
		out = s.g.AddValue(graph.Value{Name: s.g.Value(y.value).Name + "_unbounded"})
		s.setFact(out, s.facts[y.value])
	}
	before := y
	before.value = out
	if !s.product(p, before) && !s.combine(p, before) {
		return false, nil
	}
	return clamp == nil || s.emit(n, "QuantizeLinear", clamp, []graph.ValueID{out}, y.value), nil
}

// enlarges reports whether a node repeats elements, for one reader.
func (s *islands) enlarges(p *graph.Node) bool {
	if p.OpType != "Resize" || !movesOnly(p) || s.uses[p.Out[0]] != 1 || s.isDynamic(p) || p.In[0] == graph.None || s.facts[p.In[0]].Const != nil {
		return false
	}
	in, ok := s.facts[p.In[0]].Shape.Elems()
	out, _ := s.facts[p.Out[0]].Shape.Elems()
	return ok && in < out
}

// early lets the QuantizeLinear n behind a node that enlarges a picture quantise the small one.
// What it adds before a later refusal has no reader and is removed with the other dead nodes.
func (s *islands) early(n, p *graph.Node, y quantised) (bool, error) {
	small := s.g.AddValue(graph.Value{Name: s.g.Value(y.value).Name + "_small"})
	s.setFact(small, op.Fact{DType: s.facts[y.value].DType, Shape: s.facts[p.In[0]].Shape})
	if !s.accepts(p.Op, append([]op.Fact{s.facts[small]}, s.inFacts(p)[1:]...), y.value) {
		return false, nil
	}
	q := *n
	q.In, q.Out = slices.Clone(n.In), []graph.ValueID{small}
	q.In[0] = p.In[0]
	done, err := s.end(&q)
	if err != nil {
		return false, err
	}
	if v, ok := s.same[small]; ok {
		small = v
	} else if !done {
		s.g.Nodes = append(s.g.Nodes, &q)
		s.makers[small] = &q
	}
	if !s.emit(p, p.OpType, p.Op, append([]graph.ValueID{small}, p.In[1:]...), y.value) {
		return false, nil
	}
	last := s.g.Nodes[len(s.g.Nodes)-1]
	last.Attrs, last.Opset = p.Attrs, p.Opset
	return true, nil
}

// clamp returns the operator that imposes bounds on 8-bit values, or nil where their range
// already does.
func (s *islands) clamp(lo, hi float32, y quantised) op.Op {
	scale, zero := s.facts[y.scale], s.facts[y.zero]
	least, most := float32(0), float32(255)
	if zero.DType == tensor.Int8 {
		least, most = -128, 127
	}
	z := float32(zero.Const.Bytes()[0])
	if zero.DType == tensor.Int8 {
		z = float32(int8(zero.Const.Bytes()[0]))
	}
	f := scale.Const.Float32s()[0]
	if !(lo/f+z > least) && !(hi/f+z < most) {
		return nil
	}
	n, err := s.g.Make(graph.Spec{Name: "clamp", OpType: "Clip", Opset: graph.NewestOpset(s.g.Set, ""),
		In: []graph.ValueID{y.value, s.constant("clamp_lo", tensor.Scalar(lo)), s.constant("clamp_hi", tensor.Scalar(hi))}})
	if err != nil {
		return nil
	}
	in := []op.Fact{{DType: tensor.Float32, Shape: tensor.Shape{}}, s.facts[n.In[1]], s.facts[n.In[2]]}
	p := [2]op.Fact{scale, zero}
	o, err := op.Table(n.Op, in, p, p)
	if err != nil {
		return nil
	}
	return o
}

// table replaces dequantise, elementwise operator (none if p is nil) and quantise.
func (s *islands) table(n, p *graph.Node, x, y quantised) bool {
	name, in := "QuantizeLinear", []op.Fact(nil)
	var f op.Op
	if p != nil {
		name, in, f = p.OpType, s.inFacts(p), p.Op
	}
	o, err := op.Table(f, in, [2]op.Fact{s.facts[x.scale], s.facts[x.zero]}, [2]op.Fact{s.facts[y.scale], s.facts[y.zero]})
	if err != nil {
		return false
	}
	like := n
	if p != nil {
		like = p
	}
	return s.emit(like, name, o, []graph.ValueID{x.value}, y.value)
}

// combine replaces sums, products, concatenations and means of 8-bit values by the
// operators that com.microsoft has for them.
func (s *islands) combine(p *graph.Node, y quantised) bool {
	spec := graph.Spec{Name: p.Name, Domain: "com.microsoft", Out: []graph.ValueID{y.value}, Opset: 1}
	var xs []quantised
	for _, id := range p.In {
		x, ok := s.ints[id]
		if !ok || id == graph.None || s.facts[x.value].DType != s.facts[y.value].DType {
			return false
		}
		xs = append(xs, x)
	}
	if p.Domain != "" || len(xs) == 0 {
		return false
	}
	switch p.OpType {
	case "Add", "Mul":
		spec.OpType = "QLinear" + p.OpType
		for _, x := range xs {
			spec.In = append(spec.In, x.value, x.scale, x.zero)
		}
		spec.In = append(spec.In, y.scale, y.zero)
	case "Concat":
		spec.OpType, spec.Attrs = "QLinearConcat", p.Attrs
		spec.In = []graph.ValueID{y.scale, y.zero}
		for _, x := range xs {
			spec.In = append(spec.In, x.value, x.scale, x.zero)
		}
	case "AveragePool", "GlobalAveragePool":
		spec.OpType, spec.Attrs = "QLinear"+p.OpType, p.Attrs
		spec.In = []graph.ValueID{xs[0].value, xs[0].scale, xs[0].zero, y.scale, y.zero}
	default:
		return false
	}
	if _, ok := s.g.Set[op.Key{Domain: spec.Domain, Type: spec.OpType}]; !ok {
		return false
	}
	n, err := s.g.Make(spec)
	if err != nil {
		return false
	}
	return s.emit(p, spec.OpType, n.Op, spec.In, y.value)
}
