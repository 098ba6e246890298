package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// product2 multiplies op(a), m×k, and op(b), k×n, in float64.
func product2(a, b []float64, m, k, n int, transA, transB bool) []float64 {
	c := make([]float64, m*n)
	for i := range m {
		for j := range n {
			for p := range k {
				x, y := i*k+p, p*n+j
				if transA {
					x = p*m + i
				}
				if transB {
					y = j*k + p
				}
				c[i*n+j] += a[x] * b[y]
			}
		}
	}
	return c
}

func TestGemm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dims := [][3]int{{1, 1, 1}, {1, 17, 33}, {3, 5, 7}, {2, 300, 500}, {170, 40, 40}, {200, 64, 300}, {1, 784, 400}, {5, 0, 3}, {0, 4, 3}}
	for _, d := range dims {
		m, k, n := d[0], d[1], d[2]
		for _, c := range []struct {
			alpha, beta float32
			ta, tb      bool
			bias        []int // nil: none
			dtype       tensor.DType
		}{
			{1, 1, false, false, nil, tensor.Float32}, {1, 1, false, true, []int{n}, tensor.Float32}, {1, 1, true, false, []int{1, n}, tensor.Float32},
			{0.5, 2, false, true, []int{n}, tensor.Float32}, {0.5, -1, true, true, []int{m, n}, tensor.Float32}, {1, 1, false, false, []int{m, 1}, tensor.Float32},
			{1, 1, false, false, []int{}, tensor.Float32}, {2, 0, false, false, []int{n}, tensor.Float32}, {0, 1, false, false, []int{n}, tensor.Float32},
			{0.5, 2, true, true, []int{n}, tensor.Float64}, {1, 1, false, true, []int{n}, tensor.Float16}, {1, 1, false, false, []int{n}, tensor.Int32},
		} {
			if c.dtype != tensor.Float32 && m*k*n > 1e5 || m == 0 && c.bias != nil {
				continue
			}
			as, bs := []int{m, k}, []int{k, n}
			if c.ta {
				as = []int{k, m}
			}
			if c.tb {
				bs = []int{n, k}
			}
			in := []*tensor.Tensor{randomOf(r, c.dtype, as...), randomOf(r, c.dtype, bs...)}
			want := product2(floats(in[0]), floats(in[1]), m, k, n, c.ta, c.tb)
			var bias []float64
			if c.bias != nil {
				in = append(in, randomOf(r, c.dtype, c.bias...))
				bias = floats(in[2])
			}
			for i := range want {
				want[i] *= float64(c.alpha)
				if c.bias != nil {
					want[i] += float64(c.beta) * bias[broadcastIndex(c.bias, []int{i / n, i % n})]
				}
			}
			attrs := []*onnx.Attribute{attrFloat("alpha", c.alpha), attrFloat("beta", c.beta), attrInt("transA", int64(truth(c.ta))), attrInt("transB", int64(truth(c.tb)))}
			got := node{typ: "Gemm", attrs: attrs}.eval(t, in...)[0]
			wantShape(t, "Gemm", got, c.dtype, m, n)
			tol := 1e-5 * math.Sqrt(float64(k+1)) * 10
			if c.dtype == tensor.Float16 {
				tol = 2e-3
			}
			wantNear(t, fmt.Sprintf("Gemm %+v", c), got, want, tol, d)
		}
	}
}

