package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// convolutional returns an autoencoder of 2×12×12 images: convolutions with stride 2 down to
// z, transposed convolutions up again.
func convolutional(t testing.TB) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	layer := func(op, name, x string, label uint64, shape ...int) string {
		channels := shape[0]
		attrs := []*onnx.Attribute{onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1)}
		if op == "ConvTranspose" {
			channels = shape[1]
			attrs = append(attrs, onnx.AttrIs("output_padding", 1, 1))
		}
		w := b.Initializer(name+".w", random(t, label, 0.4, shape...))
		c := b.Initializer(name+".b", random(t, label+1, 0.2, channels))
		return b.Op(op, name, []string{x, w, c}, attrs...)
	}
	x := b.Input("image", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(2), onnx.FixedDim(12), onnx.FixedDim(12))
	h := b.Op("Relu", "a1", []string{layer("Conv", "c1", x, 20, 8, 2, 3, 3)})
	b.Value("z", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(6), onnx.FixedDim(3), onnx.FixedDim(3))
	z := b.Op("Relu", "z", []string{layer("Conv", "c2", h, 22, 6, 8, 3, 3)})
	h = b.Op("Relu", "a3", []string{layer("ConvTranspose", "c3", z, 24, 6, 8, 3, 3)})
	y := b.Op("Sigmoid", "reconstruction", []string{layer("ConvTranspose", "c4", h, 26, 8, 2, 3, 3)})
	b.Output(y, tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(2), onnx.FixedDim(12), onnx.FixedDim(12))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// quantized returns an int8 autoencoder of 2×8×8 images in the QDQ form, with weights for
// each channel: a convolution, a dense layer to z, a dense layer and a transposed convolution.
func quantized(t testing.TB) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	scale, zero := b.Initializer("scale", tensor.Scalar(float32(0.03))), b.Initializer("zero", tensor.Scalar(uint8(110)))
	round := func(x string) string {
		q := b.Op("QuantizeLinear", "", []string{x, scale, zero})
		return b.Op("DequantizeLinear", "", []string{q, scale, zero})
	}
	weight := func(name string, axis int, shape ...int) string {
		w := tensor.Must(tensor.New(tensor.Int8, shape...))
		for i := range tensor.Data[int8](w) {
			tensor.Data[int8](w)[i] = int8(i * 73)
		}
		s := random(t, uint64(len(name)), 1, shape[axis])
		for i := range s.Float32s() {
			s.Float32s()[i] = 0.001 + 0.0005*(1+s.Float32s()[i])
		}
		z := tensor.Must(tensor.New(tensor.Int8, shape[axis]))
		return b.Op("DequantizeLinear", name, []string{b.Initializer(name+".q", w), b.Initializer(name+".s", s), b.Initializer(name+".z", z)},
			onnx.AttrI("axis", int64(axis)))
	}
	x := b.Input("image", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(2), onnx.FixedDim(8), onnx.FixedDim(8))
	h := b.Op("Conv", "c1", []string{round(x), weight("w1", 0, 8, 2, 3, 3)}, onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))
	h = b.Op("Flatten", "f", []string{round(b.Op("Relu", "a1", []string{h}))})
	b.Value("z", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(10))
	z := b.Op("MatMul", "z", []string{h, weight("w22", 1, 128, 10)})
	h = round(b.Op("Relu", "a3", []string{b.Op("MatMul", "m3", []string{round(z), weight("w333", 1, 10, 128)})}))
	h = b.Op("Reshape", "r", []string{h, b.Initializer("shape", int64s(-1, 8, 4, 4))})
	h = b.Op("ConvTranspose", "c4", []string{h, weight("w4444", 1, 8, 2, 3, 3)},
		onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1), onnx.AttrIs("output_padding", 1, 1))
	y := b.Op("Identity", "reconstruction", []string{round(h)})
	b.Output(y, tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(2), onnx.FixedDim(8), onnx.FixedDim(8))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// hammered are models of each kind that TestHammer and TestCloseWhileRunning use.
