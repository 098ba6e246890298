package op

import (
	"math"
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
		// length_resized is that of the result, not its extent before rounding, as in
		// PyTorch and ONNX Runtime; the ONNX reference takes the latter.
		if a.out == 1 {
			return 0
		}
		return x * last / float64(a.out-1)
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

// outside reports whether a position takes the extrapolation value. It is rounded to float32,
// the type of regions, so that what ends at the last element does not pass it.
func (o *interpolation) outside(a *resizeAxis, x float64) bool {
	return o.transform == "tf_crop_and_resize" && (float32(x) < 0 || float32(x) > float32(a.in-1))
}

// nearestSource is source in float32, the type of the scales, with a rounding after each step:
// 3/0.6 is then 5, and 1.5/0.6 - 0.5 is 2.
func (o *interpolation) nearestSource(a *resizeAxis, i int) float64 {
	switch o.transform {
	case "half_pixel", "pytorch_half_pixel":
		if o.transform == "half_pixel" || a.out > 1 {
			return float64(float32(a.unscale(float64(i)+0.5)) - 0.5)
		}
	case "tf_crop_and_resize":
		if a.out > 1 {
			from, last := float32(a.start), float32(a.in-1)
			step := float32(float32(float32(i)*(float32(a.end)-from))*last) / float32(a.out-1)
			return float64(float32(from*last) + step)
		}
	}
	return float64(float32(o.source(a, i)))
}

// nearestIndex returns the source index of element i, or -1 outside the region.
func (o *interpolation) nearestIndex(a *resizeAxis, i int) int {
	x := o.nearestSource(a, i)
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
