package op

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestEinsum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		eq     string
		shapes []tensor.Shape
		out    string // labels of the output, one letter an axis
		terms  []string
	}{
		{"ij,jk->ik", []tensor.Shape{{2, 3}, {3, 4}}, "ik", []string{"ij", "jk"}},
		{"ij,jk", []tensor.Shape{{2, 3}, {3, 4}}, "ik", []string{"ij", "jk"}},
		{"bij, bjk -> bik", []tensor.Shape{{5, 2, 3}, {5, 3, 4}}, "bik", []string{"bij", "bjk"}},
		{"ij->ji", []tensor.Shape{{2, 3}}, "ji", []string{"ij"}},
		{"ij->", []tensor.Shape{{2, 3}}, "", []string{"ij"}},
		{"ij->i", []tensor.Shape{{2, 3}}, "i", []string{"ij"}},
		{"ii->i", []tensor.Shape{{3, 3}}, "i", []string{"ii"}},
		{"ii", []tensor.Shape{{3, 3}}, "", []string{"ii"}},
		{"...ii->...i", []tensor.Shape{{2, 3, 3}}, "bi", []string{"bii"}},
		{"i,i", []tensor.Shape{{4}, {4}}, "", []string{"i", "i"}},
		{"i,j->ij", []tensor.Shape{{4}, {3}}, "ij", []string{"i", "j"}},
		{"...ij,...jk->...ik", []tensor.Shape{{5, 2, 3}, {5, 3, 4}}, "bik", []string{"bij", "bjk"}},
		{"...ij,jk->...ik", []tensor.Shape{{5, 2, 3}, {3, 4}}, "bik", []string{"bij", "jk"}},
		{"bhwc,hkc->bhwk", []tensor.Shape{{2, 3, 4, 5}, {3, 6, 5}}, "bhwk", []string{"bhwc", "hkc"}},
		{"ab,bc,cd->ad", []tensor.Shape{{2, 3}, {3, 4}, {4, 5}}, "ad", []string{"ab", "bc", "cd"}},
		{"ab,ab,ab->a", []tensor.Shape{{2, 3}, {2, 3}, {2, 3}}, "a", []string{"ab", "ab", "ab"}},
		{"ijk,il->kjl", []tensor.Shape{{2, 3, 4}, {2, 5}}, "kjl", []string{"ijk", "il"}},
		{"ba,a", []tensor.Shape{{2, 3}, {3}}, "b", []string{"ba", "a"}},
		{"ij,kj->ik", []tensor.Shape{{2, 1}, {4, 3}}, "ik", []string{"ij", "kj"}},
	} {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.Int32} {
			var in []*tensor.Tensor
			dims := map[byte]int{}
			labels := []byte{}
			for i, s := range c.shapes {
				in = append(in, randomOf(r, d, s...))
				for k, n := range s {
					l := c.terms[i][k]
					if dims[l] == 0 {
						labels = append(labels, l)
					}
					dims[l] = max(dims[l], n)
				}
			}
			var all, out []int
			for _, l := range labels {
				all = append(all, dims[l])
			}
			for _, l := range []byte(c.out) {
				out = append(out, dims[l])
			}
			where := func(idx []int, term string, s tensor.Shape) int {
				own := make([]int, len(term))
				for k := range term {
					for q, l := range labels {
						if l == term[k] {
							own[k] = idx[q]
						}
					}
				}
				return broadcastIndex(s, own)
			}
			want := make([]float64, product(out))
			vals := make([][]float64, len(in))
			for i, x := range in {
				vals[i] = floats(x)
			}
			forEach(all, func(idx []int, _ int) {
				p := 1.0
				for i := range in {
					p *= vals[i][where(idx, c.terms[i], c.shapes[i])]
				}
				want[where(idx, c.out, out)] += p
			})
			got := node{typ: "Einsum", attrs: []*onnx.Attribute{attrString("equation", c.eq)}}.eval(t, in...)[0]
			wantShape(t, "Einsum "+c.eq, got, d, out...)
			tol := map[tensor.DType]float64{tensor.Float16: 5e-3, tensor.Float32: 1e-4, tensor.Float64: 1e-12}[d]
			wantNear(t, "Einsum "+c.eq, got, want, tol, d)
		}
	}
	x := tensor.Must(tensor.New(tensor.Float32, 2, 3))
	for _, eq := range []string{"ij->ii", "ij->k", "i", "ij,jk->ik", "i+j", "ii", "ijk", "...i...->i", ""} {
		if _, err := (node{typ: "Einsum", attrs: []*onnx.Attribute{attrString("equation", eq)}}).try(t, x); err == nil {
			t.Errorf("Einsum %q of %v gave no error", eq, x)
		}
	}
}

