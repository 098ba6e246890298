package op

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aekit/aekit/tensor"
)

// einsum is Einsum. An operand is contracted with the result so far as a stack of matrix
// products, from left to right.
type einsum struct {
	types  Types
	terms  []string // one for each operand; '.' stands for "..."
	output string
	simple bool // no output is given: it is the indices that occur once, in order
}

func newEinsum(a *Attrs) (Op, error) {
	a.Require("equation")
	o := &einsum{types: a.Types()}
	eq := strings.ReplaceAll(a.String("equation", ""), " ", "")
	eq = strings.ReplaceAll(eq, "...", ".")
	lhs, rhs, explicit := strings.Cut(eq, "->")
	o.terms, o.output, o.simple = strings.Split(lhs, ","), rhs, !explicit
	for _, t := range append([]string{rhs}, o.terms...) {
		for i := range len(t) {
			c := t[i]
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.') {
				a.Fail("attribute \"equation\": unexpected %q", c)
			}
		}
		if strings.Count(t, ".") > 1 {
			a.Fail("attribute \"equation\": more than one ellipsis in %q", t)
		}
	}
	for i := range len(rhs) {
		if strings.IndexByte(rhs, rhs[i]) != i || !strings.Contains(lhs, rhs[i:i+1]) && rhs[i] != '.' {
			a.Fail("attribute \"equation\": index %q of the output is repeated or does not occur", rhs[i])
		}
	}
	return o, nil
}

// labels is an operand's index names: letters, and for axes of the ellipsis the numbers
// 1, 2 … counted from the last one.
type labels []int

// resolve expands the equation for operands of the given shapes. dims has the extent of
// each label.
func (o *einsum) resolve(shapes []tensor.Shape) (terms []labels, out labels, dims map[int]int, err error) {
	if len(shapes) != len(o.terms) {
		return nil, nil, nil, fmt.Errorf("%d inputs for %d terms", len(shapes), len(o.terms))
	}
	dims = map[int]int{}
	wide := 0
	for i, t := range o.terms {
		s := shapes[i]
		hidden := len(s) - len(strings.ReplaceAll(t, ".", ""))
		if hidden < 0 || hidden > 0 && !strings.Contains(t, ".") {
			return nil, nil, nil, fmt.Errorf("input %d: shape %v does not fit %q", i, s, t)
		}
		wide = max(wide, hidden)
		l := expandLabels(t, hidden)
		for k, name := range l {
			d, seen := dims[name]
			switch {
			case !seen || d == 1:
				dims[name] = s[k]
			case s[k] != d && s[k] != 1:
				return nil, nil, nil, fmt.Errorf("input %d: shape %v does not fit the extents of the other inputs", i, s)
			}
		}
		terms = append(terms, l)
	}
	if !o.simple {
		return terms, expandLabels(o.output, wide), dims, nil
	}
	all := strings.Join(o.terms, "")
	out = expandLabels(".", wide)
	for c := byte('A'); c <= 'z'; c++ {
		if strings.Count(all, string(rune(c))) == 1 {
			out = append(out, int(c))
		}
	}
	return terms, out, dims, nil
}

func expandLabels(t string, hidden int) labels {
	l := labels{}
	for i := range len(t) {
		if t[i] != '.' {
			l = append(l, int(t[i]))
			continue
		}
		for k := hidden; k > 0; k-- {
			l = append(l, k)
		}
	}
	return l
}

func (o *einsum) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, -1); err != nil {
		return nil, err
	}
	if err := arity(in, len(in), -1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	shapes := make([]tensor.Shape, len(in))
	for i, f := range in {
		if err := wantSame(in, 0, i); err != nil {
			return nil, err
		}
		shapes[i] = f.Shape
	}
	_, out, dims, err := o.resolve(shapes)
	if err != nil {
		return nil, err
	}
	s := make(tensor.Shape, len(out))
	for i, l := range out {
		s[i] = dims[l]
	}
	return outFact(in[0].DType, s)
}

