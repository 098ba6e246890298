//go:build cgo

package ort

import (
	"math"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// unaryOp draws elements between lo and hi; lo NaN: about zero, with special values.
func unaryOp(name string, since int64, lo, hi float64, types []tensor.DType, attrs ...string) randomOp {
	return randomOp{name: name, since: since, make: func(m *maker) {
		d := pick(m, types...)
		x := m.between(d, lo, hi, m.shape(m.IntN(4), 0, 5)...)
		if math.IsNaN(lo) && m.opset >= 7 && len(attrs) == 0 {
			m.special(x)
		}
		var as []*onnx.Attribute
		for _, a := range attrs {
			if m.coin() {
				as = append(as, onnx.AttrF(a, float32(m.upTo(1, 20))/8))
			}
		}
		m.node(name, []string{m.input(x)}, []tensor.DType{d}, as...)
	}}
}

// binaryOp broadcasts two tensors to each other.
func binaryOp(name string, since int64, out tensor.DType, types ...tensor.DType) randomOp {
	return randomOp{name: name, since: since, make: func(m *maker) {
		d := pick(m, types...)
		s := m.shape(m.IntN(5), 1, 4)
		if m.IntN(8) == 0 && len(s) > 0 {
			s[m.IntN(len(s))] = 0
		}
		a, b := m.values(d, s...), m.values(d, m.broadcastTo(s)...)
		if name == "Div" || name == "Mod" {
			lo := 1.0
			if d == tensor.Float32 || d == tensor.Float64 {
				lo = 0.25
			}
			b = m.between(d, lo, 9, b.Shape()...)
		} else if name != "Pow" {
			m.special(a)
		}
		if m.coin() && name != "Div" && name != "Mod" {
			a, b = b, a
		}
		var attrs []*onnx.Attribute
		if name == "Mod" && (d.IsFloat() || m.coin()) {
			attrs = append(attrs, onnx.AttrI("fmod", 1))
		}
		if name == "BitShift" {
			attrs = append(attrs, onnx.AttrS("direction", pick(m, "LEFT", "RIGHT")))
			b = m.between(d, 0, 7, b.Shape()...)
		}
		o := out
		if o == tensor.Undefined {
			o = d
		}
		m.node(name, []string{m.either(a), m.input(b)}, []tensor.DType{o}, attrs...)
	}}
}

func variadicOp(name string, types ...tensor.DType) randomOp {
	return randomOp{name: name, since: 8, make: func(m *maker) {
		d := types[0]
		if m.opset >= 12 {
			d = pick(m, types...)
		}
		s := m.shape(m.upTo(1, 3), 1, 4)
		var in []string
		for range m.upTo(1, 4) {
			in = append(in, m.input(m.values(d, m.broadcastTo(s)...)))
		}
		m.node(name, in, []tensor.DType{d})
	}}
}

var nan = math.NaN()

var elementwiseOps = []randomOp{
	unaryOp("Abs", 7, nan, 0, typesSome), unaryOp("Neg", 7, nan, 0, typesSome), unaryOp("Sign", 9, -5, 5, typesSome), unaryOp("Relu", 7, nan, 0, typesReal),
	unaryOp("Acos", 7, -1, 1, typeF32), unaryOp("Asin", 7, -1, 1, typeF32), unaryOp("Atan", 7, nan, 0, typeF32), unaryOp("Acosh", 9, 1, 9, typeF32),
	unaryOp("Asinh", 9, -5, 5, typeF32), unaryOp("Atanh", 9, -0.95, 0.95, typeF32), unaryOp("Sin", 7, -9, 9, typesReal), unaryOp("Cos", 7, -9, 9, typeF32),
	unaryOp("Tan", 7, -1.4, 1.4, typeF32), unaryOp("Sinh", 9, -5, 5, typeF32), unaryOp("Cosh", 9, -5, 5, typeF32), unaryOp("Tanh", 7, nan, 0, typesReal),
	unaryOp("Exp", 7, nan, 0, typesReal), unaryOp("Log", 7, nan, 0, typesReal), unaryOp("Sqrt", 7, nan, 0, typesReal), unaryOp("Reciprocal", 7, nan, 0, typesReal),
	unaryOp("Sigmoid", 7, nan, 0, typesReal), unaryOp("Ceil", 7, nan, 0, typesReal), unaryOp("Floor", 7, nan, 0, typesReal), unaryOp("Round", 11, nan, 0, typesReal),
	unaryOp("Erf", 9, -4, 4, typeF32), unaryOp("Softplus", 7, -90, 90, typesReal), unaryOp("Softsign", 7, -9, 9, typesReal),
	unaryOp("Elu", 7, nan, 0, typeF32, "alpha"), unaryOp("Selu", 7, nan, 0, typeF32, "alpha", "gamma"), unaryOp("Celu", 12, nan, 0, typeF32, "alpha"),
	unaryOp("LeakyRelu", 7, nan, 0, typeF32, "alpha"), unaryOp("ThresholdedRelu", 10, nan, 0, typeF32, "alpha"), unaryOp("HardSigmoid", 7, nan, 0, typeF32, "alpha", "beta"),
	unaryOp("HardSwish", 14, -9, 9, typeF32), unaryOp("Mish", 18, -9, 9, typeF32), unaryOp("Gelu", 20, -9, 9, typeF32), unaryOp("Shrink", 9, nan, 0, typesReal, "lambd", "bias"),

	binaryOp("Add", 7, 0, typesSome...), binaryOp("Sub", 7, 0, typesSome...), binaryOp("Mul", 7, 0, typesSome...), binaryOp("Div", 7, 0, typesSome...),
	binaryOp("Mod", 10, 0, tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Int8, tensor.Float32), binaryOp("BitShift", 11, 0, tensor.Uint8, tensor.Uint32, tensor.Uint64),
	binaryOp("And", 7, 0, tensor.Bool), binaryOp("Or", 7, 0, tensor.Bool), binaryOp("Xor", 7, 0, tensor.Bool),
	binaryOp("BitwiseAnd", 18, 0, tensor.Int32, tensor.Uint8), binaryOp("BitwiseOr", 18, 0, tensor.Int64, tensor.Int8), binaryOp("BitwiseXor", 18, 0, tensor.Uint16),
	binaryOp("Equal", 11, tensor.Bool, typesSome...), binaryOp("Less", 9, tensor.Bool, typesSome...), binaryOp("Greater", 9, tensor.Bool, typesSome...),
	binaryOp("LessOrEqual", 12, tensor.Bool, typesSome...), binaryOp("GreaterOrEqual", 12, tensor.Bool, typesSome...),
	variadicOp("Max", typesSome...), variadicOp("Min", typesSome...), variadicOp("Sum", tensor.Float32), variadicOp("Mean", tensor.Float32),

	{name: "Pow", since: 12, make: func(m *maker) {
		d, e := pick(m, typesSome...), pick(m, typesSome...)
		s := m.shape(m.IntN(4), 1, 4)
		lo := -6.0
		if e.IsFloat() {
			lo = 0.1
		}
		m.node("Pow", []string{m.input(m.between(d, lo, 6, s...)), m.either(m.between(e, 0, 4, m.broadcastTo(s)...))}, []tensor.DType{d})
	}},
	{name: "PRelu", since: 9, make: func(m *maker) {
		d, s := pick(m, typesReal...), m.shape(m.upTo(1, 4), 1, 4)
		m.node("PRelu", []string{m.input(m.values(d, s...)), m.either(m.values(d, m.broadcastTo(s)...))}, []tensor.DType{d})
	}},
	{name: "Clip", since: 12, make: func(m *maker) {
		d := pick(m, tensor.Float32, tensor.Float64, tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Int8)
		in := []string{m.input(m.values(d, m.shape(m.IntN(4), 0, 5)...))}
		lo := ""
		if m.coin() {
			lo = m.either(m.between(d, 0, 3))
		}
		in = append(in, lo)
		if m.coin() {
			in = append(in, m.either(m.between(d, 3, 9)))
		}
		m.node("Clip", in, []tensor.DType{d})
	}},
	{name: "Where", since: 9, make: func(m *maker) {
		d, s := pick(m, tensor.Float32, tensor.Int64, tensor.Uint8), m.shape(m.upTo(1, 4), 1, 4)
		m.node("Where", []string{m.input(m.values(tensor.Bool, m.broadcastTo(s)...)), m.either(m.values(d, m.broadcastTo(s)...)), m.input(m.values(d, m.broadcastTo(s)...))}, []tensor.DType{d})
	}},
	{name: "Cast", since: 9, make: func(m *maker) {
		from, to := pick(m, typesMoved...), pick(m, typesMoved...)
		x := m.values(from, m.shape(m.IntN(4), 0, 9)...)
		if from.IsFloat() && !to.IsFloat() {
			x = m.between(from, 0, 120, x.Shape()...)
		}
		m.node("Cast", []string{m.input(x)}, []tensor.DType{to}, onnx.AttrI("to", int64(to)))
	}},
	{name: "IsNaN", since: 9, make: func(m *maker) {
		m.node("IsNaN", []string{m.input(m.special(m.values(tensor.Float32, m.shape(2, 0, 5)...)))}, []tensor.DType{tensor.Bool})
	}},
	{name: "IsInf", since: 10, make: func(m *maker) {
		m.node("IsInf", []string{m.input(m.special(m.values(pick(m, typesReal...), m.shape(2, 0, 5)...)))}, []tensor.DType{tensor.Bool},
			onnx.AttrI("detect_negative", int64(m.IntN(2))), onnx.AttrI("detect_positive", int64(m.IntN(2))))
	}},
}
