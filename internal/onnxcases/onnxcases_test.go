package onnxcases

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f := func(v ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	i := func(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	u := func(v ...uint8) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	h := func(v ...float32) *tensor.Tensor {
		var s []tensor.F16
		for _, x := range v {
			s = append(s, tensor.ToF16(x))
		}
		return tensor.Must(tensor.Of(s, len(v)))
	}
	tests := []struct {
		name      string
		got, want *tensor.Tensor
		tol       Tolerance
		bad       int
		abs, rel  float64
	}{
		{"equal", f(1, 2), f(1, 2), Tolerance{}, 0, 0, 0},
		{"within rel", f(1001), f(1000), Default, 0, 1, 1e-3},
		{"beyond rel", f(1002), f(1000), Default, 1, 2, 2e-3},
		{"beyond abs at zero", f(1e-3), f(0), Default, 1, float64(float32(1e-3)), 0},
		{"within abs", f(0.25), f(0), Tolerance{Abs: 0.25}, 0, 0.25, 0},
		{"NaN", f(nan, nan, 1), f(nan, 1, nan), Default, 2, math.Inf(1), math.Inf(1)},
		{"infinities", f(inf, -inf, inf, 1), f(inf, inf, 1, inf), Tolerance{Rel: 10, Abs: 10}, 3, math.Inf(1), math.Inf(1)},
		{"int64 large", i(math.MaxInt64), i(math.MaxInt64 - 1), Default, 1, 1, 1 / float64(math.MaxInt64)},
		{"int64 ends", i(math.MinInt64), i(math.MaxInt64), Default, 1, float64(math.MaxUint64), 2},
		{"uint8 one step", u(200, 3), u(201, 2), Tolerance{Abs: 1}, 0, 1, 0.5},
		{"integers ignore rel", u(200), u(201), Tolerance{Rel: 0.1}, 1, 1, 1.0 / 201},
		{"half", h(1, 2), h(1, 2.5), Default, 1, 0.5, 0.2},
	}
	for _, c := range tests {
		d, err := Compare(c.got, onnx.NewTensor("", c.want), c.tol)
		if err != nil || d.Bad != c.bad || d.MaxAbs != c.abs || math.Abs(d.MaxRel-c.rel) > 1e-15*c.rel && d.MaxRel != c.rel || d.Elems != c.got.Elems() {
			t.Errorf("%s: %+v, %v; want %d bad, abs %v, rel %v", c.name, d, err, c.bad, c.abs, c.rel)
		}
		if (d.First == "") != (d.Bad == 0) {
			t.Errorf("%s: first difference %q with %d bad", c.name, d.First, d.Bad)
		}
	}
	a := tensor.Must(tensor.Of([]float32{0, 0, 0, 0, 7, 0}, 2, 3))
	b := tensor.Must(tensor.New(tensor.Float32, 2, 3))
	if d, err := Compare(a, onnx.NewTensor("", b), Default); err != nil || d.First != "[1 1]: 7, want 0" {
		t.Errorf("position: %+v %v", d, err)
	}
	for _, got := range []*tensor.Tensor{nil, f(1, 2, 3), u(1, 2), tensor.Must(f(1, 2).Reshape(1, 2))} {
		if _, err := Compare(got, onnx.NewTensor("", f(1, 2)), Default); err == nil {
			t.Errorf("Compare(%v, float32[2]) gave no error", got)
		}
	}
}

func pb(t *testing.T, v float32) []byte {
	t.Helper()
	b, err := onnx.EncodeTensor(onnx.NewTensor("", tensor.Scalar(v)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFolderAndArchiveAgree(t *testing.T) {
	root := filepath.Join(t.TempDir(), "suite")
	files := map[string][]byte{
		"b/model.onnx": []byte("model b"), "b/test_data_set_1/input_0.pb": pb(t, 1),
		"a/model.onnx": []byte("model a"), "a/test_data_set_0/input_2.pb": pb(t, 2), "a/test_data_set_0/input_0.pb": pb(t, 3),
		"a/test_data_set_0/output_0.pb": pb(t, 4), "a/test_data_set_10/output_0.pb": pb(t, 5), "a/test_data_set_2/output_0.pb": pb(t, 6),
		"a/README": []byte("ignored"), "c/other.onnx": []byte("ignored"),
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for name, b := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: "./suite/" + name, Mode: 0o644, Size: int64(len(b)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	archived, err := readArchive(&buf)
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := Find(root)
	if err != nil || len(dirs) != 2 || len(archived) != 2 {
		t.Fatalf("Find: %q, %v; archive: %d cases", dirs, err, len(archived))
	}
	for i, dir := range dirs {
		c, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		a := archived[i]
		if c.Name != a.Name || c.Suite != "suite" || a.Suite != "suite" || !bytes.Equal(c.Model, a.Model) || len(c.Sets) != len(a.Sets) {
			t.Fatalf("folder: %s %s, archive: %s %s", c.Suite, c.Name, a.Suite, a.Name)
		}
		for j := range c.Sets {
			x, y := c.Sets[j], a.Sets[j]
			if x.Name != y.Name || !slices.EqualFunc(x.Inputs, y.Inputs, bytes.Equal) || !slices.EqualFunc(x.Outputs, y.Outputs, bytes.Equal) {
				t.Errorf("%s: set %s differs from %s", c.Name, x.Name, y.Name)
			}
		}
	}
	c := archived[0]
	if len(c.Sets) != 3 || c.Sets[1].Name != "test_data_set_2" || c.Sets[2].Name != "test_data_set_10" {
		t.Errorf("sets: %+v", c.Sets)
	}
	in, err := c.Sets[0].DecodeInputs()
	if err != nil || len(in) != 3 || in[1] != nil || in[2].Value.Float32s()[0] != 2 {
		t.Errorf("inputs %v, %v", in, err)
	}
}

func TestBadSets(t *testing.T) {
	for _, name := range []string{"test_data_set_0/x.pb", "test_data_set_0/input_-1.pb", "test_data_set_0/input_99999999999.pb", "test_data_set_0/weight_0.pb", "test_data_set_0/input_70000.pb"} {
		if s, err := newSets(map[string][]byte{name: nil}); err == nil {
			t.Errorf("%s: accepted as %+v", name, s)
		}
	}
	s := Set{Name: "test_data_set_0", Inputs: [][]byte{{0xff}}}
	if _, err := s.DecodeInputs(); err == nil || !strings.Contains(err.Error(), "test_data_set_0/input_0.pb") {
		t.Errorf("garbage: %v", err)
	}
}

func TestWriteSet(t *testing.T) {
	dir := t.TempDir()
	in := []*onnx.Tensor{onnx.NewTensor("x", tensor.Scalar(float32(1))), nil, onnx.NewTensor("z", tensor.Scalar(int64(2)))}
	// What was there before goes.
	before := []*onnx.Tensor{in[0], in[0], in[0], in[0], in[0]}
	for _, list := range [][]*onnx.Tensor{before, in} {
		if err := WriteSet(dir, 3, list, list[:len(list)-2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir)
	if err != nil || len(c.Sets) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	got, err := c.Sets[0].DecodeInputs()
	if err != nil || len(got) != 3 || got[1] != nil || !got[0].Equal(in[0]) || !got[2].Equal(in[2]) {
		t.Errorf("inputs %v, %v", got, err)
	}
	if n := len(c.Sets[0].Outputs); n != 1 {
		t.Errorf("%d outputs, want 1", n)
	}
}

func TestSharedCases(t *testing.T) {
	for archive, table := range map[string]string{"node-cases.tar.gz": "node-cases.tsv", "simple-cases.tar.gz": "simple-cases.tsv"} {
		cases, err := LoadArchive(testdata.Path(t, "onnx-conformance/"+archive))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(testdata.Path(t, "onnx-conformance/"+table))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rows, err := ReadTable(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != len(cases) {
			t.Errorf("%s: %d cases, the table has %d", archive, len(cases), len(rows))
		}
		outOfScope := map[string]bool{}
		for _, r := range rows {
			outOfScope[r.Case] = strings.Contains(r.Note, "out of scope")
		}
		for _, c := range cases {
			if _, err := onnx.Decode(c.Model, onnx.DecodeOptions{}); err != nil {
				t.Errorf("%s/%s: %v", c.Suite, c.Name, err)
			}
			if len(c.Sets) == 0 {
				t.Errorf("%s/%s: no data", c.Suite, c.Name)
			}
			for _, s := range c.Sets {
				_, err1 := s.DecodeInputs()
				outs, err2 := s.DecodeOutputs()
				if (err1 != nil || err2 != nil || len(outs) == 0) && !outOfScope[c.Name] {
					t.Errorf("%s/%s: %v %v, %d outputs", c.Suite, c.Name, err1, err2, len(outs))
				}
				for _, w := range outs {
					if w.Value == nil {
						continue
					}
					if d, err := Compare(w.Value, w, Tolerance{}); err != nil || d.Bad > 0 {
						t.Errorf("%s/%s: compared with itself: %+v, %v", c.Suite, c.Name, d, err)
					}
				}
			}
		}
	}
}
