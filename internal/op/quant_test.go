package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func rand8(r *rand.Rand, d tensor.DType, shape ...int) *tensor.Tensor {
	x := tensor.Must(tensor.New(d, shape...))
	for i := range x.Bytes() {
		x.Bytes()[i] = uint8(r.IntN(256))
	}
	return x
}

func scalar8(d tensor.DType, v int) *tensor.Tensor {
	x := tensor.Must(tensor.New(d))
	x.Bytes()[0] = uint8(v)
	return x
}

// requantized is the formula of an 8-bit result from an exact sum.
func requantized(sum int64, sx, sw, sy float32, zero int32, d tensor.DType) int32 {
	m := float32(float32(sx*sw) / sy)
	v := math.RoundToEven(float64(float32(float32(sum)*m))) + float64(zero)
	lo, hi := rangeOf(d)
	return int32(min(max(v, float64(lo)), float64(hi)))
}

// centred returns the elements of an 8-bit tensor less the zero points, each of which
// belongs to the same number of consecutive elements.
func centred(x *tensor.Tensor, zeros []int32) *tensor.Tensor {
	y := tensor.Must(tensor.New(tensor.Float32, x.Shape()...))
	for k, v := range ints32(nil, x) {
		y.Float32s()[k] = float32(v - zeros[k*len(zeros)/x.Elems()])
	}
	return y
}

func TestQuantConv(t *testing.T) {
	pool := parallel.New(3)
	defer pool.Close()
	for i, c := range convCases {
		if c.transposed || len(c.in) > 3 || c.n == 0 || c.o*product(c.wantShape) > 50000 {
			continue
		}
		for _, xd := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			for _, wd := range []tensor.DType{tensor.Uint8, tensor.Int8} {
				t.Run(fmt.Sprintf("%d/%v/%v", i, xd, wd), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(i), 9))
					x, w := rand8(r, xd, append([]int{c.n, c.c}, c.in...)...), rand8(r, wd, c.weightShape()...)
					xz, wz, yz := scalar8(xd, 3), rand8(r, wd, c.o), scalar8(xd, 7)
					if i%3 == 0 { // symmetric weights, as exporters write them
						for k := range wz.Bytes() {
							wz.Bytes()[k] = map[tensor.DType]uint8{tensor.Int8: 0, tensor.Uint8: 128}[wd]
						}
					}
					sx, sy := float32(0.02), float32(1.7)
					sw, bias := make([]float32, c.o), make([]int32, c.o)
					for k := range sw {
						sw[k], bias[k] = 0.01+0.001*float32(k), int32(r.IntN(4000)-2000)
					}
					f, err := c.op(t).geometry(x.Shape(), w.Shape())
					if err != nil {
						t.Fatal(err)
					}
					var begin []int
					for _, a := range f.ax {
						begin = append(begin, a.begin)
					}
					sums := c.reference(centred(x, []int32{3}), centred(w, ints32(nil, wz)), nil, begin, f.out)

					ci, err := newConvInteger(NewAttrs(&onnx.Node{Attrs: c.attrs()}, 13, nil))
					if err != nil {
						t.Fatal(err)
					}
					got := tensor.Data[int32](runOp(t, ci, pool, i%2 == 0, x, w, xz, wz)[0])
					for k, v := range got {
						if float32(v) != sums[k] {
							t.Fatalf("ConvInteger: element %d is %d, want %v", k, v, sums[k])
						}
					}

					q, err := newQLinearConv(NewAttrs(&onnx.Node{Attrs: c.attrs()}, 13, nil))
					if err != nil {
						t.Fatal(err)
					}
					in := []*tensor.Tensor{x, of(t, []float32{sx}), xz, w, of(t, sw), wz, of(t, []float32{sy}), yz, of(t, bias)}
					want := make([]int32, len(sums))
					for k, s := range sums {
						ch := k / product(f.out[2:]) % c.o
						want[k] = requantized(int64(s)+int64(bias[ch]), sx, sw[ch], sy, 7, xd)
					}
					for _, p := range []*parallel.Pool{nil, pool} {
						run := newOpRun(t, q, p, true, in...)
						run.run(t)
						if got := ints32(nil, run.out[0]); !slices.Equal(got, want) {
							t.Fatalf("QLinearConv: %v, want %v", got, want)
						}
						// Under the race detector, a sync.Pool forgets some of what it is given.
						if n := testing.AllocsPerRun(10, func() { run.run(t) }); n != 0 && !raceEnabled {
							t.Errorf("%v allocations", n)
						}
					}
					var facts []Fact
					for _, v := range in {
						facts = append(facts, FactOf(v))
					}
					v, _, ok := q.(LayoutAware).ChannelsLast(facts)
					if !ok {
						t.Fatal("no channels-last form")
					}
					in[0] = channelsLast(x)
					if got := ints32(nil, channelsFirst(runOp(t, v, pool, true, in...)[0])); !slices.Equal(got, want) {
						t.Fatalf("QLinearConv channels-last: %v, want %v", got, want)
					}
				})
			}
		}
	}
}