func TestGenerators(t *testing.T) {
	s := func(v float32) *tensor.Tensor { return tensor.Scalar(v) }
	i := func(v int64) *tensor.Tensor { return tensor.Scalar(v) }
	wantNear(t, "Range", node{typ: "Range"}.eval(t, i(3), i(9), i(3))[0], []float64{3, 6}, 0)
	wantNear(t, "Range", node{typ: "Range"}.eval(t, i(10), i(4), i(-2))[0], []float64{10, 8, 6}, 0)
	wantNear(t, "Range", node{typ: "Range"}.eval(t, s(0), s(1), s(0.3))[0], []float64{0, 0.3, 0.6, 0.9}, 1e-6)
	wantNear(t, "Range", node{typ: "Range"}.eval(t, i(3), i(3), i(1))[0], nil, 0)
	wantNear(t, "Range", node{typ: "Range"}.eval(t, i(math.MinInt64), i(math.MaxInt64), i(math.MaxInt64))[0], []float64{math.MinInt64, -1, math.MaxInt64 - 1}, 0)
	for _, bad := range [][3]*tensor.Tensor{{i(0), i(1), i(0)}, {s(0), s(1), s(0)}, {s(0), s(float32(math.NaN())), s(1)}, {s(0), s(1e30), s(1e-30)}, {i(math.MinInt64), i(math.MaxInt64), i(1)}} {
		if out, err := (node{typ: "Range"}).try(t, bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("Range gave %v, want an error", out)
		}
	}
	x := tensor.Must(tensor.New(tensor.Int32, 2, 3))
	eye := func(k int64) []float64 {
		return floats(node{typ: "EyeLike", attrs: []*onnx.Attribute{attrInt("k", k), attrInt("dtype", int64(tensor.Float64))}}.eval(t, x)[0])
	}
	for k, want := range map[int64][]float64{0: {1, 0, 0, 0, 1, 0}, 1: {0, 1, 0, 0, 0, 1}, -1: {0, 0, 0, 1, 0, 0}, 9: make([]float64, 6), math.MinInt64: make([]float64, 6)} {
		if got := eye(k); !equalFloats(got, want) {
			t.Errorf("EyeLike k=%d: %v, want %v", k, got, want)
		}
	}
	hot := node{typ: "OneHot", attrs: []*onnx.Attribute{attrInt("axis", 0)}}.eval(t, ints(1, -1, 5), i(3), tensor.Must(tensor.Of([]float32{2, 7}, 2)))[0]
	wantShape(t, "OneHot", hot, tensor.Float32, 3, 3)
	wantNear(t, "OneHot", hot, []float64{2, 2, 2, 7, 2, 2, 2, 7, 2}, 0)
	m := ints(1, 2, 3, 4, 5, 6)
	m = tensor.Must(m.Reshape(2, 3))
	tri := func(upper, k int64) []float64 {
		return floats(node{typ: "Trilu", attrs: []*onnx.Attribute{attrInt("upper", upper)}}.eval(t, m, i(k))[0])
	}
	for _, c := range []struct {
		upper, k int64
		want     []float64
	}{
		{1, 0, []float64{1, 2, 3, 0, 5, 6}}, {1, 1, []float64{0, 2, 3, 0, 0, 6}}, {1, -1, []float64{1, 2, 3, 4, 5, 6}},
		{0, 0, []float64{1, 0, 0, 4, 5, 0}}, {0, 1, []float64{1, 2, 0, 4, 5, 6}}, {0, -1, []float64{0, 0, 0, 4, 0, 0}},
		{1, math.MaxInt64, make([]float64, 6)}, {0, math.MinInt64, make([]float64, 6)}, {0, math.MaxInt64, []float64{1, 2, 3, 4, 5, 6}},
	} {
		if got := tri(c.upper, c.k); !equalFloats(got, c.want) {
			t.Errorf("Trilu upper=%d k=%d: %v, want %v", c.upper, c.k, got, c.want)
		}
	}
	n := i(8)
	wantNear(t, "HannWindow", node{typ: "HannWindow", attrs: []*onnx.Attribute{attrInt("periodic", 0)}}.eval(t, i(3))[0], []float64{0, 1, 0}, 1e-6)
	wantNear(t, "HammingWindow", node{typ: "HammingWindow"}.eval(t, n)[0], hamming(8), 1e-6)
}

