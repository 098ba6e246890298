package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// place decides where every value lives and gives arena values their offsets.
func (b *builder) place() error {
	p := b.plan
	g := b.g
	p.slots = make([]slot, len(g.Values))
	for i, v := range g.Values {
		s := slot{kind: slotArena, fact: b.facts[i], root: i, index: -1}
		s.fact.Const = nil
		switch {
		case v.Kind == graph.Input:
			s.kind = slotInput
		case v.Data != nil:
			s.kind, s.data = slotData, v.Data
		case b.dynamic[i]:
			s.kind, s.fact = slotDynamic, op.Fact{}
		}
		p.slots[i] = s
	}
	for i, id := range g.Inputs {
		p.slots[id].index = i
		p.inputs = append(p.inputs, int(id))
	}
	for i, id := range g.Outputs {
		if s := &p.slots[id]; s.kind == slotArena {
			s.kind, s.index = slotOutput, i
		}
		p.outputs = append(p.outputs, int(id))
	}
	for _, c := range g.Commits {
		p.commits = append(p.commits, [2]int{int(c.State), int(c.From)})
	}
	l := newLifetimes(p)
	for i := range p.steps {
		l.share(i)
	}
	var blocks []block
	for i := range p.steps {
		s := &p.steps[i]
		if w, ok := s.op.(op.Workspacer); ok && !s.dynamic {
			first := 0
			if op.Complete {
				s.nwork, first = workspaceFor(w, b.inFacts(s.node), b.opts.Pool.Threads())
			} else {
				s.nwork = w.Workspace(b.inFacts(s.node))
			}
			if s.nwork > 0 {
				blocks = append(blocks, block{size: s.nwork, first: first, from: i, to: i, set: &s.scratch})
			}
		}
		for _, o := range s.out {
			if o < 0 || p.slots[o].kind != slotArena || p.slots[o].root != o {
				continue
			}
			size, err := tensor.ByteSize(p.slots[o].fact.DType, p.slots[o].fact.Shape)
			if err != nil {
				return nodeError(s.node, b.inFacts(s.node), err)
			}
			blocks = append(blocks, block{size: size, from: i, to: max(i, l.last[o]), set: &p.slots[o].off})
		}
	}
	m := b.opts.Limits.Arena
	total, ok := pack(blocks)
	if op.Complete && b.opts.Pool.Threads() > 1 && ok {
		most := total + total/8
		if m > 0 {
			most = min(most, m)
		}
		total = packCentred(blocks, total, most)
	}
	if !ok || m > 0 && total > m {
		return &LimitError{"bytes of activations", fmt.Sprint(total), fmt.Sprint(m), ""}
	}
	p.arena = total
	return nil
}

// workspaceFor is [op.ThreadWorkspacer.WorkspaceFor] for all that need scratch memory.
func workspaceFor(w op.Workspacer, in []op.Fact, threads int) (size, first int) {
	if t, ok := w.(op.ThreadWorkspacer); ok {
		return t.WorkspaceFor(in, threads)
	}
	return w.Workspace(in), 0
}

// lifetimes knows, for each slot that owns memory, the last step that reads it, directly or
// through a view.
type lifetimes struct {
	p     *Plan
	value []int // by slot: the last step that reads this very value
	last  []int // by root slot
}

func newLifetimes(p *Plan) *lifetimes {
	l := &lifetimes{p: p, value: make([]int, len(p.slots)), last: make([]int, len(p.slots))}
	for i := range l.value {
		l.value[i] = -1
	}
	for i := range p.steps {
		for _, in := range p.steps[i].in {
			if in >= 0 {
				l.value[in] = i
			}
		}
	}
	end := len(p.steps)
	for _, o := range p.outputs {
		l.value[o] = end
	}
	for _, c := range p.commits {
		l.value[c[1]] = end
	}
	copy(l.last, l.value)
	return l
}

// share makes output 0 of step i use the memory of one of its inputs, as a view or in
// place, where that is allowed.
func (l *lifetimes) share(i int) {
	p := l.p
	s := &p.steps[i]
	if s.dynamic || len(s.out) == 0 || s.out[0] < 0 {
		return
	}
	out := &p.slots[s.out[0]]
	if v, ok := s.op.(op.Viewer); ok {
		in := s.in[v.View()]
		if in < 0 || p.slots[in].kind == slotDynamic {
			return
		}
		root := &p.slots[p.slots[in].root]
		if out.kind == slotOutput {
			out.kind = slotArena
			if root.kind == slotArena && root.fact.DType == out.fact.DType {
				root.kind, root.index = slotOutput, out.index
			}
		}
		out.root = p.slots[in].root
		l.last[out.root] = max(l.last[out.root], l.value[s.out[0]])
		s.view = true
		return
	}
	ip, ok := s.op.(op.InPlacer)
	if !ok || out.kind != slotArena {
		return
	}
	for _, k := range ip.InPlace() {
		if k >= len(s.in) || s.in[k] < 0 {
			continue
		}
		in := &p.slots[s.in[k]]
		root := in.root
		if p.slots[root].kind != slotArena || l.last[root] != i ||
			in.fact.DType != out.fact.DType || !in.fact.Shape.Equal(out.fact.Shape) || l.sharedElsewhere(s, k, root) {
			continue
		}
		out.root = root
		l.last[root] = l.value[s.out[0]]
		return
	}
}

