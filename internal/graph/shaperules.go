package graph

import (
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// shapeRules give the shape of output 0 of operators that move axes, or nil.
var shapeRules = map[string]func(s *shapes, n *Node) []extent{
	"Transpose": func(s *shapes, n *Node) []extent {
		perm, ok := permOf(n, s.rank(n.In[0]))
		if !ok {
			return nil
		}
		return permuted(s.dims[n.In[0]], perm)
	},
	"Concat": func(s *shapes, n *Node) []extent {
		axis, ok := axisOf(n, s.rank(n.In[0]), 0)
		if !ok {
			return nil
		}
		out := append([]extent{}, s.dims[n.In[0]]...)
		for _, id := range n.In[1:] {
			if s.rank(id) != len(out) {
				return nil
			}
			for i, e := range s.dims[id] {
				switch {
				case i != axis && !out[i].known():
					out[i] = e
				case i == axis && out[i].known() && e.known():
					out[i].n += e.n
				case i == axis:
					out[i] = s.fresh()
				}
			}
		}
		return out
	},
	"Gemm": func(s *shapes, n *Node) []extent {
		a, b := n.In[0], n.In[1]
		if s.rank(a) != 2 || s.rank(b) != 2 {
			return nil
		}
		return []extent{s.dims[a][intAttr(n, "transA", 0)&1], s.dims[b][1-intAttr(n, "transB", 0)&1]}
	},
	"MatMul": func(s *shapes, n *Node) []extent {
		a, b := s.dims[n.In[0]], s.dims[n.In[1]]
		if len(a) < 2 || len(b) != 2 {
			return nil
		}
		return append(append([]extent{}, a[:len(a)-1]...), b[1])
	},
	"Flatten": func(s *shapes, n *Node) []extent {
		rank := s.rank(n.In[0])
		axis := int(intAttr(n, "axis", 1))
		if axis < 0 {
			axis += rank
		}
		if rank < 0 || axis < 0 || axis > rank {
			return nil
		}
		d := s.dims[n.In[0]]
		return []extent{s.product(d[:axis]), s.product(d[axis:])}
	},
	"Squeeze": func(s *shapes, n *Node) []extent {
		axes, ok := s.axes(n, 1, s.rank(n.In[0]))
		if !ok || axes == nil {
			return nil
		}
		out := []extent{}
		for i, e := range s.dims[n.In[0]] {
			if !axes[i] {
				out = append(out, e)
			}
		}
		return out
	},
	"Unsqueeze": func(s *shapes, n *Node) []extent {
		rank := s.rank(n.In[0])
		if len(n.In) < 2 || rank < 0 {
			return nil
		}
		list, ok := s.ints(n.In[1])
		if !ok || len(list) > maxVector {
			return nil
		}
		axes, ok := s.axes(n, 1, rank+len(list))
		if !ok {
			return nil
		}
		d, out := s.dims[n.In[0]], []extent{}
		for _, new := range axes {
			if new {
				out = append(out, number(1))
				continue
			}
			if len(d) == 0 {
				return nil
			}
			out, d = append(out, d[0]), d[1:]
		}
		return out
	},
	"Slice": func(s *shapes, n *Node) []extent {
		rank := s.rank(n.In[0])
		if rank < 0 || len(n.In) < 3 {
			return nil
		}
		v := s.vector(n.In[1])
		if v == nil {
			return s.freshDims(rank)
		}
		hit := make([]bool, rank)
		for i := range min(len(v.elems), rank) {
			hit[i] = true
		}
		if len(n.In) > 3 && n.In[3] != None {
			axes, ok := s.axes(n, 3, rank)
			if !ok {
				return s.freshDims(rank)
			}
			hit = axes
		}
		return s.others(n.In[0], hit)
	},
	"Split": func(s *shapes, n *Node) []extent {
		axis, ok := axisOf(n, s.rank(n.In[0]), 0)
		if !ok {
			return nil
		}
		hit := make([]bool, s.rank(n.In[0]))
		hit[axis] = true
		for _, o := range n.Out[1:] {
			if o != None {
				s.dims[o] = s.others(n.In[0], hit)
			}
		}
		return s.others(n.In[0], hit)
	},
	"Reshape": func(s *shapes, n *Node) []extent {
		v := s.vector(n.In[1])
		if v == nil || v.scalar {
			return nil
		}
		src := s.dims[n.In[0]]
		copies := intAttr(n, "allowzero", 0) == 0
		out, free := make([]extent, len(v.elems)), -1
		for i, e := range v.elems {
			switch {
			case e == number(0) && copies && i < len(src):
				out[i] = src[i]
			case e == number(0) && copies || e.known() && e.n < -1:
				out[i] = s.fresh()
			case e == number(-1):
				free = i
			default:
				out[i] = e
			}
		}
		if free >= 0 {
			out[free] = s.quotient(src, out, free)
		}
		return out
	},
}

func init() {
	for name := range reductions {
		shapeRules[name] = (*shapes).reduced
	}
}

// reductions are the operators that take a list of axes away.
var reductions = set("ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare")

// reduced returns the shape that a reduction gives.
func (s *shapes) reduced(n *Node) []extent {
	axes, ok := s.axes(n, 1, s.rank(n.In[0]))
	if !ok || axes == nil && intAttr(n, "noop_with_empty_axes", 0) != 0 {
		return nil
	}
	if axes != nil && len(s.vecs[n.In[1]].elems) == 0 { // an empty list means all, or none
		return nil
	}
	out := []extent{}
	for i, e := range s.dims[n.In[0]] {
		switch {
		case axes != nil && !axes[i]:
			out = append(out, e)
		case intAttr(n, "keepdims", 1) != 0:
			out = append(out, number(1))
		}
	}
	return out
}

// others returns the axes of a value, with fresh extents in place of those that are hit.
func (s *shapes) others(id ValueID, hit []bool) []extent {
	out := append([]extent{}, s.dims[id]...)
	for i := range out {
		if hit[i] {
			out[i] = s.fresh()
		}
	}
	return out
}

// product returns the product of extents where it is a number or one of them.
func (s *shapes) product(d []extent) extent {
	p := number(1)
	for _, e := range d {
		switch {
		case e == number(1):
		case p == number(1):
			p = e
		case p.known() && e.known() && (p.n == 0 || e.n <= (1<<62)/p.n):
			p.n *= e.n
		default:
			return s.fresh()
		}
	}
	return p
}

// quotient resolves the -1 of a Reshape: what is left of src when the other extents of out
// are taken away.
func (s *shapes) quotient(src, out []extent, free int) extent {
	if src == nil {
		return s.fresh()
	}
	rest := append([]extent{}, src...)
	n := int64(1)
	for i, e := range out {
		switch {
		case i == free:
		case e.known():
			if e.n <= 0 || n > (1<<31)/e.n {
				return s.fresh()
			}
			n *= e.n
		default:
			at := -1
			for k, r := range rest {
				if r == e {
					at = k
				}
			}
			if at < 0 {
				return s.fresh()
			}
			rest[at] = number(1)
		}
	}
	total, left := int64(1), number(1)
	for _, e := range rest {
		switch {
		case !e.known() && left == number(1):
			left = e
		case !e.known() || e.n <= 0 || total > (1<<31)/e.n:
			return s.fresh()
		default:
			total *= e.n
		}
	}
	switch {
	case left.known() && total%n == 0:
		return number(total / n)
	case !left.known() && total == n:
		return left
	}
	return s.fresh()
}

// axes returns the set that input i lists: nil where it is omitted.
func (s *shapes) axes(n *Node, i, rank int) ([]bool, bool) {
	if rank < 0 {
		return nil, false
	}
	if len(n.In) <= i || n.In[i] == None {
		return nil, true
	}
	list, ok := s.ints(n.In[i])
	if !ok {
		return nil, false
	}
	out := make([]bool, rank)
	for _, v := range list {
		if v < 0 {
			v += int64(rank)
		}
		if v < 0 || v >= int64(rank) {
			return nil, false
		}
		out[v] = true
	}
	return out, true
}

// permOf returns the permutation of a Transpose of a tensor of the given rank.
func permOf(n *Node, rank int) ([]int, bool) {
	if rank < 0 {
		return nil, false
	}
	p := make([]int, rank)
	a := attr(n, "perm")
	if a == nil {
		for i := range p {
			p[i] = rank - 1 - i
		}
		return p, true
	}
	if len(a.Ints) != rank {
		return nil, false
	}
	seen := make([]bool, rank)
	for i, v := range a.Ints {
		if v < 0 || v >= int64(rank) || seen[v] {
			return nil, false
		}
		seen[v], p[i] = true, int(v)
	}
	return p, true
}

func permuted[T any](d []T, perm []int) []T {
	out := make([]T, len(perm))
	for i, p := range perm {
		out[i] = d[p]
	}
	return out
}

// axisOf returns the attribute axis for a tensor of the given rank.
func axisOf(n *Node, rank int, def int64) (int, bool) {
	axis := intAttr(n, "axis", def)
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), rank >= 0 && axis >= 0 && axis < int64(rank)
}