func equalFloats(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func hamming(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 25./46 - 21./46*math.Cos(2*math.Pi*float64(i)/float64(n))
	}
	return w
}

func TestSelection(t *testing.T) {
	x := tensor.Must(tensor.Of([]float32{1, 0, 3, 0, 5, -0.5}, 2, 3))
	nz := node{typ: "NonZero"}.eval(t, x)[0]
	wantShape(t, "NonZero", nz, tensor.Int64, 2, 4)
	wantNear(t, "NonZero", nz, []float64{0, 0, 1, 1, 0, 2, 1, 2}, 0)
	nz = node{typ: "NonZero"}.eval(t, tensor.Scalar(float32(2)))[0]
	wantShape(t, "NonZero of a scalar", nz, tensor.Int64, 0, 1)

	cond := tensor.Must(tensor.Of([]bool{false, true}, 2))
	wantNear(t, "Compress", node{typ: "Compress", attrs: []*onnx.Attribute{attrInt("axis", 1)}}.eval(t, x, cond)[0], []float64{0, 5}, 0)
	wantNear(t, "Compress", node{typ: "Compress"}.eval(t, x, cond)[0], []float64{0}, 0)
	if _, err := (node{typ: "Compress", attrs: []*onnx.Attribute{attrInt("axis", 0)}}).try(t, x, tensor.Must(tensor.Of([]bool{false, false, true}, 3))); err == nil {
		t.Error("Compress of row 2 of 2 gave no error")
	}

	v := tensor.Must(tensor.Of([]float32{2, 1, 1, 3, 4, 3}, 6))
	u := node{typ: "Unique", outputs: 4}.eval(t, v)
	for i, want := range [][]float64{{1, 2, 3, 4}, {1, 0, 3, 4}, {1, 0, 0, 2, 3, 2}, {2, 1, 2, 1}} {
		wantNear(t, "Unique sorted", u[i], want, 0, i)
	}
	u = node{typ: "Unique", outputs: 4, attrs: []*onnx.Attribute{attrInt("sorted", 0)}}.eval(t, v)
	for i, want := range [][]float64{{2, 1, 3, 4}, {0, 1, 3, 4}, {0, 1, 1, 2, 3, 2}, {1, 2, 2, 1}} {
		wantNear(t, "Unique", u[i], want, 0, i)
	}
	rows := tensor.Must(tensor.Of([]int8{1, 0, 0, 1, 0, 0, 2, 3, 4}, 3, 3))
	u = node{typ: "Unique", outputs: 4, attrs: []*onnx.Attribute{attrInt("axis", 0)}}.eval(t, rows)
	for i, want := range [][]float64{{1, 0, 0, 2, 3, 4}, {0, 2}, {0, 0, 1}, {2, 1}} {
		wantNear(t, "Unique rows", u[i], want, 0, i)
	}

	boxes := tensor.Must(tensor.Of([]float32{0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 10, 1, 11, 0, 10.1, 1, 11.1}, 1, 4, 4))
	scores := tensor.Must(tensor.Of([]float32{0.9, 0.75, 0.6, 0.95}, 1, 1, 4))
	got := node{typ: "NonMaxSuppression"}.eval(t, boxes, scores, tensor.Scalar(int64(3)), tensor.Scalar(float32(0.5)), tensor.Scalar(float32(0)))[0]
	wantNear(t, "NonMaxSuppression", got, []float64{0, 0, 3, 0, 0, 0}, 0)
	got = node{typ: "NonMaxSuppression"}.eval(t, boxes, scores)[0]
	wantShape(t, "NonMaxSuppression without a limit selects nothing", got, tensor.Int64, 0, 3)
}

