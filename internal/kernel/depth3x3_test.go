package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestDepth3x3Layout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x depth3x3Q8
	got := []uintptr{
		unsafe.Offsetof(x.y), unsafe.Offsetof(x.rows), unsafe.Offsetof(x.w), unsafe.Offsetof(x.bias), unsafe.Offsetof(x.scale), unsafe.Offsetof(x.n),
		unsafe.Offsetof(x.gap), unsafe.Offsetof(x.stride), unsafe.Offsetof(x.groups), unsafe.Offsetof(x.xZero), unsafe.Offsetof(x.lo),
		unsafe.Offsetof(x.hi), unsafe.Offsetof(x.zero),
	}
	for i, want := range []uintptr{0, 8, 32, 40, 48, 56, 64, 72, 80, 88, 92, 96, 100} {
		if got[i] != want {
			t.Errorf("field %d of depth3x3Q8 is at offset %d, the assembly reads %d", i, got[i], want)
		}
	}
}

// TestDepth3x3Q8 compares with sums of products less zero points and a requantisation in float64.
func TestDepth3x3Q8(t *testing.T) {
	ran := false
	var gx [3]guard
	for k := range gx {
		gx[k] = newGuard(t, 1<<13)
	}
	gy := newGuard(t, 1<<13)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasDepth3x3Q8() {
			t.Skip("no kernel of this tier")
		}
		ran = true
		r := rand.New(rand.NewPCG(5, 6))
		for n := 1; n < 12; n++ {
			for variant := range 32 {
				signed, result, tame, step, extreme := variant&1 == 1, variant&2 == 2, variant&4 == 4, 1+variant>>3&1, variant&16 == 16
				c := 8 * (1 + r.IntN(4))
				value := func() uint8 {
					if extreme {
						return []uint8{0, 127, 128, 255}[r.IntN(4)]
					}
					return uint8(r.Uint32())
				}
				xZero, yZero := int32(value()), int32(value())
				if signed {
					xZero = int32(int8(xZero))
				}
				if result {
					yZero = int32(int8(yZero))
				}
				w := make([]int8, 9*c)
				for i := range w {
					w[i] = int8(value())
				}
				bias, scale := make([]int32, c), make([]float32, c)
				for j := range c {
					bias[j] = int32(r.Uint32()) >> (8 + r.IntN(20))
					scale[j] = r.Float32() * float32(math.Ldexp(1, -r.IntN(18)))
					if !tame && r.IntN(6) == 0 {
						scale[j] = []float32{0.5, nan32, inf32, 0, 1e30}[r.IntN(5)]
					}
				}
				if variant == 9 {
					bias = nil
				}
				var d Depth3x3Q8
				d.Set(xZero, signed, bias, scale, yZero, result)
				var rows [3][]uint8
				for k := range rows {
					rows[k] = place(gx[k], make([]uint8, ((n-1)*step+3)*c), variant%2 == 0)
					for i := range rows[k] {
						rows[k][i] = value()
					}
				}
				stride := c + 8*(variant%2)
				y := place(gy, make([]uint8, (n-1)*stride+c), variant%2 == 0)
				for i := range y {
					y[i] = 0xa5
				}
				d.Run(y, stride, &rows, step, n, PackDepth3x3(nil, w, c))
				for i, got := range y {
					p, j := i/stride, i%stride
					want := uint8(0xa5)
					if j < c {
						sum := int32(0)
						if bias != nil {
							sum = bias[j]
						}
						for k := range 9 {
							b := rows[k/3][(p*step+k%3)*c+j]
							v := int32(b)
							if signed {
								v = int32(int8(b))
							}
							sum += (v - xZero) * int32(w[9*j+k])
						}
						lo, hi := int32(0), int32(255)
						if result {
							lo, hi = -128, 127
						}
						want = uint8(requantScalar(sum, scale[j], yZero, lo, hi))
					}
					if got != want {
						t.Fatalf("%d positions, %d channels, variant %d: position %d, channel %d is %d, want %d", n, c, variant, p, j, got, want)
					}
				}
			}
		}
	})
	if HasDepth3x3Q8() && !ran {
		t.Error("the kernel was not tested")
	}
}
