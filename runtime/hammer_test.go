package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	goruntime "runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestHammer has 64 goroutines use one session at once, with batches of several sizes,
// cancelled runs and sessions over parts of the model. Every result has the bytes of a
// serial run. With AEKIT_SLOW set it goes on for a minute.
func TestHammer(t *testing.T) {
	const goroutines = 64
	length := 300 * time.Millisecond
	if os.Getenv("AEKIT_SLOW") != "" {
		length = time.Minute
	}
	s := session(t, dense(t, 120, 64, 8, 64, 120), runtime.Options{Threads: 4, MaxPlans: 3})
	batches := []int{1, 2, 3, 7, 16, 40}
	x, want, z := map[int]*tensor.Tensor{}, map[int][]byte{}, map[int][]byte{}
	enc, err := s.Sub([]string{"image"}, []string{"z"})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range batches {
		x[n] = random(t, uint64(n), 1, n, 120)
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
			y := tensor.Must(tensor.New(tensor.Float32, n, 120))
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
}

// TestCloseWhileRunning closes a session under load: every run either gives its result or
// ErrClosed, and Close returns after the last of them.
func TestCloseWhileRunning(t *testing.T) {
	for range 20 {
		s, err := runtime.New(dense(t, 120, 64, 8, 64, 120), runtime.Options{Threads: 3})
		if err != nil {
			t.Fatal(err)
		}
		x := random(t, 1, 1, 5, 120)
		want := run(t, s, inputs{"image": x})["reconstruction"].Bytes()
		var wg sync.WaitGroup
		var done atomic.Int64
		for range 8 {
			wg.Go(func() {
				for {
					out, err := s.Run(ctx, inputs{"image": x})
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
	}
}

// TestNothingIsLeftBehind: sessions that were closed, and models that were refused, leave
// no goroutine and no memory.
func TestNothingIsLeftBehind(t *testing.T) {
	m := dense(t, 600, 500, 8, 500, 600)
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
		run(t, s, inputs{"image": random(t, 1, 1, 64, 600)})
		run(t, dec, inputs{"z": random(t, 1, 1, 64, 8)})
		s.Close()
		dec.Close()
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
	for range 30 {
		once()
	}
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("the heap has grown by %d bytes in 30 sessions", grown)
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
