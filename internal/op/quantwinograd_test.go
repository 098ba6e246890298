package op

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/impl"
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// quantWinogradCases are convolutions by tiles: all kinds of borders, rest tiles, rests of channels and of vectors, several
// parts of channels and groups, and blocks that end within a row of tiles.
var quantWinogradCases = append(slices.Clone(winogradCases),
	convCase{n: 1, c: 64, o: 64, groups: 1, in: []int{21, 203}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true},
	convCase{n: 1, c: 200, o: 72, groups: 1, in: []int{10, 31}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true},
	convCase{n: 2, c: 66, o: 96, groups: 3, in: []int{13, 18}, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}, bias: true},
	convCase{n: 1, c: 114, o: 17, groups: 1, in: []int{9, 9}, kernel: []int{3, 3}, pads: []int{5, 0, 2, 3}, bias: true},
)

// TestQuantWinograd compares the bytes of convolutions in tiles with those of the direct sums, for random and for extreme
// values, all types, and several numbers of threads.
func TestQuantWinograd(t *testing.T) {
	var pools []*parallel.Pool
	for _, n := range []int{2, 5, 16} {
		p := parallel.New(n)
		defer p.Close()
		pools = append(pools, p)
	}
	impl.All(t, "kernel/i8", func(t *testing.T) {
		if !Complete {
			t.Skip("no tiles")
		}
		for i, c := range quantWinogradCases {
			t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
				for variant := range 6 {
					if testing.Short() && variant%3 > 0 { // emulated processors take minutes for all
						continue
					}
					testQuantWinograd(t, c, uint64(i), variant, pools)
				}
			})
		}
	})
}

// testQuantWinograd is one convolution. Variants 1 to 3 have extreme values, as far as sums allow.
func testQuantWinograd(t *testing.T, c convCase, seed uint64, variant int, pools []*parallel.Pool) {
	r := rand.New(rand.NewPCG(seed, uint64(variant)))
	xd := []tensor.DType{tensor.Uint8, tensor.Int8}[variant%2]
	yd := []tensor.DType{tensor.Uint8, tensor.Int8}[variant/2%2]
	wd := []tensor.DType{tensor.Int8, tensor.Uint8}[variant/3]
	x, w := rand8(r, xd, c.n, c.in[0], c.in[1], c.c), rand8(r, wd, c.weightShape()...)
	low := uint8(0) // the least value of x
	if xd == tensor.Int8 {
		low = 0x80
	}
	zero := []uint8{uint8(r.Uint32()), low ^ 0xff, low, 3}[variant%4]
	if variant%4 > 0 {
		for k := range x.Bytes() {
			switch variant % 4 {
			case 1: // all less their zero point are -255
				x.Bytes()[k] = low
			case 2: // or 255
				x.Bytes()[k] = low ^ 0xff
			case 3: // or either end
				x.Bytes()[k] = low ^ uint8(255*r.IntN(2))
			}
		}
		for k := range w.Bytes() {
			w.Bytes()[k] = []uint8{0x80, 0x7f, uint8(128 + k/9%2*255)}[variant%3]
			if c.c/c.groups > 114 && k%2 == 0 { // sums stay below 2²⁵
				w.Bytes()[k] = 0
			}
			if wd == tensor.Uint8 {
				w.Bytes()[k] ^= 0x80
			}
		}
	} else if c.c/c.groups > 114 {
		for k := range w.Bytes() {
			w.Bytes()[k] = uint8(int8(w.Bytes()[k]) / 2)
			if wd == tensor.Uint8 {
				w.Bytes()[k] ^= 0x80
			}
		}
	}
	scale, bias := make([]float32, c.o), make([]int32, c.o)
	for k := range scale {
		// Sums of up to 2²⁵ become up to 255 in some channels, and in others much more.
		scale[k], bias[k] = 0.01*float32(1+r.IntN(40))/float32(1+r.IntN(60)*c.c), int32(r.Uint32())>>(17+r.IntN(10)) // below what 2²⁵ leaves
	}
	wz, yz := scalar8(tensor.Int8, 0), scalar8(yd, r.IntN(256))
	if wd == tensor.Uint8 {
		wz = scalar8(tensor.Uint8, 128)
	}
	in := []*tensor.Tensor{x, of(t, []float32{0.02}), scalar8(xd, int(zero)), w, of(t, scale), wz, of(t, []float32{0.7}), yz}
	if c.bias {
		in = append(in, of(t, bias))
	}
	q, err := newQLinearConv(NewAttrs(&onnx.Node{Attrs: c.attrs()}, 13, nil))
	if err != nil {
		t.Fatal(err)
	}
	o := q.(*quantConv)
	o.last = true
	if variant%2 == 1 {
		o.table = &kernel.Table8{}
		var values [256]uint8
		for k := range values {
			values[k] = uint8(k*k + 3*k)
		}
		o.table.Set(&values)
	}
	direct := *o
	direct.direct = true
	want := runOp(t, &direct, nil, true, in...)[0].Bytes()
	for _, p := range append([]*parallel.Pool{nil}, pools...) {
		run := newTilesRun(t, o, p, in...)
		run.run(t)
		for k, v := range want {
			if got := run.out[0].Bytes()[k]; got != v {
				t.Fatalf("variant %d, %d threads: result %d is %d, want %d", variant, p.Threads(), k, got, v)
			}
		}
	}
}