func TestMatMul(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct{ a, b, want tensor.Shape }{
		{tensor.Shape{3, 4}, tensor.Shape{4, 5}, tensor.Shape{3, 5}},
		{tensor.Shape{4}, tensor.Shape{4, 5}, tensor.Shape{5}},
		{tensor.Shape{3, 4}, tensor.Shape{4}, tensor.Shape{3}},
		{tensor.Shape{4}, tensor.Shape{4}, tensor.Shape{}},
		{tensor.Shape{2, 3, 4}, tensor.Shape{4, 5}, tensor.Shape{2, 3, 5}},
		{tensor.Shape{2, 3, 4}, tensor.Shape{2, 4, 5}, tensor.Shape{2, 3, 5}},
		{tensor.Shape{2, 1, 3, 4}, tensor.Shape{7, 4, 5}, tensor.Shape{2, 7, 3, 5}},
		{tensor.Shape{3, 4}, tensor.Shape{2, 7, 4, 5}, tensor.Shape{2, 7, 3, 5}},
		{tensor.Shape{2, 3, 4}, tensor.Shape{4}, tensor.Shape{2, 3}},
		{tensor.Shape{4}, tensor.Shape{2, 4, 5}, tensor.Shape{2, 5}},
		{tensor.Shape{2, 3, 4}, tensor.Shape{1, 1, 4, 5}, tensor.Shape{1, 2, 3, 5}},
		{tensor.Shape{0, 4}, tensor.Shape{4, 5}, tensor.Shape{0, 5}},
		{tensor.Shape{3, 0}, tensor.Shape{0, 5}, tensor.Shape{3, 5}},
		{tensor.Shape{2, 100, 60}, tensor.Shape{60, 80}, tensor.Shape{2, 100, 80}},
		{tensor.Shape{3, 4}, tensor.Shape{5, 4}, nil}, {tensor.Shape{}, tensor.Shape{4}, nil}, {tensor.Shape{2, 3, 4}, tensor.Shape{3, 4, 5}, nil},
	} {
		for _, d := range typesIn(typesMatMul) {
			if n, _ := c.want.Elems(); n > 1000 && d != tensor.Float32 {
				continue
			}
			a, b := randomOf(r, d, c.a...), randomOf(r, d, c.b...)
			out, err := node{typ: "MatMul"}.try(t, a, b)
			if c.want == nil {
				if err == nil {
					t.Errorf("MatMul(%v, %v) gave no error", a, b)
				}
				continue
			}
			if err != nil {
				t.Fatalf("MatMul(%v, %v): %v", a, b, err)
			}
			as, bs, full := c.a, c.b, c.want.Clone()
			if len(as) == 1 {
				as = tensor.Shape{1, as[0]}
				full = append(full[:len(full)-min(1, len(full))].Clone(), append(tensor.Shape{1}, full[max(0, len(full)-1):]...)...)
			}
			if len(bs) == 1 {
				bs = tensor.Shape{bs[0], 1}
				full = append(full, 1)
			}
			if len(c.a) == 1 && len(c.b) == 1 {
				full = tensor.Shape{1, 1}
			}
			wantShape(t, "MatMul", out[0], d, c.want...)
			fa, fb := floats(a), floats(b)
			var want []float64
			forEach(full, func(idx []int, _ int) {
				sum := 0.0
				for p := range as[len(as)-1] {
					ia := append(append([]int{}, idx[:len(idx)-1]...), p)
					ib := append(append([]int{}, idx[:len(idx)-2]...), p, idx[len(idx)-1])
					sum += fa[broadcastIndex(as, ia)] * fb[broadcastIndex(bs, ib)]
				}
				want = append(want, sum)
			})
			tol := map[tensor.DType]float64{tensor.Float16: 2e-3, tensor.BFloat16: 1e-2, tensor.Float32: 1e-4}[d]
			if !d.IsFloat() {
				want = wrapped(d, want)
			}
			wantNear(t, "MatMul", out[0], want, max(tol, 1e-9), a, b)
		}
	}
}

