package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var ctx = context.Background()

func run(t testing.TB, s *runtime.Session, in map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	out, err := s.Run(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type inputs = map[string]*tensor.Tensor

func TestSubComposesToWhole(t *testing.T) {
	s := session(t, dense(t, 50, 30, 8, 30, 50), runtime.Options{})
	enc, err := s.Sub([]string{"image"}, []string{"z"})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := s.Sub([]string{"z"}, []string{"reconstruction"})
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	x := random(t, 1, 1, 5, 50)
	whole := run(t, s, inputs{"image": x})["reconstruction"]
	z := run(t, enc, inputs{"image": x})["z"]
	parts := run(t, dec, inputs{"z": z})["reconstruction"]
	if !bytes.Equal(whole.Bytes(), parts.Bytes()) {
		t.Error("decoder(encoder(x)) differs from the whole model")
	}
	if z.Shape().String() != "[5 8]" {
		t.Errorf("z is %v", z)
	}
	if _, err := s.Sub([]string{"image"}, []string{"nothing"}); err == nil {
		t.Error("a sub-model with an unknown output was made")
	}
}

func TestSubOutlivesParent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := onnx.WriteFile(path, dense(t, 50, 30, 8, 30, 50)); err != nil {
		t.Fatal(err)
	}
	s, err := runtime.Open(path, runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dec, err := s.Sub([]string{"z"}, []string{"reconstruction"})
	if err != nil {
		t.Fatal(err)
	}
	z := random(t, 2, 1, 3, 8)
	before := run(t, dec, inputs{"z": z})["reconstruction"]
	s.Close()
	after := run(t, dec, inputs{"z": z})["reconstruction"]
	if !bytes.Equal(before.Bytes(), after.Bytes()) {
		t.Error("results differ after the parent was closed")
	}
	dec.Close()
	if _, err := dec.Run(ctx, inputs{"z": z}); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("run after Close: %v", err)
	}
}

func TestRunIntoAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops items at random, and what it held is allocated again")
	}
	pixels, hidden, runs := 784, 400, 20
	if testing.Short() {
		pixels, hidden, runs = 196, 100, 5 // for emulators
	}
	for _, threads := range []int{1, 2} {
		s := session(t, dense(t, pixels, hidden, 20, hidden, pixels), runtime.Options{Threads: threads})
		for _, batch := range []int{1, 16, 200} {
			in := inputs{"image": random(t, 3, 1, batch, pixels)}
			out := inputs{"reconstruction": tensor.Must(tensor.New(tensor.Float32, batch, pixels))}
			call := func() {
				if err := s.RunInto(ctx, out, in); err != nil {
					t.Fatal(err)
				}
			}
			call()
			if n := testing.AllocsPerRun(runs, call); n != 0 {
				t.Errorf("threads %d, batch %d: %v allocations", threads, batch, n)
			}
		}
	}
}

func TestThreadsGiveEqualBytes(t *testing.T) {
	m := dense(t, 300, 200, 16, 200, 300)
	large := dense(t, 784, 400, 20)
	for _, c := range []struct {
		m     *onnx.Model
		in    int
		batch int
	}{{m, 300, 67}, {large, 784, 1}, {large, 784, 147}, {large, 784, 150}, {large, 784, 256}} {
		x := random(t, 4, 1, c.batch, c.in)
		var first []byte
		for threads := 1; threads <= 5; threads++ {
			s := session(t, c.m, runtime.Options{Threads: threads})
			got := run(t, s, inputs{"image": x})["reconstruction"].Bytes()
			if first == nil {
				first = got
			} else if !bytes.Equal(first, got) {
				t.Errorf("batch %d, %d threads: bytes differ from those of one thread", c.batch, threads)
			}
		}
	}
}

func TestConcurrentRuns(t *testing.T) {
	s := session(t, dense(t, 100, 64, 8, 64, 100), runtime.Options{Threads: 2, MaxPlans: 3})
	want := map[int][]byte{}
	for batch := 1; batch <= 6; batch++ {
		want[batch] = run(t, s, inputs{"image": random(t, 5, 1, batch, 100)})["reconstruction"].Bytes()
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 60 {
				batch := 1 + (g+i)%6
				out, err := s.Run(ctx, inputs{"image": random(t, 5, 1, batch, 100)})
				if err != nil {
					t.Error(err)
					return
				}
				if !bytes.Equal(out["reconstruction"].Bytes(), want[batch]) {
					t.Errorf("batch %d: bytes differ from those of a serial run", batch)
				}
			}
		}()
	}
	wg.Wait()
}

