package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/digest"
	"github.com/aekit/aekit/tensor"
)

func TestCompare(t *testing.T) {
	dir := workspace(t)
	var c compareJSON
	if err := json.Unmarshal([]byte(want(t, dir, "compare", "--json", "-o", "pairs.png", "model.onnx", "model.onnx", "rows.png", "stripes.png")), &c); err != nil {
		t.Fatal(err)
	}
	if c.Images != 2 || c.Difference != 0 || c.Models[0].MSE != c.Models[1].MSE || c.Models[0].Bytes == 0 || !(c.Models[1].Time > 0) {
		t.Errorf("a model against itself: %+v", c)
	}
	if c.Latents == nil || *c.Latents < 1-1e-9 {
		t.Errorf("latents of a model against itself: %v", c.Latents)
	}
	// Two rows of four images of 4×4.
	if b := readPNG(t, filepath.Join(dir, "pairs.png")).Bounds(); b.Dx() < 16 || b.Dy() < 8 {
		t.Errorf("picture of %v", b)
	}
	if out := want(t, dir, "compare", "model.onnx", "plain.onnx", "--input", "image", "--latent", "z", "--output", "reconstruction", "--size", "4x4", "rows.png"); !strings.Contains(out, "difference of 1 reconstructions") {
		t.Errorf("compare printed %q", out)
	}
	if status, _, _ := aerun(t, dir, "compare", "model.onnx", "rows.png"); status != cli.Misuse {
		t.Errorf("one model and one image: status %d, want %d", status, cli.Misuse)
	}
}

// quantised returns a model that quantises, multiplies 8-bit matrices and dequantises.
func quantised(t *testing.T) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(8))
	s, z := b.Initializer("s", tensor.Scalar(float32(1.0/255))), b.Initializer("z", tensor.Scalar(uint8(3)))
	pair := func(v, out string) string {
		return b.Op("DequantizeLinear", out, []string{b.Op("QuantizeLinear", "", []string{v, s, z}), s, z})
	}
	w := tensor.Must(tensor.New(tensor.Int8, 8, 5))
	for i := range w.Bytes() {
		w.Bytes()[i] = byte(37 * i)
	}
	dw := b.Op("DequantizeLinear", "", []string{b.Initializer("w", w), b.Initializer("ws", tensor.Scalar(float32(1.0/512)))})
	b.Output(pair(b.Op("Gemm", "", []string{pair(x, ""), dw}), "y"), tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(5))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestVerifySelf(t *testing.T) {
	dir := t.TempDir()
	m := quantised(t)
	s, err := runtime.New(m, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sum, err := digest.Of(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		m.Metadata = nil
		if text != "" {
			m.Metadata = []onnx.StringPair{{Key: "aekit.quantization", Value: text}}
		}
		if err := onnx.WriteFile(filepath.Join(dir, name), m); err != nil {
			t.Fatal(err)
		}
	}
	write("good.onnx", `{"format":"qdq","weights":"int8","digest":"`+sum+`"}`)
	write("bad.onnx", `{"format":"qdq","weights":"int8","digest":"0`+sum[1:]+`1"}`)
	write("none.onnx", "")
	if out := want(t, dir, "verify", "--self", "good.onnx"); out != "ok   good.onnx: "+sum+"\n" {
		t.Errorf("good: %q", out)
	}
	if status, out, _ := aerun(t, dir, "verify", "--self", "bad.onnx"); status != cli.Failed || !strings.HasPrefix(out, "FAIL bad.onnx") {
		t.Errorf("bad: status %d, %q", status, out)
	}
	if out := want(t, dir, "verify", "--self", "--json", "good.onnx"); out != `{"file":"good.onnx","pass":true,"digest":"`+sum+`","recorded":"`+sum+`"}`+"\n" {
		t.Errorf("verify --self --json prints %q", out)
	}
	if status, _, errs := aerun(t, dir, "verify", "--self", "none.onnx"); status != cli.Failed || !strings.Contains(errs, "no digest") {
		t.Errorf("none: status %d, %q", status, errs)
	}
	if out := want(t, dir, "info", "good.onnx"); !strings.Contains(out, "fully integer: yes") {
		t.Errorf("info of an integer model: %q", out)
	}
}
