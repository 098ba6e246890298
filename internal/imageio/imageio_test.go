package imageio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"slices"
	"testing"
)

// signed is the Norm whose range is [-1, 1].
var signed = Norm{Mean: []float32{0.5}, Std: []float32{0.5}}

// gradient is an image without symmetries.
func gradient(c, h, w int) *Planar {
	p, err := NewPlanar(c, h, w)
	if err != nil {
		panic(err)
	}
	for i := range p.Pix {
		p.Pix[i] = uint8(i*37 + i/7)
	}
	return p
}

func equal(a, b *Planar) bool {
	return a.C == b.C && a.H == b.H && a.W == b.W && bytes.Equal(a.Pix, b.Pix)
}

func TestImageRoundTrip(t *testing.T) {
	for _, c := range []int{1, 3} {
		p := gradient(c, 5, 7)
		q, err := FromImage(p.Image(), c)
		if err != nil || !equal(p, q) {
			t.Errorf("%d channels: %v, got %+v, want %+v", c, err, q, p)
		}
	}
}

// TestFromImage compares the fast paths with the general one.
func TestFromImage(t *testing.T) {
	rgb := gradient(3, 9, 11).Image()
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, rgb, nil); err != nil {
		t.Fatal(err)
	}
	ycc, err := jpeg.Decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	rgba := image.NewRGBA(rgb.Bounds())
	for y := range 9 {
		for x := range 11 {
			rgba.Set(x, y, rgb.At(x, y))
		}
	}
	sub := image.Rect(2, 3, 9, 8)
	for name, img := range map[string]image.Image{
		"grey": gradient(1, 9, 11).Image(), "rgba": rgba, "ycbcr": ycc,
		"grey part":  gradient(1, 9, 11).Image().(*image.Gray).SubImage(sub),
		"rgba part":  rgba.SubImage(sub),
		"ycbcr part": ycc.(*image.YCbCr).SubImage(sub),
	} {
		for _, c := range []int{1, 3} {
			fast, err := FromImage(img, c)
			if err != nil {
				t.Fatal(err)
			}
			slow, err := FromImage(struct{ image.Image }{img}, c)
			if err != nil {
				t.Fatal(err)
			}
			if fast.W != img.Bounds().Dx() || fast.H != img.Bounds().Dy() {
				t.Errorf("%s, %d channels: size %dx%d", name, c, fast.W, fast.H)
			}
			for i := range fast.Pix {
				if d := int(fast.Pix[i]) - int(slow.Pix[i]); d < -1 || d > 1 {
					t.Fatalf("%s, %d channels: sample %d is %d, want %d", name, c, i, fast.Pix[i], slow.Pix[i])
				}
			}
		}
	}
	clear := image.NewNRGBA(image.Rect(0, 0, 1, 1))
	clear.SetNRGBA(0, 0, color.NRGBA{200, 100, 50, 128})
	p, err := FromImage(clear, 3)
	if err != nil || !slices.Equal(p.Pix, []uint8{100, 50, 25}) {
		t.Errorf("half transparent pixel: %v, %v", p, err)
	}
	if _, err := FromImage(image.NewGray(image.Rectangle{}), 1); err == nil {
		t.Error("empty image gave no error")
	}
	if _, err := FromImage(rgb, 2); err == nil {
		t.Error("2 channels gave no error")
	}
}

func TestChannels(t *testing.T) {
	for v := range 256 {
		if g := Luma(uint8(v), uint8(v), uint8(v)); int(g) != v {
			t.Errorf("luma of grey %d is %d", v, g)
		}
	}
	p := &Planar{C: 3, H: 1, W: 3, Pix: []uint8{255, 0, 0, 0, 255, 0, 0, 0, 255}}
	g, err := p.Channels(1)
	if err != nil || !slices.Equal(g.Pix, []uint8{76, 150, 29}) {
		t.Errorf("luma of red, green, blue: %v, %v; want 76 150 29", g, err)
	}
	q, err := g.Channels(3)
	if err != nil || !slices.Equal(q.Pix, []uint8{76, 150, 29, 76, 150, 29, 76, 150, 29}) {
		t.Errorf("grey to colour: %v, %v", q, err)
	}
	if same, err := p.Channels(3); err != nil || same != p {
		t.Errorf("the same number of channels gives another image (%v)", err)
	}
	if _, err := p.Channels(2); err == nil {
		t.Error("2 channels gave no error")
	}
}

