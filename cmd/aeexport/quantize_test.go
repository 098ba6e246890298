package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/aekit/aekit/internal/cli"
)

// TestQuantize trains a little, quantises, and quantises the written file again in the
// other forms.
func TestQuantize(t *testing.T) {
	dir := t.TempDir()
	aeexport := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		status := run(context.Background(), args, &out, &errs)
		return status, errs.String()
	}
	images, calibration := "128", "64"
	if testing.Short() {
		images, calibration = "64", "20"
	}
	model := filepath.Join(dir, "m.onnx")
	if status, errs := aeexport("--quiet", "--no-picture", "--images", "256", "--steps", "4", "--quantize", "int8", "--max-loss", "50%", model); status != cli.OK {
		t.Fatalf("status %d: %s", status, errs)
	}
	for _, c := range []struct {
		file    string
		args    []string
		share   float64 // of the float model's bytes, at most
		integer bool
		format  string
	}{
		{"m.int8.onnx", nil, 0.3, true, "qdq"},
		{"s8.onnx", []string{"--quantize", "int8", "--activations", "s8", "--calibration", "digits", "--calibration-images", calibration, "--calibration-method", "mse"}, 0.3, true, "qdq"},
		{"qop.onnx", []string{"--quantize", "int8", "--format", "qoperator", "--equalize", "--bias-correction", "--adaround", "--calibration-images", calibration}, 0.3, true, "qoperator"},
		{"dyn.onnx", []string{"--quantize", "int8", "--format", "dynamic"}, 0.3, false, ""},
		{"qat.onnx", []string{"--quantize", "int8", "--qat", "1", "--calibration-images", calibration}, 0.3, true, "qdq"},
		{"auc.onnx", []string{"--quantize", "int8", "--metric", "auc", "--anomalous", "7,9", "--max-loss", "10%", "--calibration-images", calibration}, 0.3, true, "qdq"},
		{"w8.onnx", []string{"--quantize", "int8-weights"}, 0.3, false, ""},
		{"f16.onnx", []string{"--quantize", "float16"}, 0.53, false, ""},
	} {
		path := filepath.Join(dir, c.file)
		if c.args != nil {
			if status, errs := aeexport(append(c.args, "--quiet", "--images", images, "--from", model, path)...); status != cli.OK {
				t.Fatalf("%s: status %d: %s", c.file, status, errs)
			}
		}
		b, err := os.ReadFile(path[:len(path)-len(".onnx")] + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var r quantReport
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		if r.FullyInteger != c.integer || c.integer != (r.Digest != "") {
			t.Errorf("%s: fully integer %t, digest %q; want %t", c.file, r.FullyInteger, r.Digest, c.integer)
		}
		if r.Format != c.format || c.format != "" && (len(r.Tensors) == 0 || len(r.Sensitivity) == 0) {
			t.Errorf("%s: format %q with %d tensors and %d sensitivities, want %q", c.file, r.Format, len(r.Tensors), len(r.Sensitivity), c.format)
		}
		if (c.file == "auc.onnx") != (r.Evaluation.AUC != nil) || (c.file == "qat.onnx") != (r.QATEpochs == 1) || (c.file == "qop.onnx") != (r.Equalized > 0) {
			t.Errorf("%s: AUC %v, %d epochs, %d layers equalised", c.file, r.Evaluation.AUC, r.QATEpochs, r.Equalized)
		}
		f, err := os.Open(path[:len(path)-len(".onnx")] + ".png")
		if picture := c.file != "m.int8.onnx"; picture != (err == nil) {
			t.Errorf("%s: picture %t: %v", c.file, picture, err)
		} else if picture {
			// Eight rows of four images of 28×28, twice as large.
			if img, err := png.DecodeConfig(f); err != nil || img.Width < 4*56 || img.Height < 8*56 {
				t.Errorf("%s: picture of %dx%d, %v", c.file, img.Width, img.Height, err)
			}
			f.Close()
		}
		if share := float64(r.Bytes[1]) / float64(r.Bytes[0]); share > c.share {
			t.Errorf("%s: %d bytes of %d, want at most %g", c.file, r.Bytes[1], r.Bytes[0], c.share)
		}
		if e := r.Evaluation; e == nil || e.Images == 0 || e.Outputs[0].SQNR < 20 || len(r.Layers) == 0 {
			t.Errorf("%s: evaluation %+v", c.file, e)
		}
	}
	if status, _ := aeexport("--reduce-range", filepath.Join(dir, "x.onnx")); status != cli.Misuse {
		t.Errorf("--reduce-range without --quantize: status %d, want %d", status, cli.Misuse)
	}
	for _, args := range [][]string{{"--format", "tflite"}, {"--metric", "fid"}, {"--metric", "auc"}, {"--format", "dynamic", "--qat", "1"}, {"--qat", "-1"}} {
		if status, _ := aeexport(append(args, "--quantize", "int8", filepath.Join(dir, "x.onnx"))...); status != cli.Misuse {
			t.Errorf("%v: status %d, want %d", args, status, cli.Misuse)
		}
	}
	if status, _ := aeexport("--quantize", "int4", filepath.Join(dir, "x.onnx")); status != cli.Misuse {
		t.Errorf("--quantize int4: status %d, want %d", status, cli.Misuse)
	}
}

func TestThreeDigits(t *testing.T) {
	for seconds, want := range map[float64]string{0.00013887: "139µs", 0.0000066449: "6.64µs", 1.2345: "1.23s", 59.96: "1m0s", 0: "0s"} {
		if got := threeDigits(seconds).String(); got != want {
			t.Errorf("%g s is %s, want %s", seconds, got, want)
		}
	}
}
