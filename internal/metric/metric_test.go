package metric

import (
	"math"
	"testing"
)

// pair returns an image of integer arithmetic and a noisy copy of it, in [0, 1].
func pair(c, h, w int) (a, b []float32) {
	for k := range c {
		for y := range h {
			for x := range w {
				u := (x*x/9 + 3*y*y/16 + x*y/7 + k*40) % 256
				v := min(255, max(0, u+(x*57+y*91+k*13)%64-24))
				a = append(a, float32(u)/255)
				b = append(b, float32(v)/255)
			}
		}
	}
	return a, b
}

func near(t *testing.T, name string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) && got != want {
		t.Errorf("%s = %.12g, want %.12g ± %g", name, got, want, tol)
	}
}

// The expected values of SSIM are those of scikit-image 0.26 (structural_similarity with
// gaussian_weights, sigma 1.5, use_sample_covariance=False, data_range 1, each channel by
// itself) and, for 11×11, of the formula written out in numpy.
func TestAgainstScikitImage(t *testing.T) {
	for _, tc := range []struct {
		c, h, w   int
		ssim, mse float64
	}{
		{1, 40, 50, 0.755510146510, 0.005701776318},
		{1, 28, 28, 0.521519955335, 0.005883883146},
		{3, 32, 32, 0.625841218525, 0.005796834003},
		{1, 11, 11, 0.238988834009, 0.005496169943},
	} {
		a, b := pair(tc.c, tc.h, tc.w)
		s, err := SSIM(a, b, tc.c, tc.h, tc.w, 1)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "SSIM", s, tc.ssim, 1e-9)
		near(t, "MSE", MSE(a, b), tc.mse, 1e-11)
	}
}

// The expected values are those of a separate numpy and scipy program after the papers.
func TestMSSSIM(t *testing.T) {
	for _, tc := range []struct {
		c, h, w int
		want    float64
	}{{1, 176, 180, 0.988580407627}, {3, 161, 171, 0.987928667557}} {
		a, b := pair(tc.c, tc.h, tc.w)
		s, err := MSSSIM(a, b, tc.c, tc.h, tc.w, 1)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "MSSSIM", s, tc.want, 1e-9)
		if s, err = MSSSIM(a, a, tc.c, tc.h, tc.w, 1); err != nil {
			t.Fatal(err)
		}
		near(t, "MSSSIM of equal images", s, 1, 1e-12)
	}
	a, b := pair(1, 160, 200)
	if _, err := MSSSIM(a, b, 1, 160, 200, 1); err == nil {
		t.Error("160 rows gave no error")
	}
}

func TestSSIMProperties(t *testing.T) {
	for side := 1; side <= 13; side++ {
		a, b := pair(1, side, side+1)
		s, err := SSIM(a, b, 1, side, side+1, 1)
		if err != nil || !(s > -1 && s < 1) {
			t.Errorf("SSIM of %dx%d: %g, %v", side+1, side, s, err)
		}
		back, err := SSIM(b, a, 1, side, side+1, 1)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "SSIM with the images exchanged", back, s, 1e-12)
		if s, err = SSIM(a, a, 1, side, side+1, 1); err != nil {
			t.Fatal(err)
		}
		near(t, "SSIM of equal images", s, 1, 1e-12)
	}
	a, b := pair(1, 20, 20)
	x, y := make([]float32, 400), make([]float32, 400)
	for i := range a {
		x[i], y[i] = a[i]*255, b[i]*255
	}
	s1, err := SSIM(a, b, 1, 20, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	s255, err := SSIM(x, y, 1, 20, 20, 255)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "SSIM at peak 255", s255, s1, 1e-6)
	for _, tc := range []struct {
		c, h, w int
		peak    float64
	}{{1, 20, 21, 1}, {0, 20, 20, 1}, {1, -20, -20, 1}, {3, 20, 20, 1}, {1, 20, 20, 0}, {1, 20, 20, math.NaN()}, {1, math.MaxInt, math.MaxInt, 1}} {
		if _, err := SSIM(a, b, tc.c, tc.h, tc.w, tc.peak); err == nil {
			t.Errorf("SSIM with %+v gave no error", tc)
		}
	}
	if _, err := SSIM(a, b[:399], 1, 20, 20, 1); err == nil {
		t.Error("SSIM of images of different sizes gave no error")
	}
}