func TestResize(t *testing.T) {
	row := func(v ...uint8) *Planar { return &Planar{C: 1, H: 1, W: len(v), Pix: v} }
	tests := []struct {
		name string
		in   *Planar
		w, h int
		fit  Fit
		want []uint8
	}{
		{"halves", row(0, 100, 200, 50), 2, 1, Stretch, []uint8{50, 125}},
		{"two thirds", row(30, 60, 90), 2, 1, Stretch, []uint8{40, 80}},
		{"mean", row(1, 2, 3, 4, 5, 6, 7), 1, 1, Stretch, []uint8{4}},
		{"block", &Planar{C: 1, H: 2, W: 2, Pix: []uint8{0, 100, 100, 255}}, 1, 1, Stretch, []uint8{114}},
		{"constant up", row(77), 3, 2, Stretch, []uint8{77, 77, 77, 77, 77, 77}},
		// Positions -1/4, 1/4, 3/4, 5/4 of 0 and 128: the weights of the second pixel are
		// -0.0703, 0.2031, 0.7969 and 1.0703 with the border repeated.
		{"cubic", row(0, 128), 4, 1, Stretch, []uint8{0, 26, 102, 137}},
		{"cover wide", row(10, 20, 30, 40), 1, 1, Cover, []uint8{20}},
		{"contain wide", row(10, 30), 2, 3, Contain, []uint8{0, 0, 10, 30, 0, 0}},
		{"contain tall", &Planar{C: 1, H: 2, W: 1, Pix: []uint8{10, 30}}, 4, 2, Contain, []uint8{0, 10, 0, 0, 0, 30, 0, 0}},
	}
	for _, tc := range tests {
		got, err := tc.in.Resize(tc.w, tc.h, tc.fit)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got.W != tc.w || got.H != tc.h || !slices.Equal(got.Pix, tc.want) {
			t.Errorf("%s: %v to %dx%d %v gives %v, want %v", tc.name, tc.in.Pix, tc.w, tc.h, tc.fit, got.Pix, tc.want)
		}
	}
	for _, s := range [][2]int{{0, 1}, {1, -1}, {math.MaxInt32, math.MaxInt32}} {
		if _, err := row(1, 2).Resize(s[0], s[1], Stretch); err == nil {
			t.Errorf("size %v gave no error", s)
		}
	}
}

// TestResizeProperties: constants stay, ramps stay nearly linear, channels stay apart, and
// every size and fit works.
func TestResizeProperties(t *testing.T) {
	for w := 1; w < 12; w++ {
		for h := 1; h < 12; h++ {
			src, err := NewPlanar(3, 5, 7)
			if err != nil {
				t.Fatal(err)
			}
			for i := range src.Pix {
				src.Pix[i] = []uint8{10, 0, 255}[i/35]
			}
			for _, fit := range []Fit{Stretch, Cover} {
				p, err := src.Resize(w, h, fit)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range p.Pix {
					if want := []uint8{10, 0, 255}[i/(w*h)]; v != want {
						t.Fatalf("%dx%d %v: sample %d is %d, want %d", w, h, fit, i, v, want)
					}
				}
			}
			if _, err := src.Resize(w, h, Contain); err != nil {
				t.Errorf("%dx%d contain: %v", w, h, err)
			}
		}
	}
	ramp, err := NewPlanar(1, 1, 17)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ramp.Pix {
		ramp.Pix[i] = uint8(15 * i)
	}
	for _, w := range []int{5, 8, 40, 100} {
		p, err := ramp.Resize(w, 1, Stretch)
		if err != nil {
			t.Fatal(err)
		}
		for i := range w {
			at := (float64(i)+0.5)*17/float64(w) - 0.5
			if at < 1.5 || at > 14.5 {
				continue
			}
			tol := 0.51
			if w < 17 {
				tol = 1 // the mean of steps is not quite that of the ramp
			}
			if got := float64(p.Pix[i]); math.Abs(got-15*at) > tol {
				t.Errorf("ramp to %d: sample %d is %g, want %.2f", w, i, got, 15*at)
			}
		}
	}
}

