package quant

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// rewriter puts QuantizeLinear and DequantizeLinear into a graph, by the rules under which
// ONNX Runtime fuses them (its documentation "Quantize ONNX models", and the selectors of
// its QDQ transformer):
//
//   - the weights of Gemm, MatMul, Conv and ConvTranspose are int8 constants behind a
//     DequantizeLinear with a scale for each output channel, biases int32 with the product
//     of the scales of input and weights;
//   - a pair stands before and after each such operator, but none between it and a Relu or
//     Clip that follows;
//   - LeakyRelu, Sigmoid and Tanh have a pair on both sides;
//   - operators that only move data pass the scale on: the pair behind them has that of the
//     pair before.
type rewriter struct {
	g         *graph.Graph
	cal       *Calibration
	opts      Options
	report    *Report
	quantised map[graph.ValueID]graph.ValueID // value → what stands behind its pair
	latent    graph.ValueID                   // where the model may be cut in two, or None
	wide      map[graph.ValueID]bool          // values that a normal prior draws
	behind    map[graph.ValueID]pairOf        // of what stands behind a pair
	// chosen, unless nil, says that operators for training stand in for integers: it collects
	// the parameters of activations by name.
	chosen      map[string]Params
	fakeWeights map[graph.ValueID]*graph.Node
}

// pairOf are the constants of a pair and what they mean.
type pairOf struct {
	Params
	scale, zero graph.ValueID
}

