package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
)

func TestReport(t *testing.T) {
	dir := t.TempDir()
	rep := filepath.Join(dir, "report")
	var out bytes.Buffer
	args := []string{"--images", "300", "--epochs", "2", "--hidden", "16", "--latent", "3", "--batch", "50", "--size", "12x12", "--augment", "flip",
		"--report", rep, "--learning-curve", filepath.Join(dir, "m.onnx")}
	if status := run(t.Context(), args, &out, &out); status != cli.OK {
		t.Fatalf("status %d: %s", status, &out)
	}
	b, err := os.ReadFile(filepath.Join(rep, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var n struct {
		Objective string
		TestLoss  map[string]float64 `json:"test_loss"`
		Cost      struct{ Seconds float64 }
		Curve     []struct {
			Share, Loss float64
			Images      int
			Augmented   bool
		} `json:"learning_curve"`
	}
	if err := json.Unmarshal(b, &n); err != nil {
		t.Fatal(err)
	}
	if n.Objective != "elbo" || !(n.TestLoss["loss"] > 0) || !(n.Cost.Seconds > 0) || len(n.Curve) != 8 {
		t.Fatalf("numbers %s", b)
	}
	for i, images := range []int{3, 15, 60, 300, 3, 15, 60, 300} {
		if p := n.Curve[i]; p.Images != images || p.Augmented != (i >= 4) || !(p.Loss > 0) {
			t.Errorf("point %d of the learning curve is %+v, want %d images", i, p, images)
		}
	}
	page, err := os.ReadFile(filepath.Join(rep, "index.html"))
	if err != nil || !bytes.Contains(page, []byte(`id="curve"`)) || !bytes.Contains(page, []byte("augment: flip")) || bytes.Contains(page, []byte(dir)) {
		t.Errorf("the page (%v) lacks the curve or the configuration, or names folders of this machine", err)
	}
	out.Reset()
	if status := run(t.Context(), []string{"--learning-curve", filepath.Join(dir, "n.onnx")}, &out, &out); status != cli.Misuse || !strings.Contains(out.String(), "--report") {
		t.Errorf("without --report: status %d: %s", status, &out)
	}
}
