package op

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestReshape(t *testing.T) {
	x := func(shape ...int) *tensor.Tensor { return tensor.Must(tensor.New(tensor.Int16, shape...)) }
	zero := []*onnx.Attribute{attrInt("allowzero", 1)}
	tests := []struct {
		node
		in     *tensor.Tensor
		target []int64
		want   tensor.Shape // nil: refused
	}{
		{node{typ: "Reshape"}, x(2, 3, 4), []int64{4, -1}, tensor.Shape{4, 6}},
		{node{typ: "Reshape"}, x(2, 3, 4), []int64{0, 0, 2, 2}, tensor.Shape{2, 3, 2, 2}},
		{node{typ: "Reshape"}, x(1), []int64{}, tensor.Shape{}},
		{node{typ: "Reshape"}, x(2, 3), []int64{-1, -1}, nil},
		{node{typ: "Reshape"}, x(2, 3), []int64{4, -1}, nil},
		{node{typ: "Reshape"}, x(2, 3), []int64{2, 3, 0}, nil},
		{node{typ: "Reshape"}, x(2, 3), []int64{-2, 3}, nil},
		{node{typ: "Reshape"}, x(2, 3), []int64{math.MaxInt64, math.MaxInt64}, nil},
		{node{typ: "Reshape"}, x(0, 3), []int64{0, -1}, tensor.Shape{0, 3}},
		{node{typ: "Reshape", attrs: zero}, x(0, 3), []int64{3, 0}, tensor.Shape{3, 0}},
		{node{typ: "Reshape", attrs: zero}, x(0, 3), []int64{0, -1}, nil},
		{node{typ: "Squeeze"}, x(1, 3, 1), []int64{0}, tensor.Shape{3, 1}},
		{node{typ: "Squeeze"}, x(1, 3, 1), []int64{-1}, tensor.Shape{1, 3}},
		{node{typ: "Squeeze"}, x(1, 3, 1), []int64{1}, nil},
		{node{typ: "Squeeze"}, x(1, 3, 1), []int64{0, -3}, nil},
		{node{typ: "Unsqueeze"}, x(3, 2), []int64{0, -1}, tensor.Shape{1, 3, 2, 1}},
		{node{typ: "Unsqueeze"}, x(3, 2), []int64{2, 1}, tensor.Shape{3, 1, 1, 2}},
		{node{typ: "Unsqueeze"}, x(3, 2), []int64{0, 0}, nil},
		{node{typ: "Unsqueeze"}, x(3, 2), []int64{4}, nil},
	}
	for _, c := range tests {
		out, err := c.try(t, c.in, ints(c.target...))
		switch {
		case c.want == nil && err == nil:
			t.Errorf("%s(%v, %v) = %v, want an error", c.typ, c.in, c.target, out)
		case c.want != nil && err != nil:
			t.Errorf("%s(%v, %v): %v", c.typ, c.in, c.target, err)
		case c.want != nil && !out[0].Shape().Equal(c.want):
			t.Errorf("%s(%v, %v) = %v, want %v", c.typ, c.in, c.target, out[0].Shape(), c.want)
		}
	}
	for axis, want := range map[int64]tensor.Shape{0: {1, 24}, 1: {2, 12}, 3: {24, 1}, -1: {6, 4}} {
		got := node{typ: "Flatten", attrs: []*onnx.Attribute{attrInt("axis", axis)}}.eval(t, x(2, 3, 4))[0]
		if !got.Shape().Equal(want) {
			t.Errorf("Flatten at %d: %v, want %v", axis, got.Shape(), want)
		}
	}
	if got := (node{typ: "Squeeze"}).eval(t, x(1, 3, 1))[0]; !got.Shape().Equal(tensor.Shape{3}) {
		t.Errorf("Squeeze without axes: %v", got.Shape())
	}
}

