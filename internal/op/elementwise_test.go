package op

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// ulp of the element types that functions are rounded to.
func precision(d tensor.DType) float64 {
	switch d {
	case tensor.Float16:
		return 1e-3
	case tensor.BFloat16:
		return 8e-3
	case tensor.Float32:
		return 2e-6
	}
	return 1e-14
}

func TestUnary(t *testing.T) {
	erfc := func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }
	tests := []struct {
		node
		f      func(x float64) float64
		lo, hi float64
	}{
		{node{typ: "Abs"}, math.Abs, -5, 5},
		{node{typ: "Neg"}, func(x float64) float64 { return -x }, -5, 5},
		{node{typ: "Sign"}, func(x float64) float64 {
			if x == 0 {
				return 0
			}
			return math.Copysign(1, x)
		}, -3, 3},
		{node{typ: "Reciprocal"}, func(x float64) float64 { return 1 / x }, 0.25, 8},
		{node{typ: "Floor"}, math.Floor, -5, 5},
		{node{typ: "Ceil"}, math.Ceil, -5, 5},
		{node{typ: "Round"}, math.RoundToEven, -5, 5},
		{node{typ: "Sqrt"}, math.Sqrt, 0, 9},
		{node{typ: "Exp"}, math.Exp, -4, 4},
		{node{typ: "Log"}, math.Log, 0.1, 20},
		{node{typ: "Erf"}, math.Erf, -4, 4},
		{node{typ: "Sin"}, math.Sin, -9, 9},
		{node{typ: "Cos"}, math.Cos, -9, 9},
		{node{typ: "Tan"}, math.Tan, -1.4, 1.4},
		{node{typ: "Asin"}, math.Asin, -1, 1},
		{node{typ: "Acos"}, math.Acos, -1, 1},
		{node{typ: "Atan"}, math.Atan, -9, 9},
		{node{typ: "Sinh"}, math.Sinh, -3, 3},
		{node{typ: "Cosh"}, math.Cosh, -3, 3},
		{node{typ: "Asinh"}, math.Asinh, -9, 9},
		{node{typ: "Acosh"}, math.Acosh, 1, 9},
		{node{typ: "Atanh"}, math.Atanh, -0.9, 0.9},
		{node{typ: "Relu"}, func(x float64) float64 { return math.Max(x, 0) }, -5, 5},
		{node{typ: "Sigmoid"}, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, -20, 20},
		{node{typ: "Tanh"}, math.Tanh, -9, 9},
		{node{typ: "Softplus"}, func(x float64) float64 { return math.Log1p(math.Exp(x)) }, -20, 20},
		{node{typ: "Softsign"}, func(x float64) float64 { return x / (1 + math.Abs(x)) }, -9, 9},
		{node{typ: "LeakyRelu"}, func(x float64) float64 { return math.Max(x, 0) + float64(float32(0.01))*math.Min(x, 0) }, -9, 9},
		{node{typ: "LeakyRelu", attrs: []*onnx.Attribute{attrFloat("alpha", 0.25)}}, func(x float64) float64 { return math.Max(x, 0) + 0.25*math.Min(x, 0) }, -9, 9},
		{node{typ: "Elu", attrs: []*onnx.Attribute{attrFloat("alpha", 2)}}, func(x float64) float64 {
			if x < 0 {
				return 2 * (math.Exp(x) - 1)
			}
			return x
		}, -9, 9},
		{node{typ: "Selu"}, func(x float64) float64 {
			const alpha, gamma = 1.67326319217681884765625, 1.05070102214813232421875
			if x <= 0 {
				return gamma * alpha * (math.Exp(x) - 1)
			}
			return gamma * x
		}, -9, 9},
		{node{typ: "Celu", attrs: []*onnx.Attribute{attrFloat("alpha", 2)}}, func(x float64) float64 {
			return math.Max(0, x) + math.Min(0, 2*(math.Exp(x/2)-1))
		}, -9, 9},
		{node{typ: "ThresholdedRelu", attrs: []*onnx.Attribute{attrFloat("alpha", 2)}}, func(x float64) float64 {
			if x > 2 {
				return x
			}
			return 0
		}, -9, 9},
		{node{typ: "HardSigmoid"}, func(x float64) float64 { return math.Max(0, math.Min(1, float64(float32(0.2))*x+0.5)) }, -9, 9},
		{node{typ: "HardSwish"}, func(x float64) float64 { return x * math.Max(0, math.Min(1, x/6+0.5)) }, -9, 9},
		{node{typ: "Mish"}, func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) }, -9, 9},
		{node{typ: "Gelu"}, erfc, -4, 4},
		{node{typ: "Gelu", domain: "com.microsoft", opset: 1}, erfc, -4, 4},
		{node{typ: "Gelu", attrs: []*onnx.Attribute{attrString("approximate", "tanh")}}, func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}, -4, 4},
		{node{typ: "Swish", opset: 24}, func(x float64) float64 { return x / (1 + math.Exp(-x)) }, -9, 9},
		{node{typ: "Swish", opset: 24, attrs: []*onnx.Attribute{attrFloat("alpha", 0.5)}}, func(x float64) float64 { return x / (1 + math.Exp(-x/2)) }, -9, 9},
		{node{typ: "QuickGelu", domain: "com.microsoft", opset: 1}, func(x float64) float64 {
			return x / (1 + math.Exp(-float64(float32(1.702))*x))
		}, -9, 9},
		{node{typ: "Shrink", attrs: []*onnx.Attribute{attrFloat("lambd", 1.5), attrFloat("bias", 0.25)}}, func(x float64) float64 {
			switch {
			case x < -1.5:
				return x + 0.25
			case x > 1.5:
				return x - 0.25
			}
			return 0
		}, -9, 9},
	}
	for _, c := range tests {
		for _, d := range typesIn(typesFloat) {
			t.Run(c.typ+"/"+d.String(), func(t *testing.T) {
				n := 1003
				if d == tensor.Float32 {
					n = 70003 // more than one chunk, and a ragged last one
				}
				x := tensor.Must(tensor.New(tensor.Float64, n))
				for i := range tensor.Data[float64](x) {
					tensor.Data[float64](x)[i] = c.lo + (c.hi-c.lo)*float64(i)/float64(n-1)
				}
				in := tensor.Must(tensor.New(d, n))
				convert(in, x)
				want := floats(in)
				for i, v := range want {
					want[i] = c.f(v)
				}
				wantNear(t, c.typ, c.eval(t, in)[0], want, precision(d))
			})
		}
	}
}

func TestUnarySpecialValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		typ      string
		in, want []float64
	}{
		{"Relu", []float64{nan, inf, -inf}, []float64{nan, inf, 0}},
		{"Sigmoid", []float64{nan, inf, -inf, 1e4, -1e4}, []float64{nan, 1, 0, 1, 0}},
		{"Tanh", []float64{nan, inf, -inf}, []float64{nan, 1, -1}},
		{"Softplus", []float64{nan, inf, -inf, 500}, []float64{nan, inf, 0, 500}},
		{"Exp", []float64{nan, inf, -inf, 1000}, []float64{nan, inf, 0, inf}},
		{"Log", []float64{nan, inf, 0, -1}, []float64{nan, inf, -inf, nan}},
		{"Sign", []float64{nan, inf, -inf}, []float64{nan, 1, -1}},
		{"Round", []float64{0.5, 1.5, 2.5, -0.5, -1.5, nan}, []float64{0, 2, 2, 0, -2, nan}},
		{"Elu", []float64{nan, inf, -inf}, []float64{nan, inf, -1}},
		{"ThresholdedRelu", []float64{nan}, []float64{nan}},
		{"HardSigmoid", []float64{nan, inf, -inf}, []float64{nan, 1, 0}},
	}
	for _, c := range tests {
		for _, d := range typesIn(typesFloat) {
			x := tensor.Must(tensor.New(d, len(c.in)))
			convert(x, tensor.Must(tensor.Of(c.in, len(c.in))))
			if d == tensor.Float64 && c.in[len(c.in)-1] == 1000 {
				c.in[3], c.want[3] = 1000, inf
			}
			wantNear(t, c.typ+" "+d.String(), node{typ: c.typ}.eval(t, x)[0], c.want, 1e-3, c.in)
		}
	}
}

