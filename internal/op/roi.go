package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// roiAlign is RoiAlign: regions (input 1, [regions, 4] as x1 y1 x2 y2 in the units of the
// picture) of the images that input 2 names are divided into bins, and of each bin the mean
// or maximum of bilinear samples is taken.
type roiAlign struct {
	maximum       bool
	height, width int
	sampling      int // samples along each axis of a bin; 0: as many as the bin has pixels
	scale         float64
	offset        float64
	types         Types
}

func newRoiAlign(a *Attrs) (Op, error) {
	o := &roiAlign{maximum: a.OneOf("mode", "avg", "max") == "max", height: a.Int("output_height", 1), width: a.Int("output_width", 1),
		sampling: a.Int("sampling_ratio", 0), scale: float64(a.Float("spatial_scale", 1)), types: a.Types()}
	if a.Opset() >= 16 && a.OneOf("coordinate_transformation_mode", "half_pixel", "output_half_pixel") == "half_pixel" {
		o.offset = 0.5
	}
	if o.height < 1 || o.width < 1 || o.sampling < 0 || o.height > maxExtent || o.width > maxExtent || o.sampling > 1<<10 {
		a.Fail("output of %d×%d bins with %d samples is out of range", o.height, o.width, o.sampling)
	}
	return o, nil
}

// Infer implements [Op].
func (o *roiAlign) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 2, typesOf(tensor.Int64)); err != nil {
		return nil, err
	}
	x, r := in[0].Shape, in[1].Shape
	if len(x) != 4 || len(r) != 2 || r[1] != 4 || len(in[2].Shape) != 1 || in[2].Shape[0] != r[0] {
		return nil, fmt.Errorf("input %v, regions %v and images %v do not match", x, r, in[2].Shape)
	}
	if r[0] > 0 && (x[2] == 0 || x[3] == 0 || x[2] > maxExtent || x[3] > maxExtent) {
		return nil, fmt.Errorf("input %v: the extents are out of range", x)
	}
	return outFact(in[0].DType, tensor.Shape{r[0], x[1], o.height, o.width})
}

// Run implements [Op].
func (o *roiAlign) Run(ctx *Context, out, in []*tensor.Tensor) error {
	for i, b := range in[2].Int64s() {
		if b < 0 || b >= int64(in[0].Shape()[0]) {
			return fmt.Errorf("region %d is of image %d of %d", i, b, in[0].Shape()[0])
		}
	}
	switch in[0].DType() {
	case tensor.Float16, tensor.BFloat16:
		return viaFloat32(ctx, out, in, o.Run)
	case tensor.Float32:
		runRoiAlign[float32](o, ctx, out, in)
	default:
		runRoiAlign[float64](o, ctx, out, in)
	}
	return nil
}

func runRoiAlign[T floating](o *roiAlign, ctx *Context, out, in []*tensor.Tensor) {
	t := StateOf[roiTask[T]](ctx)
	if t.f == nil {
		t.f = t.regions
	}
	s := in[0].Shape()
	t.op, t.x, t.y, t.images = o, tensor.Data[T](in[0]), tensor.Data[T](out[0]), in[2].Int64s()
	if len(t.y) == 0 {
		return
	}
	t.boxes = floats64(t.boxes[:0], in[1])
	t.channels, t.height, t.width = s[1], s[2], s[3]
	t.run(ctx.Pool, len(t.images), mulSize(len(t.y), 32))
	t.x, t.y, t.images = nil, nil, nil
}

// roiTask is one run; a unit is one region.
type roiTask[T floating] struct {
	spreader
	op                      *roiAlign
	x, y                    []T
	boxes                   []float64
	images                  []int64
	channels, height, width int
}

func (t *roiTask[T]) regions(lo, hi int) {
	o, plane := t.op, t.height*t.width
	for r := lo; r < hi; r++ {
		box := t.boxes[r*4:][:4]
		x1, y1 := box[0]*o.scale-o.offset, box[1]*o.scale-o.offset
		w, h := box[2]*o.scale-o.offset-x1, box[3]*o.scale-o.offset-y1
		if o.offset == 0 { // regions have at least one pixel
			w, h = max(w, 1), max(h, 1)
		}
		binW, binH := w/float64(o.width), h/float64(o.height)
		nx, ny := o.samples(binW, t.width), o.samples(binH, t.height)
		for c := range t.channels {
			src := t.x[(int(t.images[r])*t.channels+c)*plane:][:plane]
			dst := t.y[(r*t.channels+c)*o.height*o.width:]
			for by := range o.height {
				for bx := range o.width {
					sum, top := 0.0, math.Inf(-1)
					for iy := range ny {
						py := y1 + float64(by)*binH + (float64(iy)+0.5)*binH/float64(ny)
						for ix := range nx {
							px := x1 + float64(bx)*binW + (float64(ix)+0.5)*binW/float64(nx)
							v, largest := bilinear(src, t.height, t.width, py, px)
							sum += v
							top = max(top, largest)
						}
					}
					v := sum / float64(max(nx*ny, 1))
					if o.maximum {
						v = top
					}
					if nx*ny == 0 {
						v = 0
					}
					dst[by*o.width+bx] = T(v)
				}
			}
		}
	}
}