func TestRandom(t *testing.T) {
	seed := attrFloat("seed", 3)
	shape := attrInts("shape", 100, 100)
	stats := func(x *tensor.Tensor) (mean, dev float64) {
		v := floats(x)
		for _, a := range v {
			mean += a / float64(len(v))
		}
		for _, a := range v {
			dev += (a - mean) * (a - mean) / float64(len(v))
		}
		return mean, math.Sqrt(dev)
	}
	for _, d := range typesIn(typesFloat) {
		dt := attrInt("dtype", int64(d))
		normal := node{typ: "RandomNormal", attrs: []*onnx.Attribute{seed, shape, dt, attrFloat("mean", 2), attrFloat("scale", 3)}}.eval(t)[0]
		wantShape(t, "RandomNormal", normal, d, 100, 100)
		if m, s := stats(normal); math.Abs(m-2) > 0.15 || math.Abs(s-3) > 0.1 {
			t.Errorf("RandomNormal %v has mean %v and deviation %v, want 2 and 3", d, m, s)
		}
		uniform := node{typ: "RandomUniformLike", attrs: []*onnx.Attribute{seed, attrFloat("low", -1), attrFloat("high", 3)}}.eval(t, normal)[0]
		if m, s := stats(uniform); math.Abs(m-1) > 0.05 || math.Abs(s-4/math.Sqrt(12)) > 0.05 {
			t.Errorf("RandomUniformLike %v has mean %v and deviation %v", d, m, s)
		}
		p := node{typ: "Clip"}.eval(t, uniform, nil, nil)[0]
		if d == tensor.Float32 {
			for i := range p.Float32s() {
				p.Float32s()[i] = 0.25
			}
			b := node{typ: "Bernoulli", attrs: []*onnx.Attribute{seed, attrInt("dtype", int64(tensor.Bool))}}.eval(t, p)[0]
			if m, _ := stats(b); math.Abs(m-0.25) > 0.02 {
				t.Errorf("Bernoulli(0.25) has mean %v", m)
			}
		}
	}
	logits := tensor.Must(tensor.Of([]float32{0, float32(math.Log(3)), float32(math.Inf(-1))}, 1, 3))
	picks := node{typ: "Multinomial", attrs: []*onnx.Attribute{seed, attrInt("sample_size", 4000)}}.eval(t, logits)[0]
	wantShape(t, "Multinomial", picks, tensor.Int32, 1, 4000)
	if m, _ := stats(picks); math.Abs(m-0.75) > 0.03 {
		t.Errorf("Multinomial of odds 1:3:0 has mean %v, want 0.75", m)
	}
	// Without a seed, runs differ with the seed of the run, and only with it.
	o, err := node{typ: "RandomNormal", attrs: []*onnx.Attribute{attrInts("shape", 8)}}.make(0)
	if err != nil {
		t.Fatal(err)
	}
	draw := func(s uint64) float32 {
		y := tensor.Must(tensor.New(tensor.Float32, 8))
		if err := o.Run(&Context{Seed: s}, []*tensor.Tensor{y}, nil); err != nil {
			t.Fatal(err)
		}
		return y.Float32s()[5]
	}
	if draw(1) != draw(1) || draw(1) == draw(2) {
		t.Errorf("draws with seeds 1, 1, 2: %v, %v, %v", draw(1), draw(1), draw(2))
	}
	if _, ok := o.(Impure); !ok {
		t.Error("RandomNormal is not Impure")
	}
}

