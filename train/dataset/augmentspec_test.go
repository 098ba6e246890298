package dataset

import (
	"math"
	"testing"

	"github.com/aekit/aekit/internal/rng"
)

func TestParseAugment(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Augment
		text string
	}{
		{"flip", Augment{Flip: true}, "flip"},
		{" crop=0.1 , flip ,rotate=1e1", Augment{Flip: true, Crop: 0.1, Rotate: 10}, "flip,crop=0.1,rotate=10"},
		{"shift=0.05,scale=0.2,shear=.3,brightness=0.1,contrast=0.4,saturation=0.5",
			Augment{Shift: 0.05, Scale: 0.2, Shear: 0.3, Brightness: 0.1, Contrast: 0.4, Saturation: 0.5},
			"shift=0.05,scale=0.2,shear=0.3,brightness=0.1,contrast=0.4,saturation=0.5"},
	} {
		a, err := ParseAugment(c.in)
		if err != nil || *a != c.want {
			t.Errorf("%q: %+v, %v, want %+v", c.in, a, err, c.want)
			continue
		}
		if a.String() != c.text {
			t.Errorf("%q: String gives %q, want %q", c.in, a, c.text)
		}
		if b, err := ParseAugment(a.String()); err != nil || *b != *a {
			t.Errorf("%q: not read back: %+v, %v", a, b, err)
		}
	}
	for _, s := range []string{"", "none"} {
		if a, err := ParseAugment(s); a != nil || err != nil {
			t.Errorf("%q: %v, %v, want nil", s, a, err)
		}
	}
	for _, s := range []string{"flop", "flip=1", "crop", "crop=x", "crop=1", "crop=-0.1", "rotate=NaN", "flip,flip", "flip,", "shift=1e400"} {
		if a, err := ParseAugment(s); err == nil {
			t.Errorf("%q gives %+v", s, a)
		}
	}
}

// TestCrop: on an image whose values are the coordinates, a crop is a window inside it.
func TestCrop(t *testing.T) {
	const n = 33
	info := Info{Channels: 1, Height: n, Width: n}
	var least, most, widest float64 = 1, 0, 0
	for draw := range uint64(200) {
		x := make([]float32, n*n)
		for i := range x {
			x[i] = float32(i%n) / (n - 1)
		}
		(&Augment{Crop: 0.5}).apply(info, x, rng.New(4, draw).Rand())
		lo, hi := float64(x[0]), float64(x[n-1])
		if lo < -1e-6 || hi > 1+1e-6 || hi-lo < 0.5-1e-6 || hi-lo > 1+1e-6 {
			t.Fatalf("draw %d: the window is from %g to %g of the width", draw, lo, hi)
		}
		// Linear, so nothing was repeated at the border.
		if mid := float64(x[n/2]); math.Abs(mid-(lo+hi)/2) > 1e-5 {
			t.Fatalf("draw %d: middle %g of a window from %g to %g", draw, mid, lo, hi)
		}
		least, most, widest = min(least, lo), max(most, hi), max(widest, 1-(hi-lo))
	}
	if least > 0.02 || most < 0.98 || widest < 0.45 {
		t.Errorf("windows reach from %g to %g and cut at most %g: not the whole range", least, most, widest)
	}
}

// TestSample: a smaller sample of a seed is a part of a larger one.
func TestSample(t *testing.T) {
	src := newDigits(t, 1, 40, 1, 8, 8, false)
	in := func(n int, seed uint64) map[int]bool {
		s, err := Sample(src, n, seed)
		if err != nil || s.Len() != n {
			t.Fatalf("%d images: %v", n, err)
		}
		out := map[int]bool{}
		for _, i := range s.(*subset).index {
			out[i] = true
		}
		return out
	}
	small, large, other := in(5, 1), in(20, 1), in(20, 2)
	differ := false
	for i := range small {
		if !large[i] {
			t.Errorf("image %d of 5 is not among 20", i)
		}
	}
	for i := range large {
		differ = differ || !other[i]
	}
	if len(large) != 20 || !differ {
		t.Errorf("samples %v and %v", large, other)
	}
	for _, n := range []int{0, -1, 41} {
		if _, err := Sample(src, n, 1); err == nil {
			t.Errorf("a sample of %d of 40: no error", n)
		}
	}
}
