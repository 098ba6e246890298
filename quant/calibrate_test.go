package quant

import (
	"math"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestEntropyOfONNXRuntime compares with what get_entropy_threshold of
// onnxruntime.quantization.calibrate (1.32.0), with 128 quantised bins, gives for the same
// counts: bounds of the range in bins from the middle.
func TestEntropyOfONNXRuntime(t *testing.T) {
	tests := []struct {
		bins, width, shift int
		tail               bool
		lo, hi             int
	}{
		{512, 20, 0, true, -64, 65},
		{512, 4000, 30, false, -256, 256},
		{256, 10, -5, true, -64, 65},
		{1024, 600, 0, true, -192, 193},
		{2048, 50, 0, false, -64, 65},
		{2048, 100000, -100, true, -968, 969},
	}
	for _, c := range tests {
		counts := make([]uint64, c.bins)
		for i := range counts {
			d := i - c.bins/2 - c.shift
			if d < 0 {
				d = -d
			}
			counts[i] = uint64(1000000 / (1 + int64(d)*int64(d)*int64(d)/int64(c.width)))
		}
		if c.tail {
			counts[3] += 5
			counts[c.bins-4] += 7
		}
		div := divergences(counts, 128)
		best := 0
		for i, d := range div {
			if d < div[best] {
				best = i
			}
		}
		lo, hi := -64-best, min(65+best, c.bins/2)
		if lo != c.lo || hi != c.hi {
			t.Errorf("%+v: range %d … %d", c, lo, hi)
		}
	}
}

func TestEntropyRange(t *testing.T) {
	h := &histogram{}
	xs := random(1, -1, 1, 60000).Float32s()
	for i := range xs { // dense about 0, with a few far away
		xs[i] *= xs[i] * xs[i]
	}
	xs[5], xs[6] = 30, -20
	if err := h.add(xs); err != nil {
		t.Fatal(err)
	}
	if lo, hi := h.entropy(); !(lo > -20 && lo < -0.3 && hi < 30 && hi > 0.3) {
		t.Errorf("range %v … %v of values in -1 … 1 with outliers -20 and 30", lo, hi)
	}
	zeros := &histogram{}
	if err := zeros.add(make([]float32, 10)); err != nil {
		t.Fatal(err)
	}
	if lo, hi := zeros.entropy(); lo != 0 || hi != 0 {
		t.Errorf("range %v … %v of zeros", lo, hi)
	}
}

func TestMovingAverage(t *testing.T) {
	h := &histogram{}
	for _, b := range [][]float32{{-1, 0, 2}, {-3, 8}, {1, 5}} {
		if err := h.add(b); err != nil {
			t.Fatal(err)
		}
	}
	if lo, hi := h.span(MovingAverage, 0, 256); lo != -1 || hi != 5 {
		t.Errorf("range %v … %v, want -1 … 5", lo, hi)
	}
	if lo, hi := h.span(MinMax, 0, 256); lo != -3 || hi != 8 {
		t.Errorf("range %v … %v, want -3 … 8", lo, hi)
	}
}

// TestMeans checks the means of channels that Calibrate keeps.
func TestMeans(t *testing.T) {
	m := convModel(t)
	x := random(50, 0, 1, 16, 1, 8, 8)
	c, err := Calibrate(ctx, m, Tensors(map[string]*tensor.Tensor{"image": x}), runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, v := range x.Float32s() {
		want += float64(v) / float64(x.Elems())
	}
	if got := c.Means["image"]; len(got) != 1 || math.Abs(got[0]-want) > 1e-6 {
		t.Errorf("mean of the image %v, want %v", got, want)
	}
	if got := c.Means["f1"]; len(got) != 96 {
		t.Errorf("%d means of f1, want 96", len(got))
	}
	if len(c.Means) != 4 {
		t.Errorf("means of %d values, want 4", len(c.Means))
	}
}

// TestCalibrationMemory checks the bound that the documentation states.
func TestCalibrationMemory(t *testing.T) {
	h := &histogram{}
	for i := range 40 {
		if err := h.add(random(uint64(i), -float32(i), float32(i*i), 5000).Float32s()); err != nil {
			t.Fatal(err)
		}
	}
	if n := 8 * cap(h.Counts); n > 32<<10 {
		t.Errorf("a histogram of 200000 values takes %d bytes", n)
	}
}

func TestCalibrationErrors(t *testing.T) {
	m := denseModel(t)
	if _, err := Calibrate(ctx, m, Tensors(), runtime.Options{}); err == nil {
		t.Error("no inputs were accepted")
	}
	x := random(1, 0, 1, 4, 40)
	x.Float32s()[7] = float32(math.Inf(1))
	if _, err := Calibrate(ctx, m, Tensors(map[string]*tensor.Tensor{"image": x}), runtime.Options{}); err == nil {
		t.Error("an infinite input was accepted")
	}
	if _, err := Calibrate(ctx, &onnx.Model{}, Tensors(), runtime.Options{}); err == nil {
		t.Error("an empty model was accepted")
	}
}