func TestQuantMatMul(t *testing.T) {
	pool := parallel.New(3)
	defer pool.Close()
	for i, s := range []struct {
		a, b    tensor.Shape
		m, k, n int
	}{
		{tensor.Shape{3, 5}, tensor.Shape{5, 7}, 3, 5, 7}, {tensor.Shape{1, 784}, tensor.Shape{784, 40}, 1, 784, 40},
		{tensor.Shape{130, 33}, tensor.Shape{33, 65}, 130, 33, 65}, {tensor.Shape{2, 3, 4}, tensor.Shape{2, 4, 5}, 3, 4, 5},
		{tensor.Shape{2, 3, 4}, tensor.Shape{4, 5}, 3, 4, 5}, {tensor.Shape{4}, tensor.Shape{4, 2}, 1, 4, 2}, {tensor.Shape{3, 0}, tensor.Shape{0, 2}, 3, 0, 2},
	} {
		for _, ad := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			for _, bd := range []tensor.DType{tensor.Uint8, tensor.Int8} {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				a, b, az := rand8(r, ad, s.a...), rand8(r, bd, s.b...), scalar8(ad, 5)
				columns, batch := 1, 1
				if len(s.b) == 2 {
					columns = s.n
				}
				if len(s.a) == 3 {
					batch = s.a[0]
				}
				bz, sb := rand8(r, bd, columns), make([]float32, columns)
				for k := range sb {
					sb[k] = 0.01 + 0.002*float32(k)
				}
				av, bv, zv := ints32(nil, a), ints32(nil, b), ints32(nil, bz)
				var sums []int32
				forEach([]int{batch, s.m, s.n}, func(p []int, _ int) {
					sum := int32(0)
					for k := range s.k {
						at := k*s.n + p[2]
						if len(s.b) == 3 {
							at += p[0] * s.k * s.n
						}
						sum += (av[(p[0]*s.m+p[1])*s.k+k] - 5) * (bv[at] - zv[p[2]%columns])
					}
					sums = append(sums, sum)
				})
				name := fmt.Sprintf("%v·%v %v %v", s.a, s.b, ad, bd)
				sa, sy := float32(0.03), float32(0.9)
				for _, pack := range []bool{false, true} {
					o, _ := newMatMulInteger(nil)
					if got := tensor.Data[int32](runOp(t, o, pool, pack, a, b, az, bz)[0]); !slices.Equal(got, sums) {
						t.Fatalf("MatMulInteger %s: %v, want %v", name, got, sums)
					}
					var want []int32
					for k, v := range sums {
						want = append(want, requantized(int64(v), sa, sb[k%s.n%columns], sy, 9, ad))
					}
					o, _ = newQLinearMatMul(nil)
					got := runOp(t, o, pool, pack, a, of(t, []float32{sa}), az, b, of(t, sb), bz, of(t, []float32{sy}), scalar8(ad, 9))[0]
					if got := ints32(nil, got); !slices.Equal(got, want) {
						t.Fatalf("QLinearMatMul %s: %v, want %v", name, got, want)
					}
					o, _ = newMatMulIntegerToFloat(nil)
					floats := runOp(t, o, pool, pack, a, b, of(t, []float32{sa}), of(t, sb), az, bz)[0].Float32s()
					for k, v := range sums {
						if w := float32(v) * float32(sa*sb[k%s.n%columns]); floats[k] != w {
							t.Fatalf("MatMulIntegerToFloat %s: element %d is %v, want %v", name, k, floats[k], w)
						}
					}
				}
			}
		}
	}
}

