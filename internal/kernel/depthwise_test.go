package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/aekit/aekit/internal/impl"
)

func TestDepthLayout(t *testing.T) {
	if unsafe.Sizeof(int(0)) != 8 {
		t.Skip("assembly exists for 64-bit processors only")
	}
	var x depthF32
	var y depthI16
	floats := []uintptr{
		unsafe.Offsetof(x.y), unsafe.Offsetof(x.x), unsafe.Offsetof(x.w), unsafe.Offsetof(x.bias), unsafe.Offsetof(x.offs), unsafe.Offsetof(x.taps),
		unsafe.Offsetof(x.n), unsafe.Offsetof(x.c), unsafe.Offsetof(x.step), unsafe.Offsetof(x.stride), unsafe.Offsetof(x.act),
		unsafe.Offsetof(x.alpha), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi),
	}
	ints := []uintptr{
		unsafe.Offsetof(y.y), unsafe.Offsetof(y.x), unsafe.Offsetof(y.w), unsafe.Offsetof(y.bias), unsafe.Offsetof(y.offs), unsafe.Offsetof(y.taps),
		unsafe.Offsetof(y.n), unsafe.Offsetof(y.c), unsafe.Offsetof(y.step), unsafe.Offsetof(y.stride),
	}
	want := []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 92, 96}
	if !slices.Equal(floats, want) || !slices.Equal(ints, want[:len(ints)]) {
		t.Errorf("fields are at %v and %v, the assembly reads %v", floats, ints, want)
	}
}

// depthCase is a row of a depthwise convolution over a few rows of x.
type depthCase struct {
	n, c, step, stride, x int
	taps                  []DepthTap
}

func depthCases() []depthCase {
	var cases []depthCase
	for c := 1; c <= 37; c++ {
		cases = append(cases, depthCase{n: 1 + c%9, c: c})
	}
	for n := 1; n <= 10; n++ {
		cases = append(cases, depthCase{n: n, c: 16}, depthCase{n: n, c: 52})
	}
	for i := range cases {
		d := &cases[i]
		move := 1 + i%2
		pixel := d.c + i%3
		d.step, d.stride = move*pixel, d.c+i%2
		width := (d.n-1)*d.step + 3*pixel
		for k := range []int{9, 4, 1, 0}[i%4] {
			d.taps = append(d.taps, DepthTap{k/3*width + k%3*pixel, k * d.c})
		}
		for _, tap := range d.taps {
			d.x = max(d.x, tap.X+(d.n-1)*d.step+d.c)
		}
	}
	return cases
}

// TestDepthF32 compares with float64 sums and keeps operands at the ends of accessible memory.
func TestDepthF32(t *testing.T) {
	gx, gy, gw, gb := newGuard(t, 64<<10), newGuard(t, 16<<10), newGuard(t, 8<<10), newGuard(t, 4096)
	acts := []Epilogue{{}, {Act: ActRelu}, {Act: ActLeakyRelu, Alpha: 0.25}, {Act: ActClip, Lo: -0.5, Hi: 0.75}, {Act: ActSigmoid}}
	impl.All(t, "kernel", func(t *testing.T) {
		for i, d := range depthCases() {
			x, w := place(gx, randF32(1, d.x), i%5 != 0), place(gw, randF32(2, len(d.taps)*d.c), i%5 != 0)
			bias := place(gb, randF32(3, d.c), i%5 != 0)
			ep := acts[i%len(acts)]
			what := fmt.Sprintf("%+v act %d", d, ep.Act)
			y := place(gy, randF32(4, (d.n-1)*d.stride+d.c), i%5 != 0)
			was := slices.Clone(y)
			DepthF32(y, d.stride, x, d.step, d.n, d.c, w, d.taps, bias, &ep)
			for k, v := range y {
				p, j := k/d.stride, k%d.stride
				if j >= d.c {
					if v != was[k] {
						t.Fatalf("%s: wrote between positions, at %d", what, k)
					}
					continue
				}
				sum := float64(bias[j])
				for _, tap := range d.taps {
					sum += float64(x[p*d.step+tap.X+j]) * float64(w[tap.W+j])
				}
				want := [1]float32{float32(sum)}
				ActivateF32(want[:], want[:], &ep)
				if diff := math.Abs(float64(v) - float64(want[0])); !(diff <= 1e-6*float64(len(d.taps)+1)) {
					t.Fatalf("%s: position %d, channel %d is %v, want %v", what, p, j, v, want[0])
				}
			}
		}
	})
}