var hammered = []struct {
	name  string
	shape []int
	model func(t testing.TB) *onnx.Model
}{
	{"dense", []int{120}, func(t testing.TB) *onnx.Model { return dense(t, 120, 64, 8, 64, 120) }},
	{"convolutional", []int{2, 12, 12}, convolutional},
	{"int8", []int{2, 8, 8}, quantized},
}

// TestHammer has 64 goroutines use one session at once, with batches of several sizes,
// cancelled runs, parts of the model and sessions over parts that are opened and closed all
// the time. Every result has the bytes of a serial run of the same batch. With AEKIT_SLOW set
// it goes on for a minute for each model.
func TestHammer(t *testing.T) {
	const goroutines = 64
	length := 200 * time.Millisecond
	if os.Getenv("AEKIT_SLOW") != "" {
		length = time.Minute
	}
	for _, h := range hammered {
		t.Run(h.name, func(t *testing.T) {
			s := session(t, h.model(t), runtime.Options{Threads: 4, MaxPlans: 3})
			batches := []int{1, 2, 3, 7, 16, 40}
			x, want, z := map[int]*tensor.Tensor{}, map[int][]byte{}, map[int][]byte{}
			enc, err := s.Sub([]string{"image"}, []string{"z"})
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range batches {
				x[n] = random(t, uint64(n), 1, append([]int{n}, h.shape...)...)
				want[n] = run(t, s, inputs{"image": x[n]})["reconstruction"].Bytes()
				z[n] = run(t, enc, inputs{"image": x[n]})["z"].Bytes()
			}
			enc.Close()
			var runs, cancelled atomic.Int64
			deadline := time.Now().Add(length)
			round := func(r *rand.Rand) error {
				n := batches[r.IntN(len(batches))]
				in := inputs{"image": x[n]}
				switch r.IntN(8) {
				case 0:
					c, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(200))*time.Microsecond)
					defer cancel()
					out, err := s.Run(c, in)
					if errors.Is(err, context.DeadlineExceeded) {
						cancelled.Add(1)
						return nil
					}
					if err == nil && !bytes.Equal(out["reconstruction"].Bytes(), want[n]) {
						return fmt.Errorf("batch %d under a deadline: bytes differ", n)
					}
					return err
				case 1:
					enc, err := s.Sub([]string{"image"}, []string{"z"})
					if err != nil {
						return err
					}
					defer enc.Close()
					out, err := enc.Run(ctx, in)
					if err == nil && !bytes.Equal(out["z"].Bytes(), z[n]) {
						return fmt.Errorf("batch %d in a part: bytes differ", n)
					}
					return err
				case 2:
					y := tensor.Must(tensor.New(tensor.Float32, append([]int{n}, h.shape...)...))
					err := s.RunInto(ctx, inputs{"reconstruction": y}, in)
					if err == nil && !bytes.Equal(y.Bytes(), want[n]) {
						return fmt.Errorf("batch %d into a buffer: bytes differ", n)
					}
					return err
				}
				out, err := s.Run(ctx, in)
				if err == nil && !bytes.Equal(out["reconstruction"].Bytes(), want[n]) {
					return fmt.Errorf("batch %d: bytes differ", n)
				}
				return err
			}
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(g), 1))
					for first := true; first || time.Now().Before(deadline); first = false {
						if err := round(r); err != nil {
							t.Error(err)
							return
						}
						runs.Add(1)
					}
				})
			}
			wg.Wait()
			t.Logf("%d rounds in %v, of which %d were cancelled", runs.Load(), length, cancelled.Load())
			if runs.Load() < goroutines {
				t.Errorf("only %d rounds ran", runs.Load())
			}
		})
	}
}