func TestQGemm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const m, k, n = 5, 9, 6
	a, b := rand8(r, tensor.Uint8, m, k), rand8(r, tensor.Int8, k, n)
	at, bt := permuted(a, 1, 0), permuted(b, 1, 0)
	bias := of(t, []int32{100, -2000, 3, 4, 500000, -6}, 1, n)
	column := of(t, []int32{1000, 2000, -3000, 0, 7}, m, 1)
	s1, s2 := float32(0.02), float32(0.003)
	for _, c := range []struct {
		name           string
		transA, transB int64
		a, b, bias     *tensor.Tensor
		alpha          float32
	}{{"plain", 0, 0, a, b, bias, 1}, {"transposed", 1, 1, at, bt, bias, 0.5}, {"no bias", 0, 1, a, bt, nil, 1}, {"bias by row", 0, 0, a, b, column, 2}} {
		for _, quantised := range []bool{true, false} {
			o, err := makeOp(t, newQGemm, "QGemm", 1, attrInt("transA", c.transA), attrInt("transB", c.transB), attrFloat("alpha", c.alpha))
			if err != nil {
				t.Fatal(err)
			}
			in := []*tensor.Tensor{c.a, of(t, []float32{s1}), scalar8(tensor.Uint8, 128), c.b, of(t, []float32{s2}), scalar8(tensor.Int8, 0), c.bias}
			if quantised {
				in = append(in, of(t, []float32{0.11}), scalar8(tensor.Uint8, 20))
			}
			got := runOp(t, o, nil, true, in...)[0]
			av, bv := ints32(nil, a), ints32(nil, b)
			forEach([]int{m, n}, func(p []int, e int) {
				sum := int64(0)
				for q := range k {
					sum += int64(av[p[0]*k+q]-128) * int64(bv[q*n+p[1]])
				}
				switch c.bias {
				case bias:
					sum += int64(tensor.Data[int32](bias)[p[1]])
				case column:
					sum += int64(tensor.Data[int32](column)[p[0]])
				}
				if quantised {
					if w := requantized(sum, float32(c.alpha*s1), s2, 0.11, 20, tensor.Uint8); int32(got.Bytes()[e]) != w {
						t.Errorf("%s: element %v is %d, want %d", c.name, p, got.Bytes()[e], w)
					}
				} else if w := float32(sum) * float32(float32(c.alpha*s1)*s2); got.Float32s()[e] != w {
					t.Errorf("%s: element %v is %v, want %v", c.name, p, got.Float32s()[e], w)
				}
			})
		}
	}
}

