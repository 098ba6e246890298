//go:build cgo

package ort

import (
	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func onnxTolerance(v float64) onnxcases.Tolerance { return onnxcases.Tolerance{Rel: v, Abs: v} }

// scale draws scales that are no powers of two.
func (m *maker) scale(shape ...int) string {
	return m.constant(m.between(tensor.Float32, 0.01, 0.2, shape...))
}

func (m *maker) zero(d tensor.DType, shape ...int) string {
	if d == tensor.Int8 {
		return m.constant(m.between(d, -20, 20, shape...))
	}
	return m.constant(m.between(d, 90, 160, shape...))
}

// weights7 draws weights of 7 bits: ONNX Runtime's AVX2 kernels add products of 8-bit ones in 16
// bits, and saturate.
func (m *maker) weights7(shape ...int) *tensor.Tensor {
	return m.between(tensor.Int8, -64, 63, shape...)
}

// flat returns zeros, the zero points of symmetric weights.
func (m *maker) flat(d tensor.DType, shape ...int) string {
	return m.constant(tensor.Must(tensor.New(d, shape...)))
}

var quantisedOps = []randomOp{
	{name: "QuantizeLinear", since: 13, make: func(m *maker) {
		d, s := pick(m, typesBytes...), m.shape(m.upTo(1, 4), 1, 6)
		if m.opset >= 21 {
			d = pick(m, tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16)
		}
		a := m.axis(len(s))
		var p []int
		if m.coin() {
			p = []int{s[(int(a)+len(s))%len(s)]}
		}
		m.node("QuantizeLinear", []string{m.input(m.between(tensor.Float32, -9, 9, s...)), m.scale(p...), m.zero(d, p...)}, []tensor.DType{d}, onnx.AttrI("axis", a))
	}},
	{name: "DequantizeLinear", since: 13, make: func(m *maker) {
		d, s := pick(m, typesBytes...), m.shape(m.upTo(1, 4), 1, 6)
		if m.opset >= 21 {
			d = pick(m, tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16)
		}
		a := m.axis(len(s))
		ax := (int(a) + len(s)) % len(s)
		var p []int
		attrs := []*onnx.Attribute{onnx.AttrI("axis", a)}
		switch k := m.IntN(3); {
		case k == 0:
			p = []int{s[ax]}
		case k == 1 && m.opset >= 21:
			b := m.upTo(1, 3)
			p = append(p, s...)
			p[ax] = (s[ax] + b - 1) / b
			attrs = append(attrs, onnx.AttrI("block_size", int64(b)))
		}
		m.node("DequantizeLinear", []string{m.input(m.values(d, s...)), m.scale(p...), m.zero(d, p...)}, typeF32, attrs...)
	}},
	{name: "DynamicQuantizeLinear", since: 11, make: func(m *maker) {
		m.node("DynamicQuantizeLinear", []string{m.input(m.values(tensor.Float32, m.shape(2, 1, 9)...))}, []tensor.DType{tensor.Uint8, tensor.Float32, tensor.Uint8})
	}},
	{name: "MatMulInteger", since: 10, make: func(m *maker) {
		n, k, p := m.upTo(1, 9), m.upTo(1, 40), m.upTo(1, 20)
		m.node("MatMulInteger", []string{m.input(m.values(tensor.Uint8, n, k)), m.either(m.weights7(k, p)), m.zero(tensor.Uint8), m.flat(tensor.Int8)}, []tensor.DType{tensor.Int32})
	}},
	{name: "ConvInteger", since: 10, make: func(m *maker) {
		s := m.shape(2, 6, 9)
		k, attrs := m.window(s, true)
		c, o := m.upTo(1, 5), m.upTo(1, 9)
		m.node("ConvInteger", []string{m.input(m.values(tensor.Uint8, 1, c, s[0], s[1])), m.constant(m.values(tensor.Uint8, o, c, int(k[0]), int(k[1]))), m.zero(tensor.Uint8), m.zero(tensor.Uint8)}, []tensor.DType{tensor.Int32}, attrs...)
	}},
	{name: "QLinearMatMul", since: 10, make: func(m *maker) {
		d := pick(m, typesBytes...)
		n, k, p := m.upTo(1, 9), m.upTo(1, 40), m.upTo(1, 20)
		m.node("QLinearMatMul", []string{m.input(m.values(d, n, k)), m.scale(), m.zero(d), m.constant(m.weights7(k, p)), m.scale(), m.flat(tensor.Int8), m.scale(), m.zero(d)}, []tensor.DType{d})
	}},
	{name: "QLinearConv", since: 10, make: func(m *maker) {
		s := m.shape(2, 6, 9)
		k, attrs := m.window(s, true)
		c, o := m.upTo(1, 5), m.upTo(1, 9)
		d := pick(m, typesBytes...)
		in := []string{m.input(m.values(d, 1, c, s[0], s[1])), m.scale(), m.zero(d), m.constant(m.weights7(o, c, int(k[0]), int(k[1]))), m.scale(o), m.flat(tensor.Int8, o), m.scale(), m.zero(d)}
		if m.coin() {
			in = append(in, m.constant(m.between(tensor.Int32, -4000, 4000, o)))
		}
		m.node("QLinearConv", in, []tensor.DType{d}, attrs...)
	}},
	{name: "QGemm", since: 13, domain: "com.microsoft", make: func(m *maker) {
		n, k, p := m.upTo(1, 9), m.upTo(1, 40), m.upTo(1, 20)
		m.node("QGemm", []string{m.input(m.values(tensor.Uint8, n, k)), m.scale(), m.zero(tensor.Uint8), m.constant(m.weights7(k, p)), m.scale(), m.flat(tensor.Int8),
			m.constant(m.between(tensor.Int32, -4000, 4000, p)), m.scale(), m.zero(tensor.Uint8)}, []tensor.DType{tensor.Uint8})
	}},
	{name: "QLinearAdd", since: 13, domain: "com.microsoft", make: func(m *maker) {
		d, s := pick(m, typesBytes...), m.shape(3, 1, 5)
		m.tol.Abs = 1 // the two round at different places
		m.node("QLinearAdd", []string{m.input(m.values(d, s...)), m.scale(), m.zero(d), m.input(m.values(d, s...)), m.scale(), m.zero(d), m.scale(), m.zero(d)}, []tensor.DType{d})
	}},
	{name: "QLinearLeakyRelu", since: 13, domain: "com.microsoft", make: func(m *maker) {
		d := pick(m, typesBytes...)
		m.node("QLinearLeakyRelu", []string{m.input(m.values(d, m.shape(3, 1, 5)...)), m.scale(), m.zero(d), m.scale(), m.zero(d)}, []tensor.DType{d}, onnx.AttrF("alpha", 0.1))
	}},
	{name: "QLinearWhere", since: 13, domain: "com.microsoft", make: func(m *maker) {
		d, s := pick(m, typesBytes...), m.shape(3, 1, 5)
		scale, zero := m.scale(), m.zero(d)
		other := func() (string, string) { // half of the time the result's own
			if m.coin() {
				return scale, zero
			}
			return m.scale(), m.zero(d)
		}
		xs, xz := other()
		ys, yz := other()
		m.node("QLinearWhere", []string{m.input(m.values(tensor.Bool, m.broadcastTo(s)...)), m.input(m.values(d, s...)), xs, xz,
			m.input(m.values(d, m.broadcastTo(s)...)), ys, yz, scale, zero}, []tensor.DType{d})
	}},
}
