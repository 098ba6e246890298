package op

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestDepthSpace(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	const b, c, h, w = 2, 3, 4, 5
	small := randTensor(r, 2, c*b*b, h, w)
	for _, crd := range []bool{false, true} {
		mode := "DCR"
		if crd {
			mode = "CRD"
		}
		o, err := makeOp(t, newDepthSpace(false), "DepthToSpace", 13, attrInt("blocksize", b), attrString("mode", mode))
		if err != nil {
			t.Fatal(err)
		}
		run := newOpRun(t, o, nil, false, small)
		run.run(t)
		y := run.out[0]
		forEach(y.Shape(), func(p []int, at int) {
			ch := ((p[2]%b)*b+p[3]%b)*c + p[1]
			if crd {
				ch = (p[1]*b+p[2]%b)*b + p[3]%b
			}
			if want := small.Float32s()[((p[0]*c*b*b+ch)*h+p[2]/b)*w+p[3]/b]; y.Float32s()[at] != want {
				t.Fatalf("%s: element %v is %v, want %v", mode, p, y.Float32s()[at], want)
			}
		})
		if n := testing.AllocsPerRun(5, func() { run.run(t) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		v, _, _ := o.(LayoutAware).ChannelsLast([]Fact{FactOf(small)})
		if got := channelsFirst(runOp(t, v, nil, false, channelsLast(small))[0]); !slices.Equal(got.Float32s(), y.Float32s()) {
			t.Errorf("%s: channels-last differs", mode)
		}
		back, err := makeOp(t, newDepthSpace(true), "SpaceToDepth", 28, attrInt("blocksize", b), attrString("mode", mode))
		if err != nil {
			t.Fatal(err)
		}
		if got := runOp(t, back, nil, false, y)[0]; !got.Shape().Equal(small.Shape()) || !slices.Equal(got.Float32s(), small.Float32s()) {
			t.Error("SpaceToDepth is not the inverse of DepthToSpace")
		}
		v, _, _ = back.(LayoutAware).ChannelsLast([]Fact{FactOf(y)})
		if got := channelsFirst(runOp(t, v, nil, false, channelsLast(y))[0]); !slices.Equal(got.Float32s(), small.Float32s()) {
			t.Error("SpaceToDepth: channels-last differs")
		}
	}
	for _, block := range []int64{0, -1, 1 << 40} {
		if o, err := makeOp(t, newDepthSpace(false), "DepthToSpace", 13, attrInt("blocksize", block)); err == nil {
			if _, err := o.Infer([]Fact{FactOf(small)}); err == nil {
				t.Errorf("blocksize %d was accepted", block)
			}
		}
	}
}

func TestMaxUnpoolInvertsMaxPool(t *testing.T) {
	x := randTensor(rand.New(rand.NewPCG(2, 8)), 2, 3, 6, 8)
	attrs := []*onnx.Attribute{attrInts("kernel_shape", 2, 2), attrInts("strides", 2, 2)}
	pool, err := makeOp(t, newMaxPool, "MaxPool", 12, attrs...)
	if err != nil {
		t.Fatal(err)
	}
	out := runOp(t, pool, nil, false, x)
	unpool, err := makeOp(t, newMaxUnpool, "MaxUnpool", 11, attrs...)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, x.Elems())
	for i, at := range out[1].Int64s() {
		want[at] = out[0].Float32s()[i]
	}
	if got := runOp(t, unpool, nil, false, out[0], out[1])[0].Float32s(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	larger := runOp(t, unpool, nil, false, out[0], out[1], of(t, []int64{2, 3, 7, 10}))[0]
	forEach(larger.Shape(), func(p []int, at int) {
		w := float32(0)
		if p[2] < 6 && p[3] < 8 {
			w = want[((p[0]*3+p[1])*6+p[2])*8+p[3]]
		}
		if larger.Float32s()[at] != w {
			t.Fatalf("with a larger shape: element %v is %v, want %v", p, larger.Float32s()[at], w)
		}
	})
	out[1].Int64s()[0] = 1 << 40
	r := newOpRun(t, unpool, nil, false, out[0], out[1])
	if err := r.o.Run(r.ctx, r.out, r.in); err == nil {
		t.Error("an index outside the result was accepted")
	}
}

func TestGridSample(t *testing.T) {
	x := of(t, []float32{1, 2, 3, 4, 5, 6}, 1, 1, 2, 3)
	nan := float32(math.NaN())
	// Positions (x, y): a corner, the centre, between pixels, outside, far outside, NaN.
	grid := of(t, []float32{-1, -1, 0, 0, 0.5, -1, 1.5, 1, 1e30, 0, nan, 0}, 1, 1, 6, 2)
	for _, c := range []struct {
		mode, padding string
		want          []float32
	}{
		{"linear", "zeros", []float32{1, 3.5, 2.5, 3, 0, 0}},
		{"linear", "border", []float32{1, 3.5, 2.5, 6, 4.5, 4.5}},
		{"linear", "reflection", []float32{1, 3.5, 2.5, 5.5, 0, 0}},
		{"nearest", "zeros", []float32{1, 2, 3, 6, 0, 0}}, // halves go to the even side
	} {
		o, err := makeOp(t, newGridSample, "GridSample", 20, attrString("mode", c.mode), attrString("padding_mode", c.padding), attrInt("align_corners", 1))
		if err != nil {
			t.Fatal(err)
		}
		got := runOp(t, o, nil, false, x, grid)[0].Float32s()
		for i, w := range c.want {
			if i >= 4 && c.padding != "zeros" {
				if !(got[i] >= 1 && got[i] <= 6) {
					t.Errorf("%s %s: sample %d is %v, want a value of the picture", c.mode, c.padding, i, got[i])
				}
				continue
			}
			if math.Abs(float64(got[i]-w)) > 1e-5 {
				t.Errorf("%s %s: sample %d is %v, want %v", c.mode, c.padding, i, got[i], w)
			}
		}
	}
	// Beyond the border cubic interpolation goes on from the clamped neighbours.
	o, err := makeOp(t, newGridSample, "GridSample", 20, attrString("mode", "cubic"), attrString("padding_mode", "border"), attrInt("align_corners", 1))
	if err != nil {
		t.Fatal(err)
	}
	got := runOp(t, o, nil, false, x, of(t, []float32{-1.5, -1, -1e30, 1}, 1, 1, 2, 2))[0].Float32s()
	wantClose(t, got, []float32{1.09375*1 - 0.09375*2, 4}, 1e-6)
	// The identity grid gives the picture back, in every mode.
	big := randTensor(rand.New(rand.NewPCG(3, 8)), 1, 2, 4, 5)
	var id []float32
	for i := range 4 {
		for j := range 5 {
			id = append(id, (2*float32(j)+1)/5-1, (2*float32(i)+1)/4-1)
		}
	}
	for _, mode := range []string{"linear", "nearest", "cubic"} {
		o, err := makeOp(t, newGridSample, "GridSample", 20, attrString("mode", mode))
		if err != nil {
			t.Fatal(err)
		}
		wantClose(t, runOp(t, o, nil, false, big, of(t, id, 1, 4, 5, 2))[0].Float32s(), big.Float32s(), 1e-5)
	}
}

func TestRoi(t *testing.T) {
	x := tensor.Must(tensor.New(tensor.Float32, 1, 1, 8, 8))
	for i := range x.Float32s() { // a ramp, of which bilinear samples and their means are exact
		x.Float32s()[i] = float32(i%8) + 10*float32(i/8)
	}
	boxes := of(t, []float32{1, 2, 5, 6}, 1, 4)
	align, err := makeOp(t, newRoiAlign, "RoiAlign", 16, attrInt("output_height", 2), attrInt("output_width", 2), attrInt("sampling_ratio", 2))
	if err != nil {
		t.Fatal(err)
	}
	// Half a pixel less: bins of 2 from (0.5, 1.5), whose centres are at 1.5 and 3.5, 2.5 and 4.5.
	wantClose(t, runOp(t, align, nil, false, x, boxes, of(t, []int64{0}))[0].Float32s(), []float32{26.5, 28.5, 46.5, 48.5}, 1e-6)
	pool, err := makeOp(t, newMaxRoiPool, "MaxRoiPool", 1, attrInts("pooled_shape", 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	wantClose(t, runOp(t, pool, nil, false, x, of(t, []float32{0, 1, 2, 4, 5}, 1, 5))[0].Float32s(), []float32{32, 34, 52, 54}, 0)
	for name, c := range map[string]struct {
		o  Op
		in []*tensor.Tensor
	}{
		"image of RoiAlign": {align, []*tensor.Tensor{x, boxes, of(t, []int64{1})}},
		"image":             {pool, []*tensor.Tensor{x, of(t, []float32{-1, 1, 2, 4, 5}, 1, 5)}},
		"not a number":      {pool, []*tensor.Tensor{x, of(t, []float32{0, float32(math.NaN()), 2, 4, 5}, 1, 5)}},
	} {
		r := newOpRun(t, c.o, nil, false, c.in...)
		if err := c.o.Run(r.ctx, r.out, r.in); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDFT(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 8))
	for _, n := range []int{1, 2, 3, 5, 8, 12, 17, 64, 100} {
		x := randTensor(r, 2, n, 3, 2)
		for _, inverse := range []int64{0, 1} {
			o, err := makeOp(t, newDFT, "DFT", 17, attrInt("inverse", inverse), attrInt("axis", 1))
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, x.Elems())
			sign, scale := -1.0, 1.0
			if inverse == 1 {
				sign, scale = 1, 1/float64(n)
			}
			forEach([]int{2, n, 3}, func(p []int, at int) {
				sum := complex(0, 0)
				for j := range n {
					k := ((p[0]*n+j)*3 + p[2]) * 2
					v := complex(float64(x.Float32s()[k]), float64(x.Float32s()[k+1]))
					sum += v * cmplx.Rect(1, sign*2*math.Pi*float64(j*p[1]%n)/float64(n))
				}
				want[2*at], want[2*at+1] = float32(re(sum)*scale), float32(imag(sum)*scale)
			})
			wantClose(t, runOp(t, o, nil, false, x)[0].Float32s(), want, 1e-6)
		}
	}
	// One side of the spectrum of a real signal gives that signal back.
	for _, n := range []int{1, 2, 3, 8, 17, 100} {
		x := randTensor(r, 2, n, 3, 1)
		side, err := makeOp(t, newDFT, "DFT", 20, attrInt("onesided", 1))
		if err != nil {
			t.Fatal(err)
		}
		back, err := makeOp(t, newDFT, "DFT", 20, attrInt("onesided", 1), attrInt("inverse", 1))
		if err != nil {
			t.Fatal(err)
		}
		axis := of(t, []int64{1}).Clone()
		axis, _ = axis.Reshape()
		y := runOp(t, side, nil, false, x, nil, axis)[0]
		z := runOp(t, back, nil, false, y, of(t, []int64{int64(n)}), axis)[0]
		if !z.Shape().Equal(x.Shape()) {
			t.Fatalf("%d values: %v comes back as %v", n, x, z)
		}
		wantClose(t, z.Float32s(), x.Float32s(), 1e-6)
		if n%2 == 0 { // the length that is taken without input 1
			wantClose(t, runOp(t, back, nil, false, y, nil, axis)[0].Float32s(), x.Float32s(), 1e-6)
		}
	}
	// A cosine of 3 periods has one line, and a transform padded with zeros has its length.
	var wave []float32
	for i := range 16 {
		wave = append(wave, float32(math.Cos(2*math.Pi*3*float64(i)/16)))
	}
	o, err := makeOp(t, newDFT, "DFT", 20, attrInt("onesided", 1))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, 18)
	want[6] = 8
	wantClose(t, runOp(t, o, nil, false, of(t, wave, 1, 16, 1))[0].Float32s(), want, 1e-6)
	if s := runOp(t, o, nil, false, of(t, wave, 1, 16, 1), of(t, []int64{21}))[0].Shape(); !s.Equal(tensor.Shape{1, 11, 2}) {
		t.Errorf("padded to 21: shape %v", s)
	}
	st, err := makeOp(t, newSTFT, "STFT", 17)
	if err != nil {
		t.Fatal(err)
	}
	y := runOp(t, st, nil, false, of(t, append(wave, wave...), 1, 32, 1), of(t, []int64{8}), nil, of(t, []int64{16}))[0]
	if !y.Shape().Equal(tensor.Shape{1, 3, 9, 2}) || math.Abs(float64(y.Float32s()[6])-8) > 1e-5 {
		t.Errorf("STFT: %v, bin 3 of frame 0 is %v, want 8", y, y.Float32s()[6])
	}
}

// bodyFunc is a body that is a Go function.
type bodyFunc struct {
	in, captured, out int
	f                 func(in []*tensor.Tensor) []*tensor.Tensor
}

func (b *bodyFunc) NumInputs() int   { return b.in }
func (b *bodyFunc) NumCaptured() int { return b.captured }
func (b *bodyFunc) NumOutputs() int  { return b.out }
func (b *bodyFunc) Run(_ *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if len(in) != b.in+b.captured {
		return nil, fmt.Errorf("%d inputs, want %d", len(in), b.in+b.captured)
	}
	return b.f(in), nil
}

// control makes a control-flow operator and runs it.
func control(t *testing.T, ctx context.Context, make func(*Attrs) (Op, error), bodies map[string]Body, attrs []*onnx.Attribute, in ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	t.Helper()
	for name := range bodies {
		attrs = append(attrs, &onnx.Attribute{Name: name, Type: onnx.AttrGraph, Graph: &onnx.Graph{}})
	}
	a := NewAttrs(&onnx.Node{Attrs: attrs}, 13, bodies)
	o, err := make(a)
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var facts []Fact
	for _, x := range in {
		facts = append(facts, FactOf(x))
	}
	if _, err := o.Infer(facts); !errors.Is(err, ErrDeferred) {
		t.Fatalf("Infer: %v, want a deferral", err)
	}
	return o.(Allocator).RunAlloc(&Context{Ctx: ctx}, in)
}

func TestControlFlow(t *testing.T) {
	scalar := func(v float32) *tensor.Tensor { return of(t, []float32{v}) }
	value := func(x *tensor.Tensor) float32 { return x.Float32s()[0] }
	flag := func(v bool) *tensor.Tensor { return of(t, []bool{v}) }

	for _, yes := range []bool{true, false} {
		out, err := control(t, nil, newIf, map[string]Body{
			"then_branch": &bodyFunc{0, 1, 1, func(in []*tensor.Tensor) []*tensor.Tensor { return in }},
			"else_branch": &bodyFunc{0, 2, 1, func(in []*tensor.Tensor) []*tensor.Tensor { return in[1:] }},
		}, nil, flag(yes), scalar(1), scalar(2), scalar(3))
		if want := map[bool]float32{true: 3, false: 2}[yes]; err != nil || value(out[0]) != want {
			t.Errorf("If %v: %v, %v, want %v", yes, out, err, want)
		}
	}

	// Adds the captured value until the sum reaches 10; scans the sums.
	body := &bodyFunc{3, 1, 3, func(in []*tensor.Tensor) []*tensor.Tensor {
		s := value(in[2]) + value(in[3])
		return []*tensor.Tensor{flag(s < 10), scalar(s), scalar(s)}
	}}
	for _, c := range []struct {
		trips *tensor.Tensor
		cond  *tensor.Tensor
		want  []float32
	}{{of(t, []int64{2}), nil, []float32{4, 7}}, {nil, nil, []float32{4, 7, 10}}, {of(t, []int64{9}), flag(true), []float32{4, 7, 10}}} {
		out, err := control(t, nil, newLoop, map[string]Body{"body": body}, nil, c.trips, c.cond, scalar(1), scalar(3))
		if err != nil || value(out[0]) != c.want[len(c.want)-1] || !slices.Equal(out[1].Float32s(), c.want) || !out[1].Shape().Equal(tensor.Shape{len(c.want), 1}) {
			t.Errorf("Loop: %v, %v, want %v", out, err, c.want)
		}
	}
	endless := &bodyFunc{2, 0, 1, func(in []*tensor.Tensor) []*tensor.Tensor { return in[1:2] }}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := control(t, ctx, newLoop, map[string]Body{"body": endless}, nil, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("endless Loop: %v, want it to end with the context", err)
	}

	// Running sums along axis 1, from the end, stacked from the end along axis -1.
	sums := &bodyFunc{2, 0, 2, func(in []*tensor.Tensor) []*tensor.Tensor {
		y := make([]float32, 2)
		for i := range y {
			y[i] = in[0].Float32s()[i] + in[1].Float32s()[i]
		}
		return []*tensor.Tensor{of(t, y), of(t, y)}
	}}
	out, err := control(t, nil, newScan, map[string]Body{"body": sums},
		[]*onnx.Attribute{attrInt("num_scan_inputs", 1), attrInts("scan_input_directions", 1), attrInts("scan_input_axes", 1), attrInts("scan_output_directions", 1), attrInts("scan_output_axes", -1)},
		of(t, []float32{0, 100}), of(t, []float32{1, 2, 3, 4, 5, 6}, 2, 3))
	if want := []float32{6, 5, 3, 115, 111, 106}; err != nil || !slices.Equal(out[0].Float32s(), []float32{6, 115}) || !slices.Equal(out[1].Float32s(), want) {
		t.Errorf("Scan: %v, %v, want %v", out, err, want)
	}
}
