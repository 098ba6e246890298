package op

import (
	"math"

	"github.com/aekit/aekit/tensor"
)

// cube is the geometry of a convolution over exactly three spatial axes; fewer axes are
// preceded by axes of extent 1. In each axisWindow, in is the extent of the side that the
// kernel gathers from in a convolution, out that of the other side; a transposed
// convolution exchanges the roles.
type cube [3]axisWindow

// asCube prepends unit axes. ok is false for more than three axes.
func asCube(ax []axisWindow) (c cube, ok bool) {
	if len(ax) > 3 {
		return c, false
	}
	lead := 3 - len(ax)
	for i := range lead {
		c[i] = axisWindow{in: 1, out: 1, kernel: 1, stride: 1, dilation: 1}
	}
	copy(c[lead:], ax)
	return c, true
}

func (c *cube) taps() int { return c[0].kernel * c[1].kernel * c[2].kernel }

// axisTap is one kernel position k and where it reads: the distance, in padded source
// positions, from the origin of the window.
type axisTap struct{ k, at int }

// phaseTaps lists, in ascending order of at, the taps of residue r of an axis. A
// convolution has the one residue 0. Of a transposed convolution with stride s, result
// position p belongs to residue (p+begin) mod s, and tap k contributes where k·dilation is
// in the same class; the source is then correlated with stride 1.
// It appends to taps.
func phaseTaps(taps []axisTap, a axisWindow, transposed bool, r int) []axisTap {
	if !transposed {
		for k := range a.kernel {
			taps = append(taps, axisTap{k, k * a.dilation})
		}
		return taps
	}
	lead := phaseLead(a)
	for k := a.kernel - 1; k >= 0; k-- {
		if d := k * a.dilation; d%a.stride == r {
			taps = append(taps, axisTap{k, lead - (d-r)/a.stride})
		}
	}
	return taps
}

// phaseLead is how many zero positions stand before the source of a transposed convolution.
func phaseLead(a axisWindow) int { return (a.span() - 1) / a.stride }

// phaseRange says which results residue r of an axis computes: count of them from first on,
// step apart; the window of the first one has its origin at padded source position origin.
func phaseRange(a axisWindow, transposed bool, r int) (first, step, count, origin int) {
	if !transposed {
		return 0, 1, a.out, 0
	}
	q := 0
	if a.begin > r {
		q = (a.begin - r + a.stride - 1) / a.stride
	}
	last := a.in - 1 + a.begin - r
	if last < 0 || last/a.stride < q {
		return 0, a.stride, 0, 0
	}
	return q*a.stride + r - a.begin, a.stride, last/a.stride - q + 1, q
}

// sourcePadding is the number of zero positions before and after the source along an axis.
func sourcePadding(a axisWindow, transposed bool) (before, after int) {
	if !transposed {
		return a.begin, a.end
	}
	if a.stride > maxPhases {
		return 0, 0 // not viable
	}
	last := 0
	for r := range a.stride {
		if _, _, n, q := phaseRange(a, true, r); n > 0 {
			last = max(last, q+n)
		}
	}
	return phaseLead(a), max(0, last-a.out)
}

// convShape holds the extents of a convolution in the form that the tap engine works on.
type convShape struct {
	n, groups, c, o int // c and o are per group
	cube
	rank       int // spatial axes that are not there to fill the cube
	transposed bool
	src, dst   [3]int // extents of source and result
	before     [3]int // zero positions before the source
	padded     [3]int // extents of the padded source
}

func newConvShape(n, groups, c, o, rank int, g cube, transposed bool) convShape {
	s := convShape{n: n, groups: groups, c: c, o: o, rank: rank, cube: g, transposed: transposed}
	for i, a := range g {
		s.src[i], s.dst[i] = a.in, a.out
		if transposed {
			s.src[i], s.dst[i] = a.out, a.in
		}
		b, e := sourcePadding(a, transposed)
		s.before[i], s.padded[i] = b, b+s.src[i]+e
	}
	return s
}

//go:noinline
func isPadded(s *convShape) bool { return s.padded != s.src }

// residues is the number of phases along an axis.
//
//go:noinline
func residues(s *convShape, i int) int {
	if s.transposed {
		return s.cube[i].stride
	}
	return 1
}

// mulSize returns the product of non-negative numbers, or math.MaxInt if it is larger.
//
//go:noinline
func mulSize(v ...int) int {
	n, ok := tensor.Shape(v).Elems()
	if !ok {
		return math.MaxInt
	}
	return n
}

// maxPhases bounds the stride product of a transposed convolution that the tap engine
// accepts: beyond it, phases would outnumber the work in them.
const maxPhases = 64

// viable reports whether the tap engine suits: not where padding dwarfs the data, nor where
// strides leave next to nothing in each phase.
func viable(s *convShape) bool {
	if s.transposed && mulSize(residues(s, 0), residues(s, 1), residues(s, 2)) > maxPhases {
		return false
	}
	src, dst := mulSize(s.src[:]...), mulSize(s.dst[:]...)
	padded := mulSize(s.padded[:]...)
	if src > math.MaxInt/64 || dst > math.MaxInt/64 || padded > 1<<16 && padded > 8*(src+dst) {
		return false
	}
	p := planConv(*s, false, false)
	return p.workspace() < math.MaxInt && mulSize(s.n, s.c, s.o, s.groups) < math.MaxInt
}