// TestResizeGolden pins the bytes for every architecture.
func TestResizeGolden(t *testing.T) {
	h := sha256.New()
	for _, s := range [][2]int{{13, 29}, {64, 64}, {100, 9}, {31, 40}} {
		for _, fit := range []Fit{Stretch, Cover, Contain} {
			p, err := gradient(3, 40, 31).Resize(s[0], s[1], fit)
			if err != nil {
				t.Fatal(err)
			}
			h.Write(p.Pix)
		}
	}
	if got, want := hex.EncodeToString(h.Sum(nil)[:12]), "0ae24f49bf3fc611ff18c463"; got != want {
		t.Errorf("resized images hash to %s, want %s", got, want)
	}
}

func TestFloats(t *testing.T) {
	p := &Planar{C: 3, H: 1, W: 2, Pix: []uint8{0, 255, 51, 102, 153, 204}}
	tests := []struct {
		layout Layout
		norm   Norm
		want   []float32
	}{
		{NCHW, Norm{}, []float32{0, 1, .2, .4, .6, .8}},
		{NHWC, Norm{}, []float32{0, .2, .6, 1, .4, .8}},
		{NCHW, signed, []float32{-1, 1, -.6, -.2, .2, .6}},
		{NCHW, Norm{Mean: []float32{0, 0, .5}, Std: []float32{1, 2, .1}}, []float32{0, 1, .1, .2, 1, 3}},
	}
	for _, tc := range tests {
		x := make([]float32, 6)
		if err := p.Floats(x, tc.layout, tc.norm); err != nil {
			t.Fatal(err)
		}
		for i := range x {
			if math.Abs(float64(x[i]-tc.want[i])) > 1e-6 {
				t.Errorf("%v %+v: %v, want %v", tc.layout, tc.norm, x, tc.want)
				break
			}
		}
		q, err := FromFloats(x, 3, 1, 2, tc.layout, tc.norm)
		if err != nil || !equal(p, q) {
			t.Errorf("%v %+v: back to %+v, %v", tc.layout, tc.norm, q, err)
		}
	}
	// All 256 levels come back, in both ranges.
	all := &Planar{C: 1, H: 16, W: 16, Pix: make([]uint8, 256)}
	for i := range all.Pix {
		all.Pix[i] = uint8(i)
	}
	for _, n := range []Norm{{}, signed, {Mean: []float32{.1307}, Std: []float32{.3081}}} {
		x := make([]float32, 256)
		if err := all.Floats(x, NCHW, n); err != nil {
			t.Fatal(err)
		}
		if q, err := FromFloats(x, 1, 16, 16, NCHW, n); err != nil || !equal(all, q) {
			t.Errorf("%+v: levels do not come back (%v)", n, err)
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	q, err := FromFloats([]float32{nan, inf, -inf, 2, -1, 0.5}, 1, 2, 3, NCHW, Norm{})
	if err != nil || !slices.Equal(q.Pix, []uint8{0, 255, 0, 255, 0, 128}) {
		t.Errorf("special values: %v, %v", q, err)
	}
	for _, n := range []Norm{{Mean: []float32{1, 2}}, {Std: []float32{0}}, {Std: []float32{-1}}, {Mean: []float32{nan}}, {Std: []float32{inf}}} {
		if err := p.Floats(make([]float32, 6), NCHW, n); err == nil {
			t.Errorf("%+v gave no error", n)
		}
	}
	if err := p.Floats(make([]float32, 5), NCHW, Norm{}); err == nil {
		t.Error("short slice gave no error")
	}
	if _, err := FromFloats(make([]float32, 5), 3, 1, 2, NCHW, Norm{}); err == nil {
		t.Error("short slice gave no error")
	}
}

func TestNames(t *testing.T) {
	for _, f := range []Fit{Stretch, Cover, Contain} {
		if g, err := ParseFit(f.String()); err != nil || g != f {
			t.Errorf("ParseFit(%q) = %v, %v", f, g, err)
		}
	}
	if _, err := ParseFit("x"); err == nil {
		t.Error("ParseFit(x) gave no error")
	}
	if s := fmt.Sprint(NCHW, NHWC, Fit(9), Layout(9)); s != "NCHW NHWC fit(9) layout(9)" {
		t.Errorf("unknown values print as %q", s)
	}
}

func TestCrop(t *testing.T) {
	p := gradient(3, 5, 7)
	q, err := p.Crop(2, 1, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	for y := range 4 {
		for x := range 3 {
			if q.At(x, y) != p.At(x+2, y+1) {
				t.Fatalf("pixel (%d, %d) is %v, want %v", x, y, q.At(x, y), p.At(x+2, y+1))
			}
		}
	}
	for _, r := range [][4]int{{-1, 0, 1, 1}, {0, 0, 8, 1}, {6, 0, 2, 1}, {0, 0, 0, 1}, {0, 4, 1, 2}, {math.MaxInt, 0, 1, 1}} {
		if _, err := p.Crop(r[0], r[1], r[2], r[3]); err == nil {
			t.Errorf("Crop(%v) gave no error", r)
		}
	}
}

func TestGrid(t *testing.T) {
	a := &Planar{C: 1, H: 1, W: 2, Pix: []uint8{1, 2}}
	b := &Planar{C: 1, H: 1, W: 2, Pix: []uint8{3, 4}}
	c := &Planar{C: 3, H: 1, W: 2, Pix: []uint8{5, 6, 7, 8, 9, 10}}
	tests := []struct {
		name    string
		s       Sheet
		in      []*Planar
		c, h, w int
		pix     []uint8
	}{
		{"row", Sheet{Columns: 2}, []*Planar{a, b}, 1, 1, 4, []uint8{1, 2, 3, 4}},
		{"column", Sheet{Columns: 1, Back: color.NRGBA{9, 9, 9, 255}, Pad: 1}, []*Planar{a, b}, 1, 5, 4,
			[]uint8{9, 9, 9, 9, 9, 1, 2, 9, 9, 9, 9, 9, 9, 3, 4, 9, 9, 9, 9, 9}},
		{"empty cell", Sheet{}, []*Planar{a, b, a}, 1, 2, 4, []uint8{1, 2, 3, 4, 1, 2, 0, 0}},
		{"zoom", Sheet{Zoom: 2}, []*Planar{a}, 1, 2, 4, []uint8{1, 1, 2, 2, 1, 1, 2, 2}},
		{"colour", Sheet{Columns: 2}, []*Planar{a, c}, 3, 1, 4, []uint8{1, 2, 5, 6, 1, 2, 7, 8, 1, 2, 9, 10}},
	}
	for _, tc := range tests {
		p, err := tc.s.Grid(tc.in)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if p.C != tc.c || p.H != tc.h || p.W != tc.w || !slices.Equal(p.Pix, tc.pix) {
			t.Errorf("%s: %+v, want %dx%dx%d %v", tc.name, p, tc.c, tc.h, tc.w, tc.pix)
		}
	}
	for _, tc := range []struct {
		s  Sheet
		in []*Planar
	}{
		{Sheet{}, nil}, {Sheet{Columns: -1}, []*Planar{a}}, {Sheet{Pad: 1 << 30}, []*Planar{a}}, {Sheet{Zoom: 1 << 20}, []*Planar{a}},
		{Sheet{}, []*Planar{a, {C: 1, H: 2, W: 1, Pix: []uint8{1, 2}}}},
	} {
		if _, err := tc.s.Grid(tc.in); err == nil {
			t.Errorf("Grid of %+v gave no error", tc.s)
		}
	}
}
