package op

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// sliceWatch counts what packing tells of its slices.
type sliceWatch struct {
	weights         []byte // that are packed
	mu              sync.Mutex
	seen            []uint8 // how often each byte was reported
	inside, entered int
}

func (s *sliceWatch) slices(pool *parallel.Pool) Slices {
	s.seen = make([]uint8, len(s.weights))
	count := func(d int) {
		s.mu.Lock()
		s.inside += d
		s.entered += max(d, 0)
		s.mu.Unlock()
	}
	return Slices{
		Pool:  pool,
		Enter: func() func() { count(1); return func() { count(-1) } },
		Packed: func(b []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			from := uintptr(unsafe.Pointer(&b[0])) - uintptr(unsafe.Pointer(&s.weights[0]))
			for i := range b {
				s.seen[int(from)+i]++
			}
		},
	}
}

// check fails unless each byte was reported once, and goroutines entered least times and left as often.
func (s *sliceWatch) check(t *testing.T, name string, least int) {
	t.Helper()
	for i, n := range s.seen {
		if n != 1 {
			t.Fatalf("%s: byte %d was reported %d times", name, i, n)
		}
	}
	if s.inside != 0 || s.entered < least {
		t.Errorf("%s: entered %d times, %d not left", name, s.entered, s.inside)
	}
}

// TestPrepackSlices packs matrices of several slices with one thread and three: products are
// those of the matrix packed at once, every byte is reported once, and each goroutine enters
// and leaves.
func TestPrepackSlices(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for _, c := range []struct {
		k, n  int
		trans bool
	}{{700, 501, false}, {501, 700, true}, {3, 5, false}, {5, 3, true}, {1 << 18, 1, false}, {1, 1 << 18, true}, {1, 1 << 18, false}, {1 << 18, 1, true}} {
		shape := []int{c.k, c.n}
		if c.trans {
			shape = []int{c.n, c.k}
		}
		in := []Fact{FactOf(randomOf(r, tensor.Float32, 2, c.k)), FactOf(randomOf(r, tensor.Float32, shape...))}
		o, err := node{typ: "Gemm", attrs: []*onnx.Attribute{attrInt("transB", int64(truth(c.trans)))}}.make(2)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := o.(Prepacker).Prepack(1, in, Slices{})
		if err != nil {
			t.Fatal(err)
		}
		product := func(p Packed) []float32 {
			y := tensor.Must(tensor.New(tensor.Float32, 2, c.n))
			if err := o.Run(&Context{Packed: []Packed{nil, p}}, []*tensor.Tensor{y}, []*tensor.Tensor{in[0].Const, nil}); err != nil {
				t.Fatal(err)
			}
			return y.Float32s()
		}
		want := product(whole)
		for _, threads := range []int{1, 3} {
			pool := parallel.New(threads)
			w := in[1].Const.Bytes()
			watch := sliceWatch{weights: w}
			sliced, err := o.(Prepacker).Prepack(1, in, watch.slices(pool))
			pool.Close()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range product(sliced) {
				if v != want[i] {
					t.Fatalf("%+v, %d threads: element %d is %v, packed at once %v", c, threads, i, v, want[i])
				}
			}
			watch.check(t, fmt.Sprintf("%+v, %d threads", c, threads), (len(w)+packSlice-1)/packSlice/2)
		}
	}
}
