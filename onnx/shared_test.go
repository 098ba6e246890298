package onnx_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/onnx"
)

// sharedFiles calls f with every .onnx and .pb file of the shared data.
func sharedFiles(t *testing.T, f func(name string, b []byte)) {
	t.Helper()
	dir := testdata.Dir(t)
	n := 0
	for _, sub := range []string{"third-party-models", "reference-models"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".onnx") && !strings.HasSuffix(path, ".pb") {
				return err
			}
			b, err := os.ReadFile(path)
			n++
			f(path, b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, archive := range []string{"node-cases.tar.gz", "simple-cases.tar.gz"} {
		file, err := os.Open(filepath.Join(dir, "onnx-conformance", archive))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		z, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(h.Name, ".onnx") && !strings.HasSuffix(h.Name, ".pb") {
				continue
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			n++
			f(h.Name, b)
		}
	}
	if n < 1000 {
		t.Errorf("only %d files were found", n)
	}
}

func TestSharedModelsRoundTrip(t *testing.T) {
	models, same := 0, 0
	sharedFiles(t, func(name string, b []byte) {
		if !strings.HasSuffix(name, ".onnx") {
			return
		}
		models++
		m, err := onnx.Decode(b, onnx.DecodeOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if err := onnx.Check(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		e, err := onnx.Encode(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		again, err := onnx.Decode(e, onnx.DecodeOptions{Copy: true})
		if err != nil {
			t.Errorf("%s: encoded and decoded: %v", name, err)
			return
		}
		if e2, err := onnx.Encode(again); err != nil || !bytes.Equal(e, e2) {
			t.Errorf("%s: encoding is not stable: %v", name, err)
		}
		if bytes.Equal(b, e) {
			same++
		}
	})
	// A third of these files were written by the reference implementation of protocol buffers,
	// in field order, without explicit empty strings and with raw_data: then our bytes must be
	// the same.
	if same < models/4 {
		t.Errorf("%d of %d files were reproduced byte for byte", same, models)
	}
	t.Logf("%d of %d files were reproduced byte for byte", same, models)
}

func TestSharedTensorsRoundTrip(t *testing.T) {
	tensors := 0
	sharedFiles(t, func(name string, b []byte) {
		if !strings.HasSuffix(name, ".pb") {
			return
		}
		w, err := onnx.DecodeTensor(b, onnx.DecodeOptions{})
		if err != nil {
			if strings.Contains(name, "/onnx-simple-cases/") || strings.HasPrefix(name, "onnx-simple-cases/") {
				return // some are sequences, not tensors
			}
			t.Errorf("%s: %v", name, err)
			return
		}
		tensors++
		again, err := onnx.DecodeTensor(encodeTensor(t, w), onnx.DecodeOptions{Copy: true})
		if err != nil || !again.Equal(w) {
			t.Errorf("%s: encoded and decoded: %v", name, err)
		}
	})
	if tensors < 1000 {
		t.Errorf("only %d tensors", tensors)
	}
}
