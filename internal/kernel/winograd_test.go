package kernel

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestWinogradLayout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x winogradOut
	got := []uintptr{
		unsafe.Offsetof(x.dst), unsafe.Offsetof(x.src), unsafe.Offsetof(x.bias), unsafe.Offsetof(x.row), unsafe.Offsetof(x.pix),
		unsafe.Offsetof(x.ldf), unsafe.Offsetof(x.lds), unsafe.Offsetof(x.n), unsafe.Offsetof(x.c), unsafe.Offsetof(x.act),
		unsafe.Offsetof(x.alpha), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi),
	}
	want := []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 84, 88}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d of winogradOut is at offset %d, the assembly reads %d", i, got[i], want[i])
		}
	}
}

// TestWinogradTransforms compares both transforms with the loops that define them, bit for bit,
// with operands that end, and begin, at inaccessible pages.
func TestWinogradTransforms(t *testing.T) {
	gs, gd, gb := newGuard(t, 128<<10), newGuard(t, 128<<10), newGuard(t, 4096)
	acts := []Epilogue{{}, {Act: ActRelu}, {Act: ActLeakyRelu, Alpha: 0.25}, {Act: ActClip, Lo: -0.5, Hi: 0.5}}
	impl.All(t, "kernel", func(t *testing.T) {
		for c := 1; c <= 37; c++ {
			for _, n := range []int{1, 2, 5} {
				for gap := range 3 {
					atEnd := gap != 1
					pix := c + gap
					row, ldf := (2*n+2)*pix+gap, n*c+5*gap
					what := fmt.Sprintf("c=%d n=%d gap=%d", c, n, gap)

					src := place(gs, randF32(uint64(c), 3*row+(2*n+1)*pix+c), atEnd)
					dst := place(gd, randF32(2, (WinogradTaps-1)*ldf+n*c), atEnd)
					want := append([]float32(nil), dst...)
					winogradInputF32Generic(&want[0], ldf, &src[0], row, pix, n, c)
					WinogradInputF32(dst, ldf, src, row, pix, n, c)
					sameBits(t, what+" input", dst, want)

					src = place(gs, randF32(uint64(c), (WinogradTaps-1)*ldf+n*c), atEnd)
					bias := place(gb, randF32(3, c), atEnd)
					for _, ep := range acts {
						dst = place(gd, randF32(2, row+(2*n-1)*pix+c), atEnd)
						plain := append([]float32(nil), dst...)
						winogradOutputF32Generic(&winogradOut{dst: &plain[0], src: &src[0], bias: &bias[0], row: row, pix: pix, ldf: ldf, lds: c, n: n, c: c})
						for y := range 2 {
							for x := range 2 * n {
								r := plain[y*row+x*pix:][:c]
								ActivateF32(r, r, &ep)
							}
						}
						WinogradOutputF32(dst, row, pix, src, ldf, n, c, bias, &ep)
						sameBits(t, fmt.Sprintf("%s output act=%d", what, ep.Act), dst, plain)
					}
				}
			}
		}
	})
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !sameF32(got[i], want[i]) {
			t.Fatalf("%s: element %d of %d is %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}

// TestWinograd computes one row of tiles of a 3×3 convolution and compares with float64. The
// error of a result is bounded by (C+16)·2⁻²³ times the sum of magnitudes of its products with
// the signs of the transforms removed.
func TestWinograd(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for _, s := range [][3]int{{1, 1, 1}, {3, 4, 2}, {16, 16, 7}, {24, 40, 5}, {64, 64, 24}, {20, 130, 3}, {200, 97, 13}} {
			c, o, n := s[0], s[1], s[2]
			w, src, bias := randF32(1, 9*c*o), randF32(2, 4*(2*n+2)*c), randF32(3, o)
			p := packWinogradF32(c, o, w)
			if p == nil || p.Bytes() < 4*WinogradTaps*c*o {
				t.Fatalf("%v: packed %+v", s, p)
			}
			row := (2*n + 2) * c
			ldf := n*c + 3
			v := make([]float32, WinogradTaps*ldf)
			WinogradInputF32(v, ldf, src, row, c, n, c)
			y := make([]float32, 4*n*o)
			seen := 0
			for part := range p.Parts() {
				first, cols := p.Part(part)
				if first != seen || cols > WinogradCols(o) {
					t.Fatalf("%v: part %d has columns %d to %d", s, part, first, first+cols)
				}
				seen += cols
				m := make([]float32, WinogradTaps*n*cols)
				p.Multiply(part, n, m, n*cols, v, ldf)
				WinogradOutputF32(y[first:], 2*n*o, o, m, n*cols, n, cols, bias[first:], &Epilogue{Act: ActRelu})
			}
			if seen != o {
				t.Fatalf("%v: parts cover %d columns", s, seen)
			}
			for r := range 2 {
				for x := range 2 * n {
					for j := range o {
						sum, mag := float64(bias[j]), math.Abs(float64(bias[j]))
						for i := range c {
							most := 0.0
							for k := range 9 {
								a, b := float64(src[(r+k/3)*row+(x+k%3)*c+i]), float64(w[(j*c+i)*9+k])
								sum += a * b
								most = max(most, math.Abs(b))
							}
							mag += 36 * most // |d| < 1
						}
						want := max(sum, 0)
						got := y[(r*2*n+x)*o+j]
						if d := math.Abs(float64(got) - want); !(d <= float64(c+16)*0x1p-23*mag) {
							t.Fatalf("%v: result (%d,%d) channel %d is %v, want %v ± %v", s, r, x, j, got, want, float64(c+16)*0x1p-23*mag)
						}
					}
				}
			}
		}
	})
}

// TestWinogradWeights has values whose transforms are exact, and ones that have none.
func TestWinogradWeights(t *testing.T) {
	u := winogradWeights(&[9]float32{1, 2, 3, 4, 5, 6, 7, 8, 9})
	want := [16]float64{1, 3, 1, 3, 6, 11.25, 3.75, 9, 2, 3.75, 1.25, 3, 7, 12, 4, 9}
	if u != want {
		t.Errorf("transformed %v, want %v", u, want)
	}
	for _, bad := range []float32{inf32, -inf32, nan32, math.MaxFloat32} {
		w := randF32(1, 9*4)
		for i := range 9 {
			w[9+i] = bad
		}
		if p := packWinogradF32(2, 2, w); p != nil {
			t.Errorf("weights of %v were packed", bad)
		}
	}
}

func TestWinogradRejects(t *testing.T) {
	for name, call := range map[string]func(){
		"weights":   func() { packWinogradF32(2, 2, make([]float32, 35)) },
		"input src": func() { WinogradInputF32(make([]float32, 64), 4, make([]float32, 63), 16, 4, 1, 4) },
		"input dst": func() { WinogradInputF32(make([]float32, 63), 4, make([]float32, 64), 16, 4, 1, 4) },
		"output src": func() {
			WinogradOutputF32(make([]float32, 16), 8, 4, make([]float32, 63), 4, 1, 4, make([]float32, 4), &Epilogue{})
		},
		"output dst": func() {
			WinogradOutputF32(make([]float32, 15), 8, 4, make([]float32, 64), 4, 1, 4, make([]float32, 4), &Epilogue{})
		},
		"bias": func() {
			WinogradOutputF32(make([]float32, 16), 8, 4, make([]float32, 64), 4, 1, 4, make([]float32, 3), &Epilogue{})
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

// packWinogradF32 packs the [o, c, 3, 3] weights w; it returns nil if one is not finite.
func packWinogradF32(c, o int, w []float32) *WinogradF32 {
	p := NewWinogradF32(c, o)
	for i := range p.Parts() {
		first, _ := p.Part(i)
		if !p.Pack(i, w[9*c*first:]) {
			return nil
		}
	}
	return p
}