// TestViewsAreBytes checks the promise of Viewer on every operator that makes it.
func TestViewsAreBytes(t *testing.T) {
	x := randomOf(rand.New(rand.NewPCG(1, 1)), tensor.Float64, 1, 4, 1)
	for _, c := range []struct {
		node
		in []*tensor.Tensor
	}{
		{node{typ: "Identity"}, []*tensor.Tensor{x}}, {node{typ: "Flatten"}, []*tensor.Tensor{x}},
		{node{typ: "Reshape"}, []*tensor.Tensor{x, ints(2, 2)}}, {node{typ: "Squeeze"}, []*tensor.Tensor{x}},
		{node{typ: "Unsqueeze"}, []*tensor.Tensor{x, ints(0)}},
	} {
		o, err := c.make(len(c.in))
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := o.(Viewer); !ok || v.View() != 0 {
			t.Errorf("%s is not a view of input 0", c.typ)
		}
		if out := c.eval(t, c.in...)[0]; string(out.Bytes()) != string(x.Bytes()) {
			t.Errorf("%s changes the bytes", c.typ)
		}
	}
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	for range 200 {
		s := randomShape(r, 0, 6)
		d := hostileTypes[r.IntN(len(hostileTypes))]
		perm := r.Perm(len(s))
		x := randomOf(r, d, s...)
		got := node{typ: "Transpose", attrs: []*onnx.Attribute{attrInts("perm", perm...)}}.eval(t, x)[0]
		if want := permuted(x, perm...); !got.Shape().Equal(want.Shape()) || string(got.Bytes()) != string(want.Bytes()) {
			t.Fatalf("Transpose(%v, %v) is wrong", x, perm)
		}
	}
	big := randomOf(r, tensor.Float32, 3, 67, 33, 35)
	for _, perm := range [][]int{{0, 2, 3, 1}, {0, 3, 1, 2}, {3, 2, 1, 0}, {1, 0, 2, 3}} {
		got := node{typ: "Transpose", attrs: []*onnx.Attribute{attrInts("perm", perm...)}}.eval(t, big)[0]
		if want := permuted(big, perm...); string(got.Bytes()) != string(want.Bytes()) {
			t.Errorf("Transpose(%v, %v) is wrong", big, perm)
		}
	}
	got := node{typ: "Transpose"}.eval(t, randomOf(r, tensor.Int8, 2, 3, 4))[0]
	wantShape(t, "Transpose", got, tensor.Int8, 4, 3, 2)
	for _, perm := range [][]int{{0}, {0, 0}, {0, 2}, {-1, 0}} {
		if _, err := (node{typ: "Transpose", attrs: []*onnx.Attribute{attrInts("perm", perm...)}}).try(t, randomOf(r, tensor.Int8, 2, 3)); err == nil {
			t.Errorf("perm %v for two axes gave no error", perm)
		}
	}
}

// pySlice lists the indices of start:end:step as Python does, but for starts before the first
// element with a negative step.
func pySlice(n, start, end, step int) []int {
	clampTo := func(v, lo, hi int) int { return min(max(v, lo), hi) }
	var out []int
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	if step > 0 {
		for i := clampTo(start, 0, n); i < clampTo(end, 0, n); i += step {
			out = append(out, i)
		}
		return out
	}
	for i := min(clampTo(start, 0, n-1), n-1); i > clampTo(end, -1, n-1); i += step {
		out = append(out, i)
	}
	return out
}

func TestSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	for range 400 {
		s := randomShape(r, 1, 4)
		x := randomOf(r, tensor.Float32, s...)
		k := 1 + r.IntN(len(s))
		axes := r.Perm(len(s))[:k]
		var starts, ends, steps, ax []int64
		pick := make([][]int, len(s))
		for i, d := range s {
			pick[i] = pySlice(d, 0, d, 1)
		}
		for _, a := range axes {
			st, en, sp := r.IntN(15)-7, r.IntN(15)-7, []int{1, 1, 2, -1, -2, 3}[r.IntN(6)]
			starts, ends, steps = append(starts, int64(st)), append(ends, int64(en)), append(steps, int64(sp))
			pick[a] = pySlice(s[a], st, en, sp)
			if r.IntN(2) == 0 {
				a -= len(s)
			}
			ax = append(ax, int64(a))
		}
		shape := make([]int, len(s))
		for i, p := range pick {
			shape[i] = len(p)
		}
		var want []float64
		fx := floats(x)
		forEach(shape, func(idx []int, _ int) {
			at := make([]int, len(idx))
			for i, v := range idx {
				at[i] = pick[i][v]
			}
			want = append(want, fx[indexOf(s, at)])
		})
		got := node{typ: "Slice"}.eval(t, x, ints(starts...), ints(ends...), ints(ax...), ints(steps...))[0]
		if !got.Shape().Equal(shape) {
			t.Fatalf("Slice(%v, %v:%v:%v, axes %v): shape %v, want %v", x, starts, ends, steps, ax, got.Shape(), shape)
		}
		wantNear(t, "Slice", got, want, 0, x, starts, ends, steps, ax)
	}
	x := tensor.Must(tensor.Of([]int32{0, 1, 2, 3}, 4))
	i32 := func(v int32) *tensor.Tensor { return tensor.Must(tensor.Of([]int32{v}, 1)) }
	wantNear(t, "Slice by int32", node{typ: "Slice"}.eval(t, x, i32(1), i32(math.MaxInt32))[0], []float64{1, 2, 3}, 0)
	wantNear(t, "reversed", node{typ: "Slice"}.eval(t, x, ints(-1), ints(math.MinInt64), ints(0), ints(-1))[0], []float64{3, 2, 1, 0}, 0)
	wantNear(t, "huge step", node{typ: "Slice"}.eval(t, x, ints(0), ints(math.MaxInt64), ints(0), ints(math.MaxInt64))[0], []float64{0}, 0)
	wantNear(t, "huge step back", node{typ: "Slice"}.eval(t, x, ints(-1), ints(math.MinInt64), ints(0), ints(math.MinInt64))[0], []float64{3}, 0)
	for _, bad := range [][4][]int64{{{0}, {1}, {0}, {0}}, {{0}, {1}, {1}, {1}}, {{0, 0}, {1}, {0}, {1}}, {{0, 0}, {1, 1}, {0, 0}, {1, 1}}} {
		if _, err := (node{typ: "Slice"}).try(t, x, ints(bad[0]...), ints(bad[1]...), ints(bad[2]...), ints(bad[3]...)); err == nil {
			t.Errorf("Slice with %v gave no error", bad)
		}
	}
}

func TestConcatAndSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 7))
	for range 200 {
		s := randomShape(r, 1, 4)
		d := hostileTypes[r.IntN(len(hostileTypes))]
		axis := r.IntN(len(s))
		var parts []*tensor.Tensor
		var sizes []int64
		total := 0
		for range 1 + r.IntN(4) {
			p := s.Clone()
			p[axis] = r.IntN(4)
			parts, sizes, total = append(parts, randomOf(r, d, p...)), append(sizes, int64(p[axis])), total+p[axis]
		}
		attr := []*onnx.Attribute{attrInt("axis", int64(axis-r.IntN(2)*len(s)))}
		whole := node{typ: "Concat", attrs: attr}.eval(t, parts...)[0]
		s[axis] = total
		if !whole.Shape().Equal(s) {
			t.Fatalf("Concat(%v) along %d: shape %v, want %v", parts, axis, whole.Shape(), s)
		}
		forEach(s, func(idx []int, at int) {
			own := slices.Clone(idx)
			k := 0
			for own[axis] >= parts[k].Shape()[axis] {
				own[axis] -= parts[k].Shape()[axis]
				k++
			}
			if floats(whole)[at] != floats(parts[k])[indexOf(parts[k].Shape(), own)] {
				t.Fatalf("Concat(%v) along %d: element %v is wrong", parts, axis, idx)
			}
		})
		back := node{typ: "Split", attrs: attr, outputs: len(parts)}.eval(t, whole, ints(sizes...))
		for i, p := range parts {
			if !back[i].Shape().Equal(p.Shape()) || string(back[i].Bytes()) != string(p.Bytes()) {
				t.Fatalf("Split of Concat(%v) along %d: part %d differs", parts, axis, i)
			}
		}
	}
	x := tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7}, 7))
	out := node{typ: "Split", attrs: []*onnx.Attribute{attrInt("num_outputs", 3)}, outputs: 3}.eval(t, x)
	for i, want := range [][]float64{{1, 2, 3}, {4, 5, 6}, {7}} {
		wantNear(t, "Split by num_outputs", out[i], want, 0)
	}
	if _, err := (node{typ: "Split", opset: 13, outputs: 2}).try(t, x); err == nil {
		t.Error("Split of 7 into 2 equal parts gave no error")
	}
	if _, err := (node{typ: "Split", outputs: 2}).try(t, x, ints(3, 3)); err == nil {
		t.Error("Split of 7 into 3 and 3 gave no error")
	}
	if _, err := (node{typ: "Concat", attrs: []*onnx.Attribute{attrInt("axis", 0)}}).try(t, x, ints(1)); err == nil {
		t.Error("Concat of different types gave no error")
	}
}

