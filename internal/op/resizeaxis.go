package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
)

// interpolation says how elements of a resized axis come about (ONNX Resize).
type interpolation struct {
	mode           string // nearest, linear or cubic
	transform      string // coordinate_transformation_mode
	nearest        string // nearest_mode; "simple" is that of Resize 10
	cubicA         float64
	excludeOutside bool
	antialias      bool
}

// resizeAxis is the geometry of one axis. width is the extent of the result before it is
// rounded to out; start and end bound the region, as fractions of the source.
type resizeAxis struct {
	in, out      int
	scale, width float64
	exact        bool // scale is out/in
	start, end   float64
}

func (a *resizeAxis) isIdentity(o *interpolation) bool {
	return a.in == a.out && a.scale == 1 && !(o.transform == "tf_crop_and_resize" && (a.start != 0 || a.end != 1))
}

// unscale divides by the scale, with one rounding where the scale is a ratio of extents.
func (a *resizeAxis) unscale(v float64) float64 {
	if a.exact {
		return v * float64(a.in) / float64(a.out)
	}
	return v / a.scale
}

// source returns the position in the source of element i of the result.
func (o *interpolation) source(a *resizeAxis, i int) float64 {
	x, last := float64(i), float64(a.in-1)
	switch o.transform {
	case "asymmetric":
		return a.unscale(x)
	case "align_corners":
		if a.width == 1 {
			return 0
		}
		return x * last / (a.width - 1)
	case "pytorch_half_pixel":
		if a.out <= 1 {
			return 0
		}
	case "tf_half_pixel_for_nn":
		return a.unscale(x + 0.5)
	case "half_pixel_symmetric":
		offset := float64(a.in) / 2 * (1 - float64(a.out)/a.width)
		return offset + a.unscale(x+0.5) - 0.5
	case "tf_crop_and_resize":
		if a.out <= 1 {
			return 0.5 * (a.start + a.end) * last
		}
		return a.start*last + x*(a.end-a.start)*last/float64(a.out-1)
	}
	return a.unscale(x+0.5) - 0.5
}

// outside reports whether a position takes the extrapolation value.
func (o *interpolation) outside(a *resizeAxis, x float64) bool {
	return o.transform == "tf_crop_and_resize" && (x < 0 || x > float64(a.in-1))
}

// nearestIndex returns the source index of element i, or -1 outside the region.
func (o *interpolation) nearestIndex(a *resizeAxis, i int) int {
	x := o.source(a, i)
	if o.outside(a, x) {
		return -1
	}
	switch o.nearest {
	case "floor":
		x = math.Floor(x)
	case "ceil":
		x = math.Ceil(x)
	case "round_prefer_floor":
		x = math.Ceil(x - 0.5)
	case "round_prefer_ceil":
		x = math.Floor(x + 0.5)
	case "simple":
		if a.scale < 1 {
			x = math.Ceil(x)
		} else {
			x = math.Floor(x)
		}
	}
	return int(min(max(x, 0), float64(a.in-1)))
}

// weights appends the source indices and weights of element i. Indices beyond the ends
// are moved to the ends, or, with excludeOutside, left out.
func (o *interpolation) weights(a *resizeAxis, i int, at []int, w []float64) ([]int, []float64) {
	x := o.source(a, i)
	if o.outside(a, x) {
		return at, w
	}
	// The left neighbour is strictly to the left, so that ratio is in (0, 1].
	left := math.Ceil(x) - 1
	ratio := x - left
	scale, reach := 1.0, 1.0
	if o.mode == "cubic" {
		reach = 2
	}
	if o.antialias {
		scale = min(a.scale, 1)
	}
	// The filter of an axis that shrinks may reach across all of it; beyond both ends
	// there is nothing to add but more of the same.
	from := math.Floor(-reach/scale) + 1
	to := 2 - from
	first, sum := len(w), 0.0
	for k := from; k < to; k++ {
		v := o.filter((k - ratio) * scale)
		p := left + k
		if p < 0 || p > float64(a.in-1) {
			if o.excludeOutside {
				continue
			}
			p = min(max(p, 0), float64(a.in-1))
		}
		sum += v
		if n := len(at); n > first && at[n-1] == int(p) {
			w[n-1] += v
			continue
		}
		at, w = append(at, int(p)), append(w, v)
	}
	if (o.excludeOutside || o.antialias) && sum != 0 {
		for k := first; k < len(w); k++ {
			w[k] /= sum
		}
	}
	return at, w
}

// filter returns the weight of a neighbour at a distance.
func (o *interpolation) filter(d float64) float64 {
	d = math.Abs(d)
	if o.mode == "linear" {
		return max(0, 1-d)
	}
	switch A := o.cubicA; {
	case d <= 1:
		return ((A+2)*d-(A+3))*d*d + 1
	case d < 2:
		return ((A*d-5*A)*d+8*A)*d - 4*A
	}
	return 0
}

// resizePass resizes one axis of a tensor seen as [outer, in, inner].
type resizePass[T real] struct {
	task         spreader
	outer, inner int
	in, out      int
	first        []int // element i has the terms [first[i], first[i+1])
	at           []int
	w            []T
	fill         T
	dst, src     []T
}

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
func buildPasses[T real](list []resizePass[T], o *interpolation, ax []resizeAxis, extrapolated float32) []resizePass[T] {
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
			list = append(list, p)
		}
		outer *= a.out
	}
	return list
}

// runPasses computes dst from src. scratch holds the results between passes; where it is
// too small, memory is allocated.
func runPasses[T real](pool *parallel.Pool, passes []resizePass[T], dst, src []T, scratch []byte) {
	if len(passes) == 0 {
		copy(dst, src)
		return
	}
	for i := range passes {
		p := &passes[i]
		p.src, p.dst = src, dst
		if n := p.outer * p.out * p.inner; i < len(passes)-1 {
			p.dst = nil
			if s, ok := any(&p.dst).(*[]float32); ok {
				half := len(scratch) / 2
				if part := scratch[i%2*half:]; 4*n <= half {
					*s, _ = floatsOf(part, n)
				}
			}
			if p.dst == nil {
				p.dst = make([]T, n)
			}
		}
		if p.task.f == nil {
			p.task.f = p.rows
		}
		p.task.run(pool, p.outer*p.out, mulSize(len(p.dst), max(1, len(p.w)/p.out)))
		src = p.dst
		p.src, p.dst = nil, nil
	}
}

// rows computes units: one element of the axis at one outer index.
func (p *resizePass[T]) rows(lo, hi int) {
	for u := lo; u < hi; u++ {
		i := u % p.out
		x := p.src[u/p.out*p.in*p.inner:][:p.in*p.inner]
		y := p.dst[u*p.inner:][:p.inner]
		at, w := p.at[p.first[i]:p.first[i+1]], p.w[p.first[i]:p.first[i+1]]
		if len(at) == 0 {
			for j := range y {
				y[j] = p.fill
			}
			continue
		}
		if p.inner == 1 {
			var s T
			for k, v := range w {
				s += v * x[at[k]]
			}
			y[0] = s
			continue
		}
		for k, v := range w {
			addScaled(y, x[at[k]*p.inner:][:p.inner], v, k == 0)
		}
	}
}

// addScaled adds w·x to y, or sets y to it.
func addScaled[T real](y, x []T, w T, set bool) {
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