func TestQuantElementwise(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		x := tensor.Must(tensor.New(d, 256))
		for i := range x.Bytes() {
			x.Bytes()[i] = uint8(i)
		}
		v := ints32(nil, x)
		sx, sy, zx, zy := of(t, []float32{0.05}), of(t, []float32{1.0 / 256}), scalar8(d, 10), scalar8(d, 0)
		lo, hi := rangeOf(d)
		sig, _ := newQLinearSigmoid(nil)
		for i, g := range ints32(nil, runOp(t, sig, nil, false, x, sx, zx, sy, zy)[0]) {
			w := min(256/(1+math.Exp(-0.05*float64(v[i]-10))), float64(hi))
			if math.Abs(float64(g)-w) > 0.501 {
				t.Fatalf("QLinearSigmoid of %d (%v): %d, want about %v", v[i], d, g, w)
			}
		}
		soft, err := makeOp(t, newQLinearSoftmax, "QLinearSoftmax", 1, attrInt("axis", 1), attrInt("opset", 13))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := x.Reshape(4, 32, 2)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range ints32(nil, runOp(t, soft, nil, false, rows, sx, zx, sy, zy)[0]) {
			sum := 0.0
			for k := range 32 {
				sum += math.Exp(0.05 * float64(v[i/64*64+k*2+i%2]))
			}
			w := min(256*math.Exp(0.05*float64(v[i]))/sum, float64(hi))
			if math.Abs(float64(g)-w) > 0.501 {
				t.Fatalf("QLinearSoftmax of %d (%v): %d, want about %v", v[i], d, g, w)
			}
		}
		leaky, err := makeOp(t, newQLinearLeakyRelu, "QLinearLeakyRelu", 1, attrFloat("alpha", 0.5))
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range ints32(nil, runOp(t, leaky, nil, false, x, sx, zx, sx, zx)[0]) {
			w := float64(v[i] - 10)
			if w < 0 {
				w /= 2
			}
			if math.Abs(float64(g-10)-w) > 0.501 {
				t.Fatalf("QLinearLeakyRelu of %d (%v): %d, want about %v", v[i], d, g, w+10)
			}
		}
		for _, mul := range []bool{false, true} {
			o, _ := newQLinearBinary(mul)(nil)
			got := ints32(nil, runOp(t, o, nil, false, x, sx, zx, scalar8(d, int(v[7])), of(t, []float32{0.1}), zy, of(t, []float32{0.2}), zy)[0])
			for i, g := range got {
				w := (float64(v[i]-10)*0.05 + float64(v[7])*0.1) / 0.2
				if mul {
					w = float64(v[i]-10) * 0.05 * float64(v[7]) * 0.1 / 0.2
				}
				if w = min(max(w, float64(lo)), float64(hi)); math.Abs(float64(g)-w) > 0.501 {
					t.Fatalf("mul %v of %d and %d (%v): %d, want about %v", mul, v[i], v[7], d, g, w)
				}
			}
		}
	}
}

