package plan

import (
	"errors"
	"sync"

	"github.com/aekit/aekit/internal/late"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// Weights holds packed constants, so that plans for other shapes and sessions over parts of
// the same model share them. It is safe for concurrent use.
type Weights struct {
	// Packed, if not nil, is called after bytes of a constant have been packed: their plain
	// form is then rarely needed again. Calls may be concurrent.
	Packed func(b []byte)
	// Enter, if not nil, is called on every goroutine before it reads constants, and what it
	// returns afterwards.
	Enter func() (leave func())

	mu    sync.Mutex
	items map[weightKey]*weight
}

type weightKey struct {
	data *tensor.Tensor
	form string
}

type weight struct {
	once   sync.Once
	packed op.Packed
	err    error
}

// errNotPacked is what users of a constant get whose packing has failed with a panic.
var errNotPacked = errors.New("the constant could not be read")

// NewWeights returns an empty store.
func NewWeights() *Weights { return &Weights{items: map[weightKey]*weight{}} }

// get returns the packed form of t, made by pack on first use.
func (w *Weights) get(t *tensor.Tensor, form string, pack func() (op.Packed, error)) (op.Packed, error) {
	w.mu.Lock()
	key := weightKey{t, form}
	it := w.items[key]
	if it == nil {
		it = &weight{}
		w.items[key] = it
	}
	w.mu.Unlock()
	it.once.Do(func() {
		it.err = errNotPacked // if pack panics
		it.packed, it.err = pack()
		if it.err == nil && w.Packed != nil {
			w.Packed(bytesOf(t))
		}
	})
	return it.packed, it.err
}

// bytesOf returns the memory of t, or of what it is computed from.
func bytesOf(t *tensor.Tensor) []byte {
	if op.Complete && t.DType() == tensor.Float32 {
		return late.Bytes(t, 0, t.Elems())
	}
	return t.Bytes()
}

// has reports whether a packed form is there or being made.
func (w *Weights) has(key weightKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.items[key] != nil
}

// Bytes returns the memory that the packed forms occupy.
func (w *Weights) Bytes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, it := range w.items {
		if it.packed != nil {
			n += it.packed.Bytes()
		}
	}
	return n
}
