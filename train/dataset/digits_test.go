package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"testing"
)

func read(t testing.TB, s Source, index ...int) ([]float32, []int) {
	t.Helper()
	if index == nil {
		for i := range s.Len() {
			index = append(index, i)
		}
	}
	dst, labels := make([]float32, len(index)*s.Info().Elems()), make([]int, len(index))
	if err := s.Read(context.Background(), index, dst, labels); err != nil {
		t.Fatal(err)
	}
	return dst, labels
}

func newDigits(t testing.TB, seed uint64, n, c, h, w int, test bool) Source {
	t.Helper()
	s, err := NewDigits(seed, n, c, h, w, test)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pixelHash hashes images whose values are multiples of 1/255.
func pixelHash(t *testing.T, x []float32) string {
	t.Helper()
	b := make([]byte, len(x))
	for i, v := range x {
		b[i] = byte(v*255 + 0.5)
		if byteLevels[b[i]] != v {
			t.Fatalf("value %d is %g, not a multiple of 1/255", i, v)
		}
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:12])
}

// TestDigitsGolden pins the pixels: they must be the same on every architecture. A change
// needs another digitsVersion.
func TestDigitsGolden(t *testing.T) {
	for _, tc := range []struct {
		name    string
		s       Source
		version int
		want    string
	}{
		{"28x28", newDigits(t, 1, 500, 1, 28, 28, false), 1, "b4c86784d0f7c1166f5cde9a"},
		{"test", newDigits(t, 1, 300, 1, 28, 28, true), 1, "233dc54506f240e70f6f1235"},
		{"rgb 40x24", newDigits(t, 7, 100, 3, 24, 40, false), 1, "f86db31ef30f1702671eba2d"},
		{"200x200", newDigits(t, 7, 10, 1, 200, 200, false), 1, "7678831e421e3b749d5fb0d0"},
	} {
		x, _ := read(t, tc.s)
		if got := pixelHash(t, x); got != tc.want || tc.version != digitsVersion {
			t.Errorf("%s: pixels hash to %s, version %d; want %s, %d", tc.name, got, digitsVersion, tc.want, tc.version)
		}
	}
}

func TestDigitsArePure(t *testing.T) {
	a, b := newDigits(t, 3, 1000, 1, 28, 28, false), newDigits(t, 3, 500, 1, 28, 28, false)
	x, lx := read(t, a, 499, 0, 7, 7)
	y, ly := read(t, b, 7, 499, 0)
	at := func(v []float32, k int) string { return pixelHash(t, v[k*784:(k+1)*784]) }
	for _, p := range [][2]int{{0, 1}, {1, 2}, {2, 0}, {3, 0}} {
		if at(x, p[0]) != at(y, p[1]) || lx[p[0]] != ly[p[1]] {
			t.Errorf("image read as number %d differs from the one read as number %d", p[0], p[1])
		}
	}
	seen := map[string]bool{}
	for _, s := range []Source{a, newDigits(t, 3, 1000, 1, 28, 28, true), newDigits(t, 4, 1000, 1, 28, 28, false)} {
		v, _ := read(t, s)
		for k := range 1000 {
			seen[at(v, k)] = true
		}
	}
	if len(seen) != 3000 {
		t.Errorf("%d different images in train, test and another seed, want 3000", len(seen))
	}
}

