package op

import (
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

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
			var mu sync.Mutex
			w := in[1].Const.Bytes()
			seen := make([]uint8, len(w))
			inside, entered := 0, 0
			count := func(d int) {
				mu.Lock()
				inside += d
				entered += max(d, 0)
				mu.Unlock()
			}
			sliced, err := o.(Prepacker).Prepack(1, in, Slices{
				Pool:  pool,
				Enter: func() func() { count(1); return func() { count(-1) } },
				Packed: func(b []byte) {
					mu.Lock()
					defer mu.Unlock()
					from := uintptr(unsafe.Pointer(&b[0])) - uintptr(unsafe.Pointer(&w[0]))
					for i := range b {
						seen[int(from)+i]++
					}
				},
			})
			pool.Close()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range product(sliced) {
				if v != want[i] {
					t.Fatalf("%+v, %d threads: element %d is %v, packed at once %v", c, threads, i, v, want[i])
				}
			}
			for i, n := range seen {
				if n != 1 {
					t.Fatalf("%+v, %d threads: byte %d was reported %d times", c, threads, i, n)
				}
			}
			if inside != 0 || entered < (len(w)+packSlice-1)/packSlice/2 {
				t.Errorf("%+v, %d threads: entered %d times, %d not left", c, threads, entered, inside)
			}
		}
	}
}
