package kernel

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestHalvingLayout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x halving
	got := []uintptr{
		unsafe.Offsetof(x.wide), unsafe.Offsetof(x.tall), unsafe.Offsetof(x.bias), unsafe.Offsetof(x.row), unsafe.Offsetof(x.pix),
		unsafe.Offsetof(x.ldf), unsafe.Offsetof(x.lds), unsafe.Offsetof(x.n), unsafe.Offsetof(x.c), unsafe.Offsetof(x.act),
		unsafe.Offsetof(x.alpha), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi),
	}
	want := []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 84, 88}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d of halving is at offset %d, the assembly reads %d", i, got[i], want[i])
		}
	}
}

// TestHalvingTransforms compares the transforms with the loops that define them, bit for bit,
// with operands that end, and begin, at inaccessible pages.
func TestHalvingTransforms(t *testing.T) {
	gw, gt, gb := newGuard(t, 128<<10), newGuard(t, 128<<10), newGuard(t, 4096)
	acts := []Epilogue{{}, {Act: ActRelu}, {Act: ActLeakyRelu, Alpha: 0.25}, {Act: ActClip, Lo: -0.5, Hi: 0.5}, {Act: ActTanh}}
	impl.All(t, "kernel", func(t *testing.T) {
		for c := 1; c <= 37; c++ {
			for _, n := range []int{1, 2, 5} {
				for gap := range 3 {
					atEnd := gap != 1
					pix := c + gap
					row, lds := (2*n+1)*pix+gap, c+2*gap
					ldf := n*lds + 5*gap
					wide := func(side int) int { return (side-1)*row + (2*n+side-3)*pix + c }
					tall := (HalvingTaps-1)*ldf + (n-1)*lds + c
					what := fmt.Sprintf("c=%d n=%d gap=%d", c, n, gap)

					for side, f := range map[int][2]func(src, dst []float32){
						3: {func(s, d []float32) { HalvingInputF32(d, ldf, lds, s, row, pix, n, c) }, func(s, d []float32) {
							halvingInputF32Generic(&halving{wide: &s[0], tall: &d[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c})
						}},
						2: {func(s, d []float32) { HalvingFilterF32(d, ldf, lds, s, row, pix, n, c) }, func(s, d []float32) {
							halvingFilterF32Generic(&halving{wide: &s[0], tall: &d[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c})
						}},
					} {
						src := place(gw, randF32(uint64(c), wide(side)), atEnd)
						dst := place(gt, randF32(2, tall), atEnd)
						want := append([]float32(nil), dst...)
						f[1](src, want)
						f[0](src, dst)
						sameBits(t, fmt.Sprintf("%s side %d", what, side), dst, want)
					}

					src := place(gt, randF32(uint64(c), tall), atEnd)
					bias := place(gb, randF32(3, c), atEnd)
					for _, ep := range acts {
						dst := place(gw, randF32(2, wide(2)), atEnd)
						want := append([]float32(nil), dst...)
						halvingOutputF32Generic(&halving{wide: &want[0], tall: &src[0], bias: &bias[0], row: row, pix: pix, ldf: ldf, lds: lds, n: n, c: c})
						for y := range 2 {
							for x := range 2 * n {
								r := want[y*row+x*pix:][:c]
								ActivateF32(r, r, &ep)
							}
						}
						HalvingOutputF32(dst, row, pix, src, ldf, lds, n, c, bias, &ep)
						sameBits(t, fmt.Sprintf("%s output act=%d", what, ep.Act), dst, want)
					}
				}
			}
		}
	})
}

// TestHalving computes one row of tiles of a 2×2 convolution of one channel by the transforms
// and compares with float64.
func TestHalving(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		const n = 9
		src, w := randF32(1, 3*(2*n+1)), randF32(2, 4)
		u, v, m := make([]float32, HalvingTaps), make([]float32, HalvingTaps*n), make([]float32, HalvingTaps*n)
		HalvingFilterF32(u, 1, 1, w, 2, 1, 1, 1)
		HalvingInputF32(v, n, 1, src, 2*n+1, 1, n, 1)
		for f := range u {
			for i := range n {
				m[f*n+i] = u[f] * v[f*n+i]
			}
		}
		y := make([]float32, 4*n)
		HalvingOutputF32(y, 2*n, 1, m, n, 1, n, 1, []float32{0.5}, &Epilogue{})
		for r := range 2 {
			for x := range 2 * n {
				want := 0.5
				for k := range 4 {
					want += float64(src[(r+k/2)*(2*n+1)+x+k%2]) * float64(w[k])
				}
				if got := float64(y[r*2*n+x]); math.Abs(got-want) > 2e-6 {
					t.Fatalf("result (%d,%d) is %v, want %v", r, x, got, want)
				}
			}
		}
	})
}

func TestHalvingRejects(t *testing.T) {
	ep := &Epilogue{}
	for name, call := range map[string]func(){
		"input src":  func() { HalvingInputF32(make([]float32, 36), 4, 4, make([]float32, 35), 12, 4, 1, 4) },
		"input dst":  func() { HalvingInputF32(make([]float32, 35), 4, 4, make([]float32, 36), 12, 4, 1, 4) },
		"filter src": func() { HalvingFilterF32(make([]float32, 36), 4, 4, make([]float32, 15), 8, 4, 1, 4) },
		"filter dst": func() { HalvingFilterF32(make([]float32, 35), 4, 4, make([]float32, 16), 8, 4, 1, 4) },
		"output src": func() {
			HalvingOutputF32(make([]float32, 16), 8, 4, make([]float32, 35), 4, 4, 1, 4, make([]float32, 4), ep)
		},
		"output dst": func() {
			HalvingOutputF32(make([]float32, 15), 8, 4, make([]float32, 36), 4, 4, 1, 4, make([]float32, 4), ep)
		},
		"bias": func() {
			HalvingOutputF32(make([]float32, 16), 8, 4, make([]float32, 36), 4, 4, 1, 4, make([]float32, 3), ep)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}