// sharedElsewhere reports whether another input of the step lies in the same memory.
func (l *lifetimes) sharedElsewhere(s *step, k, root int) bool {
	for j, in := range s.in {
		if j != k && in >= 0 && l.p.slots[in].root == root {
			return true
		}
	}
	return false
}

// block is memory that is in use during the steps from … to, both included.
type block struct {
	size     int
	first    int // bytes that belong to the first of two threads, or 0, which is half of them
	from, to int
	set      *int
}

// pack gives every block an offset such that no two blocks overlap in both memory and time,
// and returns the bytes in total, and false if that is more than an int counts. Larger
// blocks are placed first, each at the lowest offset that is free: the "greedy by size"
// strategy of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference" (2020), §5.2.
func pack(blocks []block) (int, bool) {
	total, _, ok := packInOrder(bySize(blocks, false), false)
	return total, ok
}

// packCentred is pack such that blocks are rather placed with their middle at that of others that are in use at another time, if
// memory there is free and no more is needed: two threads that each compute one half of every picture then keep to memory of
// their own. It leaves blocks as they are, and returns total, if that would take more than most bytes.
func packCentred(blocks []block, total, most int) int {
	best, least := make([]int, len(blocks)), -1
	for i := range blocks {
		best[i] = *blocks[i].set
	}
	// Which of two middles blocks of the same size get depends on where one begins.
	for _, late := range []bool{true, false} {
		n, off, ok := packInOrder(bySize(blocks, late), true)
		if !ok || n > most || least >= 0 && off >= least {
			continue
		}
		total, least = n, off
		for i := range blocks {
			best[i] = *blocks[i].set
		}
	}
	for i := range blocks {
		*blocks[i].set = best[i]
	}
	return total
}

// bySize returns the blocks, larger ones first, and late ones if they are equal.
func bySize(blocks []block, late bool) []*block {
	order := make([]*block, len(blocks))
	for i := range blocks {
		order[i] = &blocks[i]
	}
	if op.Complete && late {
		slices.Reverse(order)
	}
	slices.SortStableFunc(order, func(a, b *block) int { return cmp.Compare(b.size, a.size) })
	return order
}

// packInOrder places blocks, and returns the bytes in total and of those that have a middle of their own, and false if there are
// too many to count.
func packInOrder(order []*block, centred bool) (total, apart int, ok bool) {
	var placed []*block // by offset
	for _, b := range order {
		off := 0
		for _, q := range placed {
			if q.to < b.from || b.to < q.from || b.size == 0 {
				continue
			}
			if *q.set-off >= roundUp(b.size) {
				break
			}
			off = max(off, *q.set+roundUp(q.size))
		}
		if op.Complete && centred {
			at, ok := centre(b, placed, total)
			if ok {
				off = at
			} else {
				apart += b.size
			}
		}
		*b.set = off
		if off+roundUp(b.size) < off {
			return 0, 0, false
		}
		total = max(total, off+roundUp(b.size))
		at, _ := slices.BinarySearchFunc(placed, off, func(q *block, off int) int { return cmp.Compare(*q.set, off) })
		placed = slices.Insert(placed, at, b)
	}
	return total, apart, true
}

// middle returns the bytes of a block before its middle, in whole cache lines.
func (b *block) middle() int {
	if b.first > 0 {
		return roundUp(b.first)
	}
	return roundUp(b.size) / 2 / tensor.Align * tensor.Align
}

// centre returns an offset at which the middle of b is that of another block and b is free and ends before end. It looks at a few.
func centre(b *block, placed []*block, end int) (off int, ok bool) {
	tries, last := 16, -1
	for _, q := range placed {
		at := *q.set + q.middle() - b.middle()
		if at == last || at < 0 || at+roundUp(b.size) > end {
			continue
		}
		if b.free(at, placed) {
			return at, true
		}
		if tries--; tries == 0 {
			break
		}
		last = at
	}
	return 0, false
}

// free reports whether no block overlaps with b in both memory and time if b lies at an offset.
func (b *block) free(at int, placed []*block) bool {
	return !slices.ContainsFunc(placed, func(q *block) bool {
		return q.from <= b.to && b.from <= q.to && *q.set < at+roundUp(b.size) && at < *q.set+roundUp(q.size)
	})
}

func roundUp(n int) int { return (n + tensor.Align - 1) &^ (tensor.Align - 1) }
