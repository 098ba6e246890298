package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"testing"
)

// The vectors are "philox4x32 10" of Random123's kat_vectors.
func TestPhilox(t *testing.T) {
	tests := []struct {
		c    [4]uint32
		k    [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	}
	for _, tc := range tests {
		if got := Philox(tc.c, tc.k); got != tc.want {
			t.Errorf("Philox(%08x, %08x) = %08x, want %08x", tc.c, tc.k, got, tc.want)
		}
	}
}

func floatHash(x []float32) string {
	h := sha256.New()
	for _, v := range x {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// TestGolden pins the bits: they must be the same on every architecture, and saved
// checkpoints rely on them.
func TestGolden(t *testing.T) {
	s := New(42, 7, 9)
	x := make([]float32, 1<<17)
	got := map[string]string{}
	s.Uniform(x, 3)
	got["uniform"] = floatHash(x)
	s.Normal(x, 5)
	got["normal"] = floatHash(x)
	s.Bernoulli(x, 1, 0.3)
	got["bernoulli"] = floatHash(x)
	r := s.Rand()
	for i := range x {
		x[i] = float32(r.Normal() + r.Range(-1, 3) + float64(r.IntN(1000)))
	}
	got["rand"] = floatHash(x)
	for i, v := range s.Perm(len(x)) {
		x[i] = float32(v)
	}
	got["perm"] = floatHash(x)
	want := map[string]string{
		"uniform":   "6a2fc6c9faf4e668942fcb9b",
		"normal":    "d5971005bd21559993b1ee51",
		"bernoulli": "085b2e28ddfa22c51786b768",
		"rand":      "6c08a5f0ddb59ff8cabf0457",
		"perm":      "2b5684b138a1dee741125582",
	}
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%s: hash %s, want %s", k, got[k], w)
		}
	}
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[[2]uint32]string{}
	for seed := range uint64(20) {
		for _, labels := range [][]uint64{nil, {0}, {1}, {0, 0}, {0, 1}, {1, 0}, {1 << 32}, {1, 0, 0}} {
			s := New(seed, labels...)
			w := [2]uint32{s.Word(0), s.Word(1)}
			name := fmt.Sprint(seed, labels)
			if other, ok := seen[w]; ok {
				t.Errorf("streams %s and %s begin with the same words", name, other)
			}
			seen[w] = name
		}
	}
	if New(3, 1, 2) != New(3).Sub(1).Sub(2) {
		t.Error("New(3,1,2) is not New(3).Sub(1).Sub(2)")
	}
}

// TestOffsets checks that every filler is a function of the position alone.
func TestOffsets(t *testing.T) {
	s := New(1)
	const n = 1200
	p := make([]float32, n)
	s.Sub(1).Uniform(p, 0)
	fillers := map[string]func(dst []float32, off uint64){
		"uniform":   s.Uniform,
		"normal":    s.Normal,
		"bernoulli": func(d []float32, off uint64) { s.Bernoulli(d, off, 0.25) },
		"binarize":  func(d []float32, off uint64) { s.Binarize(d, p[off:int(off)+len(d)], off) },
	}
	for name, fill := range fillers {
		want := make([]float32, n)
		fill(want, 0)
		for _, off := range []int{0, 1, 2, 3, 4, 5, 255, 256, 257, 511} {
			for _, l := range []int{0, 1, 2, 3, 4, 5, 255, 256, 257, 600} {
				got := make([]float32, l)
				fill(got, uint64(off))
				if !slices.Equal(got, want[off:off+l]) {
					t.Errorf("%s: offset %d length %d differs from the whole", name, off, l)
				}
			}
		}
	}
	r := s.Rand()
	for i := range uint64(37) {
		if a, b := r.Uint32(), s.Word(i); a != b {
			t.Fatalf("word %d: Rand gives %08x, Word %08x", i, a, b)
		}
	}
}

func TestNormalAccuracy(t *testing.T) {
	tab := normalTable()
	check := func(w uint32) {
		p := (float64(w&0x7fffffff) + 0.5) * 0x1p-32
		want := math.Sqrt2 * math.Erfcinv(2*p)
		got := normal(tab, w)
		if w>>31 != 0 {
			want = -want
		}
		if d := math.Abs(got - want); d > 2e-7*math.Abs(want)+1e-11 {
			t.Errorf("word %08x: got %.9g, want %.9g", w, got, want)
		}
	}
	for i := range uint32(32) {
		for d := range uint32(3) {
			check(1<<i + d - 1)
		}
	}
	s := New(5)
	for i := range uint64(200000) {
		check(s.Word(i) >> (i % 31))
	}
}

// TestMoments bounds sample moments at 5 standard errors, and the normal distribution
// function at the Kolmogorov–Smirnov level of about 1e-6.
func TestMoments(t *testing.T) {
	const n = 1 << 20
	x := make([]float32, n)
	moments := func(k int) float64 {
		var m float64
		for _, v := range x {
			m += math.Pow(float64(v), float64(k))
		}
		return m / n
	}
	tests := []struct {
		name string
		fill func()
		want [4]float64
		sd   [4]float64 // of a single x^k
	}{
		{
			"uniform", func() { New(11).Uniform(x, 0) },
			[4]float64{1. / 2, 1. / 3, 1. / 4, 1. / 5}, [4]float64{.289, .299, .284, .267},
		},
		{
			"normal", func() { New(11).Normal(x, 0) },
			[4]float64{0, 1, 0, 3}, [4]float64{1, math.Sqrt2, math.Sqrt(15), math.Sqrt(96)},
		},
		{
			"bernoulli", func() { New(11).Bernoulli(x, 0, 0.2) },
			[4]float64{.2, .2, .2, .2}, [4]float64{.4, .4, .4, .4},
		},
	}
	for _, tc := range tests {
		tc.fill()
		for k := range 4 {
			got := moments(k + 1)
			if lim := 5 * tc.sd[k] / math.Sqrt(n); math.Abs(got-tc.want[k]) > lim {
				t.Errorf("%s: moment %d is %g, want %g ± %g", tc.name, k+1, got, tc.want[k], lim)
			}
		}
	}
	New(12).Normal(x, 0)
	slices.Sort(x)
	var d float64
	for i, v := range x {
		f := 0.5 * math.Erfc(-float64(v)/math.Sqrt2)
		d = max(d, math.Abs(f-float64(i)/n), math.Abs(f-float64(i+1)/n))
	}
	if d*math.Sqrt(n) > 2.7 {
		t.Errorf("normal: Kolmogorov–Smirnov statistic %g, want at most 2.7", d*math.Sqrt(n))
	}
}

func TestBernoulliEdges(t *testing.T) {
	x := make([]float32, 100)
	for _, tc := range []struct{ p, want float64 }{{0, 0}, {-1, 0}, {math.NaN(), 0}, {1, 1}, {2, 1}, {math.Inf(1), 1}} {
		New(1).Bernoulli(x, 0, tc.p)
		for i, v := range x {
			if float64(v) != tc.want {
				t.Fatalf("p %g: element %d is %g, want %g", tc.p, i, v, tc.want)
			}
		}
	}
}

func TestIntNUnbiased(t *testing.T) {
	r := New(8).Rand()
	for _, n := range []int{1, 2, 3, 7, 10, 1000} {
		const draws = 200000
		count := make([]int, n)
		for range draws {
			count[r.IntN(n)]++
		}
		e := float64(draws) / float64(n)
		var chi float64
		for _, c := range count {
			chi += (float64(c) - e) * (float64(c) - e) / e
		}
		if k := float64(n - 1); chi > k+5*math.Sqrt(2*k)+10 {
			t.Errorf("IntN(%d): chi-square %g for %g degrees of freedom", n, chi, k)
		}
	}
	if math.MaxInt > math.MaxInt32 {
		big := int64(3) << 61
		n := int(big)
		var low int
		for range 1000 {
			v := r.IntN(n)
			if v < 0 || v >= n {
				t.Fatalf("IntN(%d) = %d", n, v)
			}
			if v < n/2 {
				low++
			}
		}
		if low < 400 || low > 600 {
			t.Errorf("IntN(%d): %d of 1000 in the lower half", n, low)
		}
	}
}

func TestPerm(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 1000} {
		p := New(3, uint64(n)).Perm(n)
		seen := make([]bool, n)
		for _, v := range p {
			if v < 0 || v >= n || seen[v] {
				t.Fatalf("Perm(%d) = %v is not a permutation", n, p)
			}
			seen[v] = true
		}
	}
	count := map[[4]int]int{}
	const draws = 24000
	for i := range uint64(draws) {
		count[[4]int(New(4, i).Perm(4))]++
	}
	if len(count) != 24 {
		t.Fatalf("%d of 24 orders occurred", len(count))
	}
	for p, c := range count {
		if c < 840 || c > 1160 {
			t.Errorf("order %v occurred %d times of %d, want about 1000", p, c, draws)
		}
	}
}

func TestIntNPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("IntN(0) did not panic")
		}
	}()
	New(1).Rand().IntN(0)
}

func BenchmarkFill(b *testing.B) {
	x := make([]float32, 4096)
	s := New(1)
	for name, fill := range map[string]func(){
		"uniform":   func() { s.Uniform(x, 0) },
		"normal":    func() { s.Normal(x, 0) },
		"bernoulli": func() { s.Bernoulli(x, 0, 0.5) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				fill()
			}
			b.ReportMetric(float64(b.N)*float64(len(x))/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}
