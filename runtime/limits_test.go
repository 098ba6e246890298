package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestLimitsAreExact gives each limit what a model takes, with which it loads and runs, and one
// less, with which it is refused, from a file, from bytes and as a model. The limits that are zero,
// and so the default, let it through.
func TestLimitsAreExact(t *testing.T) {
	const batch = 64
	m := dense(t, 100, 50, 100)
	m.Graph.Nodes[0].Attrs = append(m.Graph.Nodes[0].Attrs, onnx.AttrF("alpha", 1))
	data := encodedModel(t, m)
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	x := random(t, 8, 1, batch, 100)
	st, err := session(t, m, runtime.Options{}).Stats(map[string]tensor.Shape{"image": {batch, 100}})
	if err != nil {
		t.Fatal(err)
	}
	loads := map[string]func(o runtime.Options) (*runtime.Session, error){
		"Open": func(o runtime.Options) (*runtime.Session, error) { return runtime.Open(path, o) },
		"Load": func(o runtime.Options) (*runtime.Session, error) { return runtime.Load(data, o) },
		"LoadFS": func(o runtime.Options) (*runtime.Session, error) {
			return runtime.LoadFS(fstest.MapFS{"m": {Data: data}}, "m", o)
		},
		"New": func(o runtime.Options) (*runtime.Session, error) { return runtime.New(m, o) },
	}
	for _, c := range []struct {
		name string
		set  func(l *runtime.Limits, n int64)
		n    int64
		file bool // does not count for New
	}{
		{"FileBytes", func(l *runtime.Limits, n int64) { l.FileBytes = n }, int64(len(data)), true},
		{"Nodes", func(l *runtime.Limits, n int64) { l.Nodes = int(n) }, int64(len(m.Graph.Nodes)), false},
		{"Tensors", func(l *runtime.Limits, n int64) { l.Tensors = int(n) }, int64(len(m.Graph.Initializers)), false},
		{"Elements", func(l *runtime.Limits, n int64) { l.Elements = int(n) }, batch * 100, false},
		{"Arena", func(l *runtime.Limits, n int64) { l.Arena = int(n) }, int64(st.Arena), false},
		{"MACs", func(l *runtime.Limits, n int64) { l.MACs = n }, batch * 2 * 100 * 50, false},
	} {
		for how, load := range loads {
			if c.file && how == "New" {
				continue
			}
			for _, less := range []int64{0, 1} {
				var l runtime.Limits
				c.set(&l, c.n-less)
				s, err := load(runtime.Options{Limits: l})
				if err == nil {
					_, err = s.Run(ctx, inputs{"image": x})
					s.Close()
				}
				if less == 0 && err != nil || less == 1 && !errors.Is(err, runtime.ErrLimit) {
					t.Errorf("%s, %s of %d, %d less than the model takes: %v", how, c.name, c.n-less, less, err)
				}
			}
		}
	}
}

// TestExternalData loads a model whose weights, an initializer and a constant, are in other files,
// from folders that the caller gives; without, and with too few bytes allowed, it is refused.
func TestExternalData(t *testing.T) {
	dir := t.TempDir()
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(4))
	h := b.Op("Add", "h", []string{x, b.Initializer("w", tensor.Must(tensor.Of([]float32{1, 2, 3, 4}, 4)))})
	c := b.Op("Constant", "c", nil, onnx.AttrT("value", tensor.Must(tensor.Of([]float32{10, 20, 30, 40}, 4))))
	b.Output(b.Op("Mul", "y", []string{h, c}), tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(4))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	want := run(t, session(t, m, runtime.Options{}), inputs{"x": tensor.Must(tensor.New(tensor.Float32, 1, 4))})["y"].Float32s()
	var data []byte
	onnx.Tensors(m, func(v *onnx.Tensor) {
		offset := "0"
		if len(data) > 0 {
			offset = "16"
		}
		data = append(data, v.Value.Bytes()...)
		v.External = []onnx.StringPair{{Key: "location", Value: "weights.bin"}, {Key: "offset", Value: offset}, {Key: "length", Value: "16"}}
		v.Value = nil
	})
	if !tensor.HostLittleEndian {
		tensor.SwapBytes(data, 4)
	}
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "m.onnx")
	if err := onnx.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, o := range map[string]runtime.Options{
		"os.Root":  {ExternalData: root.FS()},
		"os.DirFS": {ExternalData: os.DirFS(dir)},
		"exactly":  {ExternalData: root.FS(), Limits: runtime.Limits{FileBytes: 1 << 10}},
	} {
		s, err := runtime.Open(path, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := run(t, s, inputs{"x": tensor.Must(tensor.New(tensor.Float32, 1, 4))})["y"].Float32s()
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: element %d is %v, want %v", name, i, got[i], want[i])
			}
		}
		s.Close()
	}
	if _, err := runtime.Open(path, runtime.Options{}); err == nil {
		t.Error("files were opened without leave")
	}
	// The file of the initializer alone is in the way of the limit, before it is read.
	big := append(data, make([]byte, 1<<12)...)
	m.Graph.Initializers[0].External[2].Value = "4096"
	m.Graph.Initializers[0].Dims = []int64{256, 4}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "weights.bin"), big, 0o600), onnx.WriteFile(path, m)); err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.Open(path, runtime.Options{ExternalData: root.FS(), Limits: runtime.Limits{FileBytes: 4000}}); !errors.Is(err, runtime.ErrLimit) {
		t.Errorf("too much external data: %v, want ErrLimit", err)
	}
}