// newTilesRun is newOpRun with weights packed for tiles, whether they pay or not.
func newTilesRun(t testing.TB, o *quantConv, pool *parallel.Pool, in ...*tensor.Tensor) *opRun {
	t.Helper()
	run := newOpRun(t, o, pool, true, in...)
	f, err := o.extents(in[0].Shape(), in[o.w].Shape())
	if err != nil {
		t.Fatal(err)
	}
	low, high := rangeBelow(in[0].DType(), zeroOf(in[o.xZero]))
	var bias []int32
	if len(in) > o.bias {
		bias = tensor.Data[int32](in[o.bias])
	}
	if !kernel.WinogradQ8Fits(signed8(in[o.w]), f.c, f.o*f.groups, low, high, bias) {
		t.Fatal("sums do not fit")
	}
	run.ctx.Packed[o.w] = packWinogradQ8(&f.shape, in[o.w])
	run.ctx.Scratch = tensor.AlignedBytes(winogradQ8Bytes(&f.shape))
	for i := range run.ctx.Scratch {
		run.ctx.Scratch[i] = 0xff
	}
	return run
}

// TestQuantWinogradBound checks which convolutions are computed in tiles: those whose sums stay below 2²⁵, for the zero point
// that values have.
func TestQuantWinogradBound(t *testing.T) {
	const c, o = 128, 32
	if !Complete || !kernel.WinogradQ8Pays(c, o, 16, 16) {
		t.Skip("no tiles")
	}
	x, w := Fact{DType: tensor.Uint8, Shape: tensor.Shape{1, 16, 16, c}}, tensor.Must(tensor.New(tensor.Int8, o, c, 3, 3))
	q, err := newQLinearConv(NewAttrs(&onnx.Node{Attrs: convCase{n: 1, c: c, o: o, groups: 1, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}.attrs()}, 13, nil))
	if err != nil {
		t.Fatal(err)
	}
	op := q.(*quantConv)
	op.last = true
	one := FactOf(of(t, []float32{0.5}))
	tiled := func(zero int, count int) bool {
		clear(w.Bytes())
		for k := range count {
			w.Bytes()[9*c*(o-1)+k] = 127
		}
		z := Fact{DType: tensor.Uint8}
		if zero >= 0 {
			z = FactOf(scalar8(tensor.Uint8, zero))
		}
		in := []Fact{x, one, z, FactOf(w), one, FactOf(scalar8(tensor.Int8, 0)), one, FactOf(scalar8(tensor.Uint8, 0))}
		p, err := op.Prepack(op.w, in, Slices{})
		if err != nil {
			t.Fatal(err)
		}
		_, ok := p.(*packedWinogradQ8)
		return ok
	}
	for _, v := range []struct {
		zero, count int
		want        bool
	}{{0, 1036, true}, {0, 1037, false}, {255, 1037, false}, {128, 1152, true}, {-1, 1036, true}, {-1, 1037, false}} {
		if got := tiled(v.zero, v.count); got != v.want {
			t.Errorf("zero point %d and %d weights of 127: tiles are %t, want %t", v.zero, v.count, got, v.want)
		}
	}
	x.Shape = tensor.Shape{64, 3, 3, c}
	if tiled(0, 1) {
		t.Error("weights for a few tiles were transformed")
	}
	x.Shape = tensor.Shape{1, 16, 16, c}
	if op.direct = true; tiled(0, 1) {
		t.Error("weights that must not grow were transformed")
	}
}

