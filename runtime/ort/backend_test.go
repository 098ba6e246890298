//go:build cgo

package ort

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var ctx = context.Background()

// open returns the backend, or skips the test where there is no library.
func open(t *testing.T) runtime.Backend {
	t.Helper()
	if os.Getenv(LibraryEnv) == "" {
		t.Skipf("%s does not name the library of ONNX Runtime", LibraryEnv)
	}
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func session(t *testing.T, m *onnx.Model, b runtime.Backend) *runtime.Session {
	t.Helper()
	s, err := runtime.New(m, runtime.Options{Backend: b, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// double is y = x + x for one element type, with a batch that is open.
func double(t *testing.T, dtype tensor.DType, dims ...onnx.Dim) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	b.Op("Add", "y", []string{b.Input("x", dtype, dims...), "x"})
	b.Output("y", dtype, dims...)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestElementTypes(t *testing.T) {
	b := open(t)
	f16 := []tensor.F16{tensor.ToF16(1.5), tensor.ToF16(-3), tensor.ToF16(1000)}
	tests := []struct{ x, y *tensor.Tensor }{
		{tensor.Must(tensor.Of([]float32{1, -2.5, 3}, 3)), tensor.Must(tensor.Of([]float32{2, -5, 6}, 3))},
		{tensor.Must(tensor.Of([]float64{1, -2.5, 1e300}, 3)), tensor.Must(tensor.Of([]float64{2, -5, 2e300}, 3))},
		{tensor.Must(tensor.Of([]int32{1, -2, 3}, 3)), tensor.Must(tensor.Of([]int32{2, -4, 6}, 3))},
		{tensor.Must(tensor.Of([]int64{1, -2, 1 << 60}, 3)), tensor.Must(tensor.Of([]int64{2, -4, 1 << 61}, 3))},
		{tensor.Must(tensor.Of([]uint8{1, 2, 100}, 3)), tensor.Must(tensor.Of([]uint8{2, 4, 200}, 3))},
		{tensor.Must(tensor.Of([]int8{1, -2, 60}, 3)), tensor.Must(tensor.Of([]int8{2, -4, 120}, 3))},
		{tensor.Must(tensor.Of(f16, 3)), tensor.Must(tensor.Of([]tensor.F16{tensor.ToF16(3), tensor.ToF16(-6), tensor.ToF16(2000)}, 3))},
		{tensor.Scalar(float32(7)), tensor.Scalar(float32(14))},
		{tensor.Scalar(int64(-7)), tensor.Scalar(int64(-14))},
		{tensor.Must(tensor.Of([]float32{}, 0)), tensor.Must(tensor.Of([]float32{}, 0))},
	}
	for _, c := range tests {
		var dims []onnx.Dim
		if c.x.Rank() == 1 {
			dims = append(dims, onnx.NamedDim("n"))
		}
		s, err := runtime.New(double(t, c.x.DType(), dims...), runtime.Options{Backend: b})
		if err != nil {
			t.Errorf("%v: %v", c.x, err)
			continue
		}
		out, err := s.Run(ctx, map[string]*tensor.Tensor{"x": c.x})
		if err != nil {
			t.Errorf("%v: %v", c.x, err)
		} else if d, err := onnxcases.Compare(out["y"], onnx.NewTensor("y", c.y), onnxcases.Tolerance{}); err != nil || d.Bad > 0 {
			t.Errorf("%v: %v %v", c.x, err, d.First)
		}
		if c.x.Rank() == 1 && c.x.Elems() > 0 {
			buf := tensor.Must(tensor.New(c.x.DType(), 3))
			if err := s.RunInto(ctx, map[string]*tensor.Tensor{"y": buf}, map[string]*tensor.Tensor{"x": c.x}); err != nil {
				t.Errorf("%v: RunInto: %v", c.x, err)
			} else if d, err := onnxcases.Compare(buf, onnx.NewTensor("y", c.y), onnxcases.Tolerance{}); err != nil || d.Bad > 0 {
				t.Errorf("%v: RunInto: %v %v", c.x, err, d.First)
			}
		}
		s.Close()
	}
}

func TestRunIntoReusesBuffers(t *testing.T) {
	s := session(t, double(t, tensor.Float32, onnx.NamedDim("n")), open(t))
	for n := 1; n < 12; n++ {
		x, y := tensor.Must(tensor.New(tensor.Float32, n)), tensor.Must(tensor.New(tensor.Float32, n))
		for round := range 3 {
			for i := range n {
				x.Float32s()[i] = float32(i + round)
			}
			if err := s.RunInto(ctx, map[string]*tensor.Tensor{"y": y}, map[string]*tensor.Tensor{"x": x}); err != nil {
				t.Fatal(err)
			}
			for i, v := range y.Float32s() {
				if v != 2*float32(i+round) {
					t.Fatalf("n %d, round %d: y = %v", n, round, y.Float32s())
				}
			}
		}
	}
	x, y := tensor.Must(tensor.New(tensor.Float32, 8)), tensor.Must(tensor.New(tensor.Float32, 8))
	in, out := map[string]*tensor.Tensor{"x": x}, map[string]*tensor.Tensor{"y": y}
	if n := testing.AllocsPerRun(100, func() {
		if err := s.RunInto(ctx, out, in); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("RunInto allocates %v times", n)
	}
	wrong := tensor.Must(tensor.New(tensor.Float32, 7))
	if err := s.RunInto(ctx, map[string]*tensor.Tensor{"y": wrong}, in); err == nil {
		t.Error("an output buffer of the wrong shape is accepted")
	}
}

func TestConcurrentRuns(t *testing.T) {
	s := session(t, double(t, tensor.Float32, onnx.NamedDim("n")), open(t))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			x := tensor.Must(tensor.New(tensor.Float32, 100+g))
			y := tensor.Must(tensor.New(tensor.Float32, 100+g))
			for i := range x.Float32s() {
				x.Float32s()[i] = float32(g)
			}
			for range 100 {
				if err := s.RunInto(ctx, map[string]*tensor.Tensor{"y": y}, map[string]*tensor.Tensor{"x": x}); err != nil {
					t.Error(err)
					return
				}
				if y.Float32s()[99+g] != float32(2*g) {
					t.Errorf("goroutine %d got %v", g, y.Float32s()[99+g])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestErrors(t *testing.T) {
	b := open(t)
	s := session(t, double(t, tensor.Float32, onnx.NamedDim("n")), b)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	x := tensor.Must(tensor.New(tensor.Float32, 3))
	if _, err := s.Run(cancelled, map[string]*tensor.Tensor{"x": x}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := s.Run(ctx, map[string]*tensor.Tensor{"x": tensor.Must(tensor.New(tensor.Int8, 3))}); err == nil {
		t.Error("an input of the wrong type is accepted")
	}
	bad := onnx.NewBuilder(17)
	bad.Op("NoSuchOperator", "y", []string{bad.Input("x", tensor.Float32)})
	bad.Output("y", tensor.Float32)
	m, err := bad.Model()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.New(m, runtime.Options{Backend: b}); err == nil || !strings.Contains(err.Error(), "NoSuchOperator") {
		t.Errorf("unknown operator: %v", err)
	}
	if _, err := New(Options{Library: filepath.Join(t.TempDir(), "other.so")}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second library: %v", err)
	}
}

// TestParity runs the shared float32 models on both backends, whole and in parts.
func TestParity(t *testing.T) {
	b := open(t)
	dir := testdata.Path(t, "reference-models")
	for _, name := range []string{"seed_ae", "mlp_vae_enc", "mlp_vae_dec", "conv_ae"} {
		path := filepath.Join(dir, name, "f32.onnx")
		theirs, err := runtime.Open(path, runtime.Options{Backend: b, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		ours, err := runtime.Open(path, runtime.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		for _, batch := range []int{1, 7} {
			shape := ours.Inputs()[0].Shape.Clone()
			shape[0] = batch
			x := tensor.Must(tensor.New(tensor.Float32, shape...))
			for i := range x.Float32s() {
				x.Float32s()[i] = float32(i*7919%256) / 255
			}
			in := map[string]*tensor.Tensor{ours.Inputs()[0].Name: x}
			want, err := theirs.Run(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ours.Run(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			for out, w := range want {
				if d := distance(got[out], w); d > 1e-5 {
					t.Errorf("%s, batch %d: output %q differs by %g", name, batch, out, d)
				}
			}
		}
	}
}

func distance(a, b *tensor.Tensor) float64 {
	if !a.Shape().Equal(b.Shape()) {
		return math.Inf(1)
	}
	worst := 0.0
	for i, x := range a.Float32s() {
		y := float64(b.Float32s()[i])
		worst = math.Max(worst, math.Abs(float64(x)-y)/math.Max(1, math.Abs(y)))
	}
	return worst
}

// TestSub cuts a model in two, on this backend, and compares with the whole.
func TestSub(t *testing.T) {
	b := onnx.NewBuilder(17)
	n := onnx.NamedDim("n")
	x := b.Input("x", tensor.Float32, n, onnx.FixedDim(2))
	b.Op("Neg", "z", []string{x})
	b.Value("z", tensor.Float32, n, onnx.FixedDim(2))
	b.Op("Exp", "y", []string{"z"})
	b.Output("y", tensor.Float32, n, onnx.FixedDim(2))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, m, open(t))
	first, err := s.Sub([]string{"x"}, []string{"z"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := s.Sub([]string{"z"}, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	in := tensor.Must(tensor.Of([]float32{0, 1, 2, 3}, 2, 2))
	whole, err := s.Run(ctx, map[string]*tensor.Tensor{"x": in})
	if err != nil {
		t.Fatal(err)
	}
	z, err := first.Run(ctx, map[string]*tensor.Tensor{"x": in})
	if err != nil {
		t.Fatal(err)
	}
	y, err := second.Run(ctx, z)
	if err != nil {
		t.Fatal(err)
	}
	if d := distance(y["y"], whole["y"]); d != 0 || s.Backend() != "ort" {
		t.Errorf("parts differ from the whole by %g on backend %s", d, s.Backend())
	}
}