func TestMatMulFusion(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	acts := []node{
		{typ: "Relu"}, {typ: "Sigmoid"}, {typ: "Tanh"}, {typ: "LeakyRelu", attrs: []*onnx.Attribute{attrFloat("alpha", 0.2)}},
		{typ: "Elu"}, {typ: "Softplus"}, {typ: "Clip"},
	}
	for _, first := range []node{{typ: "MatMul"}, {typ: "Gemm"}} {
		for _, shapes := range [][2][]int{{{3, 4}, {4, 5}}, {{2, 3, 4}, {4}}, {{2, 3, 4}, {4, 6}}, {{1, 40}, {40, 300}}} {
			if first.typ == "Gemm" && (len(shapes[0]) != 2 || len(shapes[1]) != 2) {
				continue
			}
			a, b := randomOf(r, tensor.Float32, shapes[0]...), randomOf(r, tensor.Float32, shapes[1]...)
			y := first.eval(t, a, b)[0]
			bias := randomOf(r, tensor.Float32, y.Shape()[y.Rank()-1])
			for _, act := range acts {
				o, err := first.make(2)
				if err != nil {
					t.Fatal(err)
				}
				next, _ := node{typ: "Add"}.make(2)
				f, extra, ok := o.(Fuser).Fuse(next, 1, []Fact{FactOf(bias), FactOf(y)})
				if !ok || extra != 1 {
					t.Fatalf("%s does not take the bias: %v, %d", first.typ, ok, extra)
				}
				want := node{typ: "Add"}.eval(t, bias, y)[0]
				in := []*tensor.Tensor{want}
				facts := []Fact{FactOf(want)}
				if act.typ == "Clip" {
					in = append(in, tensor.Scalar(float32(-1)), tensor.Scalar(float32(2)))
					facts = append(facts, FactOf(in[1]), FactOf(in[2]))
				}
				n, _ := act.make(len(in))
				f, extra, ok = f.(Fuser).Fuse(n, 0, facts)
				if !ok || extra != 0 {
					t.Fatalf("%s does not take %s", first.typ, act.typ)
				}
				want = act.eval(t, in...)[0]
				ff, err := f.Infer([]Fact{FactOf(a), FactOf(b), FactOf(bias)})
				if err != nil {
					t.Fatalf("fused %s+%s: %v", first.typ, act.typ, err)
				}
				got := tensor.Must(tensor.New(ff[0].DType, ff[0].Shape...))
				if err := f.Run(&Context{}, []*tensor.Tensor{got}, []*tensor.Tensor{a, b, bias}); err != nil {
					t.Fatal(err)
				}
				wantShape(t, "fused", got, want.DType(), want.Shape()...)
				wantNear(t, "fused "+first.typ+"+"+act.typ, got, floats(want), 1e-5, a, b)
				if _, _, ok := f.(Fuser).Fuse(n, 0, facts); ok {
					t.Errorf("%s takes a second activation", first.typ)
				}
			}
		}
	}
	// What must not be fused: a bias that is not a constant, or not along the last axis.
	o, _ := node{typ: "MatMul"}.make(2)
	add, _ := node{typ: "Add"}.make(2)
	y := Fact{DType: tensor.Float32, Shape: tensor.Shape{3, 5}}
	for _, b := range []Fact{{DType: tensor.Float32, Shape: tensor.Shape{5}}, FactOf(randomOf(r, tensor.Float32, 3, 1)), FactOf(randomOf(r, tensor.Float32, 1)), FactOf(randomOf(r, tensor.Float32, 1, 1, 5))} {
		if _, _, ok := o.(Fuser).Fuse(add, 0, []Fact{y, b}); ok {
			t.Errorf("a bias %v (constant: %t) was fused", b, b.Const != nil)
		}
	}
}

