package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// reduceReference reduces a list of values by definition.
func reduceReference(typ string, v []float64) float64 {
	sum, prod, l1, sq, exp, lo, hi := 0.0, 1.0, 0.0, 0.0, 0.0, math.Inf(1), math.Inf(-1)
	for _, x := range v {
		sum, prod, l1, sq, exp = sum+x, prod*x, l1+math.Abs(x), sq+x*x, exp+math.Exp(x)
		lo, hi = math.Min(lo, x), math.Max(hi, x)
	}
	switch typ {
	case "ReduceSum":
		return sum
	case "ReduceMean":
		return sum / float64(len(v))
	case "ReduceMax":
		return hi
	case "ReduceMin":
		return lo
	case "ReduceProd":
		return prod
	case "ReduceL1":
		return l1
	case "ReduceL2":
		return math.Sqrt(sq)
	case "ReduceSumSquare":
		return sq
	case "ReduceLogSum":
		return math.Log(sum)
	}
	return math.Log(exp)
}

var reductions = []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"}

func TestReduce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range reductions {
		for _, d := range typesIn(typesNum) {
			for range 25 {
				s := randomShape(r, 0, 5)
				if r.IntN(10) == 0 && len(s) > 0 {
					s[r.IntN(len(s))] = 0
				}
				x := randomOf(r, d, s...)
				if typ == "ReduceLogSum" || d.IsInteger() {
					x = node{typ: "Abs"}.eval(t, x)[0]
				}
				var axes []int64
				set := make([]bool, len(s))
				for i := range s {
					if r.IntN(2) == 0 {
						set[i] = true
						axes = append(axes, int64(i-r.IntN(2)*len(s)))
					}
				}
				keep := r.IntN(2)
				noop := r.IntN(2)
				in := []*tensor.Tensor{x}
				if len(axes) > 0 || r.IntN(2) == 0 {
					in = append(in, ints(axes...))
				}
				if len(axes) == 0 && noop == 0 {
					for i := range set {
						set[i] = true
					}
				}
				n := node{typ: typ, attrs: []*onnx.Attribute{attrInt("keepdims", int64(keep)), attrInt("noop_with_empty_axes", int64(noop))}}
				got := n.eval(t, in...)[0]
				shape := reducedShape(s, set, keep == 1)
				wantShape(t, typ, got, d, shape...)
				full := reducedShape(s, set, true)
				groups := make([][]float64, product(full))
				fx := floats(x)
				forEach(s, func(idx []int, at int) {
					g := broadcastIndex(full, idx)
					groups[g] = append(groups[g], fx[at])
				})
				var want []float64
				for _, g := range groups {
					want = append(want, reduceReference(typ, g))
				}
				if d.IsInteger() {
					empty := false
					for i, v := range want {
						empty = empty || math.IsInf(v, 0) || math.IsNaN(v)
						if v > 1<<50 {
							empty = true
						}
						want[i] = math.Trunc(v + 1e-9)
					}
					if empty {
						continue
					}
					want = wrapped(d, want)
				}
				if isHalf(d) {
					rounded := tensor.Must(tensor.New(d, len(want)))
					convert(rounded, tensor.Must(tensor.Of(want, len(want))))
					want = floats(rounded)
				}
				wantNear(t, typ, got, want, 20*precision(d), x, axes, keep, noop)
			}
		}
	}
}

func TestReduceLarge(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := randomOf(r, tensor.Float32, 17, 30, 70)
	fx := floats(x)
	for i := range fx {
		fx[i] = math.Abs(fx[i])
		x.Float32s()[i] = float32(fx[i])
	}
	for _, typ := range reductions {
		if typ == "ReduceProd" {
			continue
		}
		for _, axes := range [][]int64{{0}, {1}, {2}, {0, 2}, {0, 1}, {1, 2}, {0, 1, 2}} {
			got := node{typ: typ, attrs: []*onnx.Attribute{attrInt("keepdims", 1)}}.eval(t, x, ints(axes...))[0]
			groups := make([][]float64, got.Elems())
			forEach(x.Shape(), func(idx []int, at int) {
				g := broadcastIndex(got.Shape(), idx)
				groups[g] = append(groups[g], fx[at])
			})
			var want []float64
			for _, g := range groups {
				want = append(want, reduceReference(typ, g))
			}
			wantNear(t, typ, got, want, 1e-5, axes)
		}
	}
}

func TestReduceSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	f := func(v ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }
	ninf := float32(-inf)
	for _, c := range []struct {
		typ  string
		in   *tensor.Tensor
		want float64
	}{
		{"ReduceLogSumExp", f(1000, 1000), 1000 + math.Ln2}, {"ReduceLogSumExp", f(ninf, ninf), -inf}, {"ReduceLogSumExp", f(float32(inf), 0), inf},
		{"ReduceLogSumExp", f(-2000, -2000), -2000 + math.Ln2}, {"ReduceMax", f(1, float32(nan), 3), nan}, {"ReduceMin", f(1, float32(nan), 3), nan},
	} {
		wantNear(t, c.typ, node{typ: c.typ}.eval(t, c.in)[0], []float64{c.want}, 1e-6, c.in.Float32s())
		col := tensor.Must(tensor.New(tensor.Float32, c.in.Elems(), 2))
		for i, v := range c.in.Float32s() {
			col.Float32s()[2*i], col.Float32s()[2*i+1] = v, v
		}
		wantNear(t, c.typ, node{typ: c.typ}.eval(t, col, ints(0))[0], []float64{c.want, c.want}, 1e-6, "columns", c.in.Float32s())
	}
	b := tensor.Must(tensor.Of([]bool{true, false, true, true}, 2, 2))
	wantNear(t, "ReduceMax of bool", node{typ: "ReduceMax"}.eval(t, b, ints(1))[0], []float64{1, 1}, 0)
	wantNear(t, "ReduceMin of bool", node{typ: "ReduceMin"}.eval(t, b, ints(1))[0], []float64{0, 1}, 0)
	i := tensor.Must(tensor.Of([]int8{100, 100}, 2))
	wantNear(t, "ReduceSum wraps around", node{typ: "ReduceSum"}.eval(t, i)[0], []float64{-56}, 0)
	for _, axes := range [][]int64{{2}, {-3}, {0, 0}, {0, -2}} {
		if _, err := (node{typ: "ReduceSum"}).try(t, b, ints(axes...)); err == nil {
			t.Errorf("axes %v of two gave no error", axes)
		}
	}
}

func TestSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, typ := range []string{"Softmax", "LogSoftmax", "Hardmax"} {
		for _, opset := range []int{8, 11, 13} {
			for _, d := range typesIn(typesFloat) {
				for range 20 {
					s := randomShape(r, 1, 4)
					axis := r.IntN(len(s))
					x := randomOf(r, d, s...)
					got := node{typ: typ, opset: opset, attrs: []*onnx.Attribute{attrInt("axis", int64(axis-r.IntN(2)*len(s)*truthInt(opset >= 11)))}}.eval(t, x)[0]
					// Up to opset 12 the softmax is over the axis and all that follow.
					set := make([]bool, len(s))
					for i := range set {
						set[i] = i == axis || opset < 13 && i > axis
					}
					full := reducedShape(s, set, true)
					fx := floats(x)
					sums, tops, first := make([]float64, product(full)), make([]float64, product(full)), make([]int, product(full))
					for i := range tops {
						tops[i] = math.Inf(-1)
					}
					forEach(s, func(idx []int, at int) {
						g := broadcastIndex(full, idx)
						sums[g] += math.Exp(fx[at])
						if fx[at] > tops[g] {
							tops[g], first[g] = fx[at], at
						}
					})
					want := make([]float64, len(fx))
					forEach(s, func(idx []int, at int) {
						g := broadcastIndex(full, idx)
						switch typ {
						case "Softmax":
							want[at] = math.Exp(fx[at]) / sums[g]
						case "LogSoftmax":
							want[at] = fx[at] - math.Log(sums[g])
						case "Hardmax":
							want[at] = truth(first[g] == at)
						}
					})
					wantNear(t, fmt.Sprint(typ, " opset ", opset), got, want, 4*precision(d), x, axis)
				}
			}
		}
	}
	big := tensor.Must(tensor.Of([]float32{1e4, 1e4, -1e4, float32(math.Inf(-1))}, 1, 4))
	wantNear(t, "Softmax", node{typ: "Softmax"}.eval(t, big)[0], []float64{0.5, 0.5, 0, 0}, 1e-6)
	wantNear(t, "LogSoftmax", node{typ: "LogSoftmax"}.eval(t, big)[0], []float64{-math.Ln2, -math.Ln2, -2e4 - math.Ln2, math.Inf(-1)}, 1e-6)
	wide := randomOf(r, tensor.Float32, 3, 2000)
	sum := 0.0
	for _, v := range floats(node{typ: "Softmax"}.eval(t, wide)[0]) {
		sum += v
	}
	if math.Abs(sum-3) > 1e-5 {
		t.Errorf("three rows of softmax add up to %v", sum)
	}
}

func truthInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestArgReduceAndTopK(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, d := range typesIn(typesNum) {
		for range 20 {
			s := randomShape(r, 1, 4)
			axis := r.IntN(len(s))
			x := randomOf(r, d, s...)
			fx := floats(x)
			k := r.IntN(s[axis] + 1)
			lines := map[int][]float64{}
			full := s.Clone()
			full[axis] = 1
			forEach(s, func(idx []int, at int) {
				g := broadcastIndex(full, idx)
				lines[g] = append(lines[g], fx[at])
			})
			for _, largest := range []int64{0, 1} {
				top := node{typ: "TopK", outputs: 2, attrs: []*onnx.Attribute{attrInt("axis", int64(axis)), attrInt("largest", largest)}}.eval(t, x, ints(int64(k)))
				shape := s.Clone()
				shape[axis] = k
				wantShape(t, "TopK", top[0], d, shape...)
				var want, at []float64
				forEach(shape, func(idx []int, _ int) {
					line := lines[broadcastIndex(full, idx)]
					order := make([]int, len(line))
					for i := range order {
						order[i] = i
					}
					slices.SortStableFunc(order, func(a, b int) int {
						if largest == 1 {
							a, b = b, a
						}
						switch {
						case line[a] < line[b]:
							return -1
						case line[a] > line[b]:
							return 1
						}
						return 0
					})
					want = append(want, line[order[idx[axis]]])
					at = append(at, float64(order[idx[axis]]))
				})
				wantNear(t, "TopK values", top[0], want, 0, x, axis, k, largest)
				wantNear(t, "TopK indices", top[1], at, 0, x, axis, k, largest)
			}
			for _, typ := range []string{"ArgMax", "ArgMin"} {
				for _, last := range []int64{0, 1} {
					got := node{typ: typ, attrs: []*onnx.Attribute{attrInt("axis", int64(axis-len(s))), attrInt("select_last_index", last)}}.eval(t, x)[0]
					wantShape(t, typ, got, tensor.Int64, full...)
					var want []float64
					forEach(full, func(idx []int, at int) {
						line := lines[at]
						v := slices.Max(line)
						if typ == "ArgMin" {
							v = slices.Min(line)
						}
						i := slices.Index(line, v)
						for j := range line {
							if last == 1 && line[j] == v {
								i = j
							}
						}
						want = append(want, float64(i))
					})
					wantNear(t, typ, got, want, 0, x, axis, last)
				}
			}
		}
	}
	x := ints(1, 2, 3)
	for _, k := range []int64{-1, 4, math.MaxInt64} {
		if _, err := (node{typ: "TopK", outputs: 2}).try(t, x, ints(k)); err == nil {
			t.Errorf("TopK with k = %d of 3 gave no error", k)
		}
	}
}

func TestCumSum(t *testing.T) {
	x := tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3))
	for _, c := range []struct {
		axis      int64
		excl, rev int64
		want      []float64
	}{
		{1, 0, 0, []float64{1, 3, 6, 4, 9, 15}}, {0, 0, 0, []float64{1, 2, 3, 5, 7, 9}}, {-1, 1, 0, []float64{0, 1, 3, 0, 4, 9}},
		{1, 0, 1, []float64{6, 5, 3, 15, 11, 6}}, {1, 1, 1, []float64{5, 3, 0, 11, 6, 0}},
	} {
		n := node{typ: "CumSum", attrs: []*onnx.Attribute{attrInt("exclusive", c.excl), attrInt("reverse", c.rev)}}
		wantNear(t, "CumSum", n.eval(t, x, tensor.Scalar(c.axis))[0], c.want, 0, c.axis, c.excl, c.rev)
	}
	wantNear(t, "CumProd", node{typ: "CumProd", opset: 26}.eval(t, x, tensor.Scalar(int64(1)))[0], []float64{1, 2, 6, 4, 20, 120}, 0)
	if _, err := (node{typ: "CumSum"}).try(t, x, tensor.Scalar(int64(2))); err == nil {
		t.Error("CumSum along axis 2 of 2 gave no error")
	}
}
