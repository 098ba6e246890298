package tensor

import (
	"math"
	"strings"
	"testing"
	"unsafe"
)

func TestF16RoundTrip(t *testing.T) {
	for i := 0; i < 1<<16; i++ {
		h := F16(i)
		f := h.Float32()
		got := ToF16(f)
		if f != f {
			if g := got.Float32(); g == g {
				t.Fatalf("F16(%#04x): NaN became %v", i, g)
			}
			continue
		}
		if got != h {
			t.Fatalf("F16(%#04x) = %v, back = %#04x", i, f, uint16(got))
		}
	}
}

func TestToF16RoundsToNearestEven(t *testing.T) {
	// Between every two neighbouring finite values: the middle goes to the even one, a step
	// to either side goes to the nearer one.
	for i := 0; i < 0x7bff; i++ {
		lo, hi := F16(i).Float32(), F16(i+1).Float32()
		mid := lo + (hi-lo)/2
		even := F16(i + i&1)
		if got := ToF16(mid); got != even {
			t.Fatalf("ToF16(%v) = %#04x, want %#04x", mid, uint16(got), uint16(even))
		}
		if got := ToF16(math.Nextafter32(mid, lo)); got != F16(i) {
			t.Fatalf("below %v: %#04x, want %#04x", mid, uint16(got), i)
		}
		if got := ToF16(math.Nextafter32(mid, hi)); got != F16(i+1) {
			t.Fatalf("above %v: %#04x, want %#04x", mid, uint16(got), i+1)
		}
		if got := ToF16(-mid); got != even|0x8000 {
			t.Fatalf("ToF16(%v) = %#04x", -mid, uint16(got))
		}
	}
	if got := ToF16(65520); got != 0x7c00 {
		t.Errorf("ToF16(65520) = %#04x, want infinity", uint16(got))
	}
	if got := ToF16(65519.996); got != 0x7bff {
		t.Errorf("ToF16(65519.996) = %#04x, want the largest finite value", uint16(got))
	}
}

func TestBF16(t *testing.T) {
	for i := 0; i < 1<<16; i++ {
		f := BF16(i).Float32()
		if f != f {
			continue
		}
		if got := ToBF16(f); got != BF16(i) {
			t.Fatalf("BF16(%#04x) = %v, back = %#04x", i, f, uint16(got))
		}
	}
	if g := ToBF16(float32(math.NaN())).Float32(); g == g {
		t.Error("NaN was lost")
	}
	if got := ToBF16(math.Float32frombits(0x3f808000)); got != 0x3f80 {
		t.Errorf("tie to even: %#04x", uint16(got))
	}
}

func TestElems(t *testing.T) {
	tests := []struct {
		s  Shape
		n  int
		ok bool
	}{
		{Shape{}, 1, true}, {Shape{2, 3}, 6, true}, {Shape{0, math.MaxInt, 3}, 0, true},
		{Shape{math.MaxInt, 2}, 0, false}, {Shape{-1, 0}, 0, false}, {Shape{math.MaxInt32, math.MaxInt32, math.MaxInt32}, 0, false},
	}
	for _, c := range tests {
		if n, ok := c.s.Elems(); n != c.n || ok != c.ok {
			t.Errorf("%v.Elems() = %d, %v, want %d, %v", c.s, n, ok, c.n, c.ok)
		}
	}
}

func TestNewRejects(t *testing.T) {
	for _, s := range []Shape{{-1}, {math.MaxInt}, {math.MaxInt / 4, 4}} {
		if _, err := New(Float32, s...); err == nil {
			t.Errorf("New(Float32, %v) gave no error", s)
		}
	}
	if _, err := New(String, 1); err == nil {
		t.Error("a string tensor was made")
	}
}

func TestAlignedAndShared(t *testing.T) {
	for n := 0; n < 300; n++ {
		x := Must(New(Uint8, n))
		if n > 0 && uintptr(unsafe.Pointer(&x.Bytes()[0]))%Align != 0 {
			t.Fatalf("%d bytes: not aligned", n)
		}
	}
	d := []float32{1, 2, 3, 4, 5, 6}
	x := Must(Of(d, 2, 3))
	y := Must(x.Reshape(3, 2))
	y.Float32s()[5] = 60
	if d[5] != 60 || x.Clone().Float32s()[5] != 60 {
		t.Error("views do not share memory")
	}
	if _, err := FromBytes(Float32, x.Bytes()[1:5], 1); err == nil {
		t.Error("misaligned view was made")
	}
}

func TestBroadcast(t *testing.T) {
	got, err := Broadcast(Shape{2, 1, 4}, Shape{3, 1}, Shape{})
	if err != nil || !got.Equal(Shape{2, 3, 4}) {
		t.Errorf("Broadcast = %v, %v", got, err)
	}
	if got, err := Broadcast(Shape{1}, Shape{0}); err != nil || !got.Equal(Shape{0}) {
		t.Errorf("Broadcast([1],[0]) = %v, %v", got, err)
	}
	if _, err := Broadcast(Shape{2}, Shape{3}); err == nil {
		t.Error("[2] and [3] broadcast")
	}
}

// TestTextOfManyAxes: messages that name a shape stay short.
func TestTextOfManyAxes(t *testing.T) {
	s := make(Shape, 1<<20)
	if text := s.String(); len(text) > 200 || !strings.HasSuffix(text, " 0 ... 1048576 axes]") {
		t.Errorf("%d bytes, %.300q", len(text), text)
	}
	if text := s[:64].String(); strings.Contains(text, ".") {
		t.Errorf("64 axes: %s", text)
	}
}
