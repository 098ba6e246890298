package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// resizePass resizes one axis of a tensor seen as [outer, in, inner].
type resizePass[T floating] struct {
	task         spreader
	outer, inner int
	in, out      int
	first        []int // element i has the terms [first[i], first[i+1])
	at           []int
	w            []T
	fill         T
	regular      regularAxis
	next         *resizePass[T] // a pass that is done row by row after this one
	dst, src     []T
	rowsOf       []T // where next's rows are before it, one for each unit
}

// shortInner is how many values an element of an axis has at least to be worth a call for each.
const shortInner = 8

// passSize returns the elements of the largest result between two passes.
func passSize(o *interpolation, ax []resizeAxis) int {
	n, largest := 1, 0
	for _, a := range ax {
		n = mulSize(n, a.in)
	}
	last := len(ax) - 1
	for last >= 0 && ax[last].isIdentity(o) {
		last--
	}
	for i := range max(last, 0) {
		if a := &ax[i]; !a.isIdentity(o) {
			n = mulSize(n/max(a.in, 1), a.out)
			largest = max(largest, n)
		}
	}
	return largest
}

// buildPasses appends a pass for each axis that is resized.
func buildPasses[T floating](list []resizePass[T], o *interpolation, ax []resizeAxis, extrapolated float32) []resizePass[T] {
	outer := 1
	for i := range ax {
		a := &ax[i]
		if !a.isIdentity(o) {
			p := resizePass[T]{outer: outer, inner: 1, in: a.in, out: a.out, fill: T(extrapolated)}
			for _, b := range ax[i+1:] {
				p.inner *= b.in
			}
			var w []float64
			for k := range a.out {
				p.first = append(p.first, len(w))
				p.at, w = o.weights(a, k, p.at, w)
			}
			p.first = append(p.first, len(w))
			for _, v := range w {
				p.w = append(p.w, T(v))
			}
			if w32, ok := any(p.w).([]float32); ok && p.inner == 1 {
				p.regular = findRegular(p.in, p.out, p.first, p.at, w32)
			}
			list = append(list, p)
		}
		outer *= a.out
	}
	return list
}

// runPasses computes dst from src. scratch holds the results between passes; where it is too small, memory is allocated.
// The last two passes, if over neighbouring axes, go row by row, so that what is between them stays in the cache.
func runPasses[T floating](pool *parallel.Pool, passes []resizePass[T], dst, src []T, scratch []byte) {
	if len(passes) == 0 {
		copy(dst, src)
		return
	}
	for i := 0; i < len(passes); i++ {
		p := &passes[i]
		p.next, p.src, p.dst = nil, src, dst
		half := len(scratch) / 2
		part := scratch[i%2*half:]
		n := p.outer * p.out * p.inner
		switch {
		case i == len(passes)-2 && passes[i+1].in*passes[i+1].inner == p.inner:
			p.next = &passes[i+1]
			p.rowsOf = between[T](part, half, n)
			i++
		case i < len(passes)-1:
			p.dst = between[T](part, half, n)
		}
		if p.task.f == nil {
			p.task.f = p.units
		}
		units, work := p.outer*p.out, mulSize(len(p.dst), max(1, len(p.w)/p.out))
		if p.next == nil && p.inner < shortInner {
			units = p.outer
		}
		p.task.run(pool, units, work)
		src = p.dst
		p.src, p.dst, p.rowsOf = nil, nil, nil
	}
}

// between returns n elements in the first half bytes of scratch, or new ones.
func between[T floating](scratch []byte, half, n int) []T {
	var v []T
	if s, ok := any(&v).(*[]float32); ok && 4*n <= half {
		*s, _ = floatsOf(scratch, n)
		return v
	}
	return make([]T, n)
}

// units computes elements of the axis at one outer index each, or, of few values, all elements at one outer index.
func (p *resizePass[T]) units(lo, hi int) {
	var buf regularBuffer
	switch {
	case p.next != nil:
		row := p.rowsOf[lo*p.inner:][:p.inner]
		size := p.next.out * p.next.inner
		before := -1
		for u := lo; u < hi; u++ {
			y := p.dst[u*size:][:size]
			if i := u % p.out; i > 0 && before >= 0 && p.same(i-1, i) {
				copy(y, p.dst[(u-1)*size:])
			} else {
				p.element(row, p.src[u/p.out*p.in*p.inner:], i)
				p.next.line(y, row, &buf)
			}
			before = u
		}
	case p.inner < shortInner:
		for u := lo; u < hi; u++ {
			p.line(p.dst[u*p.out*p.inner:][:p.out*p.inner], p.src[u*p.in*p.inner:][:p.in*p.inner], &buf)
		}
	default:
		for u := lo; u < hi; u++ {
			p.element(p.dst[u*p.inner:][:p.inner], p.src[u/p.out*p.in*p.inner:], u%p.out)
		}
	}
}

// same reports whether two elements have the same terms.
func (p *resizePass[T]) same(i, j int) bool {
	a, b, n := p.first[i], p.first[j], p.first[i+1]-p.first[i]
	if p.first[j+1]-b != n {
		return false
	}
	for k := range n {
		if p.at[a+k] != p.at[b+k] || p.w[a+k] != p.w[b+k] {
			return false
		}
	}
	return true
}

