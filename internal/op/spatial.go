package op

import (
	"errors"
	"fmt"
	"math"

	"github.com/aekit/aekit/tensor"
)

// col2im is Col2Im: the columns of sliding blocks are added up into an image. Inputs are
// the columns [N, C·blocks, L], the image's shape and the block's shape.
type col2im struct {
	types                    Types
	dilations, pads, strides []int
}

func newCol2Im(a *Attrs) (Op, error) {
	return &col2im{a.Types(), a.Ints("dilations"), a.Ints("pads"), a.Ints("strides")}, nil
}

// col2imAxis is one spatial axis.
type col2imAxis struct{ image, block, dilation, begin, stride, positions int }

// axes appends what shapes and attributes say of each axis to out, after checking it.
func (o *col2im) axes(out []col2imAxis, image, block tensor.Shape) ([]col2imAxis, error) {
	n := len(image)
	if len(block) != n || n == 0 || o.dilations != nil && len(o.dilations) != n || o.strides != nil && len(o.strides) != n || o.pads != nil && len(o.pads) != 2*n {
		return nil, fmt.Errorf("image %v, block %v and the attributes differ in rank", image, block)
	}
	at := func(v []int, i, def int) int {
		if v == nil {
			return def
		}
		return v[i]
	}
	for i := range n {
		begin, end := at(o.pads, i, 0), at(o.pads, i+n, 0)
		a := col2imAxis{image[i], block[i], at(o.dilations, i, 1), begin, at(o.strides, i, 1), 0}
		for _, v := range []int{a.image, a.block, a.dilation, a.stride} {
			if v < 1 || v > maxExtent/2 {
				return nil, fmt.Errorf("extent %d of axis %d is out of range", v, i)
			}
		}
		if begin < 0 || end < 0 || begin > maxExtent/2 || end > maxExtent/2 {
			return nil, fmt.Errorf("pads %v are out of range", o.pads)
		}
		room := int64(a.image) + int64(begin) + int64(end) - int64(a.dilation)*int64(a.block-1) - 1
		if room < 0 {
			return nil, fmt.Errorf("block %v does not fit image %v", block, image)
		}
		a.positions = int(room/int64(a.stride)) + 1
		out = append(out, a)
	}
	return out, nil
}

func (o *col2im) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	s := in[0].Shape
	if len(s) != 3 {
		return nil, fmt.Errorf("columns have shape %v, want rank 3", s)
	}
	image, err := constShape(in, 1)
	if err != nil {
		return nil, err
	}
	block, err := constShape(in, 2)
	if err != nil {
		return nil, err
	}
	axes, err := o.axes(nil, image, block)
	if err != nil {
		return nil, err
	}
	positions := make(tensor.Shape, len(axes))
	for i, a := range axes {
		positions[i] = a.positions
	}
	size, _ := block.Elems()
	if l, ok := positions.Elems(); !ok || l != s[2] || s[1]%size != 0 {
		return nil, fmt.Errorf("columns of shape %v do not fit image %v and block %v: want %v positions", s, image, block, positions)
	}
	return outFact(in[0].DType, append(tensor.Shape{s[0], s[1] / size}, image...))
}

func (o *col2im) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if isHalf(in[0].DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	st := StateOf[col2imState](ctx)
	st.block = st.block[:0]
	for _, v := range intsOf(in[2]) {
		st.block = append(st.block, int(v))
	}
	var err error
	if st.axes, err = o.axes(st.axes[:0], out[0].Shape()[2:], st.block); err != nil {
		return err
	}
	if in[0].DType() == tensor.Float32 {
		col2imRun(out[0].Float32s(), in[0].Float32s(), st.axes)
	} else {
		col2imRun(tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), st.axes)
	}
	return nil
}

// col2imState is what a Col2Im keeps between runs.
type col2imState struct {
	axes  []col2imAxis
	block tensor.Shape
}

