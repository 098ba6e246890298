//go:build cgo

package ort

import (
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func reduceOp(name string) randomOp {
	return randomOp{name: name, since: 11, make: func(m *maker) {
		d := pick(m, tensor.Float32, tensor.Float64, tensor.Int32)
		s := m.shape(m.upTo(1, 4), 1, 4)
		x := m.values(d, s...)
		if name == "ReduceLogSum" {
			x = m.between(d, 1, 9, s...)
		}
		if name == "ReduceProd" && d == tensor.Int32 || name == "ReduceLogSumExp" || name == "ReduceLogSum" || name == "ReduceL2" || name == "ReduceMean" {
			// ONNX Runtime computes integers in another precision.
			d = tensor.Float32
			x = m.between(d, 0.1, 3, s...)
		}
		in := []string{m.input(x)}
		attrs := []*onnx.Attribute{onnx.AttrI("keepdims", int64(m.IntN(2)))}
		inputs := m.opset >= 18 || name == "ReduceSum" && m.opset >= 13
		switch {
		case m.IntN(4) == 0:
			if inputs && m.coin() {
				attrs = append(attrs, onnx.AttrI("noop_with_empty_axes", int64(m.IntN(2))))
			}
		case inputs:
			in = append(in, m.either(ints(m.axes(len(s))...)))
		default:
			attrs = append(attrs, onnx.AttrIs("axes", m.axes(len(s))...))
		}
		m.node(name, in, []tensor.DType{d}, attrs...)
	}}
}

func argOp(name string) randomOp {
	return randomOp{name: name, since: 12, make: func(m *maker) {
		d, s := pick(m, tensor.Float32, tensor.Int32, tensor.Uint8), m.shape(m.upTo(1, 4), 1, 5)
		m.node(name, []string{m.input(m.between(d, 0, 4, s...))}, []tensor.DType{tensor.Int64},
			onnx.AttrI("axis", m.axis(len(s))), onnx.AttrI("keepdims", int64(m.IntN(2))), onnx.AttrI("select_last_index", int64(m.IntN(2))))
	}}
}

func softmaxOp(name string) randomOp {
	return randomOp{name: name, since: 11, make: func(m *maker) {
		d, s := tensor.Float32, m.shape(m.upTo(1, 4), 1, 5)
		if name != "Hardmax" {
			d = pick(m, typesReal...)
		}
		m.node(name, []string{m.input(m.values(d, s...))}, []tensor.DType{d}, onnx.AttrI("axis", m.axis(len(s))))
	}}
}

var reductionOps = []randomOp{
	reduceOp("ReduceSum"), reduceOp("ReduceMean"), reduceOp("ReduceMax"), reduceOp("ReduceMin"), reduceOp("ReduceProd"), reduceOp("ReduceL1"),
	reduceOp("ReduceL2"), reduceOp("ReduceLogSum"), reduceOp("ReduceLogSumExp"), reduceOp("ReduceSumSquare"),
	argOp("ArgMax"), argOp("ArgMin"), softmaxOp("Softmax"), softmaxOp("LogSoftmax"), softmaxOp("Hardmax"),
	{name: "TopK", since: 11, make: func(m *maker) {
		d, s := pick(m, typesSome...), m.shape(m.upTo(1, 3), 2, 6)
		a := m.axis(len(s))
		m.node("TopK", []string{m.input(m.values(d, s...)), m.either(ints(int64(m.upTo(1, s[(int(a)+len(s))%len(s)]))))}, []tensor.DType{d, tensor.Int64},
			onnx.AttrI("axis", a), onnx.AttrI("largest", int64(m.IntN(2))))
	}},
	{name: "CumSum", since: 11, make: func(m *maker) {
		d, s := pick(m, typesSome...), m.shape(m.upTo(1, 3), 1, 5)
		m.node("CumSum", []string{m.input(m.values(d, s...)), m.either(tensor.Scalar(m.axis(len(s))))}, []tensor.DType{d},
			onnx.AttrI("exclusive", int64(m.IntN(2))), onnx.AttrI("reverse", int64(m.IntN(2))))
	}},
}

// window draws the attributes of a sliding window over the given spatial extents and returns
// them with the kernel's.
func (m *maker) window(spatial []int, dilate bool) (kernel []int64, attrs []*onnx.Attribute) {
	n := len(spatial)
	var strides, dilations, pads []int64
	for i := range spatial {
		kernel, strides, dilations = append(kernel, int64(m.upTo(1, 3))), append(strides, int64(m.upTo(1, 3))), append(dilations, 1)
		if dilate {
			dilations[i] = int64(m.upTo(1, 2))
		}
	}
	for i := range 2 * n {
		pads = append(pads, int64(m.IntN(int(kernel[i%n]))))
	}
	attrs = append(attrs, onnx.AttrIs("strides", strides...))
	if dilate {
		attrs = append(attrs, onnx.AttrIs("dilations", dilations...))
	}
	switch m.IntN(4) {
	case 0:
		// ONNX Runtime leaves dilations out of this computation, and pads less than nothing where
		// a stride is larger than the window.
		for i := range spatial {
			kernel[i], dilations[i] = max(kernel[i], strides[i]), 1
		}
		attrs = attrs[:1]
		attrs = append(attrs, onnx.AttrS("auto_pad", pick(m, "SAME_UPPER", "SAME_LOWER")))
	case 1:
		attrs = append(attrs, onnx.AttrS("auto_pad", "VALID"))
	default:
		attrs = append(attrs, onnx.AttrIs("pads", pads...))
	}
	return kernel, attrs
}

func poolOp(name string) randomOp {
	return randomOp{name: name, since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(1, 3), 6, 9)
		dilate := name == "MaxPool" || m.opset >= 19 && name == "AveragePool" || m.opset >= 18 && name == "LpPool"
		k, attrs := m.window(s, dilate)
		attrs = append(attrs, onnx.AttrIs("kernel_shape", k...))
		outs := typeF32
		switch name {
		case "AveragePool":
			// From opset 19 on ONNX Runtime leaves padding at the end out of the count, which
			// onnx's reference evaluator does not.
			if m.opset < 19 {
				attrs = append(attrs, onnx.AttrI("count_include_pad", int64(m.IntN(2))))
			} else {
				attrs = append(attrs, onnx.AttrI("ceil_mode", int64(m.IntN(2))))
			}
		case "MaxPool":
			attrs = append(attrs, onnx.AttrI("ceil_mode", int64(m.IntN(2))), onnx.AttrI("storage_order", 0))
			if m.coin() {
				outs = []tensor.DType{tensor.Float32, tensor.Int64}
			}
		case "LpPool":
			attrs = append(attrs, onnx.AttrI("p", int64(m.upTo(1, 3))))
		}
		m.node(name, []string{m.input(m.values(tensor.Float32, append([]int{m.upTo(1, 2), m.upTo(1, 5)}, s...)...))}, outs, attrs...)
	}}
}

