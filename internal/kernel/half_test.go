package kernel

import (
	"encoding/binary"
	"math"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
	"github.com/aekit/aekit/tensor"
)

// TestWiden converts every value of both types, at lengths that leave a rest for plain code.
func TestWiden(t *testing.T) {
	src := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.NativeEndian.PutUint16(src[2*i:], uint16(i))
	}
	want := make([]uint32, 1<<16)
	check := func(t *testing.T, name string, f func([]float32, []byte)) {
		dst := make([]float32, 1<<16+1)
		for _, lo := range []int{0, 1, 5} {
			for _, n := range []int{0, 3, 8, 17, 1<<16 - lo} {
				clear(dst)
				f(dst[:n], src[2*lo:])
				for i := range n {
					if got := math.Float32bits(dst[i]); got != want[lo+i] {
						t.Fatalf("%s(%#04x) = %#08x, want %#08x (%d values)", name, lo+i, got, want[lo+i], n)
					}
				}
				if dst[n] != 0 {
					t.Fatalf("%s of %d values wrote more", name, n)
				}
			}
		}
	}
	impl.All(t, "kernel", func(t *testing.T) {
		for i := range want {
			want[i] = math.Float32bits(tensor.F16(i).Float32())
		}
		check(t, "WidenF16", WidenF16)
		for i := range want {
			want[i] = uint32(i) << 16
		}
		check(t, "WidenBF16", WidenBF16)
	})
}

func BenchmarkWidenF16(b *testing.B) {
	dst := make([]float32, 4096)
	src := make([]byte, 2*len(dst))
	b.SetBytes(int64(len(dst)) * int64(unsafe.Sizeof(dst[0])))
	for b.Loop() {
		WidenF16(dst, src)
	}
}
