//go:build cgo

package ort

import (
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// indices draws indices below n, from either end.
func (m *maker) indices(n int, shape ...int) *tensor.Tensor {
	lo := 0
	if m.opset >= 11 {
		lo = -n
	}
	return m.between(pick(m, tensor.Int32, tensor.Int64), float64(lo), float64(n-1), shape...)
}

var movementOps = []randomOp{
	{name: "Transpose", since: 7, make: func(m *maker) {
		d, s := pick(m, typesMoved...), m.shape(m.upTo(1, 5), 0, 5)
		var attrs []*onnx.Attribute
		if m.IntN(4) > 0 {
			attrs = append(attrs, onnx.AttrIs("perm", ints64(m.Perm(len(s)))...))
		}
		m.node("Transpose", []string{m.input(m.values(d, s...))}, []tensor.DType{d}, attrs...)
	}},
	{name: "Reshape", since: 7, make: func(m *maker) {
		d, s := pick(m, typesMoved...), m.shape(m.upTo(2, 4), 1, 5)
		to := ints64(s)
		switch m.IntN(3) {
		case 0:
			to[0] = -1
		case 1:
			to = append([]int64{0, -1}, to[2:]...)
		default:
			m.Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
		}
		m.node("Reshape", []string{m.input(m.values(d, s...)), m.either(ints(to...))}, []tensor.DType{d})
	}},
	{name: "Flatten", since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(1, 4), 1, 4)
		m.node("Flatten", []string{m.input(m.values(tensor.Float32, s...))}, typeF32, onnx.AttrI("axis", int64(m.upTo(-len(s), len(s)))))
	}},
	{name: "Squeeze", since: 13, make: func(m *maker) {
		s := m.shape(m.upTo(1, 5), 1, 2)
		in := []string{m.input(m.values(tensor.Float32, s...))}
		var axes []int64
		for i, d := range s {
			if d == 1 && m.coin() {
				axes = append(axes, int64(i-len(s)*m.IntN(2)))
			}
		}
		if axes != nil {
			in = append(in, m.either(ints(axes...)))
		}
		m.node("Squeeze", in, typeF32)
	}},
	{name: "Unsqueeze", since: 13, make: func(m *maker) {
		s := m.shape(m.upTo(0, 3), 0, 3)
		n := m.upTo(1, 2)
		var axes []int64
		for _, a := range m.Perm(len(s) + n)[:n] {
			axes = append(axes, int64(a-(len(s)+n)*m.IntN(2)))
		}
		m.node("Unsqueeze", []string{m.input(m.values(tensor.Float32, s...)), m.either(ints(axes...))}, typeF32)
	}},
	{name: "Concat", since: 11, make: func(m *maker) {
		d, s := pick(m, typesMoved...), m.shape(m.upTo(1, 4), 1, 4)
		axis := m.axis(len(s))
		var in []string
		for range m.upTo(1, 4) {
			p := slices.Clone(s)
			p[(int(axis)+len(s))%len(s)] = m.upTo(0, 3)
			in = append(in, m.either(m.values(d, p...)))
		}
		in = append(in, m.input(m.values(d, s...)))
		m.node("Concat", in, []tensor.DType{d}, onnx.AttrI("axis", axis))
	}},
	{name: "Split", since: 13, make: func(m *maker) {
		d, s := pick(m, tensor.Float32, tensor.Int64, tensor.Uint8), m.shape(m.upTo(1, 4), 2, 7)
		axis := m.axis(len(s))
		n := s[(int(axis)+len(s))%len(s)]
		in := []string{m.input(m.values(d, s...))}
		attrs := []*onnx.Attribute{onnx.AttrI("axis", axis)}
		if m.opset >= 18 && m.coin() {
			attrs = append(attrs, onnx.AttrI("num_outputs", 2))
		} else {
			k := m.upTo(0, n)
			in = append(in, m.either(ints(int64(k), int64(n-k))))
		}
		m.node("Split", in, []tensor.DType{d, d}, attrs...)
	}},
	{name: "Slice", since: 10, make: func(m *maker) {
		d, s := pick(m, tensor.Float32, tensor.Int64, tensor.Uint8, tensor.Float16), m.shape(m.upTo(1, 4), 0, 6)
		axes := m.axes(len(s))
		var starts, ends, steps []int64
		for range axes {
			starts, ends = append(starts, int64(m.upTo(-8, 8))), append(ends, pick(m, int64(m.upTo(-8, 8)), 1<<40, -1<<40))
			steps = append(steps, pick(m, int64(1), 2, 3, -1, -2))
		}
		in := []string{m.input(m.values(d, s...)), m.either(ints(starts...)), m.either(ints(ends...)), m.either(ints(axes...))}
		if m.IntN(4) > 0 {
			in = append(in, m.either(ints(steps...)))
		}
		m.node("Slice", in, []tensor.DType{d})
	}},
	{name: "Pad", since: 11, make: func(m *maker) {
		mode := pick(m, "constant", "reflect", "edge")
		if m.opset >= 19 && m.IntN(3) == 0 {
			mode = "wrap"
		}
		d, s := pick(m, tensor.Float32, tensor.Float64, tensor.Int64), m.shape(m.upTo(1, 4), 3, 6)
		axes := ints64(make([]int, len(s)))
		for i := range axes {
			axes[i] = int64(i)
		}
		if m.opset >= 18 && m.coin() {
			axes = m.axes(len(s))
		}
		pads := make([]int64, 2*len(axes))
		for i := range pads {
			pads[i] = int64(m.upTo(0, 2))
			if mode == "constant" {
				pads[i] = int64(m.upTo(-1, 3))
			}
		}
		in := []string{m.input(m.values(d, s...)), m.either(ints(pads...))}
		if m.coin() {
			in = append(in, m.either(m.values(d)))
		} else {
			in = append(in, "")
		}
		if m.opset >= 18 {
			in = append(in, m.constant(ints(axes...)))
		}
		m.node("Pad", in, []tensor.DType{d}, onnx.AttrS("mode", mode))
	}},
	{name: "Expand", since: 8, make: func(m *maker) {
		s := m.shape(m.upTo(1, 4), 1, 4)
		from := m.broadcastTo(s)
		m.node("Expand", []string{m.input(m.values(tensor.Float32, from...)), m.either(ints(ints64(m.broadcastTo(s))...))}, typeF32)
	}},
	{name: "Tile", since: 7, make: func(m *maker) {
		d, s := pick(m, tensor.Float32, tensor.Int64, tensor.Uint8), m.shape(m.upTo(1, 4), 1, 4)
		m.node("Tile", []string{m.input(m.values(d, s...)), m.either(ints(ints64(m.shape(len(s), 0, 3))...))}, []tensor.DType{d})
	}},
	{name: "Gather", since: 7, make: func(m *maker) {
		d, s := pick(m, typesMoved...), m.shape(m.upTo(1, 4), 1, 5)
		axis := m.axis(len(s))
		i := m.indices(s[(int(axis)+len(s))%len(s)], m.shape(m.IntN(3), 0, 3)...)
		m.node("Gather", []string{m.input(m.values(d, s...)), m.either(i)}, []tensor.DType{d}, onnx.AttrI("axis", axis))
	}},
	{name: "GatherElements", since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(1, 4), 1, 5)
		axis := m.axis(len(s))
		is := slices.Clone(s)
		a := (int(axis) + len(s)) % len(s)
		is[a] = m.upTo(1, 6)
		m.node("GatherElements", []string{m.input(m.values(tensor.Float32, s...)), m.either(m.indices(s[a], is...))}, typeF32, onnx.AttrI("axis", axis))
	}},
	{name: "GatherND", since: 12, make: func(m *maker) {
		s := m.shape(m.upTo(1, 4), 2, 4)
		batch := m.IntN(len(s))
		depth := m.upTo(1, len(s)-batch)
		is := append(slices.Clone(s[:batch]), m.upTo(1, 3), depth)
		i := m.between(tensor.Int64, -2, 1, is...)
		m.node("GatherND", []string{m.input(m.values(tensor.Float32, s...)), m.either(i)}, typeF32, onnx.AttrI("batch_dims", int64(batch)))
	}},
	{name: "ScatterElements", since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(1, 4), 2, 5)
		axis := m.axis(len(s))
		a := (int(axis) + len(s)) % len(s)
		attrs := []*onnx.Attribute{onnx.AttrI("axis", axis)}
		is := slices.Clone(s)
		red := "none"
		if m.opset >= 18 {
			red = pick(m, "none", "add", "mul", "max", "min")
			attrs = append(attrs, onnx.AttrS("reduction", red))
		}
		i := tensor.Must(tensor.New(tensor.Int64, is...))
		for k := range i.Int64s() { // every index once along the axis
			inner := 1
			for _, d := range s[a+1:] {
				inner *= d
			}
			i.Int64s()[k] = int64(s[a] - 1 - k/inner%s[a])
		}
		if red != "none" {
			i = m.between(tensor.Int64, float64(-s[a]), float64(s[a]-1), is...)
		}
		m.node("ScatterElements", []string{m.input(m.values(tensor.Float32, s...)), m.either(i), m.either(m.values(tensor.Float32, is...))}, typeF32, attrs...)
	}},
	{name: "ScatterND", since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(1, 3), 3, 5)
		i := ints(-1, 0, 1)
		i = tensor.Must(i.Reshape(3, 1))
		u := append([]int{3}, s[1:]...)
		var attrs []*onnx.Attribute
		if m.opset >= 18 {
			red := pick(m, "none", "add", "mul", "max", "min")
			attrs = append(attrs, onnx.AttrS("reduction", red))
			if red != "none" {
				i = m.between(tensor.Int64, -3, 2, 3, 1)
			}
		}
		m.node("ScatterND", []string{m.input(m.values(tensor.Float32, s...)), m.either(i), m.either(m.values(tensor.Float32, u...))}, typeF32, attrs...)
	}},
	{name: "DepthToSpace", since: 11, make: func(m *maker) {
		b := m.upTo(1, 3)
		m.node("DepthToSpace", []string{m.input(m.values(tensor.Float32, m.upTo(1, 2), b*b*m.upTo(1, 3), m.upTo(1, 3), m.upTo(1, 3)))}, typeF32,
			onnx.AttrI("blocksize", int64(b)), onnx.AttrS("mode", pick(m, "DCR", "CRD")))
	}},
	{name: "SpaceToDepth", since: 7, make: func(m *maker) {
		b := m.upTo(1, 3)
		m.node("SpaceToDepth", []string{m.input(m.values(tensor.Float32, m.upTo(1, 2), m.upTo(1, 3), b*m.upTo(1, 3), b*m.upTo(1, 3)))}, typeF32, onnx.AttrI("blocksize", int64(b)))
	}},
	{name: "OneHot", since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(0, 3), 1, 4)
		m.node("OneHot", []string{m.input(m.between(tensor.Int64, -6, 6, s...)), m.either(tensor.Scalar(int64(4))), m.either(m.values(tensor.Float32, 2))}, typeF32,
			onnx.AttrI("axis", m.axis(len(s)+1)))
	}},
	{name: "Trilu", since: 14, make: func(m *maker) {
		s := m.shape(m.upTo(2, 4), 0, 5)
		m.node("Trilu", []string{m.input(m.values(tensor.Float32, s...)), m.either(tensor.Scalar(int64(m.upTo(-6, 6))))}, typeF32, onnx.AttrI("upper", int64(m.IntN(2))))
	}},
	{name: "EyeLike", since: 9, make: func(m *maker) {
		m.node("EyeLike", []string{m.input(m.values(tensor.Float32, m.shape(2, 1, 5)...))}, []tensor.DType{tensor.Int64}, onnx.AttrI("k", int64(m.upTo(-5, 5))), onnx.AttrI("dtype", int64(tensor.Int64)))
	}},
	{name: "Range", since: 11, make: func(m *maker) {
		d := pick(m, tensor.Float32, tensor.Int64, tensor.Int32)
		step := m.between(d, 1, 3)
		m.node("Range", []string{m.input(m.between(d, -5, 5)), m.either(m.between(d, -5, 9)), m.either(step)}, []tensor.DType{d})
	}},
	{name: "ReverseSequence", since: 10, make: func(m *maker) {
		s := m.shape(m.upTo(2, 3), 1, 4)
		b := m.IntN(2)
		m.node("ReverseSequence", []string{m.input(m.values(tensor.Float32, s...)), m.either(m.between(tensor.Int64, 1, float64(s[1-b]), s[b]))}, typeF32,
			onnx.AttrI("batch_axis", int64(b)), onnx.AttrI("time_axis", int64(1-b)))
	}},
	{name: "Compress", since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(1, 3), 1, 4)
		a := m.axis(len(s))
		m.node("Compress", []string{m.input(m.values(tensor.Float32, s...)), m.input(m.values(tensor.Bool, m.upTo(1, s[(int(a)+len(s))%len(s)])))}, typeF32, onnx.AttrI("axis", a))
	}},
	{name: "NonZero", since: 9, make: func(m *maker) {
		m.node("NonZero", []string{m.input(m.between(tensor.Int32, 0, 1, m.shape(m.upTo(1, 4), 0, 4)...))}, []tensor.DType{tensor.Int64})
	}},
	{name: "Shape", since: 15, make: func(m *maker) {
		m.node("Shape", []string{m.input(m.values(tensor.Float32, m.shape(m.IntN(5), 0, 4)...))}, []tensor.DType{tensor.Int64},
			onnx.AttrI("start", int64(m.upTo(-5, 5))), onnx.AttrI("end", int64(m.upTo(-5, 5))))
	}},
	{name: "ConstantOfShape", since: 9, make: func(m *maker) {
		m.node("ConstantOfShape", []string{m.input(ints(ints64(m.shape(m.IntN(4), 0, 4))...))}, []tensor.DType{tensor.Int64}, onnx.AttrT("value", ints(7)))
	}},
}
