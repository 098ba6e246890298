package late

import (
	"slices"
	"sync"
	"testing"
	"unsafe"
)

type vector struct {
	data []float32
	late *Values
}

func (v *vector) Late() *Values { return v.late }

func (v *vector) Float32s() []float32 {
	if v.late != nil {
		return v.late.All(func(n int) []float32 { return make([]float32, n) })
	}
	return v.data
}

func (v *vector) Bytes() []byte {
	d := v.Float32s()
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(d))), 4*len(d))
}

func (v *vector) Elems() int { return len(v.Float32s()) }

// derived returns 2·(x + the index) for the elements x of 1000 zeros, through two steps.
func derived() (src, out *vector) {
	src = &vector{data: make([]float32, 1000)}
	sum := &vector{late: &Values{N: 1000, Src: src, Each: func(dst, x []float32, from int) {
		for i := range dst {
			dst[i] = x[i] + float32(from+i)
		}
	}}}
	return src, &vector{late: &Values{N: 1000, Src: sum, Each: func(dst, x []float32, _ int) {
		for i := range dst {
			dst[i] = 2 * x[i]
		}
	}}}
}

func TestRead(t *testing.T) {
	src, v := derived()
	buf := make([]float32, 100)
	for range 2 { // by parts, and once more where all elements have been computed
		for from := 0; from < 1000; from += 70 {
			to := min(from+70, 1000)
			for i, x := range Read(v, buf, from, to) {
				if x != float32(2*(from+i)) {
					t.Fatalf("element %d is %g", from+i, x)
				}
			}
			if b := Bytes(v, from, to); unsafe.SliceData(b) != (*byte)(unsafe.Pointer(&src.data[from])) || len(b) != 4*(to-from) {
				t.Fatalf("elements [%d,%d) are not made of those of the vector", from, to)
			}
		}
		if !Pieces(v) || Pieces(src) {
			t.Fatal("what is computed by pieces is not what should be")
		}
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				if all := v.Float32s(); all[999] != 1998 || len(all) != 1000 {
					t.Errorf("the last of %d elements is %g", len(all), all[len(all)-1])
				}
			})
		}
		wait.Wait()
	}
	if !slices.Equal(src.data, make([]float32, 1000)) {
		t.Error("the source has changed")
	}
}

// TestPanic reads again after a panic.
func TestPanic(t *testing.T) {
	fails := true
	v := &vector{late: &Values{N: 2, Src: &vector{data: []float32{1, 2}}, Transpose: func(dst []float32) {
		if fails {
			panic("fault")
		}
		copy(dst, []float32{1, 2})
	}}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		v.Float32s()
	}()
	if v.late.Known() != nil {
		t.Error("elements are known after a panic")
	}
	fails = false
	if got := v.Float32s(); !slices.Equal(got, []float32{1, 2}) {
		t.Errorf("got %v", got)
	}
}
