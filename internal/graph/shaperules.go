package graph

import (
	"github.com/aekit/aekit/onnx"
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

//go:noinline
func intAttr(n *Node, name string, def int64) int64 {
	if a := attr(n, name); a != nil && a.Type == onnx.AttrInt {
		return a.Int
	}
	return def
}
