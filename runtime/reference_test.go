package runtime_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestReferenceModels compares the shared autoencoders, in float32 and in each 8-bit form,
// with what ONNX Runtime computes. The integer parts of the 8-bit forms are equal to the
// last bit, so that outputs differ by no more than float32 rounding after the last integer
// operator. In two forms of conv_ae, values are quantised after a ConvTranspose in float32,
// whose rounding moves a few of them by one step.
func TestReferenceModels(t *testing.T) {
	dir := testdata.Path(t, "reference-models")
	outputs, err := filepath.Glob(filepath.Join(dir, "*", "ort_*.npy"))
	if err != nil || len(outputs) == 0 {
		t.Fatalf("no outputs in %s: %v", dir, err)
	}
	steps := map[string]bool{"conv_ae/qop": true, "conv_ae/qlm": true}
	for _, file := range outputs {
		form, value, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "ort_"), ".npy"), "_")
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder)+"/"+form+"/"+value, func(t *testing.T) {
			want, in := readNPY(t, file), readNPY(t, filepath.Join(folder, "input_0.npy"))
			s, err := runtime.Open(filepath.Join(folder, form+".onnx"), runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			out, err := s.Run(context.Background(), map[string]*tensor.Tensor{s.Inputs()[0].Name: in})
			if err != nil {
				t.Fatal(err)
			}
			got := out[value]
			if got == nil {
				t.Fatalf("no output %q", value)
			}
			if !got.Shape().Equal(want.Shape()) {
				t.Fatalf("shape %v, want %v", got.Shape(), want.Shape())
			}
			worst, at, off := 0.0, 0, 0
			scale := 1.0
			for i, w := range want.Float32s() {
				scale = max(scale, math.Abs(float64(w)))
				d := math.Abs(float64(got.Float32s()[i]) - float64(w))
				if !(d <= worst) {
					worst, at = d, i
				}
				if d > 1e-6 {
					off++
				}
			}
			t.Logf("largest difference %.3g, %d of %d above 1e-6, largest value %.3g", worst, off, want.Elems(), scale)
			tolerance := 1e-6
			if steps[filepath.Base(folder)+"/"+form] {
				tolerance = 2e-3
				if off > want.Elems()/20 {
					t.Errorf("%d of %d elements differ", off, want.Elems())
				}
			}
			if !(worst <= tolerance*scale) {
				t.Errorf("element %d: %v, want %v", at, got.Float32s()[at], want.Float32s()[at])
			}
		})
	}
}

func readNPY(t *testing.T, file string) *tensor.Tensor {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	x, err := tensor.ReadNPY(bytes.NewReader(b), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
