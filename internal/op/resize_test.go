package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func makeOp(t testing.TB, make func(*Attrs) (Op, error), typ string, opset int, attrs ...*onnx.Attribute) (Op, error) {
	t.Helper()
	a := NewAttrs(&onnx.Node{OpType: typ, Attrs: attrs}, opset, nil)
	a.types = typesAll
	o, err := make(a)
	if err == nil {
		err = a.Close()
	}
	return o, err
}

func of[T tensor.Element](t testing.TB, v []T, shape ...int) *tensor.Tensor {
	t.Helper()
	if shape == nil {
		shape = []int{len(v)}
	}
	x, err := tensor.Of(v, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// resizeReference evaluates one element at a time: the product of the weights along all
// axes, over all elements of the source.
func resizeReference(o *resizeOp, ax []resizeAxis, x *tensor.Tensor) []float32 {
	var out tensor.Shape
	for _, a := range ax {
		out = append(out, a.out)
	}
	var y []float32
	forEach(out, func(p []int, _ int) {
		sum := 0.0
		outside := false
		w := make([][]float64, len(ax))
		for d := range ax {
			a := &ax[d]
			w[d] = make([]float64, a.in)
			if o.mode == "nearest" {
				if i := o.nearestIndex(a, p[d]); i < 0 {
					outside = true
				} else {
					w[d][i] = 1
				}
				continue
			}
			at, v := o.weights(a, p[d], nil, nil)
			outside = outside || len(at) == 0
			for k, i := range at {
				w[d][i] += v[k]
			}
		}
		if outside {
			y = append(y, o.extrapolated)
			return
		}
		forEach(x.Shape(), func(q []int, at int) {
			f := float64(x.Float32s()[at])
			for d, i := range q {
				f *= w[d][i]
			}
			sum += f
		})
		y = append(y, float32(sum))
	})
	return y
}

func TestResize(t *testing.T) {
	pool := parallel.New(3)
	defer pool.Close()
	x := randTensor(rand.New(rand.NewPCG(5, 6)), 2, 3, 5, 6)
	none := (*tensor.Tensor)(nil)
	tests := []struct {
		name  string
		attrs []*onnx.Attribute
		in    []*tensor.Tensor
		want  tensor.Shape
	}{
		{"scales", nil, []*tensor.Tensor{none, of(t, []float32{1, 1, 2, 1.5})}, tensor.Shape{2, 3, 10, 9}},
		{"shrink", nil, []*tensor.Tensor{none, of(t, []float32{1, 1, 0.6, 0.5})}, tensor.Shape{2, 3, 3, 3}},
		{"sizes", nil, []*tensor.Tensor{none, none, of(t, []int64{2, 3, 7, 4})}, tensor.Shape{2, 3, 7, 4}},
		{"channels", nil, []*tensor.Tensor{none, none, of(t, []int64{2, 4, 7, 6})}, tensor.Shape{2, 4, 7, 6}},
		{"axes", []*onnx.Attribute{attrInts("axes", 3, -2)}, []*tensor.Tensor{none, none, of(t, []int64{4, 9})}, tensor.Shape{2, 3, 9, 4}},
		{"not larger", []*onnx.Attribute{attrInts("axes", 2, 3), attrString("keep_aspect_ratio_policy", "not_larger")}, []*tensor.Tensor{none, none, of(t, []int64{11, 9})}, tensor.Shape{2, 3, 8, 9}},
		{"not smaller", []*onnx.Attribute{attrInts("axes", 2, 3), attrString("keep_aspect_ratio_policy", "not_smaller")}, []*tensor.Tensor{none, none, of(t, []int64{10, 9})}, tensor.Shape{2, 3, 10, 12}},
		{"crop", []*onnx.Attribute{attrString("coordinate_transformation_mode", "tf_crop_and_resize"), attrFloat("extrapolation_value", 7)},
			[]*tensor.Tensor{of(t, []float32{0, 0, -0.3, 0.2, 1, 1, 0.7, 1.4}), none, of(t, []int64{2, 3, 4, 5})}, tensor.Shape{2, 3, 4, 5}},
	}
	modes := [][]*onnx.Attribute{
		{attrString("mode", "linear")},
		{attrString("mode", "cubic")},
		{attrString("mode", "cubic"), attrInt("exclude_outside", 1), attrFloat("cubic_coeff_a", -0.5)},
		{attrString("mode", "linear"), attrInt("antialias", 1)},
		{attrString("mode", "cubic"), attrInt("antialias", 1)},
		{attrString("mode", "nearest")},
		{attrString("mode", "nearest"), attrString("nearest_mode", "ceil")},
	}
	for _, c := range tests {
		transforms := []string{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"}
		if c.name == "crop" {
			transforms = []string{"tf_crop_and_resize"}
		}
		for _, tr := range transforms {
			for _, m := range modes {
				t.Run(fmt.Sprintf("%s/%s/%s%d", c.name, tr, m[0].String, len(m)), func(t *testing.T) {
					attrs := append(slices.Clone(m), c.attrs...)
					if c.name != "crop" {
						attrs = append(attrs, attrString("coordinate_transformation_mode", tr))
					}
					r, err := makeOp(t, newResize, "Resize", 19, attrs...)
					if err != nil {
						t.Fatal(err)
					}
					o := r.(*resizeOp)
					in := append([]*tensor.Tensor{x}, c.in...)
					var facts []Fact
					for _, v := range in {
						facts = append(facts, FactOf(v))
					}
					ax, err := o.resolve(facts)
					if err != nil {
						t.Fatal(err)
					}
					want := resizeReference(o, ax, x)
					run := newOpRun(t, o, pool, false, in...)
					run.run(t)
					if s := run.out[0].Shape(); !s.Equal(c.want) {
						t.Fatalf("shape %v, want %v", s, c.want)
					}
					wantClose(t, run.out[0].Float32s(), want, 2e-6)
					if n := testing.AllocsPerRun(5, func() { run.run(t) }); n != 0 {
						t.Errorf("%v allocations", n)
					}
					if !slices.Equal(runOp(t, o, nil, false, in...)[0].Float32s(), run.out[0].Float32s()) {
						t.Error("results depend on the number of threads")
					}
					v, _, ok := o.ChannelsLast(facts)
					if !ok {
						t.Fatal("no channels-last form")
					}
					in[0] = channelsLast(x)
					wantClose(t, channelsFirst(runOp(t, v, pool, false, in...)[0]).Float32s(), want, 2e-6)
				})
			}
		}
	}
}

func TestResizeValues(t *testing.T) {
	tests := []struct {
		name  string
		typ   string
		opset int
		attrs []*onnx.Attribute
		in    []*tensor.Tensor
		want  []float32
	}{
		{"half pixel linear", "Resize", 13, []*onnx.Attribute{attrString("mode", "linear")},
			[]*tensor.Tensor{of(t, []float32{1, 3}), nil, of(t, []float32{2})}, []float32{1, 1.5, 2.5, 3}},
		{"opset 10 nearest rounds up when it shrinks", "Resize", 10, []*onnx.Attribute{attrString("mode", "nearest")},
			[]*tensor.Tensor{of(t, []float32{1, 2, 3, 4}), of(t, []float32{0.6})}, []float32{1, 3}},
		{"upsample", "Upsample", 9, []*onnx.Attribute{attrString("mode", "nearest")},
			[]*tensor.Tensor{of(t, []float32{1, 2}), of(t, []float32{2.5})}, []float32{1, 1, 1, 2, 2}},
		{"upsample linear", "Upsample", 9, []*onnx.Attribute{attrString("mode", "linear")},
			[]*tensor.Tensor{of(t, []float32{1, 2}), of(t, []float32{2})}, []float32{1, 1.5, 2, 2}},
		{"scale that float32 rounds", "Resize", 13, nil,
			[]*tensor.Tensor{of(t, make([]float32, 10)), nil, of(t, []float32{0.7})}, make([]float32, 7)},
		{"aligned corners of a fractional extent", "Resize", 13, []*onnx.Attribute{attrString("mode", "linear"), attrString("coordinate_transformation_mode", "align_corners")},
			[]*tensor.Tensor{of(t, []float32{1, 2, 3, 4}), nil, of(t, []float32{0.9})}, []float32{1, 2.5, 4}},
		{"half pixel that float32 rounds to an integer", "Resize", 13, []*onnx.Attribute{attrString("nearest_mode", "floor")},
			[]*tensor.Tensor{of(t, []float32{0, 1, 2, 3, 4, 5}), nil, of(t, []float32{0.6})}, []float32{0, 2, 3}},
		{"position that float32 rounds to an integer", "Resize", 13, []*onnx.Attribute{attrString("nearest_mode", "floor"), attrString("coordinate_transformation_mode", "asymmetric")},
			[]*tensor.Tensor{of(t, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}), nil, of(t, []float32{0.6})}, []float32{0, 1, 3, 5, 6, 8, 10}},
	}
	for _, c := range tests {
		o, err := makeOp(t, newResize, c.typ, c.opset, c.attrs...)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := runOp(t, o, nil, false, c.in...)[0].Float32s(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	// The region ends at the last element, but for the rounding of 0.2 and 1.2 to float32.
	crop, err := makeOp(t, newResize, "Resize", 13, attrString("mode", "linear"), attrString("coordinate_transformation_mode", "tf_crop_and_resize"), attrFloat("extrapolation_value", 9))
	if err != nil {
		t.Fatal(err)
	}
	ramp := of(t, []float32{0, 1, 2, 3, 4, 5})
	wantClose(t, runOp(t, crop, nil, false, ramp, of(t, []float32{0.2, 1.2}), nil, ints(11))[0].Float32s(), []float32{1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 9, 9}, 1e-6)
	o, _ := makeOp(t, newResize, "Resize", 13, attrString("mode", "linear"))
	got := tensor.Data[uint8](runOp(t, o, nil, false, of(t, []uint8{10, 13}), nil, of(t, []float32{2}))[0])
	if want := []uint8{10, 10, 12, 13}; !slices.Equal(got, want) {
		t.Errorf("uint8: %v, want %v", got, want)
	}
}

func TestResizeRejects(t *testing.T) {
	x := of(t, make([]float32, 12), 1, 1, 3, 4)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name  string
		attrs []*onnx.Attribute
		in    []*tensor.Tensor
	}{
		{"neither", nil, []*tensor.Tensor{x}},
		{"both", nil, []*tensor.Tensor{x, nil, of(t, []float32{1, 1, 2, 2}), of(t, []int64{1, 1, 2, 2})}},
		{"too few", nil, []*tensor.Tensor{x, nil, of(t, []float32{2, 2})}},
		{"negative", nil, []*tensor.Tensor{x, nil, of(t, []float32{1, 1, -2, 2})}},
		{"NaN", nil, []*tensor.Tensor{x, nil, of(t, []float32{1, 1, nan, 2})}},
		{"huge", nil, []*tensor.Tensor{x, nil, of(t, []float32{1, 1, 1e30, 2})}},
		{"negative size", nil, []*tensor.Tensor{x, nil, nil, of(t, []int64{1, 1, -2, 2})}},
		{"huge size", nil, []*tensor.Tensor{x, nil, nil, of(t, []int64{1, 1, 1 << 62, 2})}},
		{"product", nil, []*tensor.Tensor{x, nil, nil, of(t, []int64{1 << 30, 1 << 30, 1 << 30, 2})}},
		{"no region", []*onnx.Attribute{attrString("coordinate_transformation_mode", "tf_crop_and_resize")}, []*tensor.Tensor{x, nil, nil, of(t, []int64{1, 1, 2, 2})}},
		{"axis", []*onnx.Attribute{attrInts("axes", 4)}, []*tensor.Tensor{x, nil, nil, of(t, []int64{2})}},
		{"axis twice", []*onnx.Attribute{attrInts("axes", 3, -1)}, []*tensor.Tensor{x, nil, nil, of(t, []int64{2, 2})}},
	} {
		o, err := makeOp(t, newResize, "Resize", 18, c.attrs...)
		if err != nil {
			t.Fatal(err)
		}
		var facts []Fact
		for _, v := range c.in {
			facts = append(facts, FactOf(v))
		}
		if f, err := o.Infer(facts); err == nil {
			t.Errorf("%s: accepted, %v", c.name, f)
		}
	}
}

func TestPad(t *testing.T) {
	pool := parallel.New(2)
	defer pool.Close()
	x := randTensor(rand.New(rand.NewPCG(7, 8)), 2, 3, 4, 5)
	for _, mode := range []string{"constant", "reflect", "edge", "wrap"} {
		for _, c := range []struct {
			pads, axes []int64
			want       tensor.Shape
		}{
			{[]int64{0, 0, 1, 2, 0, 0, 3, 1}, nil, tensor.Shape{2, 3, 8, 8}},
			{[]int64{1, 0, 0, 0, 0, 2, 0, 0}, nil, tensor.Shape{3, 5, 4, 5}},
			{[]int64{0, -1, -1, 2, 0, 0, 3, -3}, nil, tensor.Shape{2, 2, 6, 4}},
			{[]int64{9, 1}, []int64{-1}, tensor.Shape{2, 3, 4, 15}},
			{[]int64{0, 0, 0, 0, 0, 0, 0, 0}, nil, tensor.Shape{2, 3, 4, 5}},
		} {
			t.Run(fmt.Sprintf("%s/%v", mode, c.pads), func(t *testing.T) {
				o, err := makeOp(t, newPad, "Pad", 18, attrString("mode", mode))
				if err != nil {
					t.Fatal(err)
				}
				in := []*tensor.Tensor{x, of(t, c.pads), of(t, []float32{-7}), nil}
				begin, end := c.pads[:len(c.pads)/2], c.pads[len(c.pads)/2:]
				if c.axes != nil {
					in[3] = of(t, c.axes)
					begin, end = []int64{0, 0, 0, begin[0]}, []int64{0, 0, 0, end[0]}
				}
				var want []float32
				forEach(c.want, func(p []int, _ int) {
					at, inside := 0, true
					for d, n := range x.Shape() {
						lo, hi := int(max(0, -begin[d])), n-int(max(0, -end[d])) // what is left of the axis
						q := p[d] - int(begin[d])
						for mode == "reflect" && (q < lo || q >= hi) {
							if q < lo {
								q = 2*lo - q
							} else {
								q = 2*(hi-1) - q
							}
						}
						for mode == "wrap" && q < lo {
							q += hi - lo
						}
						for mode == "wrap" && q >= hi {
							q -= hi - lo
						}
						if mode == "edge" {
							q = min(max(q, lo), hi-1)
						}
						inside = inside && q >= lo && q < hi
						at = at*n + q
					}
					if inside {
						want = append(want, x.Float32s()[at])
					} else {
						want = append(want, -7)
					}
				})
				run := newOpRun(t, o, pool, false, in...)
				run.run(t)
				if s := run.out[0].Shape(); !s.Equal(c.want) {
					t.Fatalf("shape %v, want %v", s, c.want)
				}
				if got := run.out[0].Float32s(); !slices.Equal(got, want) {
					t.Fatalf("%v, want %v", got, want)
				}
				if n := testing.AllocsPerRun(5, func() { run.run(t) }); n != 0 {
					t.Errorf("%v allocations", n)
				}
				v, _, _ := o.(*pad).ChannelsLast([]Fact{FactOf(x)})
				in[0] = channelsLast(x)
				if got := channelsFirst(runOp(t, v, pool, false, in...)[0]).Float32s(); !slices.Equal(got, want) {
					t.Fatalf("channels last: %v, want %v", got, want)
				}
			})
		}
	}
}

func TestPadRejects(t *testing.T) {
	if _, err := makeOp(t, newPad, "Pad", 13, attrString("mode", "wrap")); err == nil {
		t.Error("wrap was accepted at opset 13")
	}
	x := of(t, make([]float32, 12), 3, 4)
	for _, c := range []struct {
		mode string
		x    *tensor.Tensor
		pads []int64
	}{
		{"constant", x, []int64{1, 1}}, {"constant", x, []int64{-2, 0, -2, 0}}, {"constant", x, []int64{1 << 40, 0, 0, 0}},
		{"constant", x, []int64{math.MinInt64, 0, math.MinInt64, 0}}, {"edge", x, []int64{-3, 0, 1, 0}},
		{"reflect", of(t, []float32{}, 0), []int64{1, 0}},
	} {
		o, err := makeOp(t, newPad, "Pad", 13, attrString("mode", c.mode))
		if err != nil {
			t.Fatal(err)
		}
		if f, err := o.Infer([]Fact{FactOf(c.x), FactOf(of(t, c.pads))}); err == nil {
			t.Errorf("%s of %v by %v: accepted, %v", c.mode, c.x, c.pads, f)
		}
	}
}