func TestFusedContrib(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	a, b, c := randomOf(r, tensor.Float32, 3, 4), randomOf(r, tensor.Float32, 5, 4), randomOf(r, tensor.Float32, 5)
	trans := attrInt("transB", 1)
	plain := node{typ: "Gemm", attrs: []*onnx.Attribute{trans}}.eval(t, a, b, c)[0]
	want := node{typ: "LeakyRelu", attrs: []*onnx.Attribute{attrFloat("alpha", 0.3)}}.eval(t, plain)[0]
	got := node{typ: "FusedGemm", domain: "com.microsoft", opset: 1, attrs: []*onnx.Attribute{trans, attrString("activation", "LeakyRelu"), attrFloat("activation_alpha", 0.3)}}.eval(t, a, b, c)[0]
	wantNear(t, "FusedGemm", got, floats(want), 1e-5)
	for _, act := range []struct {
		name  string
		attrs []*onnx.Attribute
	}{
		{"Elu", []*onnx.Attribute{attrFloat("alpha", 0.7)}}, {"Softplus", nil}, {"Softsign", nil}, {"HardSigmoid", []*onnx.Attribute{attrFloat("alpha", 0.3), attrFloat("beta", 0.4)}},
		{"Selu", []*onnx.Attribute{attrFloat("alpha", 1.5), attrFloat("gamma", 1.1)}}, {"ThresholdedRelu", []*onnx.Attribute{attrFloat("alpha", 0.3)}},
	} {
		fused := []*onnx.Attribute{trans, attrString("activation", act.name)}
		for _, at := range act.attrs {
			fused = append(fused, attrFloat("activation_"+at.Name, at.Float))
		}
		got := node{typ: "FusedGemm", domain: "com.microsoft", opset: 1, attrs: fused}.eval(t, a, b, c)[0]
		wantNear(t, "FusedGemm with "+act.name, got, floats(node{typ: act.name, attrs: act.attrs}.eval(t, plain)[0]), 1e-5)
	}
	got = node{typ: "FusedMatMul", domain: "com.microsoft", opset: 1, attrs: []*onnx.Attribute{trans, attrFloat("alpha", 0.5)}}.eval(t, a, b)[0]
	wantNear(t, "FusedMatMul", got, product2(floats(a), scaled(floats(b), 0.5), 3, 4, 5, false, true), 1e-5)
	x, bias := randomOf(r, tensor.Float32, 2, 3, 5), c
	sum := node{typ: "Add"}.eval(t, x, bias)[0]
	got = node{typ: "BiasGelu", domain: "com.microsoft", opset: 1}.eval(t, x, bias)[0]
	wantNear(t, "BiasGelu", got, floats(node{typ: "Gelu"}.eval(t, sum)[0]), 1e-6)
	got = node{typ: "FastGelu", domain: "com.microsoft", opset: 1}.eval(t, x, bias)[0]
	wantNear(t, "FastGelu", got, floats(node{typ: "Gelu", attrs: []*onnx.Attribute{attrString("approximate", "tanh")}}.eval(t, sum)[0]), 1e-6)
}

func scaled(v []float64, s float64) []float64 {
	for i := range v {
		v[i] *= s
	}
	return v
}