func col2imRun[T floating](dst, src []T, axes []col2imAxis) {
	clear(dst)
	image := 1
	for _, a := range axes {
		image *= a.image
	}
	var add func(dst []T, axes []col2imAxis, block, pos, at int)
	blocks, positions := 1, 1
	for _, a := range axes {
		blocks, positions = blocks*a.block, positions*a.positions
	}
	var col []T
	add = func(dst []T, axes []col2imAxis, block, pos, at int) {
		if len(axes) == 0 {
			dst[at] += col[block*positions+pos]
			return
		}
		a := axes[0]
		for b := range a.block {
			for p := range a.positions {
				if i := p*a.stride + b*a.dilation - a.begin; i >= 0 && i < a.image {
					add(dst, axes[1:], block*a.block+b, pos*a.positions+p, at*a.image+i)
				}
			}
		}
	}
	for len(dst) > 0 {
		col = src[:blocks*positions]
		add(dst[:image], axes, 0, 0, 0)
		dst, src = dst[image:], src[len(col):]
	}
}

// affineGrid is AffineGrid: inputs theta [N 2 3] or [N 3 4], and the size of the image.
type affineGrid struct {
	types        Types
	alignCorners bool
}

func newAffineGrid(a *Attrs) (Op, error) {
	return affineGrid{a.Types(), a.Bool("align_corners", false)}, nil
}

func (o affineGrid) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	size, err := constShape(in, 1)
	if err != nil {
		return nil, err
	}
	d := len(size) - 2
	if d != 2 && d != 3 || !in[0].Shape.Equal(tensor.Shape{size[0], d, d + 1}) {
		return nil, fmt.Errorf("theta of shape %v does not fit size %v", in[0].Shape, size)
	}
	out := append(tensor.Shape{size[0]}, size[2:]...)
	return outFact(in[0].DType, append(out, d))
}

// Workspace implements [Workspacer]: theta and the grid.
func (o affineGrid) Workspace(in []Fact) int {
	out, err := o.Infer(in)
	if err != nil {
		return 0
	}
	return workBytes(8, elemsOf(in, 0), elemsOf(out, 0))
}

func (o affineGrid) Run(ctx *Context, out, in []*tensor.Tensor) error {
	scratch := ctx.Scratch
	th, dst := carve[float64](&scratch, in[0].Elems()), carve[float64](&scratch, out[0].Elems())
	floats64(th[:0], in[0])
	s := out[0].Shape()
	d := s[len(s)-1]
	spatial := s[1 : 1+d]
	points := product(spatial)
	var pos [4]float64
	pos[d] = 1
	for n := range s[0] {
		m := th[n*d*(d+1):]
		for p := range points {
			// The innermost axis is x, the first coordinate.
			for k, q := 0, p; k < d; k++ {
				size := spatial[d-1-k]
				pos[k] = o.coordinate(q%size, size)
				q /= size
			}
			for r := range d {
				sum := 0.0
				for k := range d + 1 {
					sum += m[r*(d+1)+k] * pos[k]
				}
				dst[(n*points+p)*d+r] = sum
			}
		}
	}
	fromFloat(out[0], 0, dst)
	return nil
}

// coordinate returns where pixel i of n lies in [-1, 1].
func (o affineGrid) coordinate(i, n int) float64 {
	switch {
	case !o.alignCorners:
		return (2*float64(i)+1)/float64(n) - 1
	case n == 1:
		return 0
	}
	return 2*float64(i)/float64(n-1) - 1
}

// melWeight is MelWeightMatrix: inputs num_mel_bins, dft_length, sample_rate,
// lower_edge_hertz and upper_edge_hertz, all scalars.
type melWeight struct{ dtype tensor.DType }

func newMelWeightMatrix(a *Attrs) (Op, error) {
	o := melWeight{a.DType("output_datatype", tensor.Float32)}
	if !a.Types().Has(o.dtype) {
		a.Fail("attribute \"output_datatype\": type %v is not supported", o.dtype)
	}
	return o, nil
}

func (o melWeight) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 5, 5); err != nil {
		return nil, err
	}
	for i, set := range []Types{typesIndex, typesIndex, typesIndex, typesFloat, typesFloat} {
		if err := wantType(in, i, set); err != nil {
			return nil, err
		}
		if n, _ := in[i].Shape.Elems(); n != 1 || len(in[i].Shape) > 1 {
			return nil, fmt.Errorf("input %d: shape %v, want a scalar", i, in[i].Shape)
		}
	}
	bins, err := constInt(in, 0)
	if err != nil {
		return nil, err
	}
	length, err := constInt(in, 1)
	if err != nil {
		return nil, err
	}
	if bins < 0 || bins > maxExtent || length < 1 || length > maxExtent {
		return nil, fmt.Errorf("num_mel_bins %d or dft_length %d is out of range", bins, length)
	}
	return outFact(o.dtype, tensor.Shape{int(length)/2 + 1, int(bins)})
}