// TestDigitsLookLikeDigits classifies test digits by the nearest class mean: 10 % would be
// chance.
func TestDigitsLookLikeDigits(t *testing.T) {
	x, lx := read(t, newDigits(t, 1, 3000, 1, 28, 28, false))
	var mean [10][784]float64
	var count [10]int
	ink := 0.0
	for k, l := range lx {
		count[l]++
		for j, v := range x[k*784 : (k+1)*784] {
			mean[l][j] += float64(v)
			ink += float64(v)
		}
	}
	if ink /= float64(len(x)); ink < 0.06 || ink > 0.25 {
		t.Errorf("mean grey is %.3f, want between 0.06 and 0.25", ink)
	}
	for l := range mean {
		if count[l] < 230 || count[l] > 370 {
			t.Errorf("%d of 3000 images are of %d, want about 300", count[l], l)
		}
		for j := range mean[l] {
			mean[l][j] /= float64(count[l])
		}
	}
	y, ly := read(t, newDigits(t, 1, 1000, 1, 28, 28, true))
	right, touching := 0, 0
	for k, l := range ly {
		best, bestD := 0, math.Inf(1)
		for c := range mean {
			d := 0.0
			for j, v := range y[k*784 : (k+1)*784] {
				d += (float64(v) - mean[c][j]) * (float64(v) - mean[c][j])
			}
			if d < bestD {
				best, bestD = c, d
			}
		}
		if best == l {
			right++
		}
		border := float32(0)
		for j := range 28 {
			img := y[k*784 : (k+1)*784]
			border += img[j] + img[27*28+j] + img[j*28] + img[j*28+27]
		}
		if border > 6 {
			touching++
		}
	}
	if touching > 5 {
		t.Errorf("%d of 1000 digits touch the border", touching)
	}
	t.Logf("nearest mean classifies %d of 1000 digits; %d touch the border", right, touching)
	if right < 750 {
		t.Errorf("nearest mean classifies %d of 1000 digits, want at least 750", right)
	}
}

// TestDigitsInWideImages: the digit is in the middle and nowhere else, however far the
// image extends.
func TestDigitsInWideImages(t *testing.T) {
	for _, size := range [][2]int{{8, 8}, {8, 300}, {300, 8}, {9, 4096}, {28, 500}, {500, 28}} {
		h, w := size[0], size[1]
		side := min(h, w)
		x, _ := read(t, newDigits(t, 5, 40, 1, h, w, false))
		for k := range 40 {
			ink := float32(0)
			for i, v := range x[k*h*w : (k+1)*h*w] {
				ink += v
				if dx, dy := i%w-w/2, i/w-h/2; v != 0 && max(dx, -dx, dy, -dy) > side {
					t.Fatalf("%dx%d: image %d has %g at (%d, %d)", w, h, k, v, i%w, i/w)
				}
			}
			if share := ink / float32(side*side); share < 0.03 || share > 0.5 {
				t.Errorf("%dx%d: image %d has %.3f of a square of ink", w, h, k, share)
			}
		}
	}
}

func TestDigitsArguments(t *testing.T) {
	for _, tc := range []struct{ n, c, h, w int }{{-1, 1, 28, 28}, {1, 2, 28, 28}, {1, 1, 7, 28}, {1, 1, 28, 4097}, {1, 0, 28, 28}} {
		if _, err := NewDigits(1, tc.n, tc.c, tc.h, tc.w, false); err == nil {
			t.Errorf("NewDigits(%+v) gave no error", tc)
		}
	}
	s := newDigits(t, 1, 10, 1, 28, 28, false)
	for _, tc := range []struct {
		index  []int
		values int
		labels []int
	}{{[]int{10}, 784, nil}, {[]int{-1}, 784, nil}, {[]int{1}, 783, nil}, {[]int{1}, 784, make([]int, 2)}} {
		if err := s.Read(context.Background(), tc.index, make([]float32, tc.values), tc.labels); err == nil {
			t.Errorf("Read(%+v) gave no error", tc)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Read(ctx, []int{1}, make([]float32, 784), nil); err != context.Canceled {
		t.Errorf("Read with a cancelled context: %v", err)
	}
}

func BenchmarkDigits(b *testing.B) {
	s := newDigits(b, 1, 1000, 1, 28, 28, false)
	index := make([]int, 100)
	for i := range index {
		index[i] = i
	}
	dst := make([]float32, 100*784)
	for b.Loop() {
		if err := s.Read(context.Background(), index, dst, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "images/s")
}

func floatHash(x []float32) string {
	h := sha256.New()
	for _, v := range x {
		b := math.Float32bits(v)
		h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