func TestUnaryIntegers(t *testing.T) {
	tests := []struct {
		typ      string
		in, want []float64
	}{
		{"Abs", []float64{-128, -3, 0, 5}, []float64{-128, 3, 0, 5}},
		{"Neg", []float64{-128, -3, 0, 5}, []float64{-128, 3, 0, -5}},
		{"Sign", []float64{-128, -3, 0, 5}, []float64{-1, -1, 0, 1}},
		{"Relu", []float64{-128, -3, 0, 5}, []float64{0, 0, 0, 5}},
	}
	for _, c := range tests {
		x := tensor.Must(tensor.New(tensor.Int8, len(c.in)))
		convert(x, tensor.Must(tensor.Of(c.in, len(c.in))))
		wantNear(t, c.typ, node{typ: c.typ}.eval(t, x)[0], c.want, 0, c.in)
	}
	x := tensor.Must(tensor.Of([]uint8{0, 1, 200}, 3))
	wantNear(t, "Sign", node{typ: "Sign"}.eval(t, x)[0], []float64{0, 1, 1}, 0)
	wantNear(t, "Abs", node{typ: "Abs"}.eval(t, x)[0], []float64{0, 1, 200}, 0)
}

// TestBinary compares every function on every type with broadcasting against a loop over
// the elements.
func TestBinary(t *testing.T) {
	arith := map[string]func(a, b float64) float64{
		"Add": func(a, b float64) float64 { return a + b },
		"Sub": func(a, b float64) float64 { return a - b },
		"Mul": func(a, b float64) float64 { return a * b },
		"Div": func(a, b float64) float64 { return a / b },
		"Max": math.Max,
		"Min": math.Min,
		"PRelu": func(a, b float64) float64 {
			if a < 0 {
				return a * b
			}
			return a
		},
		"Equal":          func(a, b float64) float64 { return truth(a == b) },
		"Less":           func(a, b float64) float64 { return truth(a < b) },
		"LessOrEqual":    func(a, b float64) float64 { return truth(a <= b) },
		"Greater":        func(a, b float64) float64 { return truth(a > b) },
		"GreaterOrEqual": func(a, b float64) float64 { return truth(a >= b) },
	}
	shapes := [][2]tensor.Shape{
		{{3, 4}, {3, 4}}, {{3, 4}, {}}, {{}, {3, 4}}, {{3, 4}, {4}}, {{3, 4}, {3, 1}}, {{1, 4}, {3, 1}},
		{{2, 3, 4, 5}, {3, 1, 1}}, {{2, 3, 4, 5}, {2, 1, 4, 1}}, {{5}, {1}}, {{0, 3}, {3}}, {{1}, {0}}, {{2, 1, 3}, {1, 4, 1}},
		{{300, 300}, {300, 300}}, {{70000}, {1}},
	}
	r := rand.New(rand.NewPCG(1, 2))
	for name, f := range arith {
		set := Core[Key{"", name}][0].Types
		for _, d := range typesIn(set) {
			for _, s := range shapes {
				if n, _ := s[0].Elems(); n > 1000 && d != tensor.Float32 {
					continue
				}
				if name == "PRelu" && (len(s[1]) > len(s[0]) || len(s[0]) == 1 && s[1].Equal(tensor.Shape{0}) || s[0][0] == 1 && s[1][0] == 3 || len(s[0]) == 3) {
					continue
				}
				a, b := randomOf(r, d, s[0]...), randomOf(r, d, s[1]...)
				if name == "Div" && d.IsInteger() {
					one := tensor.Must(tensor.New(d, s[1]...))
					convert(one, tensor.Must(tensor.Of(nonZero9(r, one.Elems(), d.IsSigned()), s[1]...)))
					b = one
				}
				out, err := tensor.Broadcast(s[0], s[1])
				if err != nil {
					t.Fatal(err)
				}
				got := node{typ: name}.eval(t, a, b)[0]
				x, y := floats(a), floats(b)
				var want []float64
				forEach(out, func(idx []int, _ int) {
					v := f(x[broadcastIndex(s[0], idx)], y[broadcastIndex(s[1], idx)])
					if d.IsInteger() && name == "Div" {
						v = math.Trunc(v)
					}
					want = append(want, v)
				})
				tol := precision(d)
				if isHalf(d) {
					rounded := tensor.Must(tensor.New(d, len(want)))
					convert(rounded, tensor.Must(tensor.Of(want, len(want))))
					want = floats(rounded)
				}
				if d.IsInteger() {
					want = wrapped(d, want)
					tol = 0
				}
				if !got.Shape().Equal(out) {
					t.Fatalf("%s %v %v: shape %v, want %v", name, a, b, got.Shape(), out)
				}
				wantNear(t, name, got, want, tol, a, b)
			}
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func nonZero9(r *rand.Rand, n int, signed bool) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(1 + r.IntN(5))
		if signed && r.IntN(2) == 0 {
			v[i] = -v[i]
		}
	}
	return v
}

// wrapped reduces whole numbers to what an integer type keeps of them.
func wrapped(d tensor.DType, v []float64) []float64 {
	bits := uint(8 * d.Size())
	for i, x := range v {
		u := uint64(int64(x))
		if d.IsSigned() {
			v[i] = float64(int64(u<<(64-bits)) >> (64 - bits))
		} else {
			v[i] = float64(u << (64 - bits) >> (64 - bits))
		}
	}
	return v
}

func TestIntegerArithmetic(t *testing.T) {
	i8 := func(v ...int8) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	u8 := func(v ...uint8) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	i64 := ints
	fmod := []*onnx.Attribute{attrInt("fmod", 1)}
	left, right := []*onnx.Attribute{attrString("direction", "LEFT")}, []*onnx.Attribute{attrString("direction", "RIGHT")}
	f32 := func(v ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	inf := float32(math.Inf(1))
	tests := []struct {
		node
		a, b *tensor.Tensor
		want []float64
	}{
		{node{typ: "Add"}, i8(127, -128), i8(1, -1), []float64{-128, 127}},
		{node{typ: "Sub"}, u8(0), u8(1), []float64{255}},
		{node{typ: "Mul"}, i8(100), i8(3), []float64{44}},
		{node{typ: "Div"}, i8(-7, 7, -128), i8(2, -2, -1), []float64{-3, -3, -128}},
		{node{typ: "Mod"}, i8(-4, 7, 5, 4, -7, 8), i8(2, -3, 8, -2, 3, 5), []float64{0, -2, 5, 0, 2, 3}},
		{node{typ: "Mod", attrs: fmod}, i8(-4, 7, 5, 4, -7, 8), i8(2, -3, 8, -2, 3, 5), []float64{0, 1, 5, 0, -1, 3}},
		{node{typ: "Mod", attrs: fmod}, f32(-4.3, 7.2, 5), f32(2.1, -3.4, 8), []float64{-0.1, 0.4, 5}},
		{node{typ: "BitShift", attrs: left}, u8(16, 4, 1, 1), u8(1, 2, 3, 9), []float64{32, 16, 8, 0}},
		{node{typ: "BitShift", attrs: right}, u8(16, 4, 255, 255), u8(1, 2, 3, 200), []float64{8, 1, 31, 0}},
		{node{typ: "BitShift", attrs: left, opset: 28}, i8(-3, 64, 5, 1, -1), i8(1, 1, -1, 8, 7), []float64{-6, -128, 0, 0, -128}},
		{node{typ: "BitShift", attrs: right, opset: 28}, i8(-3, 64, -5, 5, -1), i8(1, 9, -1, -1, 7), []float64{-2, 0, -1, 0, -1}},
		{node{typ: "BitShift", attrs: right, opset: 28}, i64(-1<<40, 1<<40), i64(8, 64), []float64{-1 << 32, 0}},
		{node{typ: "Mod", opset: 28}, f32(-4.25, 7.5, 5, -5, 3, -3), f32(2, -3, 8, 8, inf, inf), []float64{1.75, -1.5, 5, 3, 3, math.Inf(1)}},
		{node{typ: "BitwiseAnd"}, u8(12, 255), u8(10, 7), []float64{8, 7}},
		{node{typ: "BitwiseOr"}, u8(12, 255), u8(10, 7), []float64{14, 255}},
		{node{typ: "BitwiseXor"}, i8(12, -1), i8(10, 7), []float64{6, -8}},
		{node{typ: "Pow"}, i64(2, -3, -1, 1, 0, 2, -1), i64(10, 3, -3, -5, 0, -1, -2), []float64{1024, -27, -1, 1, 1, 0, 1}},
		{node{typ: "Pow"}, i64(2, 4), f32(0.5, 0.5), []float64{1, 2}},
		{node{typ: "Pow"}, f32(2, 4), i64(3, -1), []float64{8, 0.25}},
		{node{typ: "Pow"}, f32(2, 4, 3), f32(2), []float64{4, 16, 9}},
		{node{typ: "Pow"}, f32(2, 4, -3), f32(3), []float64{8, 64, -27}},
		{node{typ: "Pow"}, f32(2, 4, 9), f32(0.5), []float64{math.Sqrt2, 2, 3}},
	}
	for _, c := range tests {
		wantNear(t, c.typ, c.eval(t, c.a, c.b)[0], c.want, 1e-6, floats(c.a), floats(c.b))
	}
	for _, typ := range []string{"Div", "Mod"} {
		if _, err := (node{typ: typ}).try(t, i8(1), i8(0)); err == nil {
			t.Errorf("%s of integers by zero gave no error", typ)
		}
	}
	if _, err := (node{typ: "Mod"}).try(t, f32(1), f32(2)); err == nil {
		t.Error("Mod of floats without fmod gave no error")
	}
	if _, err := (node{typ: "BitShift", attrs: left}).try(t, i8(1), i8(2)); err == nil {
		t.Error("BitShift of signed integers gave no error before opset 28")
	}
	if _, err := (node{typ: "Add"}).try(t, f32(1), i64(2)); err == nil {
		t.Error("Add of different types gave no error")
	}
}

func TestLogic(t *testing.T) {
	b := func(v ...bool) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	x, y := b(false, false, true, true), b(false, true, false, true)
	for typ, want := range map[string][]float64{"And": {0, 0, 0, 1}, "Or": {0, 1, 1, 1}, "Xor": {0, 1, 1, 0}, "Equal": {1, 0, 0, 1}} {
		wantNear(t, typ, node{typ: typ}.eval(t, x, y)[0], want, 0)
	}
	wantNear(t, "Not", node{typ: "Not"}.eval(t, x)[0], []float64{1, 1, 0, 0}, 0)
	wantNear(t, "BitwiseNot", node{typ: "BitwiseNot"}.eval(t, ints(0, 5, -1))[0], []float64{-1, -6, 0}, 0)
	inf := math.Inf(1)
	for _, d := range typesIn(typesFloat) {
		v := tensor.Must(tensor.New(d, 4))
		convert(v, tensor.Must(tensor.Of([]float64{1, math.NaN(), inf, -inf}, 4)))
		wantNear(t, "IsNaN", node{typ: "IsNaN"}.eval(t, v)[0], []float64{0, 1, 0, 0}, 0, d)
		wantNear(t, "IsInf", node{typ: "IsInf"}.eval(t, v)[0], []float64{0, 0, 1, 1}, 0, d)
		wantNear(t, "IsInf", node{typ: "IsInf", attrs: []*onnx.Attribute{attrInt("detect_negative", 0)}}.eval(t, v)[0], []float64{0, 0, 1, 0}, 0, d)
	}
}

func TestVariadic(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for typ, f := range map[string]func(acc, v float64) float64{
		"Sum": func(a, v float64) float64 { return a + v }, "Mean": func(a, v float64) float64 { return a + v },
		"Max": math.Max, "Min": math.Min,
	} {
		for _, shapes := range [][]tensor.Shape{{{2, 3}}, {{2, 3}, {3}}, {{1}, {2, 1}, {1, 3}, {2, 3}}, {{2, 3}, {2, 3}, {2, 3}}} {
			for _, d := range typesIn(typesFloat) {
				var in []*tensor.Tensor
				for _, s := range shapes {
					in = append(in, randomOf(r, d, s...))
				}
				var want []float64
				forEach([]int{2, 3}, func(idx []int, _ int) {
					acc := math.NaN()
					for i, x := range in {
						v := floats(x)[broadcastIndex(x.Shape(), idx)]
						if i == 0 {
							acc = v
						} else {
							acc = f(acc, v)
						}
					}
					if typ == "Mean" {
						acc /= float64(len(in))
					}
					want = append(want, acc)
				})
				wantNear(t, typ, node{typ: typ}.eval(t, in...)[0], want, 4*precision(d), shapes, d)
			}
		}
	}
}

func TestClip(t *testing.T) {
	x := tensor.Must(tensor.Of([]float32{-3, 0, 3, float32(math.NaN())}, 4))
	s := func(v float32) *tensor.Tensor { return tensor.Scalar(v) }
	tests := []struct {
		lo, hi *tensor.Tensor
		want   []float64
	}{
		{s(-1), s(2), []float64{-1, 0, 2, math.NaN()}}, {nil, s(2), []float64{-3, 0, 2, math.NaN()}}, {s(-1), nil, []float64{-1, 0, 3, math.NaN()}},
		{nil, nil, []float64{-3, 0, 3, math.NaN()}},
	}
	for _, c := range tests {
		wantNear(t, "Clip", node{typ: "Clip"}.eval(t, x, c.lo, c.hi)[0], c.want, 0, c.lo, c.hi)
	}
	y := tensor.Must(tensor.Of([]float32{-3, 0, 3}, 3))
	wantNear(t, "Clip with min > max", node{typ: "Clip"}.eval(t, y, s(2), s(1))[0], []float64{1, 1, 1}, 0)
	i := tensor.Must(tensor.Of([]int32{-3, 0, 3}, 3))
	wantNear(t, "Clip", node{typ: "Clip"}.eval(t, i, tensor.Scalar(int32(-1)), tensor.Scalar(int32(2)))[0], []float64{-1, 0, 2}, 0)
	d := tensor.Must(tensor.Of([]float64{-3, 0, 3}, 3))
	wantNear(t, "Clip of float64 by attributes", node{typ: "Clip", opset: 6}.eval(t, d, s(-1), s(2))[0], []float64{-1, 0, 2}, 0)
}

func TestWhere(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, d := range typesIn(typesAll) {
		c, x, y := randomOf(r, tensor.Bool, 3, 1), randomOf(r, d, 4), randomOf(r, d, 2, 3, 1)
		var want []float64
		forEach([]int{2, 3, 4}, func(idx []int, _ int) {
			if floats(c)[broadcastIndex(c.Shape(), idx)] != 0 {
				want = append(want, floats(x)[broadcastIndex(x.Shape(), idx)])
			} else {
				want = append(want, floats(y)[broadcastIndex(y.Shape(), idx)])
			}
		})
		got := node{typ: "Where"}.eval(t, c, x, y)[0]
		wantShape(t, "Where", got, d, 2, 3, 4)
		wantNear(t, "Where", got, want, 0, d)
	}
}

// TestChannelsLast runs the channels-last variant of elementwise operators on permuted
// inputs, and wants the permuted result.
func TestElementwiseChannelsLast(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	axes := ints(2, 3)
	x, y := randomOf(r, tensor.Float32, 2, 3, 4, 5), randomOf(r, tensor.Float32, 2, 3, 4, 5)
	tests := []struct {
		node
		in []*tensor.Tensor
	}{
		{node{typ: "Relu"}, []*tensor.Tensor{x}},
		{node{typ: "Add"}, []*tensor.Tensor{x, y}},
		{node{typ: "Sub"}, []*tensor.Tensor{x, randomOf(r, tensor.Float32, 3, 1, 1)}},
		{node{typ: "Sub"}, []*tensor.Tensor{randomOf(r, tensor.Float32, 3, 1, 1), x}},
		{node{typ: "Mul"}, []*tensor.Tensor{x, randomOf(r, tensor.Float32)}},
		{node{typ: "Mul"}, []*tensor.Tensor{x, randomOf(r, tensor.Float32, 1, 3, 1, 1)}},
		{node{typ: "PRelu"}, []*tensor.Tensor{x, randomOf(r, tensor.Float32, 3, 1, 1)}},
		{node{typ: "Sum"}, []*tensor.Tensor{x, y, x}},
		{node{typ: "Clip"}, []*tensor.Tensor{x, tensor.Scalar(float32(-1)), nil}},
		{node{typ: "Concat", attrs: []*onnx.Attribute{attrInt("axis", 1)}}, []*tensor.Tensor{x, y}},
		{node{typ: "Concat", attrs: []*onnx.Attribute{attrInt("axis", -1)}}, []*tensor.Tensor{x, y}},
		{node{typ: "Softmax", attrs: []*onnx.Attribute{attrInt("axis", 1)}}, []*tensor.Tensor{x}},
		{node{typ: "ReduceMean"}, []*tensor.Tensor{x, axes}},
		{node{typ: "ReduceMax"}, []*tensor.Tensor{x, ints(1)}},
		{node{typ: "Greater"}, []*tensor.Tensor{x, y}},
	}
	for _, c := range tests {
		o, err := c.make(len(c.in))
		if err != nil {
			t.Fatal(err)
		}
		facts := make([]Fact, len(c.in))
		for i, x := range c.in {
			facts[i] = FactOf(x)
		}
		v, nhwc, ok := o.(LayoutAware).ChannelsLast(facts)
		if !ok {
			t.Errorf("%s(%v) has no channels-last variant", c.typ, c.in)
			continue
		}
		in := append([]*tensor.Tensor{}, c.in...)
		for i := range in {
			if nhwc[i] {
				in[i] = permuted(in[i], 0, 2, 3, 1)
			}
			facts[i] = FactOf(in[i])
		}
		f, err := v.Infer(facts)
		if err != nil {
			t.Errorf("%s(%v): %v", c.typ, in, err)
			continue
		}
		out := tensor.Must(tensor.New(f[0].DType, f[0].Shape...))
		if err := v.Run(&Context{}, []*tensor.Tensor{out}, in); err != nil {
			t.Errorf("%s(%v): %v", c.typ, in, err)
			continue
		}
		want := permuted(c.eval(t, c.in...)[0], 0, 2, 3, 1)
		if !out.Shape().Equal(want.Shape()) {
			t.Errorf("%s(%v): shape %v, want %v", c.typ, in, out.Shape(), want.Shape())
			continue
		}
		wantNear(t, c.typ, out, floats(want), 1e-6, c.in)
	}
}

// TestBinaryRows combines rows with each of many rows, as the channels of an image, from either side, and numbers with
// many.
func TestBinaryRows(t *testing.T) {
	funcs := map[string]func(a, b float32) float32{
		"Add": func(a, b float32) float32 { return a + b },
		"Sub": func(a, b float32) float32 { return a - b },
		"Mul": func(a, b float32) float32 { return a * b },
		"Div": func(a, b float32) float32 { return a / b },
		"Max": func(a, b float32) float32 { return max(a, b) },
		"Min": func(a, b float32) float32 { return min(a, b) },
		"PRelu": func(a, b float32) float32 {
			if a < 0 {
				return a * b
			}
			return a
		},
	}
	r := rand.New(rand.NewPCG(3, 4))
	for name, f := range funcs {
		for _, s := range [][2]int{{2, 3}, {1700, 3}, {3001, 7}, {41, 100}, {9000, 20}, {3, 2048}, {3, 2049}, {2000, 1}, {1, 33}} {
			rows, n := s[0], s[1]
			x, row := randomOf(r, tensor.Float32, rows, n), randomOf(r, tensor.Float32, n)
			x.Float32s()[n/2], row.Float32s()[n-1] = float32(math.NaN()), float32(math.Inf(1))
			for _, swapped := range []bool{false, true}[:1+btoi(name != "PRelu")] {
				in := []*tensor.Tensor{x, row}
				if swapped {
					in = []*tensor.Tensor{row, x}
				}
				for i, got := range (node{typ: name}).eval(t, in...)[0].Float32s() {
					a, b := x.Float32s()[i], row.Float32s()[i%n]
					if swapped {
						a, b = b, a
					}
					if want := f(a, b); got != want && (got == got || want == want) {
						t.Fatalf("%s %v swapped %v: element %d is %v, want %v", name, s, swapped, i, got, want)
					}
				}
			}
		}
	}
}
