package kernel

import (
	"bytes"
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

func TestQuantizeF32(t *testing.T) {
	gd, gx := newGuard(t, 4096), newGuard(t, 4096)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for n := range 150 {
			for variant := range 4 {
				lo, hi := int32(0), int32(255)
				if variant&1 == 1 {
					lo, hi = -128, 127
				}
				zero := lo + int32(r.IntN(256))
				scale := []float32{0.1, 1, 0.37, 1e-30}[r.IntN(4)]
				x := place(gx, make([]float32, n), variant&2 == 2)
				kinds := 4 - 3*r.IntN(2) // all, or ties
				for i := range x {
					switch x[i] = scale * (r.Float32()*400 - 200); r.IntN(4) % kinds {
					case 0: // ties
						x[i] = scale * (float32(r.IntN(400)-200) + 0.5)
					case 1:
						x[i] = []float32{nan32, inf32, -inf32, 0, 1e38, -1e38, float32(math.Copysign(0, -1))}[r.IntN(7)]
					}
				}
				dst := place(gd, make([]uint8, n), variant&2 == 2)
				QuantizeF32(dst, x, scale, zero, lo, hi)
				for i, got := range dst {
					v := math.RoundToEven(float64(x[i] / scale))
					if v != v {
						v = 0
					}
					want := uint8(int32(math.Max(float64(lo), math.Min(float64(hi), v+float64(zero)))))
					if got != want {
						t.Fatalf("n=%d, %v / %v + %d in [%d,%d]: %d, want %d", n, x[i], scale, zero, lo, hi, got, want)
					}
				}
			}
		}
	})
}

func TestDequantize8(t *testing.T) {
	gd, gs := newGuard(t, 4096), newGuard(t, 4096)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for n := range 300 {
			atEnd, signed := n%2 == 0, n%3 == 0
			src, dst := place(gs, make([]uint8, n), atEnd), place(gd, make([]float32, n), atEnd)
			for i := range src {
				src[i] = uint8(r.Uint32())
			}
			scale, zero := r.Float32(), int32(r.IntN(256))
			if signed {
				zero -= 128
				DequantizeS8(dst, src, scale, zero)
			} else {
				DequantizeU8(dst, src, scale, zero)
			}
			for i, got := range dst {
				v := int32(src[i])
				if signed {
					v = int32(int8(src[i]))
				}
				if want := float32(v-zero) * scale; got != want {
					t.Fatalf("n=%d signed=%v: (%d - %d) * %v = %v, want %v", n, signed, v, zero, scale, got, want)
				}
			}
		}
	})
}

func TestTable8(t *testing.T) {
	gd, gs := newGuard(t, 4096), newGuard(t, 4096)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for n := range 600 {
			var values [256]uint8
			for i := range values {
				values[i] = uint8(r.Uint32())
			}
			var table Table8
			table.Set(&values)
			src, dst := place(gs, make([]uint8, n), n%2 == 0), place(gd, make([]uint8, n), n%2 == 0)
			for i := range src {
				src[i] = uint8(i) // all values, from n = 256 on
			}
			table.Map(dst, src)
			for i, got := range dst {
				if got != values[src[i]] {
					t.Fatalf("n=%d: %d becomes %d, want %d", n, src[i], got, values[src[i]])
				}
			}
			copy(dst, src)
			table.Map(dst, dst)
			for i, got := range dst {
				if got != values[src[i]] {
					t.Fatalf("n=%d in place: %d becomes %d, want %d", n, src[i], got, values[src[i]])
				}
			}
		}
	})
}

