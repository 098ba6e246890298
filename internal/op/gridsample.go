package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// gridSample is GridSample: for each position of the result, input 1 gives the position in
// input 0, innermost axis first, where −1 and 1 stand for the ends of an axis: the centres
// of its outermost elements if aligned, else their outer edges.
type gridSample struct {
	mode    string // nearest, linear or cubic
	padding string // zeros, border or reflection
	aligned bool
	types   Types
}

func newGridSample(a *Attrs) (Op, error) {
	o := &gridSample{padding: a.OneOf("padding_mode", "zeros", "border", "reflection"), aligned: a.Bool("align_corners", false), types: a.Types()}
	if a.Opset() < 20 {
		o.mode = map[string]string{"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}[a.OneOf("mode", "bilinear", "nearest", "bicubic")]
	} else {
		o.mode = a.OneOf("mode", "linear", "nearest", "cubic")
	}
	return o, nil
}

// Infer implements [Op].
func (o *gridSample) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, typesFloat); err != nil {
		return nil, err
	}
	x, g := in[0].Shape, in[1].Shape
	rank := len(x) - 2
	if rank < 1 || rank > 3 || len(g) != len(x) || g[0] != x[0] || g[len(g)-1] != rank {
		return nil, fmt.Errorf("input %v and grid %v: want [N C …] with 1 to 3 spatial axes and [N … axes]", x, g)
	}
	y := append(tensor.Shape{x[0], x[1]}, g[1:len(g)-1]...)
	n, ok := y.Elems()
	for _, d := range x[2:] {
		if d > maxExtent || d == 0 && n > 0 {
			return nil, fmt.Errorf("input %v: extent %d is out of range", x, d)
		}
	}
	if !ok {
		return nil, tooLargef("output shape %v has too many elements", y)
	}
	return outFact(in[0].DType, y)
}

// Run implements [Op].
func (o *gridSample) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		runGridSample(o, ctx, out[0].Float32s(), in[0].Float32s(), in[0].Shape(), in[1])
	default:
		runGridSample(o, ctx, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), in[0].Shape(), in[1])
	}
	return nil
}

// gridTaps are the elements that one position reads and their weights.
type gridTaps struct {
	at [64]int
	w  [64]float64
	n  int
}

func runGridSample[T floating](o *gridSample, ctx *Context, y, x []T, shape tensor.Shape, grid *tensor.Tensor) {
	if len(y) == 0 {
		return
	}
	t := StateOf[gridTask[T]](ctx)
	if t.f == nil {
		t.f = t.positions
	}
	t.grid = floats64(t.grid[:0], grid)
	t.op, t.x, t.y, t.channels, t.spatial = o, x, y, shape[1], append(t.spatial[:0], shape[2:]...)
	t.points = len(t.grid) / len(t.spatial) / shape[0]
	t.run(ctx.Pool, shape[0]*t.points, mulSize(len(y), 64))
	t.x, t.y = nil, nil
}

// gridTask is one run; a unit is one position of one image.
type gridTask[T floating] struct {
	spreader
	op               *gridSample
	x, y             []T
	grid             []float64
	channels, points int
	spatial          tensor.Shape
}

func (g *gridTask[T]) positions(lo, hi int) {
	var t gridTaps
	rank, plane := len(g.spatial), product(g.spatial)
	for u := lo; u < hi; u++ {
		g.op.taps(&t, g.grid[u*rank:][:rank], g.spatial)
		b, p := u/g.points, u%g.points
		for c := range g.channels {
			src := g.x[(b*g.channels+c)*plane:][:plane]
			sum := 0.0
			for k := range t.n {
				sum += t.w[k] * float64(src[t.at[k]])
			}
			g.y[(b*g.channels+c)*g.points+p] = T(sum)
		}
	}
}

// taps finds the elements for one grid position.
func (o *gridSample) taps(t *gridTaps, pos []float64, spatial tensor.Shape) {
	t.n = 1
	t.at[0], t.w[0] = 0, 1
	for d, extent := range spatial {
		var idx [4]int
		var w [4]float64
		n := o.axis(pos[len(pos)-1-d], extent, &idx, &w)
		old := *t
		t.n = 0
		for k := range old.n {
			for j := range n {
				if idx[j] >= 0 {
					t.at[t.n], t.w[t.n] = old.at[k]*extent+idx[j], old.w[k]*w[j]
					t.n++
				}
			}
		}
	}
}

// axis finds the elements along one axis; index −1 is one that counts as zero.
func (o *gridSample) axis(v float64, extent int, idx *[4]int, w *[4]float64) int {
	last := float64(extent - 1)
	lo, hi := 0.0, last
	x := (v + 1) / 2 * last
	if !o.aligned {
		lo, hi = -0.5, last+0.5
		x = ((v+1)*float64(extent) - 1) / 2
	}
	if !(math.Abs(x) < 1<<40) { // far outside, or not a number
		x = math.Copysign(1<<40, x)
	}
	if o.mode == "nearest" {
		x = math.RoundToEven(x)
	}
	if x < lo || x > hi {
		switch o.padding {
		case "border":
			// Beyond the border cubic interpolation still has neighbours on both sides of it.
			if o.mode != "cubic" {
				x = min(max(x, 0), last)
			}
		case "reflection":
			x = reflect(x, lo, hi)
		}
	}
	floor := math.Floor(x)
	f := x - floor
	n, first := 2, floor
	switch o.mode {
	case "nearest":
		n, first, w[0] = 1, math.Trunc(x), 1
	case "linear":
		w[0], w[1] = 1-f, f
	default:
		cubic := interpolation{mode: "cubic", cubicA: -0.75}
		n, first = 4, floor-1
		for k := range w {
			w[k] = cubic.filter(f + 1 - float64(k))
		}
	}
	for k := range n {
		p := first + float64(k)
		if p < 0 || p > last {
			switch o.padding {
			case "zeros":
				idx[k] = -1
				continue
			case "border":
				p = min(max(p, 0), last)
			case "reflection":
				p = min(max(math.Trunc(reflect(p, lo, hi)), 0), last)
			}
		}
		idx[k] = int(p)
	}
	return n
}

// reflect mirrors x at lo and hi until it lies between them.
func reflect(x, lo, hi float64) float64 {
	size := hi - lo
	if size <= 0 {
		return lo
	}
	if x >= lo && x <= hi {
		return x
	}
	d := math.Mod(math.Abs(x-lo), 2*size)
	if d > size {
		d = 2*size - d
	}
	return lo + d
}