// movers only move data: what they give has the scale of what they take.
var movers = []string{"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "MaxPool", "Slice", "DepthToSpace", "SpaceToDepth", "Expand"}

// tables are activations that become a table of 256 entries.
var tables = []string{"LeakyRelu", "Sigmoid", "Tanh"}

func (r *rewriter) run() error {
	g := r.g
	type candidate struct {
		n    *graph.Node
		w    *tensor.Tensor
		axis int
		in   string // name of the input
	}
	var list []candidate
	for _, n := range g.Nodes {
		if w, axis, ok := r.weightOf(n); ok {
			list = append(list, candidate{n, w, axis, g.Value(n.In[0]).Name})
		}
	}
	for _, c := range list {
		n, w, axis := c.n, c.w, c.axis
		layer := Layer{Node: n.Name, OpType: n.OpType, Weights: w.Elems()}
		if r.opts.Exclude != nil && r.opts.Exclude(n.Name) {
			layer.Float = true
			r.report.Layers = append(r.report.Layers, layer)
			continue
		}
		if err := r.layer(n, w, axis, c.in, &layer); err != nil {
			return fmt.Errorf("quant: node %q (%s): %w", n.Name, n.OpType, err)
		}
		r.report.Layers = append(r.report.Layers, layer)
	}
	if err := g.Sort(); err != nil {
		return err
	}
	g.RemoveDead()
	return nil
}

// weightOf returns the weights of a node that can become integer, and the axis of their
// output channels.
func (r *rewriter) weightOf(n *graph.Node) (*tensor.Tensor, int, bool) {
	if n.Domain != "" || len(n.In) < 2 || n.In[0] == graph.None || len(n.Out) != 1 {
		return nil, 0, false
	}
	w, err := r.g.ConstOf(n.In[1])
	if err != nil || w.DType() != tensor.Float32 || w.Rank() < 2 || w.Elems() == 0 {
		return nil, 0, false
	}
	if r.cal != nil && (r.cal.Values[r.g.Value(n.In[0]).Name] == nil || r.cal.Values[r.g.Value(n.Out[0]).Name] == nil) {
		return nil, 0, false
	}
	switch n.OpType {
	case "Conv":
		return w, 0, true
	case "ConvTranspose":
		return w, 1, intAttr(n, "group", 1) == 1
	case "MatMul":
		return w, 1, w.Rank() == 2
	case "Gemm":
		ok := floatAttr(n, "alpha", 1) == 1 && floatAttr(n, "beta", 1) == 1 && intAttr(n, "transA", 0) == 0
		if intAttr(n, "transB", 0) != 0 {
			return w, 0, ok
		}
		return w, 1, ok
	}
	return nil, 0, false
}

func intAttr(n *graph.Node, name string, def int64) int64 {
	for _, a := range n.Attrs {
		if a.Name == name && a.Type == onnx.AttrInt {
			return a.Int
		}
	}
	return def
}

func floatAttr(n *graph.Node, name string, def float32) float32 {
	for _, a := range n.Attrs {
		if a.Name == name && a.Type == onnx.AttrFloat {
			return a.Float
		}
	}
	return def
}

// layer quantises one operator: its input, its weights and bias, and what follows.
func (r *rewriter) layer(n *graph.Node, w *tensor.Tensor, axis int, input string, layer *Layer) error {
	in, scaleIn, err := r.operand(n.In[0])
	if err != nil {
		return err
	}
	if r.chosen != nil {
		return r.fakeLayer(n, in, axis, layer)
	}
	q, scales := quantizeWeights(w, axis, r.opts, r.leastScales(n, scaleIn, w.Shape()[axis]))
	if h := r.opts.Rounding[n.Name]; h != nil {
		h.round(w, q, scales, axis, r.opts.weightLimit())
	}
	layer.WeightSQNR = weightSQNR(w, q, scales, axis)
	name := r.g.Value(n.In[1]).Name
	dw, err := r.dequantConst(name, q, scales, axis)
	if err != nil {
		return err
	}
	inputs := []graph.ValueID{in, dw}
	if shift := meanError(n, r.cal.Means[input], w, q, scales, axis); r.opts.BiasCorrection && shift != nil && n.OpType != "MatMul" {
		b, err := r.corrected(n, shift)
		if err != nil {
			return err
		}
		n.In = []graph.ValueID{n.In[0], n.In[1], b}
	}
	if len(n.In) > 2 && n.In[2] != graph.None {
		b, err := r.bias(n, scaleIn, scales)
		if err != nil {
			return err
		}
		inputs = append(inputs, b)
	}
	n.In = inputs
	return r.output(n, layer)
}

// operand returns the dequantised form of an activation and its scale. Data-moving
// operators between the pair and its reader stay where they are.
func (r *rewriter) operand(id graph.ValueID) (graph.ValueID, float32, error) {
	g := r.g
	if p := producer(g, id); p != nil && slices.Contains(movers, p.OpType) && p.In[0] != graph.None && id != r.latent {
		if dq, ok := r.quantised[id]; ok {
			return dq, r.scaleOf(dq), nil
		}
		in, scale, err := r.operand(p.In[0])
		if err != nil {
			return id, 0, err
		}
		p.In[0] = in
		b, ok := r.behind[in]
		if !ok || r.chosen != nil {
			return id, scale, nil
		}
		dq, err := r.again(id, g.Value(id).Name, b)
		return dq, scale, err
	}
	if dq, ok := r.quantised[id]; ok {
		return dq, r.scaleOf(dq), nil
	}
	if p := producer(g, id); p != nil && (p.OpType == "DequantizeLinear" || p.OpType == fakeQuant) {
		return id, r.scaleOf(id), nil
	}
	dq, p, err := r.pair(id, g.Value(id).Name, r.params(id, nil))
	return dq, p.Scale, err
}

func producer(g *graph.Graph, id graph.ValueID) *graph.Node {
	for _, n := range g.Nodes {
		if slices.Contains(n.Out, id) {
			return n
		}
	}
	return nil
}

func readers(g *graph.Graph, id graph.ValueID) []*graph.Node {
	var out []*graph.Node
	for _, n := range g.Nodes {
		if slices.Contains(n.In, id) {
			out = append(out, n)
		}
	}
	return out
}

func (r *rewriter) scaleOf(dq graph.ValueID) float32 {
	if b, ok := r.behind[dq]; ok {
		return b.Scale
	}
	p := producer(r.g, dq)
	t, err := r.g.ConstOf(p.In[1])
	if err != nil {
		return 0
	}
	return t.Float32s()[0]
}

// output puts the pairs behind an operator and the activation that follows it.
func (r *rewriter) output(n *graph.Node, layer *Layer) error {
	g := r.g
	y := n.Out[0]
	next := onlyReader(g, y)
	if next != nil && (next.OpType == "Relu" || next.OpType == "Clip") {
		y = next.Out[0]
		next = onlyReader(g, y)
	}
	_, p, err := r.pairAfter(y, r.params(y, producer(g, y)))
	if err != nil {
		return err
	}
	layer.Scale, layer.ZeroPoint = p.Scale, p.ZeroPoint
	if next != nil && slices.Contains(tables, next.OpType) && !(r.chosen != nil && next.OpType == "Sigmoid") {
		_, _, err = r.pairAfter(next.Out[0], r.params(next.Out[0], next))
	}
	return err
}

// onlyReader returns the node that is alone in reading a value, which is no graph output.
func onlyReader(g *graph.Graph, id graph.ValueID) *graph.Node {
	if slices.Contains(g.Outputs, id) {
		return nil
	}
	if rs := readers(g, id); len(rs) == 1 {
		return rs[0]
	}
	return nil
}

// params returns the scale and zero point of an activation, the output of node by.
func (r *rewriter) params(id graph.ValueID, by *graph.Node) Params {
	p := r.chooseParams(id, by)
	if r.chosen != nil {
		r.chosen[r.g.Value(id).Name] = p
	}
	return p
}

func (r *rewriter) chooseParams(id graph.ValueID, by *graph.Node) Params {
	d := tensor.Uint8
	if r.opts.Signed {
		d = tensor.Int8
	}
	qmin, qmax := limits(d)
	if r.opts.Params != nil {
		if p, ok := r.opts.Params(r.g.Value(id).Name); ok {
			return p
		}
	}
	if by != nil && by.OpType == "Sigmoid" {
		return Params{Scale: 1.0 / 256, ZeroPoint: qmin, DType: d}
	}
	h := r.cal.Values[r.g.Value(id).Name]
	if h == nil || h.Counts == nil {
		return Params{Scale: 1, ZeroPoint: qmin, DType: d}
	}
	lo, hi := h.span(r.opts.method(), r.opts.Percentile, qmax-qmin+1)
	if r.wide[id] {
		lo, hi = min(lo, -normalReach), max(hi, normalReach)
	}
	if next := onlyReader(r.g, id); next != nil && saturates[next.OpType] > 0 {
		most := saturates[next.OpType]
		lo, hi = max(lo, -most), min(hi, most)
	}
	return chooseParams(lo, hi, d)
}

// saturates is how far from 0 an activation is within 1e-4 of its limits, a small part of a
// step of 8 bits: a range of its input that reaches further wastes steps. Black images have
// logits of -100 and less. The likelihoods that logits stand for change by as little.
var saturates = map[string]float64{"Sigmoid": 10, "Tanh": 5}

// chooseParams returns the scale and zero point with which lo … hi, which include 0, cover
// the integers of a type.
func chooseParams(lo, hi float64, d tensor.DType) Params {
	qmin, qmax := limits(d)
	scale := float32((hi - lo) / float64(qmax-qmin))
	if !(scale > 0x1p-126) || math.IsInf(float64(scale), 0) {
		return Params{Scale: 1, ZeroPoint: qmin, DType: d}
	}
	zp := int(math.RoundToEven(float64(qmin) - lo/float64(scale)))
	return Params{Scale: scale, ZeroPoint: min(qmax, max(qmin, zp)), DType: d}
}

// pair adds QuantizeLinear and DequantizeLinear, whose names begin with name, behind a value
// and returns the dequantised one. Readers of the value are not changed.
func (r *rewriter) pair(id graph.ValueID, name string, p Params) (graph.ValueID, Params, error) {
	g := r.g
	if r.chosen != nil {
		return r.fakePair(id, name, p)
	}
	b := pairOf{p, g.AddConst(name+"_scale", tensor.Scalar(p.Scale)), g.AddConst(name+"_zero_point", zeroPoint(p))}
	dq, err := r.again(id, name, b)
	return dq, p, err
}

// again adds a pair with constants that are there.
func (r *rewriter) again(id graph.ValueID, name string, b pairOf) (graph.ValueID, error) {
	g := r.g
	q, err := g.Add(graph.Spec{Name: name + "/Q", OpType: "QuantizeLinear", In: []graph.ValueID{id, b.scale, b.zero}, OutName: name + "_q", Opset: r.opset()})
	if err != nil {
		return id, err
	}
	dq, err := g.Add(graph.Spec{Name: name + "/DQ", OpType: "DequantizeLinear", In: []graph.ValueID{q.Out[0], b.scale, b.zero}, OutName: name + "_dq", Opset: r.opset()})
	if err != nil {
		return id, err
	}
	r.quantised[id], r.behind[dq.Out[0]] = dq.Out[0], b
	return dq.Out[0], nil
}

// pairAfter adds a pair behind a value and makes all its readers, and the graph's outputs,
// take the dequantised form, which gets the name of an output.
func (r *rewriter) pairAfter(id graph.ValueID, p Params) (graph.ValueID, Params, error) {
	g := r.g
	if dq, ok := r.quantised[id]; ok {
		return dq, p, nil
	}
	rs := readers(g, id)
	isOutput := slices.Contains(g.Outputs, id)
	name := g.Value(id).Name
	dq, p, err := r.pair(id, name, p)
	if err != nil {
		return id, p, err
	}
	read := dq
	if id == r.latent {
		// Whoever starts from the latents gives float32.
		if b, ok := r.behind[dq]; ok && r.chosen == nil {
			if read, err = r.again(dq, name+"_read", b); err != nil {
				return id, p, err
			}
		}
	}
	for _, n := range rs {
		for i, in := range n.In {
			if in == id {
				n.In[i] = read
			}
		}
	}
	if !isOutput && id != r.latent {
		return dq, p, nil
	}
	if err := g.Rename(id, name+"_float"); err != nil {
		return id, p, err
	}
	if err := g.Rename(dq, name); err != nil {
		return id, p, err
	}
	g.Value(dq).Type = g.Value(id).Type
	for i, o := range g.Outputs {
		if o == id {
			g.Outputs[i] = dq
		}
	}
	return dq, p, nil
}

func (r *rewriter) opset() int { return max(minOpset, r.g.Opsets[""]) }

func zeroPoint(p Params) *tensor.Tensor {
	if p.DType == tensor.Int8 {
		return tensor.Scalar(int8(p.ZeroPoint))
	}
	return tensor.Scalar(uint8(p.ZeroPoint))
}

// dequantConst adds int8 or int32 constants, with zero point 0, behind a DequantizeLinear.
func (r *rewriter) dequantConst(name string, q *tensor.Tensor, scales []float32, axis int) (graph.ValueID, error) {
	g := r.g
	v := g.AddValue(graph.Value{Name: name + "_q", Kind: graph.Constant, Data: q, Type: graph.TypeOf(q), Origin: name})
	var st, zt *tensor.Tensor
	var err error
	spec := graph.Spec{Name: name + "/DQ", OpType: "DequantizeLinear", OutName: name + "_dq", Opset: r.opset()}
	if len(scales) == 1 {
		st = tensor.Scalar(scales[0])
		zt, err = tensor.New(q.DType())
	} else {
		if st, err = tensor.Of(scales, len(scales)); err != nil {
			return v, err
		}
		zt, err = tensor.New(q.DType(), len(scales))
		spec.Attrs = []*onnx.Attribute{onnx.AttrI("axis", int64(axis))}
	}
	if err != nil {
		return v, err
	}
	spec.In = []graph.ValueID{v, g.AddConst(name+"_scale", st)}
	if q.DType() != tensor.Int32 {
		// ONNX Runtime fuses weights only with a zero point; a bias needs none.
		spec.In = append(spec.In, g.AddConst(name+"_zero_point", zt))
	}
	n, err := g.Add(spec)
	if err != nil {
		return v, err
	}
	return n.Out[0], nil
}

// biasLimit bounds int32 biases, so that sums of products can be added to them.
const biasLimit = 1 << 30

// leastScales returns the smallest scale of each channel of the weights of n with which its
// bias fits int32, or nil where there is no bias. It matters for channels whose weights are
// far smaller than their bias.
func (r *rewriter) leastScales(n *graph.Node, scaleIn float32, channels int) []float32 {
	if len(n.In) < 3 || n.In[2] == graph.None {
		return nil
	}
	b, err := r.g.ConstOf(n.In[2])
	if err != nil || b.DType() != tensor.Float32 || b.Elems() != channels {
		return nil
	}
	least := make([]float32, channels)
	for i, v := range b.Float32s() {
		least[i] = float32(math.Abs(float64(v)) / biasLimit / float64(scaleIn))
	}
	return least
}

// bias replaces a bias by int32 constants with scale s_x·s_w.
func (r *rewriter) bias(n *graph.Node, scaleIn float32, scales []float32) (graph.ValueID, error) {
	b, err := r.g.ConstOf(n.In[2])
	if err != nil || b.DType() != tensor.Float32 {
		return graph.None, errors.New("its bias is not a float32 constant")
	}
	src := b.Float32s()
	q := make([]int32, len(src))
	s := make([]float32, len(scales))
	for i := range s {
		s[i] = float32(scaleIn * scales[i])
	}
	for i, v := range src {
		k := 0
		if len(s) > 1 {
			k = i
		}
		if k >= len(s) {
			return graph.None, fmt.Errorf("bias %v does not fit %d channels", b, len(s))
		}
		x := math.RoundToEven(float64(v) / float64(s[k]))
		q[i] = int32(min(math.MaxInt32, max(math.MinInt32, x)))
	}
	t, err := tensor.Of(q, b.Shape()...)
	if err != nil {
		return graph.None, err
	}
	if b.Rank() != 1 {
		if t, err = t.Reshape(len(q)); err != nil {
			return graph.None, err
		}
	}
	return r.dequantConst(r.g.Value(n.In[2]).Name, t, s, 0)
}
