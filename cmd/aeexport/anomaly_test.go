package main

import (
	"math"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/train/dataset"
)

func TestThreshold(t *testing.T) {
	errs := []float64{4, 1, 3, 2}
	for _, c := range []struct{ q, below, want float64 }{{0.5, 2, 0.5}, {0.51, 3, 0.25}, {1, 4, 0}, {0.01, 1, 0.75}} {
		got, err := threshold(errs, c.q)
		if err != nil || !(got > c.below) || got > c.below+1e-9 || share(errs, got) != c.want {
			t.Errorf("quantile %g: %v, %v, share %g; want just above %g, share %g", c.q, got, err, share(errs, got), c.below, c.want)
		}
	}
	for _, bad := range [][]float64{{1, math.NaN()}, {math.Inf(1)}} {
		if _, err := threshold(bad, 1); err == nil {
			t.Errorf("errors %v gave a threshold", bad)
		}
	}
}

// TestAnomalyQuantile: the file says from which error on images are unusual, so that of the test
// images the share that was asked for is usual; quantised forms say it too.
func TestAnomalyQuantile(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, more := range []string{"--arch ae", "--arch cvae"} {
		args := append(strings.Fields(more), "--quiet", "--no-picture", "--images", "256", "--epochs", "2", "--hidden", "32", "--latent", "8", "--anomaly-quantile", "0.9", "--quantize", "int8-weights", "m.onnx")
		if status, _, errs := call(t, args...); status != cli.OK {
			t.Fatalf("%s: %s", more, errs)
		}
		for _, name := range []string{"m.onnx", "m.int8-weights.onnx"} {
			m, err := autoencoder.Open(name, runtime.Options{}, autoencoder.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if !(m.Info().Threshold > 0) {
				t.Fatalf("%s, %s: threshold %g", more, name, m.Info().Threshold)
			}
			if m.Info().Label != "" || name != "m.onnx" {
				continue
			}
			data, err := dataset.Open(t.Context(), "digits", dataset.Options{N: 256, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			j := &job{options: &options{}}
			errs, err := j.errors(t.Context(), m.Session().Model(), data.Test)
			if err != nil {
				t.Fatal(err)
			}
			if s := share(errs, m.Info().Threshold); math.Abs(s-0.1) > 1/float64(len(errs))+1e-9 {
				t.Errorf("%g of the test images are unusual, want 0.1", s)
			}
		}
	}
	for args, want := range map[string]string{
		"--arch gan --anomaly-quantile 0.9 g.onnx":                    "reconstruct",
		"--anomaly-quantile 1.1 g.onnx":                               "--anomaly-quantile 1.1",
		"--from m.onnx --quantize int8 --anomaly-quantile 0.9 g.onnx": "keeps",
	} {
		if status, _, errs := call(t, append([]string{"--images", "64", "--steps", "1"}, strings.Fields(args)...)...); status != cli.Misuse || !strings.Contains(errs, want) {
			t.Errorf("%s: status %d, %s", args, status, errs)
		}
	}
}
