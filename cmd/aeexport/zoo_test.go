package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

// TestZooRuns: files of every kind of model encode, reconstruct and generate, as far as that
// applies, and as many images as asked for come out, in the model's size.
func TestZooRuns(t *testing.T) {
	for _, c := range []struct {
		arch      string
		args      []string
		label     bool
		generator bool
		latents   int // elements of z of one image
	}{
		{arch: "cvae", args: []string{"--hidden", "32", "--latent", "4"}, label: true, latents: 4},
		{arch: "dcgan", args: []string{"--hidden", "4,8", "--latent", "6"}, generator: true},
		{arch: "vae2", args: []string{"--hidden", "32", "--latent", "6", "--binarize", "fixed", "--noise", "mask:0.1"}, latents: 6},
		{arch: "vq-vae", args: []string{"--hidden", "4,8", "--latent", "6", "--codes", "16"}, latents: 6 * 7 * 7},
		{arch: "photo-ae", args: []string{"--hidden", "4,8", "--latent", "2"}, latents: 2 * 7 * 7},
	} {
		t.Run(c.arch, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.onnx")
			var out, errs bytes.Buffer
			images := "256"
			if testing.Short() {
				images = "64"
			}
			args := append([]string{"--quiet", "--images", images, "--steps", "3", "--batch", "32", "--arch", c.arch}, append(c.args, path)...)
			if status := run(context.Background(), args, &out, &errs); status != cli.OK {
				t.Fatalf("status %d: %s", status, errs.String())
			}
			m, err := autoencoder.Open(path, runtime.Options{}, autoencoder.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ctx := context.Background()
			if c.label {
				if _, err := m.Generate(ctx, 1, autoencoder.Sampling{}); err == nil {
					t.Error("images were generated without a label")
				}
				if _, err := m.WithLabel(10).Generate(ctx, 1, autoencoder.Sampling{}); err == nil {
					t.Error("images of a label that there is not were generated")
				}
				m = m.WithLabel(7)
			}
			drawn, err := m.Generate(ctx, 5, autoencoder.Sampling{Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			if len(drawn) != 5 || drawn[0].Bounds().Dx() != 28 || drawn[0].Bounds().Dy() != 28 {
				t.Errorf("%d images, the first %v", len(drawn), drawn[0].Bounds())
			}
			img := image.NewGray(image.Rect(0, 0, 28, 28))
			rec, err := m.Reconstruct(ctx, img, img)
			if c.generator {
				if !errors.Is(err, autoencoder.ErrNoEncoder) {
					t.Errorf("error %v of a model without encoder", err)
				}
				return
			}
			if err != nil || len(rec) != 2 {
				t.Fatalf("%d reconstructions: %v", len(rec), err)
			}
			l, err := m.Encode(ctx, img)
			if err != nil || l.Z.Elems() != c.latents {
				t.Fatalf("latents %v, want %d: %v", l, c.latents, err)
			}
			if back, err := m.Decode(ctx, l.Z); err != nil || len(back) != 1 {
				t.Errorf("%d decoded: %v", len(back), err)
			}
		})
	}
}

func TestZooFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--binarize nearly", "--binarize"},
		{"--noise gaussian", "--noise"},
		{"--noise rain:0.3", "--noise"},
		{"--noise mask:1.5", "--noise"},
		{"--codes -1", "--codes"},
		{"--arch vae --codes 4", "codes"},
		{"--objective nonsense", "no objective"},
		{"--objective elbo:colour=3", "no setting"},
		{"--objective iwae:k=many", "whole number"},
		{"--objective iwae:k=-2", "IWAE"},
		{"--objective elbo:likelihood=poisson", "likelihood"},
		{"--schedule never", "no schedule"},
	} {
		var out, errs bytes.Buffer
		args := append(strings.Fields(c.args), "--quiet", "--images", "64", filepath.Join(t.TempDir(), "m.onnx"))
		if status := run(context.Background(), args, &out, &errs); status != cli.Misuse || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: status %d, %q; want %d and a text with %q", c.args, status, errs.String(), cli.Misuse, c.want)
		}
	}
}