func TestExpandAndTile(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 100 {
		s := randomShape(r, 0, 4)
		for i := range s {
			if r.IntN(2) == 0 {
				s[i] = 1
			}
		}
		x := randomOf(r, hostileTypes[r.IntN(len(hostileTypes))], s...)
		target := append(randomShape(r, 0, 2), s...)
		rep := make([]int64, len(s))
		for i := range s {
			rep[i] = int64(r.IntN(4))
			if j := len(target) - len(s) + i; s[i] == 1 {
				target[j] = 1 + r.IntN(3)
			}
		}
		t64 := make([]int64, len(target))
		for i, d := range target {
			t64[i] = int64(d)
		}
		var want []float64
		forEach(target, func(idx []int, _ int) { want = append(want, floats(x)[broadcastIndex(s, idx)]) })
		got := node{typ: "Expand"}.eval(t, x, ints(t64...))[0]
		wantShape(t, "Expand", got, x.DType(), target...)
		wantNear(t, "Expand", got, want, 0, x, target)

		want = nil
		tiled := make([]int, len(s))
		for i, d := range s {
			tiled[i] = d * int(rep[i])
		}
		forEach(tiled, func(idx []int, _ int) {
			own := make([]int, len(idx))
			for i := range own {
				own[i] = idx[i] % s[i]
			}
			want = append(want, floats(x)[indexOf(s, own)])
		})
		got = node{typ: "Tile"}.eval(t, x, ints(rep...))[0]
		wantShape(t, "Tile", got, x.DType(), tiled...)
		wantNear(t, "Tile", got, want, 0, x, rep)
	}
}

func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 11))
	index := func(n int, shape ...int) *tensor.Tensor {
		x := tensor.Must(tensor.New(tensor.Int64, shape...))
		for i := range x.Int64s() {
			x.Int64s()[i] = int64(r.IntN(2*n) - n)
		}
		return x
	}
	wrap := func(k int64, n int) int { return (int(k) + n) % n }
	for range 100 {
		s := randomShape(r, 1, 4)
		x := randomOf(r, hostileTypes[r.IntN(len(hostileTypes))], s...)
		axis := r.IntN(len(s))
		attr := []*onnx.Attribute{attrInt("axis", int64(axis))}
		q := randomShape(r, 0, 2)
		ix := index(s[axis], q...)
		shape := append(append(s[:axis].Clone(), q...), s[axis+1:]...)
		var want []float64
		fx := floats(x)
		forEach(shape, func(idx []int, _ int) {
			k := wrap(ix.Int64s()[indexOf(q, idx[axis:axis+len(q)])], s[axis])
			own := append(append(slices.Clone(idx[:axis]), k), idx[axis+len(q):]...)
			want = append(want, fx[indexOf(s, own)])
		})
		got := node{typ: "Gather", attrs: attr}.eval(t, x, ix)[0]
		wantShape(t, "Gather", got, x.DType(), shape...)
		wantNear(t, "Gather", got, want, 0, x, ix)

		es := s.Clone()
		for i := range es {
			es[i] = 1 + r.IntN(s[i])
		}
		es[axis] = 1 + r.IntN(5)
		ix = index(s[axis], es...)
		want = nil
		forEach(es, func(idx []int, at int) {
			own := slices.Clone(idx)
			own[axis] = wrap(ix.Int64s()[at], s[axis])
			want = append(want, floats(x)[indexOf(s, own)])
		})
		wantNear(t, "GatherElements", node{typ: "GatherElements", attrs: attr}.eval(t, x, ix)[0], want, 0, x, ix)

		// ScatterElements with addition, element by element.
		if x.DType() == tensor.Float32 || x.DType() == tensor.Int32 {
			up := randomOf(r, x.DType(), es...)
			sum := floats(x)
			forEach(es, func(idx []int, at int) {
				own := slices.Clone(idx)
				own[axis] = wrap(ix.Int64s()[at], s[axis])
				sum[indexOf(s, own)] += floats(up)[at]
			})
			add := append([]*onnx.Attribute{attrString("reduction", "add")}, attr...)
			wantNear(t, "ScatterElements", node{typ: "ScatterElements", attrs: add}.eval(t, x, ix, up)[0], sum, 1e-5, x, ix)
		}
	}
	x := ints(1, 2, 3)
	for _, bad := range []int64{3, -4, math.MaxInt64, math.MinInt64} {
		for _, typ := range []string{"Gather", "GatherElements"} {
			if _, err := (node{typ: typ}).try(t, x, ints(bad)); err == nil {
				t.Errorf("%s at index %d of 3 gave no error", typ, bad)
			}
		}
		if _, err := (node{typ: "ScatterElements"}).try(t, x, ints(bad), ints(0)); err == nil {
			t.Errorf("ScatterElements at index %d of 3 gave no error", bad)
		}
	}
}

