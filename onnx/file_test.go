package onnx_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
)

// endless is a reader that never ends.
type endless struct{ n int64 }

func (r *endless) Read(b []byte) (int, error) {
	r.n += int64(len(b))
	return len(b), nil
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	m := small(t)
	if err := onnx.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	want := encode(t, m)
	got, err := onnx.ReadFile(path, onnx.DecodeOptions{})
	if err != nil || !bytes.Equal(encode(t, got), want) {
		t.Fatalf("ReadFile: %v", err)
	}
	if got, err = onnx.Read(bytes.NewReader(want), onnx.DecodeOptions{}); err != nil || !bytes.Equal(encode(t, got), want) {
		t.Fatalf("Read: %v", err)
	}
	var w bytes.Buffer
	if err := onnx.Write(&w, m); err != nil || !bytes.Equal(w.Bytes(), want) {
		t.Errorf("Write and Encode differ: %v", err)
	}
	// A model that cannot be written leaves the older file.
	broken := small(t)
	broken.Graph.Initializers[0].Dims = []int64{7}
	if err := onnx.WriteFile(path, broken); err == nil {
		t.Error("a broken model was written")
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, want) {
		t.Errorf("the older file was changed: %v", err)
	}
	if es, err := os.ReadDir(dir); err != nil || len(es) != 1 {
		t.Errorf("left over: %v %v", es, err)
	}
	var limit *onnx.LimitError
	small := onnx.DecodeOptions{Limits: onnx.Limits{Bytes: int64(len(want)) - 1}}
	if _, err := onnx.ReadFile(path, small); !errors.As(err, &limit) || !strings.Contains(err.Error(), path) {
		t.Errorf("ReadFile over the limit: %v", err)
	}
	r := &endless{}
	if _, err := onnx.Read(r, onnx.DecodeOptions{Limits: onnx.Limits{Bytes: 1 << 20}}); !errors.As(err, &limit) || r.n > 1<<22 {
		t.Errorf("Read of an endless input: %v after %d bytes", err, r.n)
	}
	if err := os.WriteFile(path, want[:len(want)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	var format *onnx.FormatError
	if _, err := onnx.ReadFile(path, onnx.DecodeOptions{}); !errors.As(err, &format) || !strings.Contains(err.Error(), path) {
		t.Errorf("truncated file: %v", err)
	}
	for _, p := range []string{dir, filepath.Join(dir, "missing.onnx")} {
		if _, err := onnx.ReadFile(p, onnx.DecodeOptions{}); err == nil {
			t.Errorf("ReadFile(%s) gave no error", p)
		}
	}
}

// fullDisk fails after n bytes.
type fullDisk struct{ n int }

var errFull = errors.New("no space left on device")

func (w *fullDisk) Write(b []byte) (int, error) {
	if w.n -= len(b); w.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriteReportsErrors(t *testing.T) {
	m := all(t)
	size := len(encode(t, m))
	for n := 0; n < size; n += 97 {
		if err := onnx.Write(&fullDisk{n}, m); !errors.Is(err, errFull) {
			t.Errorf("disk of %d bytes: %v", n, err)
		}
	}
	if err := onnx.Write(io.Discard, m); err != nil {
		t.Error(err)
	}
}