func TestQuantWinogradDoesNotAllocate(t *testing.T) {
	if !Complete {
		t.Skip("no tiles")
	}
	pool := parallel.New(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 2))
	q, err := newQLinearConv(NewAttrs(&onnx.Node{Attrs: winogradCases[1].attrs()}, 13, nil))
	if err != nil {
		t.Fatal(err)
	}
	q.(*quantConv).last = true
	one := of(t, []float32{0.5})
	run := newTilesRun(t, q.(*quantConv), pool, rand8(r, tensor.Uint8, 2, 11, 13, 17), one, scalar8(tensor.Uint8, 3), rand8(r, tensor.Int8, 33, 17, 3, 3),
		one, scalar8(tensor.Int8, 0), one, scalar8(tensor.Uint8, 3))
	run.run(t)
	if n := testing.AllocsPerRun(10, func() { run.run(t) }); n != 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkQuantConv3x3 times 3×3 convolutions of 8-bit values on one thread, in tiles and directly.
func BenchmarkQuantConv3x3(b *testing.B) {
	for _, l := range [][4]int{ // images, size, channels
		{1, 4, 64, 64}, {1, 8, 64, 64}, {1, 12, 64, 64}, {1, 16, 64, 64}, {1, 32, 64, 64}, {1, 128, 64, 64},
		{1, 8, 16, 16}, {1, 32, 16, 16}, {1, 64, 16, 16}, {1, 32, 16, 32}, {1, 32, 32, 16}, {1, 32, 24, 24}, {1, 32, 48, 48}, {1, 8, 32, 32}, {1, 16, 32, 32}, {1, 64, 32, 32},
		{1, 14, 96, 96}, {1, 4, 128, 128}, {1, 8, 128, 128}, {1, 16, 128, 128}, {1, 64, 128, 128}, {1, 4, 256, 256}, {1, 7, 256, 256}, {1, 8, 256, 256}, {1, 16, 256, 256}, {1, 32, 256, 256},
		{1, 7, 512, 512}, {1, 16, 512, 512}, {1, 64, 64, 17}, {16, 8, 64, 64}, {16, 4, 256, 256}, {16, 7, 512, 512},
	} {
		for _, direct := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dx%dx%dx%d-%d/%s", l[0], l[1], l[1], l[2], l[3], map[bool]string{false: "tiles", true: "direct"}[direct]), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				q, err := newQLinearConv(NewAttrs(&onnx.Node{Attrs: convCase{groups: 1, kernel: []int{3, 3}, pads: []int{1, 1, 1, 1}}.attrs()}, 13, nil))
				if err != nil {
					b.Fatal(err)
				}
				o := q.(*quantConv)
				o.last, o.direct = true, direct
				w := rand8(r, tensor.Int8, l[3], l[2], 3, 3)
				for i := range w.Bytes() {
					w.Bytes()[i] = uint8(int8(w.Bytes()[i]) / 8)
				}
				one := tensor.Must(tensor.Of([]float32{0.5}))
				in := []*tensor.Tensor{rand8(r, tensor.Uint8, l[0], l[1], l[1], l[2]), one, scalar8(tensor.Uint8, 3), w, one, scalar8(tensor.Int8, 0), one, scalar8(tensor.Uint8, 3)}
				var run *opRun
				switch {
				case direct:
					run = newOpRun(b, o, nil, true, in...)
				case Complete:
					run = newTilesRun(b, o, nil, in...)
				default:
					b.Skip("no tiles")
				}
				for b.Loop() {
					run.run(b)
				}
				b.ReportMetric(18*float64(l[0]*l[1]*l[1]*l[2]*l[3]*b.N)/float64(b.Elapsed().Nanoseconds()), "GOP/s")
			})
		}
	}
}
