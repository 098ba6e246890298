package runtime_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestThirdPartyModels runs the shared models of other people, from the file, with the
// tolerance of their table: rtol 1e-3 and atol 1e-5 × max(1, the largest expected value).
func TestThirdPartyModels(t *testing.T) {
	dir := testdata.Path(t, "third-party-models")
	models, err := onnxcases.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(models) == 0 {
		t.Fatalf("no models in %s", dir)
	}
	for _, d := range models {
		t.Run(filepath.Base(d), func(t *testing.T) {
			c, err := onnxcases.Load(d)
			if err != nil {
				t.Fatal(err)
			}
			s, err := runtime.Open(filepath.Join(d, "model.onnx"), runtime.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if len(c.Sets) == 0 {
				t.Fatal("no data sets")
			}
			for _, set := range c.Sets {
				ins, err := set.DecodeInputs()
				if err != nil {
					t.Fatal(err)
				}
				wants, err := set.DecodeOutputs()
				if err != nil {
					t.Fatal(err)
				}
				given := map[string]*tensor.Tensor{}
				for i, in := range ins {
					given[s.Inputs()[i].Name] = in.Value
				}
				out, err := s.Run(context.Background(), given)
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range wants {
					largest := float32(1)
					for _, v := range want.Value.Float32s() {
						largest = max(largest, v, -v)
					}
					name := s.Outputs()[i].Name
					diff, err := onnxcases.Compare(out[name], want, onnxcases.Tolerance{Rel: 1e-3, Abs: 1e-5 * float64(largest)})
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%s, %s: max abs %.2g, max rel %.2g", set.Name, name, diff.MaxAbs, diff.MaxRel)
					if diff.Bad > 0 {
						t.Errorf("%s, %s: %d of %d elements differ, the first at %s", set.Name, name, diff.Bad, diff.Elems, diff.First)
					}
				}
			}
		})
	}
}

func encodedModel(t *testing.T, m *onnx.Model) []byte {
	t.Helper()
	b, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLoadFS loads a model from a file system, and names the file in errors.
func TestLoadFS(t *testing.T) {
	dir := t.TempDir()
	data := encodedModel(t, dense(t, 12, 4, 12))
	for name, b := range map[string][]byte{"good.onnx": data, "bad.onnx": data[:len(data)/2]} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := runtime.LoadFS(os.DirFS(dir), "good.onnx", runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := random(t, 3, 1, 2, 12)
	want := run(t, session(t, dense(t, 12, 4, 12), runtime.Options{}), inputs{"image": x})["reconstruction"].Float32s()
	for i, v := range run(t, s, inputs{"image": x})["reconstruction"].Float32s() {
		if v != want[i] {
			t.Fatalf("element %d is %v, want %v", i, v, want[i])
		}
	}
	for _, name := range []string{"bad.onnx", "absent.onnx"} {
		if _, err := runtime.LoadFS(os.DirFS(dir), name, runtime.Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
	}
}