func TestInputErrors(t *testing.T) {
	s := session(t, dense(t, 10, 4, 10), runtime.Options{})
	x := random(t, 6, 1, 2, 10)
	tests := []struct {
		name string
		in   inputs
		want string
	}{
		{"missing", inputs{}, `input "image" is missing; want float32[batch 10]`},
		{"shape", inputs{"image": random(t, 6, 1, 2, 11)}, `input "image" is float32[2 11], want float32[batch 10]`},
		{"type", inputs{"image": tensor.Must(tensor.New(tensor.Int64, 2, 10))}, `input "image" is int64[2 10], want float32[batch 10]`},
		{"unknown", inputs{"image": x, "more": x}, `no input "more"`},
	}
	for _, c := range tests {
		_, err := s.Run(ctx, c.in)
		var ie *runtime.InputError
		if !errors.As(err, &ie) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	err := s.RunInto(ctx, inputs{"reconstruction": tensor.Must(tensor.New(tensor.Float32, 3, 10))}, inputs{"image": x})
	if err == nil || !strings.Contains(err.Error(), "float32[2 10]") {
		t.Errorf("wrong buffer: %v", err)
	}
}

func TestCancelledContext(t *testing.T) {
	s := session(t, dense(t, 10, 4, 10), runtime.Options{})
	c, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Run(c, inputs{"image": random(t, 7, 1, 2, 10)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestLimits(t *testing.T) {
	m := dense(t, 100, 50, 100)
	x := random(t, 8, 1, 64, 100)
	for _, l := range []runtime.Limits{{Arena: 10000}, {MACs: 100000}, {Elements: 6000}} {
		s, err := runtime.New(m, runtime.Options{Limits: l})
		if err == nil {
			_, err = s.Run(ctx, inputs{"image": x})
			s.Close()
		}
		if !errors.Is(err, runtime.ErrLimit) {
			t.Errorf("%+v: %v, want ErrLimit", l, err)
		}
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := onnx.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.Open(path, runtime.Options{Limits: runtime.Limits{FileBytes: 1000}}); !errors.Is(err, runtime.ErrLimit) {
		t.Errorf("large file: %v, want ErrLimit", err)
	}
	const endless = "/dev/zero"
	if _, err := os.Stat(endless); err == nil {
		if _, err := runtime.Open(endless, runtime.Options{Limits: runtime.Limits{FileBytes: 1 << 20}}); !errors.Is(err, runtime.ErrLimit) {
			t.Errorf("endless file: %v, want ErrLimit", err)
		}
	}
}

func TestUnsupportedListsAll(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(1))
	y := b.Op("Frobnicate", "y", []string{x})
	z := b.Op("Relu", "z", []string{y})
	b.Output(b.Op("Unheard", "w", []string{z}), tensor.Float32, onnx.FixedDim(1))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	_, err = runtime.New(m, runtime.Options{})
	var u *runtime.UnsupportedError
	if !errors.As(err, &u) || len(u.Missing) != 2 {
		t.Fatalf("%v, want both operators listed", err)
	}
	if u.Missing[0].OpType != "Frobnicate" || u.Missing[0].Opset != 17 || len(u.Missing[1].Nodes) != 1 {
		t.Errorf("%+v", u.Missing)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.onnx")
	os.WriteFile(garbage, []byte("this is not a model"), 0o600)
	empty := filepath.Join(dir, "empty.onnx")
	os.WriteFile(empty, nil, 0o600)
	for _, path := range []string{garbage, empty, dir, filepath.Join(dir, "absent.onnx")} {
		s, err := runtime.Open(path, runtime.Options{})
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), filepath.Base(path)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q: want one line with the file's name", path, err)
		}
	}
}

// TestIdleUsesNoCPU measures the process's CPU time while a session that has worked on
// several threads waits.
func TestIdleUsesNoCPU(t *testing.T) {
	before, ok := cpuTime()
	if !ok {
		t.Skip("no CPU time on " + goruntime.GOOS)
	}
	s := session(t, dense(t, 784, 400, 20, 400, 784), runtime.Options{Threads: 4})
	run(t, s, inputs{"image": random(t, 9, 1, 256, 784)})
	time.Sleep(20 * time.Millisecond)
	before, _ = cpuTime()
	time.Sleep(300 * time.Millisecond)
	after, _ := cpuTime()
	if used := after - before; used > 30*time.Millisecond {
		t.Errorf("%v of CPU time in 300 ms of idling", used)
	}
}

// TestFileTruncatedWhileOpen cuts the model file short behind the session's back: runs, new
// batch sizes and parts give the same results or an error, and the process lives on.
func TestFileTruncatedWhileOpen(t *testing.T) {
	if goruntime.GOOS == "windows" {
		t.Skip("an open file cannot be truncated")
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := onnx.WriteFile(path, dense(t, 784, 400, 20, 400, 784)); err != nil {
		t.Fatal(err)
	}
	s, err := runtime.Open(path, runtime.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := random(t, 10, 1, 3, 784)
	want := run(t, s, inputs{"image": x})["reconstruction"].Bytes()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if got := run(t, s, inputs{"image": x})["reconstruction"].Bytes(); !bytes.Equal(got, want) {
		t.Error("results changed")
	}
	run(t, s, inputs{"image": random(t, 10, 1, 70, 784)})
	if dec, err := s.Sub([]string{"z"}, []string{"reconstruction"}); err == nil {
		run(t, dec, inputs{"z": random(t, 11, 1, 3, 20)})
		dec.Close()
	}
	if _, err := runtime.Open(path, runtime.Options{}); err == nil {
		t.Error("the truncated file was opened")
	}
}