// element computes element i of the axis from x, whose elements are inner values each.
func (p *resizePass[T]) element(y, x []T, i int) {
	at, w := p.at[p.first[i]:p.first[i+1]], p.w[p.first[i]:p.first[i+1]]
	n := len(y)
	switch len(at) {
	case 0:
		for j := range y {
			y[j] = p.fill
		}
		return
	case 1:
		addScaled(y, x[at[0]*n:][:n], w[0], true)
		return
	}
	mix(y, x[at[0]*n:][:n], x[at[1]*n:][:n], w[0], w[1])
	for k, v := range w[2:] {
		addScaled(y, x[at[k+2]*n:][:n], v, false)
	}
}

// line computes all elements of the axis.
func (p *resizePass[T]) line(y, x []T, buf *regularBuffer) {
	if p.inner >= shortInner {
		for i := range p.out {
			p.element(y[i*p.inner:][:p.inner], x, i)
		}
		return
	}
	from, to := 0, 0
	if y32, ok := any(y).([]float32); ok && p.regular.n > 0 {
		from, to = p.regular.run(y32, any(x).([]float32), buf)
	}
	p.short(y, x, 0, from)
	p.short(y, x, to, p.out)
}

// short computes elements of few values.
func (p *resizePass[T]) short(y, x []T, from, to int) {
	n := p.inner
	for i := from; i < to; i++ {
		at, w := p.at[p.first[i]:p.first[i+1]], p.w[p.first[i]:p.first[i+1]]
		y := y[i*n:][:n]
		switch len(at) {
		case 0:
			for j := range y {
				y[j] = p.fill
			}
		case 2:
			a, b, wa, wb := x[at[0]*n:][:n], x[at[1]*n:][:n], w[0], w[1]
			for j := range y {
				y[j] = T(a[j]*wa) + T(b[j]*wb)
			}
		default:
			for j := range y {
				var s T
				for k, v := range w {
					s += T(v * x[at[k]*n+j])
				}
				y[j] = s
			}
		}
	}
}

// mix sets y to a·wa + b·wb.
func mix[T floating](y, a, b []T, wa, wb T) {
	if y32, ok := any(y).([]float32); ok {
		kernel.MixF32(y32, any(a).([]float32), any(b).([]float32), float32(wa), float32(wb))
		return
	}
	for i := range y {
		y[i] = T(a[i]*wa) + T(b[i]*wb)
	}
}

// addScaled adds w·x to y, or sets y to it.
func addScaled[T floating](y, x []T, w T, set bool) {
	if y32, ok := any(y).([]float32); ok {
		if set {
			kernel.MulScalarF32(y32, any(x).([]float32), float32(w))
		} else {
			kernel.AxpyF32(float32(w), any(x).([]float32), y32)
		}
		return
	}
	for i, v := range x {
		if set {
			y[i] = w * v
		} else {
			y[i] += w * v
		}
	}
}

// regularAxis is a range of elements, of one value each, whose two terms and weights repeat: from element from on, n pairs
// of elements that lie a source element apart, as where an axis is doubled, or n elements that lie two source elements
// apart, as where it is halved.
type regularAxis struct {
	from, n int
	double  bool
	at      [2][2]int // of the first pair, or of the first element, both terms
	w       [2][2]float32
}

// findRegular finds the regular elements of an axis that is doubled or halved.
func findRegular(in, out int, first, at []int, w []float32) (r regularAxis) {
	group, step := 0, 0
	switch {
	case out == 2*in:
		group, step, r.double = 2, 1, true
	case in == 2*out:
		group, step = 1, 2
	default:
		return r
	}
	for q := 0; q < out/group; q++ {
		fits := true
		for g := range group {
			i := q*group + g
			k := first[i]
			if first[i+1]-k != 2 {
				fits = false
				break
			}
			switch {
			case r.n == 0:
				r.at[g], r.w[g] = [2]int{at[k], at[k+1]}, [2]float32{w[k], w[k+1]}
			case at[k] != r.at[g][0]+r.n*step || at[k+1] != r.at[g][1]+r.n*step || w[k] != r.w[g][0] || w[k+1] != r.w[g][1]:
				fits = false
			}
		}
		switch {
		case fits && r.n == 0:
			r.from, r.n = q*group, 1
		case fits:
			r.n++
		case r.n > 2:
			return r
		default:
			r.n = 0
		}
	}
	return r
}

// regularBuffer is what the computation of regular elements needs.
type regularBuffer [2][512]float32

// run computes the regular elements of a line and returns their range.
func (r *regularAxis) run(y, x []float32, b *regularBuffer) (from, to int) {
	const block = len(b[0]) / 2
	for q := 0; q < r.n; q += block {
		n := min(block, r.n-q)
		if r.double {
			for g := range b {
				kernel.MixF32(b[g][:n], x[r.at[g][0]+q:], x[r.at[g][1]+q:], r.w[g][0], r.w[g][1])
			}
			kernel.InterleaveF32(y[r.from+2*q:], b[0][:n], b[1][:n])
			continue
		}
		t := b[0][:2*n-1]
		kernel.MixF32(t, x[r.at[0][0]+2*q:], x[r.at[0][1]+2*q:], r.w[0][0], r.w[0][1])
		kernel.EvenF32(y[r.from+q:][:n], t)
	}
	if r.double {
		return r.from, r.from + 2*r.n
	}
	return r.from, r.from + r.n
}