func normOp(name string, since int64, make func(m *maker, x string, c int, s []int)) randomOp {
	return randomOp{name: name, since: since, make: func(m *maker) {
		s := append([]int{m.upTo(1, 2), 2 * m.upTo(1, 4)}, m.shape(m.upTo(1, 3), 1, 5)...)
		make(m, m.input(m.values(tensor.Float32, s...)), s[1], s)
	}}
}

func (m *maker) weight(shape ...int) string { return m.either(m.values(tensor.Float32, shape...)) }

var networkOps = []randomOp{
	poolOp("MaxPool"), poolOp("AveragePool"), poolOp("LpPool"),
	{name: "Conv", since: 7, make: func(m *maker) {
		s := m.shape(m.upTo(1, 3), 6, 9)
		k, attrs := m.window(s, true)
		group := m.upTo(1, 3)
		c, o := group*m.upTo(1, 5), group*m.upTo(1, 9)
		if m.coin() {
			attrs = append(attrs, onnx.AttrIs("kernel_shape", k...))
		}
		in := []string{m.input(m.values(tensor.Float32, append([]int{m.upTo(1, 3), c}, s...)...)), m.weight(append([]int{o, c / group}, toInts(k)...)...)}
		if m.coin() {
			in = append(in, m.weight(o))
		}
		m.tol.Abs = 1e-4
		m.node("Conv", in, typeF32, append(attrs, onnx.AttrI("group", int64(group)))...)
	}},
	{name: "ConvTranspose", since: 11, make: func(m *maker) {
		s := m.shape(m.upTo(1, 2), 2, 6)
		group := m.upTo(1, 2)
		c, o := group*m.upTo(1, 5), m.upTo(1, 9)
		var k, strides, dilations, pads, extra []int64
		for range s {
			k, strides, dilations = append(k, int64(m.upTo(2, 4))), append(strides, int64(m.upTo(1, 3))), append(dilations, int64(m.upTo(1, 2)))
			extra = append(extra, int64(m.IntN(int(strides[len(strides)-1]))))
		}
		for i := range 2 * len(s) {
			pads = append(pads, int64(m.IntN(int(k[i%len(s)]))))
		}
		attrs := []*onnx.Attribute{onnx.AttrIs("strides", strides...), onnx.AttrIs("dilations", dilations...), onnx.AttrI("group", int64(group)), onnx.AttrIs("kernel_shape", k...)}
		switch m.IntN(3) {
		case 0:
			attrs = append(attrs, onnx.AttrIs("pads", pads...), onnx.AttrIs("output_padding", extra...))
		case 1:
			attrs = append(attrs, onnx.AttrIs("pads", pads...))
		default:
			var shape []int64
			for i, d := range s {
				shape = append(shape, int64(d-1)*strides[i]+(k[i]-1)*dilations[i]+1-int64(m.IntN(2)))
			}
			attrs = append(attrs, onnx.AttrIs("output_shape", shape...), onnx.AttrS("auto_pad", pick(m, "SAME_UPPER", "SAME_LOWER", "NOTSET")))
		}
		in := []string{m.input(m.values(tensor.Float32, append([]int{m.upTo(1, 2), c}, s...)...)), m.weight(append([]int{c, o}, toInts(k)...)...)}
		if m.coin() {
			in = append(in, m.weight(o*group))
		}
		m.tol.Abs = 1e-4
		m.node("ConvTranspose", in, typeF32, attrs...)
	}},
	{name: "Gemm", since: 11, make: func(m *maker) {
		a, b := []int{m.upTo(1, 9), m.upTo(1, 20)}, []int{0, m.upTo(1, 20)}
		b[0] = a[1]
		ta, tb := m.IntN(2), m.IntN(2)
		c := m.broadcastTo([]int{a[0], b[1]})
		if ta == 1 {
			slices.Reverse(a)
		}
		if tb == 1 {
			slices.Reverse(b)
		}
		in := []string{m.input(m.values(tensor.Float32, a...)), m.weight(b...)}
		if m.coin() {
			in = append(in, m.weight(c...))
		}
		m.tol.Abs = 1e-4
		m.node("Gemm", in, typeF32, onnx.AttrI("transA", int64(ta)), onnx.AttrI("transB", int64(tb)), onnx.AttrF("alpha", 0.5), onnx.AttrF("beta", float32(m.upTo(-4, 4))/2))
	}},
	{name: "MatMul", since: 9, make: func(m *maker) {
		d := pick(m, typesSome...)
		n, k, p := m.upTo(1, 9), m.upTo(1, 20), m.upTo(1, 20)
		batch := m.shape(m.IntN(3), 1, 3)
		a, b := append(m.broadcastTo(batch), n, k), append(m.broadcastTo(batch), k, p)
		switch m.IntN(6) {
		case 0:
			a = []int{k}
		case 1:
			b = []int{k}
		}
		m.tol.Abs = 1e-4
		m.node("MatMul", []string{m.input(m.values(d, a...)), m.either(m.values(d, b...))}, []tensor.DType{d})
	}},
	{name: "Einsum", since: 12, make: func(m *maker) {
		dims := map[rune]int{}
		for _, r := range "ijkbn." {
			dims[r] = m.upTo(1, 4)
		}
		eq := pick(m, "ij,jk->ik", "bij,bjk->bik", "ij->ji", "ii->i", "ij->", "i,j->ij", "...ij,...jk->...ik", "bij,kj->bki", "ij,ij->i", "b...->...b", "ij,jk", "bin,bjn,bkn->bijk")
		left := eq
		for i := range len(eq) - 1 {
			if eq[i:i+2] == "->" {
				left = eq[:i]
				break
			}
		}
		var in []string
		var s []int
		for i, r := range left + "," {
			switch {
			case r == ',':
				if v := m.values(tensor.Float32, s...); in == nil {
					in = append(in, m.input(v))
				} else {
					in = append(in, m.either(v))
				}
				s = nil
			case r != '.':
				s = append(s, dims[r])
			case left[i-min(i, 1)] != '.' || i == 0:
				s = append(s, dims['.'])
			}
		}
		m.node("Einsum", in, typeF32, onnx.AttrS("equation", eq))
	}},
	{name: "Resize", since: 13, make: func(m *maker) {
		s := append([]int{1, m.upTo(1, 3)}, m.shape(2, 2, 7)...)
		mode := pick(m, "nearest", "linear", "cubic")
		attrs := []*onnx.Attribute{onnx.AttrS("mode", mode),
			onnx.AttrS("coordinate_transformation_mode", pick(m, "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"))}
		switch {
		case mode == "nearest":
			attrs = append(attrs, onnx.AttrS("nearest_mode", pick(m, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")))
		case m.opset >= 18 && m.coin():
			attrs = append(attrs, onnx.AttrI("antialias", 1))
		}
		if mode == "cubic" {
			attrs = append(attrs, onnx.AttrF("cubic_coeff_a", pick(m, float32(-0.5), -0.75)), onnx.AttrI("exclude_outside", int64(m.IntN(2))))
		}
		in := []string{m.input(m.values(tensor.Float32, s...)), ""}
		if m.coin() && attrs[1].String[0] != 'a' {
			// Eighths are exact: rounding cannot move a sample across a boundary.
			f := func() float32 { return pick(m, float32(0.5), 2, 1.5, 3, 1, 0.75, 2.625) }
			in = append(in, m.constant(tensor.Must(tensor.Of([]float32{1, 1, f(), f()}, 4))))
		} else {
			in = append(in, "", m.constant(ints(1, int64(s[1]), int64(s[2]*m.upTo(1, 3)), int64(s[3]*m.upTo(1, 3)))))
		}
		m.node("Resize", in, typeF32, attrs...)
	}},
	normOp("BatchNormalization", 9, func(m *maker, x string, c int, _ []int) {
		v := m.constant(m.between(tensor.Float32, 0.1, 2, c))
		m.node("BatchNormalization", []string{x, m.weight(c), m.weight(c), m.weight(c), v}, typeF32, onnx.AttrF("epsilon", 1e-3))
	}),
	normOp("InstanceNormalization", 7, func(m *maker, x string, c int, _ []int) {
		m.tol.Abs = 1e-3
		m.node("InstanceNormalization", []string{x, m.weight(c), m.weight(c)}, typeF32, onnx.AttrF("epsilon", 0.1))
	}),
	normOp("GroupNormalization", 21, func(m *maker, x string, c int, _ []int) {
		m.tol.Abs = 1e-3
		m.node("GroupNormalization", []string{x, m.weight(c), m.weight(c)}, typeF32, onnx.AttrI("num_groups", 2), onnx.AttrF("epsilon", 0.1))
	}),
	normOp("LayerNormalization", 17, func(m *maker, x string, _ int, s []int) {
		m.tol.Abs = 1e-3
		a := m.IntN(len(s))
		in := []string{x, m.weight(s[a:]...)}
		if m.coin() {
			in = append(in, m.weight(s[a:]...))
		}
		m.node("LayerNormalization", in, typeF32, onnx.AttrI("axis", int64(a-len(s)*m.IntN(2))), onnx.AttrF("epsilon", 0.1))
	}),
	{name: "LRN", since: 13, make: func(m *maker) {
		m.node("LRN", []string{m.input(m.values(tensor.Float32, m.shape(4, 1, 6)...))}, typeF32, onnx.AttrI("size", int64(pick(m, 1, 3, 5))), onnx.AttrF("alpha", 0.1), onnx.AttrF("bias", 2))
	}},
	normOp("GlobalAveragePool", 7, func(m *maker, x string, _ int, _ []int) { m.node("GlobalAveragePool", []string{x}, typeF32) }),
	normOp("GlobalMaxPool", 7, func(m *maker, x string, _ int, _ []int) { m.node("GlobalMaxPool", []string{x}, typeF32) }),
	normOp("LpNormalization", 7, func(m *maker, x string, _ int, s []int) {
		m.node("LpNormalization", []string{x}, typeF32, onnx.AttrI("axis", int64(m.IntN(len(s)))), onnx.AttrI("p", int64(m.upTo(1, 2))))
	}),
	recurrentOp("LSTM", 4), recurrentOp("GRU", 3), recurrentOp("RNN", 1),
	{name: "GridSample", since: 16, make: func(m *maker) {
		mode := pick(m, "bilinear", "nearest", "bicubic")
		if m.opset >= 20 {
			mode = pick(m, "linear", "nearest", "cubic")
		}
		pad := pick(m, "zeros", "border", "reflection")
		if pad == "border" && (mode == "cubic" || mode == "bicubic") {
			pad = "zeros" // ONNX Runtime moves the position to the border, the specification's reference each of the 16 pixels
		}
		m.tol = onnxTolerance(1e-3)
		m.node("GridSample", []string{m.input(m.values(tensor.Float32, 2, 3, m.upTo(2, 5), m.upTo(2, 5))), m.input(m.between(tensor.Float32, -1.3, 1.3, 2, 3, 4, 2))}, typeF32,
			onnx.AttrS("mode", mode), onnx.AttrS("padding_mode", pad), onnx.AttrI("align_corners", int64(m.IntN(2))))
	}},
	{name: "RoiAlign", since: 16, make: func(m *maker) {
		x := m.values(tensor.Float32, 2, 3, 8, 8)
		lo, hi := m.between(tensor.Float32, 0, 6, 3, 2), m.between(tensor.Float32, 2, 14, 3, 2)
		roi := tensor.Must(tensor.New(tensor.Float32, 3, 4))
		for i := range 3 {
			copy(roi.Float32s()[4*i:], lo.Float32s()[2*i:2*i+2])
			copy(roi.Float32s()[4*i+2:], hi.Float32s()[2*i:2*i+2])
		}
		mode := pick(m, "avg", "max")
		if mode == "max" {
			m.quiet = []int{0} // ONNX Runtime takes the maximum of weighted corners, the specification of interpolated samples
		}
		m.node("RoiAlign", []string{m.input(x), m.input(roi), m.input(m.between(tensor.Int64, 0, 1, 3))}, typeF32,
			onnx.AttrS("mode", mode), onnx.AttrI("output_height", int64(m.upTo(1, 4))), onnx.AttrI("output_width", int64(m.upTo(1, 4))),
			onnx.AttrI("sampling_ratio", int64(m.upTo(0, 3))), onnx.AttrF("spatial_scale", pick(m, float32(1), 0.5)),
			onnx.AttrS("coordinate_transformation_mode", pick(m, "half_pixel", "output_half_pixel")))
	}},
}

func recurrentOp(name string, gates int) randomOp {
	return randomOp{name: name, since: 7, make: func(m *maker) {
		seq, batch, in, hidden := m.upTo(1, 5), m.upTo(1, 3), m.upTo(1, 6), m.upTo(1, 6)
		direction := pick(m, "forward", "reverse", "bidirectional")
		d := 1
		if direction == "bidirectional" {
			d = 2
		}
		attrs := []*onnx.Attribute{onnx.AttrI("hidden_size", int64(hidden)), onnx.AttrS("direction", direction)}
		names := []string{m.input(m.values(tensor.Float32, seq, batch, in)), m.weight(d, gates*hidden, in), m.weight(d, gates*hidden, hidden), "", "", ""}
		if m.coin() {
			names[3] = m.weight(d, 2*gates*hidden)
		}
		if m.IntN(3) == 0 {
			names[4] = m.either(m.between(tensor.Int32, 1, float64(seq), batch))
		}
		if m.coin() {
			names[5] = m.weight(d, batch, hidden)
		}
		outs := []tensor.DType{tensor.Float32, tensor.Float32}
		switch name {
		case "LSTM":
			outs = append(outs, tensor.Float32)
			names = append(names, "", "")
			if m.coin() {
				names[6] = m.weight(d, batch, hidden)
			}
			if m.coin() {
				names[7] = m.constant(m.values(tensor.Float32, d, 3*hidden))
			}
		case "GRU":
			attrs = append(attrs, onnx.AttrI("linear_before_reset", int64(m.IntN(2))))
		}
		if m.IntN(3) == 0 {
			attrs = append(attrs, onnx.AttrF("clip", 0.75))
		}
		m.tol = onnxTolerance(1e-4)
		m.node(name, names, outs, attrs...)
	}}
}

func toInts(v []int64) []int {
	out := make([]int, len(v))
	for i, n := range v {
		out[i] = int(n)
	}
	return out
}