// TestNoAllocations runs the operators of dense networks in their steady state.
func TestNoAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	f := func(shape ...int) *tensor.Tensor { return randomOf(r, tensor.Float32, shape...) }
	runs := 20
	if testing.Short() {
		runs = 8 // for emulators; buffers that are made once count for less than one a run
	}
	for _, c := range []struct {
		node
		in []*tensor.Tensor
	}{
		{node{typ: "Gemm"}, []*tensor.Tensor{f(1, 784), f(784, 400), f(400)}},
		{node{typ: "Gemm", attrs: []*onnx.Attribute{attrInt("transA", 1)}}, []*tensor.Tensor{f(128, 300), f(128, 400), f(400)}},
		{node{typ: "MatMul"}, []*tensor.Tensor{f(64, 300), f(300, 400)}},
		{node{typ: "MatMul"}, []*tensor.Tensor{f(4, 8, 64, 32), f(4, 8, 32, 64)}},
		{node{typ: "Relu"}, []*tensor.Tensor{f(300, 300)}},
		{node{typ: "Gelu"}, []*tensor.Tensor{f(300, 300)}},
		{node{typ: "Mish"}, []*tensor.Tensor{f(300, 300)}},
		{node{typ: "Add"}, []*tensor.Tensor{f(300, 300), f(300, 300)}},
		{node{typ: "Mul"}, []*tensor.Tensor{f(2, 30, 30, 3), f(30, 1, 3)}},
		{node{typ: "Clip"}, []*tensor.Tensor{f(300, 300), tensor.Scalar(float32(0)), nil}},
		{node{typ: "Softmax"}, []*tensor.Tensor{f(300, 300)}},
		{node{typ: "LogSoftmax", attrs: []*onnx.Attribute{attrInt("axis", 0)}}, []*tensor.Tensor{f(300, 300)}},
		{node{typ: "ReduceMean"}, []*tensor.Tensor{f(30, 30, 40), ints(0, 2)}},
		{node{typ: "ReduceLogSumExp"}, []*tensor.Tensor{f(30, 30, 40), ints(1)}},
		{node{typ: "Transpose"}, []*tensor.Tensor{f(30, 30, 40)}},
		{node{typ: "Concat", attrs: []*onnx.Attribute{attrInt("axis", 1)}}, []*tensor.Tensor{f(30, 30), f(30, 3)}},
		{node{typ: "Where"}, []*tensor.Tensor{randomOf(r, tensor.Bool, 30, 30), f(30, 1), f(30)}},
	} {
		o, err := c.make(len(c.in))
		if err != nil {
			t.Fatal(err)
		}
		facts := make([]Fact, len(c.in))
		for i, x := range c.in {
			facts[i] = FactOf(x)
		}
		got, err := o.Infer(facts)
		if err != nil {
			t.Fatal(err)
		}
		out := []*tensor.Tensor{tensor.Must(tensor.New(got[0].DType, got[0].Shape...))}
		for _, threads := range []int{1, 2} {
			pool := parallel.New(threads)
			var state any
			ctx := &Context{Pool: pool, State: &state}
			run := func() {
				if err := o.Run(ctx, out, c.in); err != nil {
					t.Fatal(err)
				}
			}
			run()
			// Kernels may take a buffer from a pool that the collector has just emptied.
			if n := testing.AllocsPerRun(runs, run); n > 0.5 {
				t.Errorf("%s(%v) with %d threads: %v allocations in a run", c.typ, c.in, threads, n)
			}
			pool.Close()
		}
	}
}

// TestFusedMatMulOfStacks has operands whose stack comes after their first axis.
func TestFusedMatMulOfStacks(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, d := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16} {
		tol := map[tensor.DType]float64{tensor.Float32: 1e-5, tensor.Float64: 1e-12, tensor.Float16: 5e-3}[d]
		a, b := randomOf(r, d, 3, 2, 5, 4), randomOf(r, d, 6, 2, 5, 4) // stacks of 2×5 matrices 3×4 and 6×4
		at, bt := permuted(a, 1, 2, 0, 3), permuted(b, 1, 2, 0, 3)
		for _, first := range []bool{true, false} {
			x, attrs := a, []*onnx.Attribute{attrInt("transB", 1), attrInt("transBatchB", 1), attrFloat("alpha", 0.5)}
			if first {
				attrs = append(attrs, attrInt("transBatchA", 1))
			} else {
				x = at
			}
			want := node{typ: "FusedMatMul", domain: "com.microsoft", opset: 1, attrs: []*onnx.Attribute{attrInt("transB", 1), attrFloat("alpha", 0.5)}}.eval(t, at, bt)[0]
			got := node{typ: "FusedMatMul", domain: "com.microsoft", opset: 1, attrs: attrs}.eval(t, x, b)[0]
			wantShape(t, "FusedMatMul", got, d, 2, 5, 3, 6)
			wantNear(t, "FusedMatMul", got, floats(want), tol, d, first)
		}
	}
	flat := randomOf(r, tensor.Float32, 4, 4)
	if _, err := (node{typ: "FusedMatMul", domain: "com.microsoft", opset: 1, attrs: []*onnx.Attribute{attrInt("transBatchA", 1)}}).try(t, flat, flat); err == nil {
		t.Error("a matrix without a stack was accepted")
	}
}