func TestDropout(t *testing.T) {
	x := tensor.Must(tensor.New(tensor.Float32, 100, 100))
	for i := range x.Float32s() {
		x.Float32s()[i] = 1
	}
	off := node{typ: "Dropout", outputs: 2}.eval(t, x, tensor.Scalar(float32(0.3)))
	if string(off[0].Bytes()) != string(x.Bytes()) || tensor.Data[bool](off[1])[7] != true {
		t.Error("Dropout outside of training changes its input")
	}
	on := node{typ: "Dropout", outputs: 2, attrs: []*onnx.Attribute{attrInt("seed", 5)}}.eval(t, x, tensor.Scalar(float32(0.25)), tensor.Scalar(true))
	kept := 0
	for i, v := range on[0].Float32s() {
		m := tensor.Data[bool](on[1])[i]
		if m {
			kept++
		}
		if want := float32(truth(m)) / 0.75; math.Abs(float64(v-want)) > 1e-6 {
			t.Fatalf("element %d is %v with mask %t", i, v, m)
		}
	}
	if kept < 7300 || kept > 7700 {
		t.Errorf("%d of 10000 elements kept, want about 7500", kept)
	}
	old := node{typ: "Dropout", opset: 7, outputs: 2}.eval(t, x)
	wantShape(t, "mask at opset 7", old[1], tensor.Float32, 100, 100)
	if _, err := (node{typ: "Dropout"}).try(t, x, tensor.Scalar(float32(1.5)), tensor.Scalar(true)); err == nil {
		t.Error("ratio 1.5 gave no error")
	}
}

func TestNormalizations(t *testing.T) {
	x := tensor.Must(tensor.Of([]float32{3, 4, 0, 0, -6, 8}, 3, 2))
	wantNear(t, "LpNormalization", node{typ: "LpNormalization"}.eval(t, x)[0], []float64{0.6, 0.8, 0, 0, -0.6, 0.8}, 1e-6)
	l1 := node{typ: "LpNormalization", attrs: []*onnx.Attribute{attrInt("p", 1), attrInt("axis", 0)}}
	wantNear(t, "LpNormalization", l1.eval(t, x)[0], []float64{3. / 9, 4. / 12, 0, 0, -6. / 9, 8. / 12}, 1e-6)
	r := rand.New(rand.NewPCG(1, 2))
	y := randomOf(r, tensor.Float64, 2, 3, 4, 5)
	got := floats(node{typ: "MeanVarianceNormalization"}.eval(t, y)[0])
	for c := range 3 {
		sum, sq := 0.0, 0.0
		for n := range 2 {
			for i := range 20 {
				v := got[(n*3+c)*20+i]
				sum, sq = sum+v, sq+v*v
			}
		}
		if math.Abs(sum) > 1e-9 || math.Abs(sq/40-1) > 1e-6 {
			t.Errorf("MeanVarianceNormalization: channel %d has sum %v and mean square %v", c, sum, sq/40)
		}
	}
	m := tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 0, 2, 1, 0, 1, 2, 2, 4}, 3, 2, 2))
	wantNear(t, "Det", node{typ: "Det"}.eval(t, m)[0], []float64{-2, -2, 0}, 1e-6)
	if _, err := (node{typ: "Det"}).try(t, x); err == nil {
		t.Error("Det of a 3×2 matrix gave no error")
	}
}

