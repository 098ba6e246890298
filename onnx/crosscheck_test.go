package onnx_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
)

// TestCrossCheck hands re-encoded models to the reference implementation. AEKIT_PYTHON names
// a Python interpreter that has the packages onnx and numpy; without it the test is skipped.
func TestCrossCheck(t *testing.T) {
	python := os.Getenv("AEKIT_PYTHON")
	if python == "" {
		t.Skip("AEKIT_PYTHON is not set")
	}
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("built.out.onnx", encode(t, small(t)))
	sub, err := onnx.Extract(small(t), []string{"s"}, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	write("extracted.out.onnx", encode(t, sub))
	n := 0
	t.Run("shared", func(t *testing.T) {
		sharedFiles(t, func(name string, b []byte) {
			if !strings.HasSuffix(name, ".onnx") {
				return
			}
			m, err := onnx.Decode(b, onnx.DecodeOptions{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			n++
			base := fmt.Sprintf("%04d_%s", n, filepath.Base(filepath.Dir(name)))
			write(base+".in.onnx", b)
			write(base+".out.onnx", encode(t, m))
		})
	})
	out, err := exec.Command(python, filepath.Join("testdata", "crosscheck.py"), dir).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", python, err)
	}
}