func TestPSNR(t *testing.T) {
	near(t, "PSNR(0.01, 1)", PSNR(0.01, 1), 20, 1e-12)
	near(t, "PSNR(1, 255)", PSNR(1, 255), 48.1308036087, 1e-9)
	if p := PSNR(0, 1); !math.IsInf(p, 1) {
		t.Errorf("PSNR(0, 1) = %g, want +Inf", p)
	}
}

func TestCosine(t *testing.T) {
	for _, tc := range []struct {
		a, b []float32
		want float64
	}{
		{[]float32{1, 0}, []float32{0, 3}, 0},
		{[]float32{1, 2, 3}, []float32{2, 4, 6}, 1},
		{[]float32{1, 2, 3}, []float32{-1, -2, -3}, -1},
		{[]float32{1, 1}, []float32{1, 0}, math.Sqrt2 / 2},
		{[]float32{1e-20, 0}, []float32{1e-20, 0}, 1},
	} {
		near(t, "Cosine", Cosine(tc.a, tc.b), tc.want, 1e-12)
	}
	if c := Cosine([]float32{0}, []float32{1}); !math.IsNaN(c) {
		t.Errorf("Cosine with a zero vector = %g, want NaN", c)
	}
}

// The last case is compared with scikit-learn 1.9 (roc_auc_score).
func TestAUC(t *testing.T) {
	bools := func(s string) (b []bool) {
		for _, c := range s {
			b = append(b, c == '1')
		}
		return
	}
	for _, tc := range []struct {
		scores []float64
		labels string
		want   float64
	}{
		{[]float64{1, 2, 3, 4}, "0011", 1},
		{[]float64{1, 2, 3, 4}, "1100", 0},
		{[]float64{1, 1, 1, 1}, "0110", 0.5},
		{[]float64{0.1, 0.4, 0.35, 0.8}, "0011", 0.75},
		{[]float64{math.Inf(-1), 0, math.Inf(1)}, "001", 1},
		{[]float64{1, 2, 2, 3}, "0101", 0.875},
	} {
		got, err := AUC(tc.scores, bools(tc.labels))
		if err != nil {
			t.Errorf("%v %s: %v", tc.scores, tc.labels, err)
		}
		near(t, "AUC", got, tc.want, 1e-12)
	}
	var scores []float64
	var labels []bool
	for i := range 200 {
		scores = append(scores, float64(i*37%23+i%3*4))
		labels = append(labels, i*11%7 < 3 || i%3 == 2)
	}
	got, err := AUC(scores, labels)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "AUC", got, 0.610038200340, 1e-11)
	for _, tc := range []struct {
		scores []float64
		labels string
	}{{[]float64{1}, "01"}, {[]float64{1, 2}, "11"}, {[]float64{1, 2}, "00"}, {nil, ""}, {[]float64{1, math.NaN()}, "01"}} {
		if _, err := AUC(tc.scores, bools(tc.labels)); err == nil {
			t.Errorf("AUC(%v, %s) gave no error", tc.scores, tc.labels)
		}
	}
}

func TestLengthsMustMatch(t *testing.T) {
	for name, f := range map[string]func(a, b []float32) float64{"MSE": MSE, "Cosine": Cosine} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of slices of different lengths did not panic", name)
				}
			}()
			f(make([]float32, 2), make([]float32, 3))
		}()
	}
}

func BenchmarkSSIM(b *testing.B) {
	x, y := pair(1, 28, 28)
	for b.Loop() {
		if _, err := SSIM(x, y, 1, 28, 28, 1); err != nil {
			b.Fatal(err)
		}
	}
}