// MACs implements [Coster]: operands are multiplied from left to right, over all labels that the product so far
// and the next operand have. It is negative if it cannot be represented.
func (o *einsum) MACs(in, _ []Fact) int64 {
	shapes := make([]tensor.Shape, len(in))
	for i, f := range in {
		shapes[i] = f.Shape
	}
	terms, out, dims, err := o.resolve(shapes)
	if err != nil {
		return 0
	}
	total := int64(0)
	acc := terms[0]
	for i := 1; i < len(terms); i++ {
		n := int64(1)
		var product, kept labels
		for _, l := range append(slices.Clone(acc), terms[i]...) {
			if slices.Contains(product, l) {
				continue
			}
			product = append(product, l)
			d := int64(dims[l])
			if d != 0 && n > math.MaxInt64/d {
				return -1
			}
			n *= d
			if slices.Contains(out, l) || slices.ContainsFunc(terms[i+1:], func(t labels) bool { return slices.Contains(t, l) }) {
				kept = append(kept, l)
			}
		}
		if total += n; total < 0 {
			return -1
		}
		acc = kept
	}
	return total
}

// named is a tensor whose axes have names.
type named struct {
	t *tensor.Tensor
	l labels
}

func (p named) has(label int) bool { return p.axis(label) >= 0 }

func (p named) axis(label int) int {
	for i, l := range p.l {
		if l == label {
			return i
		}
	}
	return -1
}

func (o *einsum) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if isHalf(out[0].DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	shapes := make([]tensor.Shape, len(in))
	for i, t := range in {
		shapes[i] = t.Shape()
	}
	terms, want, _, err := o.resolve(shapes)
	if err != nil {
		return err
	}
	e := contraction{ctx: ctx}
	// used counts the terms, the output included, that a label is still needed for.
	used := map[int]int{}
	for _, l := range want {
		used[l]++
	}
	ops := make([]named, len(in))
	for i, t := range in {
		if ops[i], err = e.diagonal(named{t, terms[i]}); err != nil {
			return err
		}
		for _, l := range ops[i].l {
			used[l]++
		}
	}
	acc := ops[0]
	for _, l := range acc.l {
		used[l]--
	}
	for _, next := range ops[1:] {
		for _, l := range next.l {
			used[l]--
		}
		if acc, err = e.multiply(acc, next, func(l int) bool { return used[l] > 0 }); err != nil {
			return err
		}
	}
	return e.finish(out[0], acc, want)
}

// contraction does the steps of an einsum.
type contraction struct{ ctx *Context }

// diagonal makes labels that an operand repeats one axis.
func (e *contraction) diagonal(p named) (named, error) {
	st := rowMajor(nil, p.t.Shape())
	var l labels
	var s tensor.Shape
	var steps []int
	for i, name := range p.l {
		d := p.t.Shape()[i]
		k := named{l: l}.axis(name)
		if k < 0 {
			l, s, steps = append(l, name), append(s, d), append(steps, st[i])
			continue
		}
		if s[k] != d {
			return named{}, errors.New("a repeated index has two extents")
		}
		steps[k] += st[i]
	}
	if len(l) == len(p.l) {
		return p, nil
	}
	return e.arrange(p.t, l, s, steps)
}

// arrange copies the elements that steps select.
func (e *contraction) arrange(src *tensor.Tensor, l labels, s tensor.Shape, steps []int) (named, error) {
	t, err := e.ctx.New(src.DType(), s)
	if err != nil {
		return named{}, err
	}
	var m mover
	for i, d := range s {
		m.axis(d, steps[i])
	}
	m.run(&Context{}, t, src)
	return named{t, l}, nil
}

// order returns p with its axes in the given order; a label that p lacks has extent 1.
func (e *contraction) order(p named, l labels) (named, error) {
	st := rowMajor(nil, p.t.Shape())
	s, steps := make(tensor.Shape, len(l)), make([]int, len(l))
	same := len(l) == len(p.l)
	for i, name := range l {
		s[i] = 1
		if k := p.axis(name); k >= 0 {
			s[i], steps[i] = p.t.Shape()[k], st[k]
			same = same && k == i
		} else {
			same = false
		}
	}
	if same {
		return p, nil
	}
	return e.arrange(p.t, l, s, steps)
}

