package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/impl"
	"github.com/aekit/aekit/tensor"
)

// smallCase returns a matrix of a kind and the float32 values that it stands for.
func smallCase(r *rand.Rand, kind SmallKind, k, n int, scales string) (SmallB, []float32) {
	b := SmallB{Kind: kind, Data: make([]byte, k*n*kind.size()), Scale: []float32{0.5}}
	if kind < SmallF16 {
		b.Zero = int32(r.IntN(100))
	}
	switch scales {
	case "columns":
		b.Scale = randomFloats(r, n)
	case "blocks":
		b.Block = 3
		b.Scale = randomFloats(r, n*((k+2)/3))
	case "rows":
		b.Rows = randomFloats(r, k)
	}
	want := make([]float32, k*n)
	for i := range want {
		v := r.Float32()*4 - 2
		q := r.IntN(256)
		switch kind {
		case SmallU8:
			b.Data[i], v = byte(q), float32(int32(q)-b.Zero)
		case SmallS8:
			b.Data[i], v = byte(q), float32(int32(int8(q))-b.Zero)
		case SmallF16:
			h := tensor.ToF16(v)
			binary.NativeEndian.PutUint16(b.Data[2*i:], uint16(h))
			v = h.Float32()
		case SmallBF16:
			h := tensor.ToBF16(v)
			binary.NativeEndian.PutUint16(b.Data[2*i:], uint16(h))
			v = h.Float32()
		}
		s := b.Scale[0]
		if len(b.Scale) > 1 {
			s = b.Scale[i%n]
			if b.Block > 0 {
				s = b.Scale[i/n/b.Block*n+i%n]
			}
		}
		want[i] = v * s
		if b.Rows != nil {
			want[i] *= b.Rows[i/n]
		}
	}
	return b, want
}

func randomFloats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = r.Float32() + 0.1
	}
	return x
}

// TestGemmSmallF32 compares products with matrices in small forms with those of the same
// matrices in float32.
func TestGemmSmallF32(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, kind := range []SmallKind{SmallU8, SmallS8, SmallF16, SmallBF16} {
			for _, scales := range []string{"one", "columns", "blocks", "rows"} {
				for _, s := range [][3]int{{1, 7, 5}, {3, 300, 50}, {13, 1100, 37}, {1, 1, 1}} {
					m, k, n := s[0], s[1], s[2]
					b, plain := smallCase(r, kind, k, n, scales)
					a := make([]float32, m*k)
					for i := range a {
						a[i] = r.Float32()*2 - 1
					}
					ep := &Epilogue{Bias: randomFloats(r, n), Act: ActRelu}
					trans := SmallB{Kind: kind, Data: make([]byte, len(b.Data)), Zero: b.Zero, Scale: b.Scale, Block: b.Block, Rows: b.Rows}
					for i := range k * n {
						copy(trans.Data[(i%n*k+i/n)*kind.size():][:kind.size()], b.Data[i*kind.size():])
					}
					for name, p := range map[string]*PackedF32{"plain": PackSmallF32(k, n, b, n, false), "transposed": PackSmallF32(k, n, trans, k, true)} {
						want, got := make([]float32, m*n), make([]float32, m*n)
						GemmPackedF32(m, a, k, PackF32(k, n, plain, n, false), 0, (n+p.NR-1)/p.NR, want, n, false, ep)
						GemmPackedF32(m, a, k, p, 0, p.Panels(), got, n, false, ep)
						largest := 1.0
						for _, v := range want {
							largest = max(largest, math.Abs(float64(v)))
						}
						for i := range want {
							if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5*largest) {
								t.Fatalf("kind %d, scales %s, %s, %v: element %d is %v, want %v", kind, scales, name, s, i, got[i], want[i])
							}
						}
						if kind < SmallF16 && n == 50 && p.Bytes() > k*64*11/10+4*(64*(k/3+1)+k) {
							t.Errorf("%s: %d bytes for %d×%d elements of one byte", scales, p.Bytes(), k, n)
						}
					}
				}
			}
		}
	})
}

func BenchmarkGemmSmallF32(b *testing.B) {
	const k, n = 784, 400
	r := rand.New(rand.NewPCG(3, 4))
	for _, m := range []int{1, 16} {
		a, c := randomFloats(r, m*k), make([]float32, m*n)
		forms := map[string]*PackedF32{"f32": PackF32(k, n, randomFloats(r, k*n), n, false)}
		for name, kind := range map[string]SmallKind{"s8": SmallS8, "f16": SmallF16} {
			s, _ := smallCase(r, kind, k, n, "columns")
			forms[name] = PackSmallF32(k, n, s, n, false)
		}
		for name, p := range forms {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", m, k, n, name), func(b *testing.B) {
				for b.Loop() {
					GemmPackedF32(m, a, k, p, 0, p.Panels(), c, n, false, nil)
				}
			})
		}
	}
}