func (o melWeight) Run(ctx *Context, out, in []*tensor.Tensor) error {
	var v [5]float64
	for i, t := range in {
		f := tensor.Scalar(0.0)
		convert(f, t)
		v[i] = tensor.Data[float64](f)[0]
	}
	length, rate := v[1], v[2]
	mel := func(hertz float64) float64 { return 2595 * math.Log10(1+hertz/700) }
	low, high := mel(v[3]), mel(v[4])
	s := out[0].Shape()
	rows, bins := s[0], s[1]
	if !(rate > 0) || !(low >= 0) || !(high >= low) || math.IsInf(high, 0) {
		return fmt.Errorf("sample rate %g or edges %g and %g are out of range", rate, v[3], v[4])
	}
	w, err := ctx.New(tensor.Float64, s)
	if err != nil {
		return err
	}
	y := tensor.Data[float64](w)
	// edge returns the spectrogram bin at which triangle i begins.
	edge := func(i int) int {
		hertz := 700 * (math.Pow(10, (low+float64(i)*(high-low)/float64(bins+2))/2595) - 1)
		return int(min(math.Floor((length+1)*hertz/rate), float64(rows)))
	}
	for i := range bins {
		lo, mid, hi := edge(i), edge(i+1), edge(i+2)
		if lo == mid && mid < rows {
			y[mid*bins+i] = 1
		}
		for j := lo; j <= mid && j < rows && lo < mid; j++ {
			y[j*bins+i] = float64(j-lo) / float64(mid-lo)
		}
		for j := mid; j < hi && j < rows; j++ {
			y[j*bins+i] = float64(hi-j) / float64(hi-mid)
		}
	}
	convert(out[0], w)
	return nil
}

// tensorScatter is TensorScatter: inputs past_cache, update and the optional
// write_indices, one for each batch item.
type tensorScatter struct {
	types    Types
	axis     int
	circular bool
}

func newTensorScatter(a *Attrs) (Op, error) {
	return tensorScatter{a.Types(), a.Int("axis", -2), a.OneOf("mode", "linear", "circular") == "circular"}, nil
}

func (o tensorScatter) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	s, u := in[0].Shape, in[1].Shape
	axis, err := tensor.Axis(o.axis, len(s))
	if err != nil {
		return nil, err
	}
	if axis == 0 {
		return nil, errors.New("axis 0 is the batch")
	}
	if len(u) != len(s) || u[axis] > s[axis] {
		return nil, fmt.Errorf("update of shape %v does not fit cache of shape %v", u, s)
	}
	for i := range s {
		if i != axis && s[i] != u[i] {
			return nil, fmt.Errorf("update of shape %v does not fit cache of shape %v", u, s)
		}
	}
	if present(in, 2) {
		if err := wantType(in, 2, typesOf(tensor.Int64)); err != nil {
			return nil, err
		}
		if !in[2].Shape.Equal(s[:1]) {
			return nil, fmt.Errorf("write_indices have shape %v, want %v", in[2].Shape, s[:1])
		}
	}
	return []Fact{{DType: in[0].DType, Shape: s}}, nil
}

// InPlace implements [InPlacer].
func (tensorScatter) InPlace() []int { return []int{0} }

func (o tensorScatter) Run(_ *Context, out, in []*tensor.Tensor) error {
	s := in[0].Shape()
	axis, _ := tensor.Axis(o.axis, len(s))
	n, m := s[axis], in[1].Shape()[axis]
	var start []int64
	if t := given(in, 2); t != nil {
		start = t.Int64s()
		for _, k := range start {
			if k < 0 || k > int64(n) || !o.circular && k > int64(n-m) {
				return fmt.Errorf("write index %d is out of range for %d of %d positions", k, m, n)
			}
		}
	}
	dst, src := out[0].Bytes(), in[1].Bytes()
	copy(dst, in[0].Bytes())
	w := in[0].DType().Size() * product(s[axis+1:])
	middle := product(s[1:axis])
	for b := range s[0] {
		at := 0
		if start != nil {
			at = int(start[b])
		}
		for i := range middle {
			row := (b*middle + i)
			for k := range m {
				p := (at + k) % n
				copy(dst[(row*n+p)*w:][:w], src[(row*m+k)*w:])
			}
		}
	}
	return nil
}
