package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// resizeOp is Resize and Upsample. Interpolation is separable: along each axis an element of
// the result is a weighted sum of neighbours in the source (resizeaxis.go).
type resizeOp struct {
	interpolation
	types        Types
	policy       string // keep_aspect_ratio_policy
	axes         []int  // logical; nil: all
	roi          int    // indices of inputs, or -1
	scales       int
	sizes        int
	extrapolated float32
	last         bool
}

var (
	_ LayoutAware = (*resizeOp)(nil)
	_ Workspacer  = (*resizeOp)(nil)
)

func newResize(a *Attrs) (Op, error) {
	o := &resizeOp{types: a.Types(), roi: -1, scales: 1, sizes: -1, policy: "stretch"}
	o.transform, o.nearest, o.cubicA = "asymmetric", "floor", -0.75
	switch {
	case a.OpType() == "Upsample":
		o.mode = a.OneOf("mode", "nearest", "linear", "bilinear")
	case a.Opset() < 11:
		o.mode, o.nearest = a.OneOf("mode", "nearest", "linear"), "simple"
	default:
		o.roi, o.scales, o.sizes = 1, 2, 3
		o.mode = a.OneOf("mode", "nearest", "linear", "cubic")
		o.transform = a.OneOf("coordinate_transformation_mode", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
			"asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize")
		o.nearest = a.OneOf("nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
		o.cubicA = float64(a.Float("cubic_coeff_a", -0.75))
		o.excludeOutside = a.Bool("exclude_outside", false)
		o.extrapolated = a.Float("extrapolation_value", 0)
		o.antialias = a.Bool("antialias", false)
		o.axes = a.Ints("axes")
		o.policy = a.OneOf("keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller")
	}
	if o.mode == "bilinear" {
		o.mode = "linear"
	}
	return o, nil
}

// Infer implements [Op].
func (o *resizeOp) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 4); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if o.mode != "nearest" && in[0].DType == tensor.Bool {
		return nil, fmt.Errorf("mode %s of type %v", o.mode, in[0].DType)
	}
	ax, err := o.resolve(in)
	if err != nil {
		return nil, err
	}
	s := make(tensor.Shape, len(ax))
	for i, a := range ax {
		s[i] = a.out
	}
	return outFact(in[0].DType, s)
}

// floatInput returns the elements of a float input whose value must be known, or nil if it
// is omitted or empty.
func floatInput(in []Fact, i int) ([]float64, error) {
	if i < 0 || !present(in, i) {
		return nil, nil
	}
	if err := wantType(in, i, typesFloat); err != nil {
		return nil, err
	}
	if len(in[i].Shape) != 1 {
		return nil, fmt.Errorf("input %d: shape %v, want rank 1", i, in[i].Shape)
	}
	if in[i].Shape[0] == 0 {
		return nil, nil
	}
	if in[i].Const == nil {
		return nil, fmt.Errorf("input %d: %w", i, ErrDeferred)
	}
	return floats64(nil, in[i].Const), nil
}

// resolve returns how each axis of input 0, in its physical order, is resized.
func (o *resizeOp) resolve(in []Fact) ([]resizeAxis, error) {
	shape := in[0].Shape
	if o.last {
		shape = toChannelsFirst(shape)
	}
	rank := len(shape)
	which := o.axes
	if which == nil {
		which = make([]int, rank)
		for i := range which {
			which[i] = i
		}
	} else if _, err := axesOf(which, rank); err != nil {
		return nil, err
	}
	scales, err := floatInput(in, o.scales)
	if err != nil {
		return nil, err
	}
	var sizes []int64
	if o.sizes >= 0 && present(in, o.sizes) && !(len(in[o.sizes].Shape) == 1 && in[o.sizes].Shape[0] == 0) {
		if sizes, err = constInts(in, o.sizes); err != nil {
			return nil, err
		}
	}
	if (scales == nil) == (sizes == nil) {
		return nil, fmt.Errorf("want either scales or sizes")
	}
	if scales != nil && len(scales) != len(which) || sizes != nil && len(sizes) != len(which) {
		return nil, fmt.Errorf("%d scales or sizes for %d axes", len(scales)+len(sizes), len(which))
	}
	var roi []float64
	if o.transform == "tf_crop_and_resize" {
		if roi, err = floatInput(in, o.roi); err != nil {
			return nil, err
		}
		if len(roi) != 2*len(which) {
			return nil, fmt.Errorf("a region of %d values for %d axes", len(roi), len(which))
		}
		for _, v := range roi {
			if !(math.Abs(v) < 1<<20) {
				return nil, fmt.Errorf("region %v is out of range", roi)
			}
		}
	}
	ax := make([]resizeAxis, rank)
	for i, d := range shape {
		if d > maxExtent {
			return nil, fmt.Errorf("extent %d is too large", d)
		}
		ax[i] = resizeAxis{in: d, out: d, scale: 1, width: float64(d), end: 1}
	}
	list := make([]*resizeAxis, len(which))
	for i, w := range which {
		k, _ := tensor.Axis(w, rank)
		list[i] = &ax[k]
		if roi != nil {
			list[i].start, list[i].end = roi[i], roi[len(which)+i]
		}
	}
	if scales != nil {
		err = scaleAxes(list, scales)
	} else {
		err = o.sizeAxes(list, sizes)
	}
	if err != nil {
		return nil, err
	}
	if o.last {
		ax = append(append([]resizeAxis{ax[0]}, ax[2:]...), ax[1])
	}
	return ax, nil
}