func TestDepthNonFinite(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		vals := []float32{nan32, inf32, -inf32, 2, -2}
		const c = 35
		x, one := make([]float32, c), make([]float32, c)
		for i := range x {
			x[i], one[i] = vals[i%len(vals)], 1
		}
		for _, ep := range []Epilogue{{}, {Act: ActRelu}, {Act: ActLeakyRelu, Alpha: 0.5}, {Act: ActClip, Lo: -1, Hi: 1}} {
			y, want := make([]float32, c), make([]float32, c)
			DepthF32(y, c, x, c, 1, c, one, []DepthTap{{}}, make([]float32, c), &ep)
			ActivateF32(want, x, &ep)
			sameBits(t, fmt.Sprintf("act %d", ep.Act), y, want)
		}
	})
}

// TestDepthI16 compares with 64-bit sums of products of extreme and other values.
func TestDepthI16(t *testing.T) {
	gx, gy, gw, gb := newGuard(t, 64<<10), newGuard(t, 16<<10), newGuard(t, 8<<10), newGuard(t, 4096)
	impl.All(t, "kernel", func(t *testing.T) {
		for i, d := range depthCases() {
			a, b := make([]uint8, d.x), make([]uint8, d.x)
			for k := range a {
				a[k], b[k] = uint8(k*37>>1), uint8(255-k*91)
			}
			signed, zero := i%2 == 0, int32([]int{0, 255, 3, 127, -128}[i%5])
			if signed {
				zero = int32(int8(zero))
			} else {
				zero = int32(uint8(zero))
			}
			x := place(gx, make([]int32, d.x), i%3 != 0)
			PairI16(x, a, b, signed, zero)
			w := place(gw, make([]int32, len(d.taps)*d.c), i%3 != 0)
			wl := make([][2]int8, len(w))
			for k := range w {
				wl[k] = [2]int8{int8(k * 59), int8(-128 + k*7)}
				w[k] = PairWeights(wl[k][0], wl[k][1])
			}
			bias := place(gb, make([]int32, d.c), i%3 != 0)
			for k := range bias {
				bias[k] = int32(k*100003 - 7)
			}
			y := place(gy, make([]int32, (d.n-1)*d.stride+d.c), i%3 != 0)
			DepthI16(y, d.stride, x, d.step, d.n, d.c, w, d.taps, bias)
			value := func(v uint8) int64 {
				if signed {
					return int64(int8(v)) - int64(zero)
				}
				return int64(v) - int64(zero)
			}
			for p := range d.n {
				for j := range d.c {
					want := int64(bias[j])
					for _, tap := range d.taps {
						at := p*d.step + tap.X + j
						want += value(a[at])*int64(wl[tap.W+j][0]) + value(b[at])*int64(wl[tap.W+j][1])
					}
					if got := y[p*d.stride+j]; int64(got) != want {
						t.Fatalf("%+v signed %v zero %d: position %d, channel %d is %d, want %d", d, signed, zero, p, j, got, want)
					}
				}
			}
		}
	})
}

func TestDepthRejects(t *testing.T) {
	f := func(n int) []float32 { return make([]float32, n) }
	taps := []DepthTap{{0, 0}, {4, 4}}
	for name, call := range map[string]func(){
		"x":        func() { DepthF32(f(8), 4, f(11), 4, 2, 4, f(8), taps, f(4), &Epilogue{}) },
		"y":        func() { DepthF32(f(7), 4, f(12), 4, 2, 4, f(8), taps, f(4), &Epilogue{}) },
		"w":        func() { DepthF32(f(8), 4, f(12), 4, 2, 4, f(7), taps, f(4), &Epilogue{}) },
		"bias":     func() { DepthF32(f(8), 4, f(12), 4, 2, 4, f(8), taps, f(3), &Epilogue{}) },
		"overlap":  func() { DepthF32(f(8), 3, f(12), 4, 2, 4, f(8), taps, f(4), &Epilogue{}) },
		"negative": func() { DepthF32(f(8), 4, f(12), 4, 2, 4, f(8), []DepthTap{{-1, 0}}, f(4), &Epilogue{}) },
		"huge":     func() { DepthF32(f(8), 4, f(12), 4, 2, 4, f(8), []DepthTap{{math.MaxInt, 0}}, f(4), &Epilogue{}) },
		"huge w":   func() { DepthF32(f(8), 4, f(12), 4, 2, 4, f(8), []DepthTap{{0, math.MaxInt}}, f(4), &Epilogue{}) },
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