func TestBinaryQ8(t *testing.T) {
	gd, ga, gb := newGuard(t, 4096), newGuard(t, 4096), newGuard(t, 4096)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for n := range 130 {
			for variant := range 8 {
				signed, mul, atEnd := variant&1 == 1, variant&2 == 2, variant&4 == 4
				p := Binary8{AScale: r.Float32(), BScale: r.Float32(), Scale: 0.3 + r.Float32(), AZero: int32(r.IntN(256)), BZero: int32(r.IntN(256)), Zero: int32(r.IntN(256)), Signed: signed}
				lo, hi := int32(0), int32(255)
				if signed {
					lo, hi = -128, 127
					p.AZero, p.BZero, p.Zero = p.AZero-128, p.BZero-128, p.Zero-128
				}
				if n%7 == 0 { // ties, and no number
					p.AScale, p.BScale, p.Scale = 1, 1, []float32{2, 0}[variant%2]
				}
				a, b, dst := place(ga, make([]uint8, n), atEnd), place(gb, make([]uint8, n), atEnd), place(gd, make([]uint8, n), atEnd)
				for i := range a {
					a[i], b[i] = uint8(r.Uint32()), uint8(r.Uint32())
				}
				if mul {
					MulQ8(dst, a, b, &p)
				} else {
					AddQ8(dst, a, b, &p)
				}
				for i, got := range dst {
					x, y := int32(a[i]), int32(b[i])
					if signed {
						x, y = int32(int8(a[i])), int32(int8(b[i]))
					}
					var v float32
					if mul {
						m := float32(float32(p.AScale*p.BScale) / p.Scale)
						v = float32(float32((x-p.AZero)*(y-p.BZero)) * m)
					} else {
						v = float32(float32(float32(float32(x-p.AZero)*p.AScale)+float32(float32(y-p.BZero)*p.BScale)) / p.Scale)
					}
					w := math.RoundToEven(float64(v))
					if w != w {
						w = 0
					}
					want := uint8(int32(math.Max(float64(lo), math.Min(float64(hi), w+float64(p.Zero)))))
					if got != want {
						t.Fatalf("n=%d mul=%v %+v: %d and %d give %d, want %d", n, mul, p, x, y, got, want)
					}
				}
			}
		}
	})
}

var exhaustive = flag.Bool("exhaustive", false, "test all cases where a sample is tested otherwise; minutes")

// TestQuotient compares quotients beside all thresholds at which a rounded quotient changes with divisions. The
// significand of the scale decides: other exponents give the same bits.
func TestQuotient(t *testing.T) {
	step := uint32(20011)
	if *exhaustive {
		step = 1
	}
	var scales []uint32
	for s := uint32(0); s < 1<<23; s += step {
		scales = append(scales, s)
	}
	scales = append(scales, inexactScales[:]...)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		x, got, want := make([]float32, 0, 2048), make([]uint8, 2048), make([]uint8, 2048)
		for i, s := range scales {
			scale := math.Float32frombits(0x3f800000 | s)
			x = x[:0]
			for n := range 255 {
				half := float32(n) + 0.5
				for _, beside := range []int32{-1, 1} {
					other := math.Float32frombits(uint32(int32(math.Float32bits(half)) + beside))
					at := float32((float64(half) + float64(other)) / 2 * float64(scale))
					for d := range int32(3) {
						x = append(x, math.Float32frombits(uint32(int32(math.Float32bits(at))+d-1)))
					}
				}
			}
			QuantizeF32(got[:len(x)], x, scale, 0, 0, 255)
			quantizeF32Generic(want[:len(x)], x, scale, 0, 0, 255)
			if !bytes.Equal(got[:len(x)], want[:len(x)]) {
				for j := range x {
					if got[j] != want[j] {
						t.Fatalf("scale %d, %v: %v / %v is rounded to %d, want %d", i, scale, x[j], scale, got[j], want[j])
					}
				}
			}
		}
	})
}

func TestScaleI32(t *testing.T) {
	var guards [4]guard
	for i := range guards {
		guards[i] = newGuard(t, 4096)
	}
	impl.All(t, "kernel/i8", func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for n := range 140 {
			atEnd := n%2 == 0
			dst, src := place(guards[0], make([]float32, n), atEnd), place(guards[1], make([]int32, n), atEnd)
			scale, add := place(guards[2], randF32(uint64(n), n), atEnd), place(guards[3], randF32(uint64(n)+1, n), atEnd)
			for i := range src {
				src[i] = int32(r.Uint32()) >> r.IntN(20)
			}
			FloatsI32(dst, src)
			for i, got := range dst {
				if want := float32(src[i]); got != want {
					t.Fatalf("n=%d: %d becomes %v, want %v", n, src[i], got, want)
				}
			}
			for _, with := range []bool{false, true} {
				a := add
				if !with {
					a = nil
				}
				ScaleI32(dst, src, scale, a)
				for i, got := range dst {
					want := float32(float64(float32(src[i])) * float64(scale[i]))
					if with {
						want = float32(float64(want) + float64(add[i]))
					}
					if got != want {
						t.Fatalf("n=%d: %d * %v + %v (%v) is %v, want %v", n, src[i], scale[i], add[i], with, got, want)
					}
				}
			}
		}
	})
}