func scaleAxes(list []*resizeAxis, scales []float64) error {
	for i, a := range list {
		s := scales[i]
		if !(s > 0) || s > maxExtent {
			return fmt.Errorf("scale %v is not positive or too large", s)
		}
		a.scale = s
		a.width = s * float64(a.in)
		// The product is rounded to float32, the type of the scales, so that 0.7 times 10
		// is 7.
		out := math.Floor(float64(float32(a.in) * float32(a.end-a.start) * float32(s)))
		if !(out >= 0) {
			return fmt.Errorf("scale %v of extent %d is out of range", s, a.in)
		}
		if out > maxExtent {
			return tooLargef("scale %v of extent %d is too large", s, a.in)
		}
		a.out = int(out)
	}
	return nil
}

// sizeAxes sets the extents asked for, or the nearest ones that keep the proportions.
func (o *resizeOp) sizeAxes(list []*resizeAxis, sizes []int64) error {
	for i, a := range list {
		if sizes[i] < 0 || sizes[i] > maxExtent || a.in == 0 && sizes[i] > 0 {
			return fmt.Errorf("size %d for extent %d is out of range", sizes[i], a.in)
		}
		a.out = int(sizes[i])
		a.width = float64(a.out)
		if a.in > 0 {
			a.scale = float64(a.out) / float64(a.in)
		}
		a.exact = true
	}
	if o.policy == "stretch" || len(list) == 0 {
		return nil
	}
	common := list[0].scale
	for _, a := range list[1:] {
		if o.policy == "not_larger" {
			common = min(common, a.scale)
		} else {
			common = max(common, a.scale)
		}
	}
	for _, a := range list {
		a.scale, a.exact = common, false
		a.width = common * float64(a.in)
		out := math.Floor(a.width + 0.5)
		if out > maxExtent {
			return tooLargef("scale %v of extent %d is out of range", common, a.in)
		}
		a.out = int(out)
	}
	return nil
}

// ChannelsLast implements [LayoutAware].
func (o *resizeOp) ChannelsLast(in []Fact) (Op, []bool, bool) {
	if o.last || len(in[0].Shape) < 3 {
		return nil, nil, false
	}
	v := *o
	v.last = true
	nhwc := make([]bool, len(in))
	nhwc[0] = true
	return &v, nhwc, true
}

// Workspace implements [Workspacer]: two results between passes.
func (o *resizeOp) Workspace(in []Fact) int {
	ax, err := o.resolve(in)
	if err != nil || o.mode == "nearest" || in[0].DType != tensor.Float32 {
		return 0
	}
	n := passSize(&o.interpolation, ax)
	return scratchBytes(n, n)
}

// resizeState is what a resize keeps between runs.
type resizeState struct {
	indexMap
	key    [3][]byte // the inputs but the first
	shape  tensor.Shape
	ready  bool
	passes []resizePass[float32]
	fill   *tensor.Tensor // one element
}

// isFor reports whether what is kept belongs to these inputs, and if not, that it will.
func (st *resizeState) isFor(in []*tensor.Tensor) bool {
	same := st.ready && st.shape.Equal(in[0].Shape())
	for i := range st.key {
		var b []byte
		if t := given(in, i+1); t != nil {
			b = t.Bytes()
		}
		same = same && string(st.key[i]) == string(b)
		st.key[i] = append(st.key[i][:0], b...)
	}
	st.shape = append(st.shape[:0], in[0].Shape()...)
	st.ready = true
	return same
}

// Run implements [Op].
func (o *resizeOp) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	if o.mode != "nearest" && isHalf(in[0].DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	st := StateOf[resizeState](ctx)
	fresh := !st.isFor(in)
	var ax []resizeAxis
	if fresh {
		facts := make([]Fact, len(in))
		for i, t := range in {
			facts[i] = FactOf(t)
		}
		var err error
		if ax, err = o.resolve(facts); err != nil {
			st.ready = false
			return err
		}
	}
	switch {
	case o.mode == "nearest":
		if fresh {
			o.buildNearest(&st.indexMap, ax, in[0].DType().Size())
		}
		if st.fill == nil {
			st.fill = tensor.Must(tensor.New(in[0].DType(), 1))
			if o.extrapolated != 0 {
				setNumbers(st.fill, []float64{float64(o.extrapolated)})
			}
		}
		st.move(ctx.Pool, out[0].Bytes(), in[0].Bytes(), st.fill.Bytes())
	case in[0].DType() == tensor.Float32:
		if fresh {
			st.passes = buildPasses(st.passes[:0], &o.interpolation, ax, o.extrapolated)
		}
		runPasses(ctx.Pool, st.passes, out[0].Float32s(), in[0].Float32s(), ctx.Scratch)
	default:
		if ax == nil {
			facts := make([]Fact, len(in))
			for i, t := range in {
				facts[i] = FactOf(t)
			}
			var err error
			if ax, err = o.resolve(facts); err != nil {
				return err
			}
		}
		passes := buildPasses([]resizePass[float64](nil), &o.interpolation, ax, o.extrapolated)
		x := numbers64(in[0])
		y := make([]float64, out[0].Elems())
		runPasses(ctx.Pool, passes, y, x, nil)
		setNumbers(out[0], y)
	}
	return nil
}

// buildNearest fills the tables of all axes up to the last that is resized.
func (o *resizeOp) buildNearest(m *indexMap, ax []resizeAxis, size int) {
	n, block := len(ax), size
	for n > 0 && ax[n-1].isIdentity(&o.interpolation) {
		n--
		block *= ax[n].in
	}
	m.reset(block)
	for _, a := range ax[:n] {
		at := m.axis(a.in, a.out)
		for i := range at {
			at[i] = o.interpolation.nearestIndex(&a, i)
		}
	}
}
