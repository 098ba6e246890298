package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

var attentionRules = map[op.Key]rule{
	{Type: "Attention"}:       attentionRule,
	{Type: "Col2Im"}:          col2ImRule,
	{Type: "RotaryEmbedding"}: rotaryRule,
}

// attentionRule: Y = P·V with P = softmax(c·Q·Kᵀ + mask), so that dV = Pᵀ·dY and, with
// dS = P∘(dP - Σ dP∘P) along the keys and dP = dY·Vᵀ, dQ = c·dS·K and dK = c·dSᵀ·Q. The
// operator itself gives P. Not covered are keys that some of the heads share (but all may share
// one), keys of the past, capped scores, and the gradient of the mask.
func attentionRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	heads, shared := attrInt(n, "q_num_heads", 0), attrInt(n, "kv_num_heads", 0)
	for _, g := range dy[1:] {
		if g != graph.None {
			return errNoRule
		}
	}
	if heads != shared || attrFloat(n, "softcap", 0) != 0 || input(n, 4) != graph.None || d.needs(input(n, 3)) {
		return errNoRule
	}
	attrs := []*onnx.Attribute{onnx.AttrI("qk_matmul_output_mode", 3)}
	for _, a := range n.Attrs {
		if a.Name != "qk_matmul_output_mode" {
			attrs = append(attrs, a)
		}
	}
	p := d.node("", "Attention", 4, n.In, attrs...)[3]
	// split brings [batch, length, heads·size] to [batch, heads, length, size].
	split := func(v graph.ValueID) graph.ValueID {
		if heads == 0 {
			return v
		}
		s := d.op("Reshape", []graph.ValueID{v, d.g.AddConst("heads", int64s(0, 0, heads, -1))})
		return d.swap(s, 1, 2)
	}
	q, k, v, g := split(n.In[0]), split(n.In[1]), split(n.In[2]), split(dy[0])
	dp := d.op("MatMul", []graph.ValueID{g, d.swap(v, 2, 3)})
	along := d.node18("ReduceSum", []graph.ValueID{d.mul(dp, p), d.g.AddConst("axes", int64s(-1))})
	ds := d.mul(p, d.op("Sub", []graph.ValueID{dp, along}))
	if a := attr(n, "scale"); a != nil {
		ds = d.scale(ds, a.Float)
	} else {
		size := d.op("CastLike", []graph.ValueID{d.op("Shape", []graph.ValueID{q}, onnx.AttrI("start", 3)), ds})
		ds = d.op("Div", []graph.ValueID{ds, d.op("Sqrt", []graph.ValueID{size})})
	}
	join := func(x, dx graph.ValueID) {
		if heads != 0 {
			d.add(x, d.grad("ReshapeLike", []graph.ValueID{d.swap(dx, 1, 2), x}))
			return
		}
		d.add(x, d.reduceTo(dx, x))
	}
	join(n.In[0], d.op("MatMul", []graph.ValueID{ds, k}))
	join(n.In[1], d.op("MatMul", []graph.ValueID{d.swap(ds, 2, 3), q}))
	join(n.In[2], d.op("MatMul", []graph.ValueID{d.swap(p, 2, 3), g}))
	return nil
}

// swap exchanges two of the four axes of v.
func (d *differ) swap(v graph.ValueID, a, b int) graph.ValueID {
	perm := []int64{0, 1, 2, 3}
	perm[a], perm[b] = perm[b], perm[a]
	return d.op("Transpose", []graph.ValueID{v}, onnx.AttrIs("perm", perm...))
}

// rotaryRule rotates back.
func rotaryRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if d.needs(n.In[1]) || d.needs(n.In[2]) {
		return errNoRule
	}
	in := append([]graph.ValueID{dy[0], n.In[1], d.op("Neg", []graph.ValueID{n.In[2]})}, n.In[3:]...)
	d.add(n.In[0], d.op("RotaryEmbedding", in, n.Attrs...))
	return nil
}

// col2ImRule gathers the blocks again, by a convolution with a kernel for each place in a
// block, which is 1 there.
func col2ImRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	image, block := d.g.Value(n.In[1]).Data, d.g.Value(n.In[2]).Data
	if image == nil || block == nil || image.DType() != tensor.Int64 || block.DType() != tensor.Int64 {
		return errNoRule
	}
	plane, kernel, places := []int64{-1, 1}, []int{0, 1}, 1
	plane = append(plane, tensor.Data[int64](image)...)
	for _, e := range tensor.Data[int64](block) {
		if e < 1 || int64(places)*e > maxBlock {
			return errNoRule
		}
		kernel, places = append(kernel, int(e)), places*int(e)
	}
	kernel[0] = places
	one, err := tensor.New(tensor.Float32, kernel...)
	if err != nil {
		return err
	}
	for i := range places {
		one.Float32s()[i*places+i] = 1
	}
	w := d.op("CastLike", []graph.ValueID{d.g.AddConst("one", one), dy[0]})
	x := d.op("Reshape", []graph.ValueID{dy[0], d.g.AddConst("plane", int64s(plane...))})
	d.add(n.In[0], d.grad("ReshapeLike", []graph.ValueID{d.op("Conv", []graph.ValueID{x, w}, n.Attrs...), n.In[0]}))
	return nil
}

// maxBlock is how many elements the blocks of a Col2Im may have that is differentiated.
const maxBlock = 1024
