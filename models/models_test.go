package models_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/models/digitsvae"
	"github.com/aekit/aekit/models/mnistvae"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/train/dataset"
	"image"
)

// TestModels opens each embedded model, checks that its card is there and names its data,
// and that it reconstructs digits that it has not seen.
func TestModels(t *testing.T) {
	data, err := dataset.Open(context.Background(), "digits", dataset.Options{Seed: 99, N: 600})
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	pixels := make([]float32, n*784)
	if err := data.Test.Read(context.Background(), index, pixels, nil); err != nil {
		t.Fatal(err)
	}
	var images []image.Image
	for i := range n {
		p, err := imageio.FromFloats(pixels[i*784:][:784], 1, 28, 28, imageio.NCHW, imageio.Norm{})
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, p.Image())
	}
	models := []struct {
		name string
		open func(runtime.Options) (*runtime.Session, error)
		file []byte
		psnr float64 // of the built-in digits, on average; MNIST's strokes are thinner
	}{
		{"digitsvae", digitsvae.Open, digitsvae.ONNX(), 16},
		{"mnistvae", mnistvae.Open, mnistvae.ONNX(), 11},
	}
	for _, m := range models {
		s, err := m.open(runtime.Options{})
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		ae, err := autoencoder.New(s, autoencoder.Options{})
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		rec, err := ae.Reconstruct(context.Background(), images...)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		mean := 0.0
		for _, r := range rec {
			mean += r.PSNR / n
		}
		if mean < m.psnr {
			t.Errorf("%s: mean PSNR %.1f dB, want at least %v", m.name, mean, m.psnr)
		}
		t.Logf("%s: mean PSNR %.1f dB", m.name, mean)
		ae.Close()
		s.Close()
		card, err := os.ReadFile(fmt.Sprintf("%s/README.md", m.name))
		if err != nil || !bytes.Contains(card, []byte("aeexport")) {
			t.Errorf("%s: no card with the command that made it (%v)", m.name, err)
		}
		decoded, err := onnx.Decode(m.file, onnx.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := onnx.Check(decoded); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
