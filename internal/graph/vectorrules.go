package graph

import (
	"github.com/aekit/aekit/tensor"
)

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