func TestSequences(t *testing.T) {
	x := tensor.Must(tensor.Of([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 3, 4))
	got := node{typ: "ReverseSequence", attrs: []*onnx.Attribute{attrInt("batch_axis", 0), attrInt("time_axis", 1)}}.eval(t, x, ints(1, 2, 4))[0]
	wantNear(t, "ReverseSequence", got, []float64{0, 1, 2, 3, 5, 4, 6, 7, 11, 10, 9, 8}, 0)
	got = node{typ: "ReverseSequence"}.eval(t, x, ints(3, 2, 1, 0))[0]
	wantNear(t, "ReverseSequence", got, []float64{8, 5, 2, 3, 4, 1, 6, 7, 0, 9, 10, 11}, 0)
	if _, err := (node{typ: "ReverseSequence"}).try(t, x, ints(4, 0, 0, 0)); err == nil {
		t.Error("a length of 4 of 3 gave no error")
	}
	wantNear(t, "CenterCropPad", node{typ: "CenterCropPad"}.eval(t, x, ints(2, 6))[0], []float64{0, 0, 1, 2, 3, 0, 0, 4, 5, 6, 7, 0}, 0)
	odd := node{typ: "CenterCropPad", attrs: []*onnx.Attribute{attrInts("axes", -1)}}.eval(t, x, ints(1))[0]
	wantNear(t, "CenterCropPad", odd, []float64{1, 5, 9}, 0)
}

func TestSpatial(t *testing.T) {
	cols := tensor.Must(tensor.New(tensor.Float32, 1, 4, 4))
	for i := range cols.Float32s() {
		cols.Float32s()[i] = 1
	}
	// 2×2 blocks at every position of a 3×3 image: each pixel counts the blocks on it.
	got := node{typ: "Col2Im"}.eval(t, cols, ints(3, 3), ints(2, 2))[0]
	wantShape(t, "Col2Im", got, tensor.Float32, 1, 1, 3, 3)
	wantNear(t, "Col2Im", got, []float64{1, 2, 1, 2, 4, 2, 1, 2, 1}, 0)
	if _, err := (node{typ: "Col2Im"}).try(t, cols, ints(4, 3), ints(2, 2)); err == nil {
		t.Error("Col2Im with too few columns gave no error")
	}
	theta := tensor.Must(tensor.Of([]float32{1, 0, 0.5, 0, 2, 0}, 1, 2, 3))
	grid := node{typ: "AffineGrid", attrs: []*onnx.Attribute{attrInt("align_corners", 1)}}.eval(t, theta, ints(1, 1, 2, 3))[0]
	wantNear(t, "AffineGrid", grid, []float64{-0.5, -2, 0.5, -2, 1.5, -2, -0.5, 2, 0.5, 2, 1.5, 2}, 1e-6)
	grid = node{typ: "AffineGrid"}.eval(t, theta, ints(1, 1, 1, 2))[0]
	wantNear(t, "AffineGrid", grid, []float64{0, 0, 1, 0}, 1e-6)

	cache := tensor.Must(tensor.Of([]float32{0, 1, 2, 3, 4, 5}, 2, 3, 1))
	update := tensor.Must(tensor.Of([]float32{10, 20, 30, 40}, 2, 2, 1))
	wantNear(t, "TensorScatter", node{typ: "TensorScatter", opset: 24}.eval(t, cache, update, ints(1, 0))[0], []float64{0, 10, 20, 30, 40, 5}, 0)
	circular := node{typ: "TensorScatter", opset: 24, attrs: []*onnx.Attribute{attrString("mode", "circular")}}
	wantNear(t, "TensorScatter", circular.eval(t, cache, update, ints(2, 1))[0], []float64{20, 1, 10, 3, 30, 40}, 0)
	if _, err := (node{typ: "TensorScatter", opset: 24}).try(t, cache, update, ints(2, 0)); err == nil {
		t.Error("TensorScatter behind the end gave no error")
	}
}