func TestGatherScatterND(t *testing.T) {
	data := tensor.Must(tensor.Of([]float32{0, 1, 2, 3, 4, 5, 6, 7}, 2, 2, 2))
	ix := tensor.Must(tensor.Of([]int64{0, 1, -1, 0}, 2, 2))
	got := node{typ: "GatherND"}.eval(t, data, ix)[0]
	wantShape(t, "GatherND", got, tensor.Float32, 2, 2)
	wantNear(t, "GatherND", got, []float64{2, 3, 4, 5}, 0)
	got = node{typ: "GatherND", attrs: []*onnx.Attribute{attrInt("batch_dims", 1)}}.eval(t, data, tensor.Must(tensor.Of([]int64{1, 0}, 2, 1)))[0]
	wantNear(t, "GatherND with batch_dims", got, []float64{2, 3, 4, 5}, 0)
	up := tensor.Must(tensor.Of([]float32{10, 20, 30, 40}, 2, 2))
	wantNear(t, "ScatterND", node{typ: "ScatterND"}.eval(t, data, ix, up)[0], []float64{0, 1, 10, 20, 30, 40, 6, 7}, 0)
	same := tensor.Must(tensor.Of([]int64{0, 0}, 2, 1))
	up = tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 2, 0, 5, -1}, 2, 2, 2))
	for red, want := range map[string][]float64{
		"add": {3, 3, 10, 6, 4, 5, 6, 7}, "mul": {0, 0, 30, -12, 4, 5, 6, 7}, "max": {2, 2, 5, 4, 4, 5, 6, 7}, "min": {0, 0, 2, -1, 4, 5, 6, 7}, "none": {2, 0, 5, -1, 4, 5, 6, 7},
	} {
		wantNear(t, "ScatterND "+red, node{typ: "ScatterND", attrs: []*onnx.Attribute{attrString("reduction", red)}}.eval(t, data, same, up)[0], want, 0)
	}
	for _, typ := range []string{"GatherND", "ScatterND"} {
		in := []*tensor.Tensor{data, tensor.Must(tensor.Of([]int64{0, 2}, 1, 2)), tensor.Must(tensor.New(tensor.Float32, 1, 2))}
		if typ == "GatherND" {
			in = in[:2]
		}
		if _, err := (node{typ: typ}).try(t, in...); err == nil {
			t.Errorf("%s out of range gave no error", typ)
		}
	}
}