// samples returns how many samples a bin of the given size has along an axis.
func (o *roiAlign) samples(size float64, extent int) int {
	if o.sampling > 0 {
		return o.sampling
	}
	// A bin larger than the picture gains nothing from more samples than pixels.
	n := math.Ceil(size)
	if !(n > 0) {
		return 0
	}
	return int(min(n, 2*float64(extent)+2))
}

// bilinear returns the value of a plane between its pixels, and the largest of the four
// weighted neighbours; both are 0 more than a pixel outside.
func bilinear[T floating](x []T, height, width int, py, px float64) (v, largest float64) {
	if !(py >= -1 && py <= float64(height) && px >= -1 && px <= float64(width)) {
		return 0, 0
	}
	py, px = max(py, 0), max(px, 0)
	y0, x0 := min(int(py), height-1), min(int(px), width-1)
	y1, x1 := min(y0+1, height-1), min(x0+1, width-1)
	if y0 == height-1 {
		py = float64(y0)
	}
	if x0 == width-1 {
		px = float64(x0)
	}
	fy, fx := py-float64(y0), px-float64(x0)
	a := float64(x[y0*width+x0]) * (1 - fy) * (1 - fx)
	b := float64(x[y0*width+x1]) * (1 - fy) * fx
	c := float64(x[y1*width+x0]) * fy * (1 - fx)
	d := float64(x[y1*width+x1]) * fy * fx
	return a + b + c + d, max(a, b, c, d)
}

// maxRoiPool is MaxRoiPool: regions (input 1, [regions, 5] as image x1 y1 x2 y2, inclusive)
// are divided into bins, of each of which the maximum is taken.
type maxRoiPool struct {
	height, width int
	scale         float64
	types         Types
}

func newMaxRoiPool(a *Attrs) (Op, error) {
	a.Require("pooled_shape")
	o := &maxRoiPool{scale: float64(a.Float("spatial_scale", 1)), types: a.Types()}
	if s := a.Ints("pooled_shape"); len(s) == 2 && s[0] > 0 && s[1] > 0 && s[0] <= maxExtent && s[1] <= maxExtent {
		o.height, o.width = s[0], s[1]
	} else {
		a.Fail("attribute %q: %v, want two positive extents", "pooled_shape", s)
	}
	return o, nil
}

// Infer implements [Op].
func (o *maxRoiPool) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	x, r := in[0].Shape, in[1].Shape
	if len(x) != 4 || len(r) != 2 || r[1] != 5 || x[2] > maxExtent || x[3] > maxExtent {
		return nil, fmt.Errorf("input %v and regions %v do not match", x, r)
	}
	return outFact(in[0].DType, tensor.Shape{r[0], x[1], o.height, o.width})
}

// Run implements [Op].
func (o *maxRoiPool) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if isHalf(in[0].DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	s := in[0].Shape()
	regions := floats64(nil, in[1])
	for r := range len(regions) / 5 {
		for _, v := range regions[r*5:][:5] {
			if !(math.Abs(v*max(1, math.Abs(o.scale))) < 1<<30) {
				return fmt.Errorf("region %d: %v is out of range", r, regions[r*5:][:5])
			}
		}
		if b := int(regions[r*5]); b < 0 || b >= s[0] {
			return fmt.Errorf("region %d is of image %d of %d", r, b, s[0])
		}
	}
	if in[0].DType() == tensor.Float32 {
		runMaxRoiPool(o, out[0].Float32s(), in[0].Float32s(), s, regions)
	} else {
		runMaxRoiPool(o, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), s, regions)
	}
	return nil
}

func runMaxRoiPool[T floating](o *maxRoiPool, y, x []T, s tensor.Shape, regions []float64) {
	channels, h, w := s[1], s[2], s[3]
	bins := func(first, last float64, n, limit, i int) (from, to int) {
		size := max(last-first+1, 1) / float64(n)
		from = int(math.Floor(float64(i)*size) + first)
		to = int(math.Ceil(float64(i+1)*size) + first)
		return min(max(from, 0), limit), min(max(to, 0), limit)
	}
	for r := range len(regions) / 5 {
		var box [4]float64
		for k := range box {
			box[k] = math.Round(regions[r*5+1+k] * o.scale)
		}
		for c := range channels {
			src := x[(int(regions[r*5])*channels+c)*h*w:][:h*w]
			for by := range o.height {
				y0, y1 := bins(box[1], box[3], o.height, h, by)
				for bx := range o.width {
					x0, x1 := bins(box[0], box[2], o.width, w, bx)
					var best T
					for py := y0; py < y1; py++ {
						for px := x0; px < x1; px++ {
							if v := src[py*w+px]; py == y0 && px == x0 || v > best || v != v {
								best = v
							}
						}
					}
					y[((r*channels+c)*o.height+by)*o.width+bx] = best
				}
			}
		}
	}
}