func intAttr(n *Node, name string, def int64) int64 {
	if a := attr(n, name); a != nil && a.Type == onnx.AttrInt {
		return a.Int
	}
	return def
}

// vectorRules give the elements of output 0 of operators with which models compute shapes,
// or nil.
var vectorRules = map[string]func(s *shapes, n *Node) *vector{
	"Shape": func(s *shapes, n *Node) *vector {
		d := s.dims[n.In[0]]
		if d == nil {
			return nil
		}
		bound := func(name string, def int) int {
			v := intAttr(n, name, int64(def))
			if v < 0 {
				v += int64(len(d))
			}
			return int(min(max(v, 0), int64(len(d))))
		}
		lo, hi := bound("start", 0), bound("end", len(d))
		return &vector{dtype: tensor.Int64, elems: append([]extent{}, d[lo:max(lo, hi)]...)}
	},
	"Gather": func(s *shapes, n *Node) *vector {
		v := s.vector(n.In[0])
		i := s.vector(n.In[1])
		if v == nil || v.scalar || i == nil || !i.known() {
			return nil
		}
		out := &vector{dtype: v.dtype, scalar: i.scalar, elems: []extent{}}
		for _, e := range i.elems {
			if e.n < 0 {
				e.n += int64(len(v.elems))
			}
			if e.n < 0 || e.n >= int64(len(v.elems)) {
				return nil
			}
			out.elems = append(out.elems, v.elems[e.n])
		}
		return out
	},
	"Slice": func(s *shapes, n *Node) *vector {
		v := s.vector(n.In[0])
		if v == nil || v.scalar || len(n.In) < 3 {
			return nil
		}
		lo, ok1 := s.ints(n.In[1])
		hi, ok2 := s.ints(n.In[2])
		if !ok1 || !ok2 || len(lo) != 1 || len(hi) != 1 {
			return nil
		}
		if len(n.In) > 4 && n.In[4] != None {
			if step, ok := s.ints(n.In[4]); !ok || len(step) != 1 || step[0] != 1 {
				return nil
			}
		}
		l := int64(len(v.elems))
		bound := func(x int64) int64 {
			if x < 0 {
				x += l
			}
			return min(max(x, 0), l)
		}
		a, b := bound(lo[0]), bound(hi[0])
		return &vector{dtype: v.dtype, elems: append([]extent{}, v.elems[a:max(a, b)]...)}
	},
	"Concat": func(s *shapes, n *Node) *vector {
		out := &vector{elems: []extent{}}
		for _, id := range n.In {
			v := s.vector(id)
			if v == nil || v.scalar {
				return nil
			}
			out.dtype = v.dtype
			out.elems = append(out.elems, v.elems...)
		}
		return out
	},
	"Unsqueeze": func(s *shapes, n *Node) *vector { return s.reranked(n) },
	"Squeeze":   func(s *shapes, n *Node) *vector { return s.reranked(n) },
	"Reshape":   func(s *shapes, n *Node) *vector { return s.reranked(n) },
	"Identity":  func(s *shapes, n *Node) *vector { return s.vector(n.In[0]) },
	"Cast": func(s *shapes, n *Node) *vector {
		v := s.vector(n.In[0])
		to := tensor.DType(intAttr(n, "to", 0))
		if v == nil || to != tensor.Int64 && (to != tensor.Int32 || v.dtype != tensor.Int32 && !v.known()) {
			return nil
		}
		for _, e := range v.elems {
			if to == tensor.Int32 && int64(int32(e.n)) != e.n {
				return nil
			}
		}
		return &vector{dtype: to, scalar: v.scalar, elems: v.elems}
	},
	"Add": func(s *shapes, n *Node) *vector {
		return s.combine(n, func(a, b extent) (extent, bool) {
			switch {
			case a == number(0):
				return b, true
			case b == number(0):
				return a, true
			}
			return number(a.n + b.n), a.known() && b.known()
		})
	},
	"Sub": func(s *shapes, n *Node) *vector {
		return s.combine(n, func(a, b extent) (extent, bool) {
			if b == number(0) {
				return a, true
			}
			return number(a.n - b.n), a.known() && b.known()
		})
	},
	"Mul": func(s *shapes, n *Node) *vector {
		return s.combine(n, func(a, b extent) (extent, bool) {
			switch {
			case a == number(1):
				return b, true
			case b == number(1):
				return a, true
			}
			return number(a.n * b.n), a.known() && b.known()
		})
	},
	"Div": func(s *shapes, n *Node) *vector {
		return s.combine(n, func(a, b extent) (extent, bool) {
			switch {
			case b == number(1):
				return a, true
			case a.known() && b.known() && b.n > 0 && a.n >= 0:
				return number(a.n / b.n), true
			}
			return a, false
		})
	},
}

