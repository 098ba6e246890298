package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
)

// TestFlagsHaveEffect: each flag that says what is learnt, or how, leads to other weights.
func TestFlagsHaveEffect(t *testing.T) {
	dir := t.TempDir()
	weights := func(args ...string) []byte {
		t.Helper()
		path := filepath.Join(dir, "w.safetensors")
		var out, errs bytes.Buffer
		args = append([]string{"--quiet", "--no-picture", "--images", "120", "--epochs", "2", "--batch", "40", "--hidden", "16", "--latent", "4", "--threads", "1",
			"--save-weights", path}, append(args, filepath.Join(dir, "m.onnx"))...)
		if status := run(context.Background(), args, &out, &errs); status != cli.OK {
			t.Fatalf("%v: status %d: %s", args, status, errs.String())
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	base := weights()
	if again := weights(); !bytes.Equal(base, again) {
		t.Fatal("the same flags gave other weights")
	}
	for _, flags := range []string{
		"--seed 2", "--lr 0.01", "--beta 3", "--optimizer sgd", "--optimizer adamw --lr 0.01", "--schedule cosine", "--warmup 1", "--clip 0.1",
		"--ema 0.5", "--val-fraction 0.3", "--objective elbo-gaussian", "--noise gaussian:0.5", "--binarize stochastic", "--binarize threshold",
		"--augment flip", "--images 100", "--batch 20", "--epochs 1", "--steps 1",
	} {
		if w := weights(strings.Fields(flags)...); bytes.Equal(w, base) {
			t.Errorf("%s gives the weights of the defaults", flags)
		}
	}
}
