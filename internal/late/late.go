// Package late holds the values of constants that are made from other constants when they are
// read: weights that loading scales or transposes. What packs them reads the originals piece by
// piece, so that a second copy of large weights is never in memory.
package late

import "sync"

// Tensor is a float32 *tensor.Tensor, which this package cannot name.
type Tensor interface {
	Elems() int
	Float32s() []float32
	Bytes() []byte
	Late() *Values
}

// Values are the elements of a tensor, computed from those of another one. One of Each and
// Transpose is set. Values are safe for concurrent use, and are not changed once they are in use.
type Values struct {
	N   int    // elements of the tensor
	Src Tensor // what they are made from, of as many elements
	// Each sets dst to the elements from on, of which each depends on the one of Src at the same
	// place: src has those. dst may be src.
	Each func(dst, src []float32, from int)
	// Transpose sets dst, N zeros, to all elements: they are those of Src, a matrix, column by column.
	Transpose func(dst []float32)

	mu  sync.Mutex
	all []float32
}

// All returns the elements, which it computes on first use in memory that alloc returns. It
// panics as reading Src does, and can then be called again.
func (v *Values) All(alloc func(n int) []float32) []float32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil {
		all := alloc(v.N)
		if v.Each != nil {
			v.Each(all, Read(v.Src, all, 0, v.N), 0)
		} else {
			v.Transpose(all)
		}
		v.all = all
	}
	return v.all
}

// Known returns the elements if they have been computed, else nil.
func (v *Values) Known() []float32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all
}

// Read returns the elements [from, to) of t. Where [Pieces] reports true they may be in buf,
// which must have room for them.
func Read(t Tensor, buf []float32, from, to int) []float32 {
	v := t.Late()
	if v == nil || v.Each == nil {
		return t.Float32s()[from:to]
	}
	if all := v.Known(); all != nil {
		return all[from:to]
	}
	buf = buf[:to-from]
	v.Each(buf, Read(v.Src, buf, from, to), from)
	return buf
}

// Pieces reports whether [Read] computes elements of t.
func Pieces(t Tensor) bool {
	v := t.Late()
	return v != nil && v.Each != nil
}

// Bytes returns the memory that the elements [from, to) of t are in, or those that they are
// computed from. Of a transposed matrix all elements must be asked for.
func Bytes(t Tensor, from, to int) []byte {
	for v := t.Late(); v != nil; v = t.Late() {
		t = v.Src
	}
	return t.Bytes()[4*from : 4*to]
}