// reranked turns a vector of one element into a scalar or back; other vectors stay.
func (s *shapes) reranked(n *Node) *vector {
	v := s.vector(n.In[0])
	out := s.dims[n.Out[0]]
	if v == nil || len(out) > 1 || out == nil {
		return nil
	}
	return &vector{dtype: v.dtype, scalar: len(out) == 0, elems: v.elems}
}

// maxInt is the largest magnitude of elements that combine works with, so that neither a
// sum nor a product of two overflows.
const maxInt = 1 << 30

// combine applies a function of two elements to two vectors, either of which may have one
// element for all of the other. Where the function knows nothing, the element is a fresh
// symbol.
func (s *shapes) combine(n *Node, f func(a, b extent) (extent, bool)) *vector {
	a, b := s.vector(n.In[0]), s.vector(n.In[1])
	if a == nil || b == nil || len(a.elems) != len(b.elems) && len(a.elems) != 1 && len(b.elems) != 1 {
		return nil
	}
	out := &vector{dtype: a.dtype, scalar: a.scalar && b.scalar, elems: []extent{}}
	size := max(len(a.elems), len(b.elems))
	if len(a.elems) == 0 || len(b.elems) == 0 {
		size = 0
	}
	for i := range size {
		x, y := a.elems[min(i, len(a.elems)-1)], b.elems[min(i, len(b.elems)-1)]
		if x.known() && (x.n > maxInt || x.n < -maxInt) || y.known() && (y.n > maxInt || y.n < -maxInt) {
			return nil
		}
		e, ok := f(x, y)
		if !ok {
			e = s.fresh()
		}
		out.elems = append(out.elems, e)
	}
	return out
}
