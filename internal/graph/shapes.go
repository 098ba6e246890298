package graph

import (
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// extent is what is known of an axis, or of an element of an integer vector: a number, or
// that it equals every other extent with the same symbol.
type extent struct {
	n   int64
	sym int // 0: the number n
}

func number(n int64) extent { return extent{n: n} }

func (e extent) known() bool { return e.sym == 0 }

// vector is an integer value of rank 0 or 1 of which some elements may be symbols.
type vector struct {
	dtype  tensor.DType
	scalar bool
	elems  []extent
}

// known reports whether every element is a number.
func (v *vector) known() bool {
	return !slices.ContainsFunc(v.elems, func(e extent) bool { return !e.known() })
}

// maxVector bounds the vectors that shapes follows: they are shapes, axes and pads.
const maxVector = 64

// shapes is what is known of the shapes of a graph's values before the shapes of its inputs
// are: ranks, extents that are the same for all inputs, and which extents are equal. It
// holds for the graph as it was when shapes was made.
type shapes struct {
	g      *Graph
	prod   []int
	dims   [][]extent // by value; nil where the rank is not known
	vecs   []*vector  // by value; nil where nothing is known
	params map[string]int
	last   int // symbols given out
}

// shapesOf finds what is known of the shapes of g.
func shapesOf(g *Graph) *shapes {
	s := &shapes{g: g, prod: g.Producers(), dims: make([][]extent, len(g.Values)), vecs: make([]*vector, len(g.Values)), params: map[string]int{}}
	for id, v := range g.Values {
		switch {
		case v.Data != nil:
			s.dims[id] = extentsOf(v.Data.Shape())
			if v.Kind == Constant {
				s.vecs[id] = vectorOf(v.Data)
			}
		case v.Kind == Input && v.Type.Kind == onnx.KindTensor && v.Type.HasShape:
			s.dims[id] = []extent{}
			for _, d := range v.Type.Shape {
				s.dims[id] = append(s.dims[id], s.declared(d))
			}
		}
	}
	for _, n := range g.Nodes {
		s.node(n)
	}
	return s
}

func extentsOf(shape tensor.Shape) []extent {
	d := make([]extent, len(shape))
	for i, e := range shape {
		d[i] = number(int64(e))
	}
	return d
}

func vectorOf(t *tensor.Tensor) *vector {
	if t.Rank() > 1 || t.Elems() > maxVector {
		return nil
	}
	v := &vector{dtype: t.DType(), scalar: t.Rank() == 0, elems: []extent{}}
	switch t.DType() {
	case tensor.Int64:
		for _, n := range t.Int64s() {
			v.elems = append(v.elems, number(n))
		}
	case tensor.Int32:
		for _, n := range tensor.Data[int32](t) {
			v.elems = append(v.elems, number(int64(n)))
		}
	default:
		return nil
	}
	return v
}

// declared returns the extent of an input's axis. Axes of one name have one extent.
func (s *shapes) declared(d onnx.Dim) extent {
	switch {
	case d.Value >= 0:
		return number(d.Value)
	case d.Param == "":
		return s.fresh()
	}
	if s.params[d.Param] == 0 {
		s.params[d.Param] = s.fresh().sym
	}
	return extent{sym: s.params[d.Param]}
}

// fresh returns an extent of which nothing is known.
//
//go:noinline
func (s *shapes) fresh() extent {
	s.last++
	return extent{sym: s.last}
}

func (s *shapes) freshDims(rank int) []extent {
	d := make([]extent, rank)
	for i := range d {
		d[i] = s.fresh()
	}
	return d
}

// rank returns the rank of a value, or -1.
//
//go:noinline
func (s *shapes) rank(id ValueID) int {
	if id == None || s.dims[id] == nil {
		return -1
	}
	return len(s.dims[id])
}

// shapeOf returns the shape of a value if every extent is a number.
func (s *shapes) shapeOf(id ValueID) (tensor.Shape, bool) {
	if s.rank(id) < 0 {
		return nil, false
	}
	out := make(tensor.Shape, 0, len(s.dims[id]))
	for _, e := range s.dims[id] {
		if !e.known() || int64(int(e.n)) != e.n {
			return nil, false
		}
		out = append(out, int(e.n))
	}
	return out, true
}

// vector returns what is known of an integer vector.
func (s *shapes) vector(id ValueID) *vector {
	if id == None {
		return nil
	}
	return s.vecs[id]
}

// ints returns the elements of a vector that are all numbers.
func (s *shapes) ints(id ValueID) ([]int64, bool) {
	v := s.vector(id)
	if v == nil || !v.known() {
		return nil, false
	}
	out := make([]int64, len(v.elems))
	for i, e := range v.elems {
		out[i] = e.n
	}
	return out, true
}

// sameShapes lists operators whose outputs all have the shape of input 0.
var sameShapes = set("Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh CumSum " +
	"DequantizeLinear Dropout Elu Erf Exp Floor Gelu GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN " +
	"LRN LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not PRelu QuantizeLinear RMSNormalization Reciprocal Relu Round " +
	"ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu")

// broadcasts lists operators whose output has the shape to which their inputs are
// broadcast.
var broadcasts = set("Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or " +
	"Pow Sub Sum Where Xor")

// separable lists operators that make each axis of their output from the same axis of input
// 0; the value is how many leading axes they leave as they are, of those whose extent is not
// known.
var separable = map[string]int{
	"Conv": 1, "ConvTranspose": 1, "MaxPool": 2, "AveragePool": 2, "LpPool": 2, "GlobalAveragePool": 2, "GlobalMaxPool": 2, "GlobalLpPool": 2,
	"Pad": 0, "Resize": 0, "Upsample": 0, "Tile": 0, "DepthToSpace": 1, "SpaceToDepth": 1, "QLinearConv": 1, "ConvInteger": 1,
}

// pairs lists operators whose rules read two inputs.
var pairs = set("Add Conv ConvTranspose Div Gather Gemm MatMul Mul Reshape Slice Sub Unsqueeze")

func set(names string) map[string]bool {
	m := map[string]bool{}
	for start := 0; start < len(names); {
		end := start
		for end < len(names) && names[end] != ' ' {
			end++
		}
		m[names[start:end]] = true
		start = end + 1
	}
	return m
}

// node finds what is known of a node's outputs.
func (s *shapes) node(n *Node) {
	if n.Domain != "" || len(n.Bodies) > 0 || len(n.Out) == 0 || len(n.In) == 0 || n.In[0] == None {
		return
	}
	if pairs[n.OpType] && (len(n.In) < 2 || n.In[1] == None) {
		return
	}
	if s.exact(n) {
		return
	}
	var out []extent
	if sameShapes[n.OpType] {
		for _, o := range n.Out {
			if o != None && (o == n.Out[0] || n.OpType == "Dropout") && s.rank(n.In[0]) >= 0 {
				s.dims[o] = s.dims[n.In[0]]
			}
		}
	} else if broadcasts[n.OpType] {
		out = s.broadcast(n.In)
	} else if keep, ok := separable[n.OpType]; ok {
		out = s.separable(n, keep)
	} else if f := shapeRules[n.OpType]; f != nil {
		out = f(s, n)
	}
	if out != nil && n.Out[0] != None {
		s.dims[n.Out[0]] = out
	}
	if f := vectorRules[n.OpType]; f != nil && n.Out[0] != None {
		if v := f(s, n); v != nil && len(v.elems) <= maxVector {
			s.vecs[n.Out[0]] = v
			if s.dims[n.Out[0]] == nil {
				s.dims[n.Out[0]] = []extent{}
				if !v.scalar {
					s.dims[n.Out[0]] = []extent{number(int64(len(v.elems)))}
				}
			}
		}
	}
}

// exact asks the operator itself where the shapes of all inputs are numbers. The type of
// an input that is not known is taken to be float32, so that only shapes can be trusted.
func (s *shapes) exact(n *Node) bool {
	in := make([]op.Fact, len(n.In))
	for i, id := range n.In {
		if id == None {
			continue
		}
		shape, ok := s.shapeOf(id)
		if !ok {
			return false
		}
		in[i] = s.fact(id, shape)
	}
	out, err := n.Op.Infer(in)
	if err != nil || len(out) < len(n.Out) {
		return false
	}
	for i, id := range n.Out {
		if id == None {
			continue
		}
		s.dims[id] = extentsOf(out[i].Shape)
		if out[i].Const != nil {
			s.vecs[id] = vectorOf(out[i].Const)
		}
	}
	if n.Out[0] != None && s.vecs[n.Out[0]] == nil && vectorRules[n.OpType] != nil {
		s.vecs[n.Out[0]] = vectorRules[n.OpType](s, n)
	}
	return true
}

// fact returns the fact of a value of the given shape, with its elements where they are
// known.
func (s *shapes) fact(id ValueID, shape tensor.Shape) op.Fact {
	v := s.g.Values[id]
	f := op.Fact{DType: v.Type.Elem, Shape: shape}
	if v.Data != nil {
		f.DType = v.Data.DType()
	}
	if v.Kind == Constant {
		f.Const = v.Data
		return f
	}
	if vec := s.vecs[id]; vec != nil && vec.known() {
		if t := vec.tensor(); t != nil {
			return op.FactOf(t)
		}
	}
	if f.DType == tensor.Undefined {
		f.DType = tensor.Float32
	}
	return f
}

// tensor returns a vector whose elements are numbers as a tensor, or nil.
func (v *vector) tensor() *tensor.Tensor {
	shape := []int{len(v.elems)}
	if v.scalar {
		shape = nil
	}
	t, err := tensor.New(v.dtype, shape...)
	if err != nil {
		return nil
	}
	for i, e := range v.elems {
		switch {
		case v.dtype == tensor.Int64:
			t.Int64s()[i] = e.n
		case v.dtype == tensor.Int32 && int64(int32(e.n)) == e.n:
			tensor.Data[int32](t)[i] = int32(e.n)
		default:
			return nil
		}
	}
	return t
}

func (s *shapes) broadcast(in []ValueID) []extent {
	rank := 0
	for _, id := range in {
		if s.rank(id) < 0 {
			return nil
		}
		rank = max(rank, s.rank(id))
	}
	out := make([]extent, rank)
	for i := range out {
		out[i] = number(1)
		for _, id := range in {
			d := s.dims[id]
			k := i - (rank - len(d))
			if k < 0 || d[k] == number(1) || d[k] == out[i] {
				continue
			}
			switch {
			case out[i] == number(1):
				out[i] = d[k]
			case out[i].known(): // the other one is that number, or 1
			case d[k].known():
				out[i] = d[k]
			default:
				out[i] = s.fresh()
			}
		}
	}
	return out
}

// probes are two extents that stand for unknown ones: an axis that gives each of them back
// is left as it is.
var probes = [2]int{101, 144}

// separable finds the output of an operator that treats each axis by itself.
func (s *shapes) separable(n *Node, keep int) []extent {
	x := n.In[0]
	if s.rank(x) < 0 {
		if n.OpType == "Conv" || n.OpType == "ConvTranspose" {
			if r := s.rank(n.In[1]); r > 0 {
				return s.freshDims(r)
			}
		}
		return nil
	}
	var got [2]tensor.Shape
	for p, probe := range probes {
		in := make([]op.Fact, len(n.In))
		for i, id := range n.In {
			if id == None {
				continue
			}
			shape, ok := s.shapeOf(id)
			if i == 0 {
				shape = make(tensor.Shape, 0, len(s.dims[x]))
				for _, e := range s.dims[x] {
					if !e.known() {
						e.n = int64(probe)
					}
					if int64(int(e.n)) != e.n {
						return nil
					}
					shape = append(shape, int(e.n))
				}
			} else if !ok {
				return s.freshDims(len(s.dims[x]))
			}
			in[i] = s.fact(id, shape)
		}
		out, err := n.Op.Infer(in)
		if err != nil || len(out[0].Shape) != len(in[0].Shape) {
			return s.freshDims(len(s.dims[x]))
		}
		got[p] = out[0].Shape
	}
	out := make([]extent, len(got[0]))
	for i, e := range s.dims[x] {
		switch {
		case e.known() && got[0][i] == got[1][i], i >= keep && strings.HasPrefix(n.OpType, "Global"):
			out[i] = number(int64(got[0][i]))
		case !e.known() && i < keep, got[0][i] == probes[0] && got[1][i] == probes[1]:
			out[i] = e
		default:
			out[i] = s.fresh()
		}
	}
	if n.OpType == "Conv" || n.OpType == "ConvTranspose" {
		out[1] = number(int64(got[0][1]))
	}
	return out
}