// TestCloseWhileRunning closes a session under load: every run either gives its result or
// ErrClosed, and Close returns after the last of them. A session over a part of the model
// that is open then goes on working.
func TestCloseWhileRunning(t *testing.T) {
	for _, h := range hammered {
		t.Run(h.name, func(t *testing.T) {
			m := h.model(t)
			for range 8 {
				closeWhileRunning(t, m, random(t, 1, 1, append([]int{5}, h.shape...)...))
			}
		})
	}
}

func closeWhileRunning(t *testing.T, m *onnx.Model, x *tensor.Tensor) {
	s, err := runtime.New(m, runtime.Options{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	part, err := s.Sub([]string{"image"}, []string{"z"})
	if err != nil {
		t.Fatal(err)
	}
	in := inputs{"image": x}
	want, z := run(t, s, in)["reconstruction"].Bytes(), run(t, part, in)["z"].Bytes()
	var wg sync.WaitGroup
	var done atomic.Int64
	for range 8 {
		wg.Go(func() {
			for {
				out, err := s.Run(ctx, in)
				if errors.Is(err, runtime.ErrClosed) {
					return
				}
				if err != nil || !bytes.Equal(out["reconstruction"].Bytes(), want) {
					t.Errorf("%v, or the bytes differ", err)
					return
				}
				done.Add(1)
			}
		})
	}
	for done.Load() < 8 {
		time.Sleep(100 * time.Microsecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if _, err := s.Sub([]string{"image"}, []string{"z"}); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("Sub of a closed session: %v", err)
	}
	if out, err := part.Run(ctx, in); err != nil || !bytes.Equal(out["z"].Bytes(), z) {
		t.Errorf("a part, after the whole was closed: %v, or the bytes differ", err)
	}
	part.Close()
}

// TestNothingIsLeftBehind: sessions that were closed, and models that were refused, leave
// no goroutine and no memory.
func TestNothingIsLeftBehind(t *testing.T) {
	sessions, batch := 30, 64
	if testing.Short() {
		sessions, batch = 8, 16 // for emulators
	}
	m := dense(t, 600, 500, 8, 500, 600)
	var files []string
	for _, h := range hammered {
		b, err := onnx.Encode(h.model(t))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.Join(t.TempDir(), "model.onnx"))
		// Files are mapped from 64 KiB.
		if err := os.WriteFile(files[len(files)-1], protobuf(b, 6, bytes.Repeat([]byte("text "), 1<<14)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	bad := dense(t, 600, 500, 8, 500, 600)
	bad.Graph.Nodes[len(bad.Graph.Nodes)-1].OpType = "Softmax"
	bad.Graph.Nodes[2].Inputs[0] = "image"
	once := func() {
		s, err := runtime.New(m, runtime.Options{Threads: 4})
		if err != nil {
			t.Fatal(err)
		}
		dec, err := s.Sub([]string{"z"}, []string{"reconstruction"})
		if err != nil {
			t.Fatal(err)
		}
		run(t, s, inputs{"image": random(t, 1, 1, batch, 600)})
		run(t, dec, inputs{"z": random(t, 1, 1, batch, 8)})
		s.Close()
		dec.Close()
		for i, name := range files {
			s, err := runtime.Open(name, runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			run(t, s, inputs{"image": random(t, 1, 1, append([]int{9}, hammered[i].shape...)...)})
			s.Close()
		}
		if s, err := runtime.New(bad, runtime.Options{Threads: 4}); err == nil {
			s.Close()
			t.Fatal("the bad model was accepted")
		}
	}
	heap := func() int64 {
		goruntime.GC()
		goruntime.GC()
		var ms goruntime.MemStats
		goruntime.ReadMemStats(&ms)
		return int64(ms.HeapAlloc)
	}
	once()
	before := heap()
	for range sessions {
		once()
	}
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("the heap has grown by %d bytes in %d sessions", grown, sessions)
	}
	var workers int
	for range 100 {
		var b strings.Builder
		pprof.Lookup("goroutine").WriteTo(&b, 2)
		if workers = strings.Count(b.String(), "parallel.(*Pool).serve"); workers == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d worker goroutines are still there", workers)
}
