package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestOverlapQ8Layout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x overlapQ8
	got := []uintptr{
		unsafe.Offsetof(x.x), unsafe.Offsetof(x.w), unsafe.Offsetof(x.init), unsafe.Offsetof(x.edge), unsafe.Offsetof(x.left), unsafe.Offsetof(x.last),
		unsafe.Offsetof(x.dst), unsafe.Offsetof(x.xAt), unsafe.Offsetof(x.leftAt), unsafe.Offsetof(x.lastAt), unsafe.Offsetof(x.at), unsafe.Offsetof(x.leftStep),
		unsafe.Offsetof(x.pitch), unsafe.Offsetof(x.row), unsafe.Offsetof(x.px), unsafe.Offsetof(x.quads), unsafe.Offsetof(x.rows), unsafe.Offsetof(x.pixels),
		unsafe.Offsetof(x.bottom), unsafe.Offsetof(x.first), unsafe.Offsetof(x.masks), unsafe.Offsetof(x.scale), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi),
		unsafe.Offsetof(x.words), unsafe.Offsetof(x.flip), unsafe.Offsetof(x.fits), unsafe.Offsetof(x.carry),
	}
	for i, want := range []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160, 168, 172, 176, 180, 184, 192, 200} {
		if got[i] != want {
			t.Errorf("field %d of overlapQ8 is at offset %d, the assembly reads %d", i, got[i], want)
		}
	}
}

// overlapCase is a transposed convolution and its exact result.
type overlapCase struct {
	h, w, c         int
	signed, result  bool
	aZero           int32
	zero, lo, hi    int32
	weights         []int8
	bias            int32
	scale           float32
	x               []uint8 // as the model has them
	converted, want []uint8
}

func newOverlapCase(r *rand.Rand, h, w, c int, tame bool) *overlapCase {
	o := &overlapCase{h: h, w: w, c: c, signed: r.IntN(2) == 0, result: r.IntN(2) == 0, weights: randI8(r.Uint64(), c*16), x: make([]uint8, h*w*c),
		aZero: int32(r.IntN(256)), zero: int32(r.IntN(256)), lo: int32(r.IntN(100)), hi: int32(150 + r.IntN(106))}
	if tame {
		o.lo, o.hi = 0, 255
	}
	if o.signed {
		o.aZero -= 128
	}
	if o.result {
		o.zero, o.lo, o.hi = o.zero-128, o.lo-128, o.hi-128
	}
	o.bias = int32(r.Uint32()) >> (12 + r.IntN(16))
	o.scale = r.Float32() * float32(math.Ldexp(1, -r.IntN(18)))
	if !tame && r.IntN(4) == 0 {
		o.scale = []float32{nan32, inf32, 0, 1e30}[r.IntN(4)]
	}
	sums := make([]int32, 4*h*w)
	for i := range o.x {
		o.x[i] = uint8(r.Uint32())
	}
	o.converted = slices.Clone(o.x)
	for i, b := range o.x {
		v := int32(b)
		if o.signed {
			v = int32(int8(b))
			o.converted[i] ^= 0x80
		}
		y, x, k := i/c/w, i/c%w, i%c
		for tap := range 16 {
			row, col := 2*y-1+tap/4, 2*x-1+tap%4
			if row >= 0 && row < 2*h && col >= 0 && col < 2*w {
				sums[row*2*w+col] += (v - o.aZero) * int32(o.weights[k*16+tap])
			}
		}
	}
	for _, s := range sums {
		o.want = append(o.want, uint8(requantScalar(s+o.bias, o.scale, o.zero, o.lo, o.hi)))
	}
	return o
}

func (o *overlapCase) constants(p *PackedQ8) *OverlapQ8 {
	border := uint8(o.aZero)
	if o.signed {
		border ^= 0x80
	}
	return p.Overlap(p.Columns(o.aZero, o.signed, []int32{o.bias}, []float32{o.scale}, o.zero, o.lo, o.hi, o.result), border)
}

// TestOverlapQ8 compares bands of transposed convolutions with sums in int32 over all pixels and taps.
func TestOverlapQ8(t *testing.T) {
	gx, gd := newGuard(t, 1<<17), newGuard(t, 1<<16)
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasOverlapQ8() {
			t.Skip("no kernel of this tier")
		}
		r := rand.New(rand.NewPCG(21, 22))
		for i := range 300 {
			h, w := 1+r.IntN(6), 1+i%50
			o := newOverlapCase(r, h, w, 4*(1+r.IntN(10)), i%2 == 0)
			p := PackOverlapQ8(o.c, o.weights)
			x := place(gx, o.converted, i%4 < 2)
			c := o.constants(p)
			for y0 := 0; y0 < h; {
				y1 := y0 + 1 + r.IntN(h-y0)
				from, to := max(0, 2*y0-1), 2*y1-1
				if y1 == h {
					to++
				}
				pitch := 2*w + r.IntN(3)
				dst := place(gd, make([]uint8, (to-1-from)*pitch+2*w), true)
				for j := range dst {
					dst[j] = 0xa5
				}
				want := slices.Clone(dst)
				for row := from; row < to; row++ {
					copy(want[(row-from)*pitch:], o.want[row*2*w:][:2*w])
				}
				p.RunOverlap(x, h, w, y0, y1, c, dst, from, pitch, make([]int32, OverlapScratch(y1-y0, w)))
				if !slices.Equal(dst, want) {
					t.Fatalf("case %d, %d×%d×%d, rows [%d,%d):\n%v, want\n%v", i, h, w, o.c, y0, y1, dst, want)
				}
				y0 = y1
			}
		}
	})
}

// TestOverlapQ8ManyChannels computes an image that takes several calls.
func TestOverlapQ8ManyChannels(t *testing.T) {
	o := newOverlapCase(rand.New(rand.NewPCG(5, 6)), 60, 18, 4096, true)
	if o.h <= 2*overlapCall/(o.c/4*overlapPixels) {
		t.Fatal("the image takes two calls at most")
	}
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !HasOverlapQ8() {
			t.Skip("no kernel of this tier")
		}
		p := PackOverlapQ8(o.c, o.weights)
		dst := make([]uint8, len(o.want))
		p.RunOverlap(o.converted, o.h, o.w, 0, o.h, o.constants(p), dst, 0, 2*o.w, make([]int32, OverlapScratch(o.h, o.w)))
		if !slices.Equal(dst, o.want) {
			t.Error("other results")
		}
	})
}

func BenchmarkOverlapQ8(b *testing.B) {
	if !HasOverlapQ8() {
		b.Skip("no kernel")
	}
	for _, s := range [][3]int{{14, 14, 32}, {32, 32, 32}, {16, 16, 64}} {
		o := newOverlapCase(rand.New(rand.NewPCG(1, 2)), s[0], s[1], s[2], true)
		p := PackOverlapQ8(o.c, o.weights)
		c, dst, scratch := o.constants(p), make([]uint8, len(o.want)), make([]int32, OverlapScratch(o.h, o.w))
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			for b.Loop() {
				p.RunOverlap(o.converted, o.h, o.w, 0, o.h, c, dst, 0, 2*o.w, scratch)
			}
			b.ReportMetric(2*16*float64(len(o.x))*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GOP/s")
		})
	}
}