func TestCast(t *testing.T) {
	values := []float64{0, 1, -1, 2.5, -2.5, 3.999, 100, 127, 1000, -1000}
	for _, from := range typesIn(typesAll) {
		x := tensor.Must(tensor.New(from, len(values)))
		source := slices.Clone(values)
		if !from.IsSigned() && from != tensor.Bool {
			for i, v := range source {
				source[i] = math.Abs(v)
			}
		}
		convert(x, tensor.Must(tensor.Of(source, len(source))))
		for _, to := range typesIn(typesAll) {
			got := node{typ: "Cast", attrs: []*onnx.Attribute{attrInt("to", int64(to))}}.eval(t, x)[0]
			want := floats(x)
			for i, v := range want {
				switch {
				case to == tensor.Bool:
					want[i] = truth(v != 0)
				case to.IsInteger():
					want[i] = wrapped(to, []float64{math.Trunc(v)})[0]
				}
			}
			wantNear(t, "Cast", got, want, precision(to), from, to)
			like := node{typ: "CastLike"}.eval(t, x, tensor.Must(tensor.New(to, 1)))[0]
			if string(like.Bytes()) != string(got.Bytes()) {
				t.Errorf("CastLike and Cast from %v to %v differ", from, to)
			}
		}
	}
	nan, inf := math.NaN(), math.Inf(1)
	extreme := tensor.Must(tensor.Of([]float64{nan, inf, -inf, 1e30, -1e30}, 5))
	to := func(d tensor.DType) *tensor.Tensor {
		return node{typ: "Cast", attrs: []*onnx.Attribute{attrInt("to", int64(d))}}.eval(t, extreme)[0]
	}
	if got := to(tensor.Int64).Int64s(); !slices.Equal(got, []int64{0, math.MaxInt64, math.MinInt64, math.MaxInt64, math.MinInt64}) {
		t.Errorf("Cast of %v to int64 = %v", floats(extreme), got)
	}
	if got := tensor.Data[uint64](to(tensor.Uint64)); got[1] != math.MaxUint64 || got[0] != 0 {
		t.Errorf("Cast of %v to uint64 = %v", floats(extreme), got)
	}
	// One rounding, not two: 1 + 2^-11 + 2^-40 is above the middle of two float16 values,
	// but float32 rounds it to the middle.
	x := tensor.Must(tensor.Of([]float64{1 + 0x1p-11 + 0x1p-40, -(1 + 0x1p-11 + 0x1p-40), 1 + 0x1p-11}, 3))
	half := node{typ: "Cast", attrs: []*onnx.Attribute{attrInt("to", int64(tensor.Float16))}}.eval(t, x)[0]
	wantNear(t, "float64 to float16", half, []float64{1 + 0x1p-10, -1 - 0x1p-10, 1}, 0)
	big := tensor.Must(tensor.Of([]int64{1<<60 + 1<<52, 1<<60 + 1<<52 + 1, -(1<<60 + 1<<52 + 1)}, 3))
	bf := node{typ: "Cast", attrs: []*onnx.Attribute{attrInt("to", int64(tensor.BFloat16))}}.eval(t, big)[0]
	wantNear(t, "int64 to bfloat16", bf, []float64{0x1p60, 0x1p60 + 0x1p53, -0x1p60 - 0x1p53}, 0)
}

func TestConstantsAndShapes(t *testing.T) {
	v := tensor.Must(tensor.Of([]int32{7}, 1))
	fill := node{typ: "ConstantOfShape", attrs: []*onnx.Attribute{{Name: "value", Type: onnx.AttrTensor, Tensor: &onnx.Tensor{Value: v}}}}
	wantNear(t, "ConstantOfShape", fill.eval(t, ints(2, 3))[0], []float64{7, 7, 7, 7, 7, 7}, 0)
	wantShape(t, "ConstantOfShape", fill.eval(t, ints())[0], tensor.Int32)
	for _, bad := range [][]int64{{-1}, {math.MaxInt64, 2}, {1 << 40, 1 << 40}} {
		if _, err := fill.try(t, ints(bad...)); err == nil {
			t.Errorf("ConstantOfShape(%v) gave no error", bad)
		}
	}
	x := tensor.Must(tensor.New(tensor.Float32, 2, 3, 4))
	shape := func(attrs ...*onnx.Attribute) []int64 {
		return node{typ: "Shape", attrs: attrs}.eval(t, x)[0].Int64s()
	}
	for _, c := range []struct{ got, want []int64 }{
		{shape(), []int64{2, 3, 4}}, {shape(attrInt("start", 1)), []int64{3, 4}}, {shape(attrInt("end", -1)), []int64{2, 3}},
		{shape(attrInt("start", -1)), []int64{4}}, {shape(attrInt("start", 2), attrInt("end", 1)), nil}, {shape(attrInt("start", -10), attrInt("end", 10)), []int64{2, 3, 4}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("Shape = %v, want %v", c.got, c.want)
		}
	}
	if got := (node{typ: "Size"}).eval(t, x)[0].Int64s()[0]; got != 24 {
		t.Errorf("Size = %d, want 24", got)
	}
	c := node{typ: "Constant", attrs: []*onnx.Attribute{attrInts("value_ints", 1, 2)}}
	wantNear(t, "Constant", c.eval(t)[0], []float64{1, 2}, 0)
	if _, err := (node{typ: "Constant"}).try(t); err == nil {
		t.Error("Constant without a value gave no error")
	}
}