// sum adds up the axes of p that keep refuses.
func (e *contraction) sum(p named, keep func(int) bool) (named, error) {
	var axes []int64
	var l labels
	for i, name := range p.l {
		if keep(name) {
			l = append(l, name)
		} else {
			axes = append(axes, int64(i))
		}
	}
	if len(axes) == 0 {
		return p, nil
	}
	ax, err := tensor.Of(axes, len(axes))
	if err != nil {
		return named{}, err
	}
	r := &reduce{types: typesNum, kind: reduceSum}
	in := []Fact{{DType: p.t.DType(), Shape: p.t.Shape()}, FactOf(ax)}
	f, err := r.Infer(in)
	if err != nil {
		return named{}, err
	}
	t, err := e.ctx.New(f[0].DType, f[0].Shape)
	if err != nil {
		return named{}, err
	}
	return named{t, l}, r.Run(&Context{Pool: e.ctx.Pool, Account: e.ctx.Account}, []*tensor.Tensor{t}, []*tensor.Tensor{p.t, ax})
}

// multiply returns the product of a and b, summed over the labels that are not needed.
func (e *contraction) multiply(a, b named, needed func(int) bool) (named, error) {
	var err error
	// What only one operand has and nobody needs is summed first.
	if a, err = e.sum(a, func(l int) bool { return needed(l) || b.has(l) }); err != nil {
		return named{}, err
	}
	if b, err = e.sum(b, func(l int) bool { return needed(l) || a.has(l) }); err != nil {
		return named{}, err
	}
	var batch, rows, sums, cols labels
	for _, l := range a.l {
		switch {
		case !b.has(l):
			rows = append(rows, l)
		case needed(l):
			batch = append(batch, l)
		default:
			sums = append(sums, l)
		}
	}
	for _, l := range b.l {
		if !a.has(l) {
			cols = append(cols, l)
		}
	}
	// A summed label that is broadcast in one operand is stretched there.
	if a, err = e.stretch(a, b, sums); err != nil {
		return named{}, err
	}
	if b, err = e.stretch(b, a, sums); err != nil {
		return named{}, err
	}
	if a, err = e.order(a, append(append(append(labels{}, batch...), rows...), sums...)); err != nil {
		return named{}, err
	}
	if b, err = e.order(b, append(append(append(labels{}, batch...), sums...), cols...)); err != nil {
		return named{}, err
	}
	nb := len(batch)
	as, bs := a.t.Shape(), b.t.Shape()
	m, k, n := product(as[nb:nb+len(rows)]), product(as[nb+len(rows):]), product(bs[nb+len(sums):])
	at, err := a.t.Reshape(append(as[:nb].Clone(), m, k)...)
	if err != nil {
		return named{}, err
	}
	bt, err := b.t.Reshape(append(bs[:nb].Clone(), k, n)...)
	if err != nil {
		return named{}, err
	}
	mm := &matmul{types: typesNum, alpha: 1}
	f, err := mm.Infer([]Fact{{DType: at.DType(), Shape: at.Shape()}, {DType: bt.DType(), Shape: bt.Shape()}})
	if err != nil {
		return named{}, err
	}
	t, err := e.ctx.New(f[0].DType, f[0].Shape)
	if err != nil {
		return named{}, err
	}
	if err := mm.Run(&Context{Pool: e.ctx.Pool, Account: e.ctx.Account}, []*tensor.Tensor{t}, []*tensor.Tensor{at, bt}); err != nil {
		return named{}, err
	}
	shape := append(f[0].Shape[:nb].Clone(), as[nb:nb+len(rows)]...)
	shape = append(shape, bs[nb+len(sums):]...)
	if t, err = t.Reshape(shape...); err != nil {
		return named{}, err
	}
	return named{t, append(append(append(labels{}, batch...), rows...), cols...)}, nil
}

// stretch gives the listed labels of p the extents that they have in q.
func (e *contraction) stretch(p, q named, list labels) (named, error) {
	s, steps := p.t.Shape().Clone(), rowMajor(nil, p.t.Shape())
	changed := false
	for _, l := range list {
		i, d := p.axis(l), q.t.Shape()[q.axis(l)]
		if s[i] == 1 && d != 1 {
			s[i], steps[i], changed = d, 0, true
		}
	}
	if !changed {
		return p, nil
	}
	return e.arrange(p.t, p.l, s, steps)
}

// finish sums what is left and puts the axes in the order of the output.
func (e *contraction) finish(out *tensor.Tensor, p named, want labels) error {
	p, err := e.sum(p, func(l int) bool { return named{l: want}.has(l) })
	if err != nil {
		return err
	}
	if p, err = e.order(p, want); err != nil {
		return err
	}
	copy(out.Bytes(), p.t.Bytes())
	return nil
}