func TestQuantConcatAndPool(t *testing.T) {
	a, b := of(t, []uint8{0, 10, 20, 30}, 2, 2), of(t, []uint8{200, 7}, 2, 1)
	cat, err := makeOp(t, newQLinearConcat, "QLinearConcat", 1, attrInt("axis", -1))
	if err != nil {
		t.Fatal(err)
	}
	one, half, zero, ten := of(t, []float32{1}), of(t, []float32{0.5}), scalar8(tensor.Uint8, 0), scalar8(tensor.Uint8, 10)
	got := runOp(t, cat, nil, false, one, ten, a, half, ten, b, one, zero)[0].Bytes()
	// a: (v−10)/2 + 10 with ties to even; b: v + 10.
	if want := []uint8{5, 10, 210, 15, 20, 17}; !slices.Equal(got, want) {
		t.Errorf("QLinearConcat = %v, want %v", got, want)
	}
	pool, err := makeOp(t, newQLinearAveragePool(false), "QLinearAveragePool", 1, attrInts("kernel_shape", 2), attrInts("strides", 2), attrInts("pads", 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	x := of(t, []uint8{12, 20, 31, 8, 10}, 1, 1, 5)
	// Windows {12}, {20, 31}, {8, 10}, less 10, times 1/2 on account of the scales.
	if got, want := runOp(t, pool, nil, false, x, one, ten, of(t, []float32{2}), ten)[0].Bytes(), []uint8{11, 18, 10}; !slices.Equal(got, want) {
		t.Errorf("QLinearAveragePool = %v, want %v", got, want)
	}
	global, err := makeOp(t, newQLinearAveragePool(true), "QLinearGlobalAveragePool", 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := runOp(t, global, nil, false, x, one, ten, one, zero)[0].Bytes(), []uint8{6}; !slices.Equal(got, want) {
		t.Errorf("QLinearGlobalAveragePool = %v, want %v", got, want)
	}
}

func TestQuantWhere(t *testing.T) {
	o, err := makeOp(t, newQLinearWhere, "QLinearWhere", 1)
	if err != nil {
		t.Fatal(err)
	}
	one, half, two := of(t, []float32{1}), of(t, []float32{0.5}), of(t, []float32{2})
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		zero, ten := scalar8(d, 0), scalar8(d, 10)
		cond := of(t, []bool{true, false, true}, 3)
		x := tensor.Must(tensor.New(d, 2, 1))
		copy(x.Bytes(), []uint8{13, 100})
		y := tensor.Must(tensor.New(d, 3))
		copy(y.Bytes(), []uint8{1, 90, 3})
		// X: (v − 10)/2 with ties to even; Y: 2·v, up to the end of the type.
		want := []int32{2, 180, 2, 45, 180, 45}
		if d == tensor.Int8 {
			want = []int32{2, 127, 2, 45, 127, 45}
		}
		got := runOp(t, o, nil, false, cond, x, half, ten, y, two, zero, one, zero)[0]
		if !got.Shape().Equal(tensor.Shape{2, 3}) || !slices.Equal(ints32(nil, got), want) {
			t.Errorf("QLinearWhere of %v = %v of shape %v, want %v", d, ints32(nil, got), got.Shape(), want)
		}
		// Equal scales and zero points: a choice.
		got = runOp(t, o, nil, false, cond, x, half, ten, y, half, ten, half, ten)[0]
		if want := []int32{13, 90, 13, 100, 90, 100}; !slices.Equal(ints32(nil, got), want) {
			t.Errorf("QLinearWhere of %v with one scale = %v, want %v", d, ints32(nil, got), want)
		}
	}
}

func TestQuantizeLinearRounding(t *testing.T) {
	x := of(t, []float32{0, 0.5, 1.5, 2.5, -0.5, 300, -300, float32(math.NaN()), float32(math.Inf(1))})
	o, err := makeOp(t, newQuantizeLinear, "QuantizeLinear", 13)
	if err != nil {
		t.Fatal(err)
	}
	got := ints32(nil, runOp(t, o, nil, false, x, of(t, []float32{1}), of(t, []uint8{3}))[0])
	if want := []int32{3, 3, 5, 5, 3, 255, 0, 3, 255}; !slices.Equal(got, want) {
		t.Errorf("QuantizeLinear(%v) = %v, want %v", x.Float32s(), got, want)
	}
}

func TestQuantRejects(t *testing.T) {
	x := Fact{DType: tensor.Uint8, Shape: tensor.Shape{1, 4, 8, 8}}
	w := Fact{DType: tensor.Int8, Shape: tensor.Shape{6, 4, 3, 3}}
	s, z, zs := Fact{DType: tensor.Float32, Shape: tensor.Shape{}}, Fact{DType: tensor.Uint8, Shape: tensor.Shape{}}, Fact{DType: tensor.Int8, Shape: tensor.Shape{}}
	many := Fact{DType: tensor.Float32, Shape: tensor.Shape{5}}
	wide, deep := x, w
	wide.Shape, deep.Shape = tensor.Shape{1, 70000, 8, 8}, tensor.Shape{6, 70000, 3, 3}
	for name, in := range map[string][]Fact{
		"zero point type":  {x, s, zs, w, s, zs, s, z},
		"weights' scales":  {x, s, z, w, many, zs, s, z},
		"scale missing":    {x, s, z, w, {}, zs, s, z},
		"output type":      {x, s, z, w, s, zs, s, s},
		"bias type":        {x, s, z, w, s, zs, s, z, s},
		"float weights":    {x, s, z, s, s, zs, s, z},
		"too many terms":   {wide, s, z, deep, s, zs, s, z},
		"list of x scales": {x, many, z, w, s, zs, s, z},
	} {
		o, err := makeOp(t, newQLinearConv, "QLinearConv", 10)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := o.Infer(in); err == nil {
			t.Errorf("%s: accepted, %v", name, f)
		}
	}
}
