package autodiff

import (
	"slices"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/gradop"
)

var gradCases = slices.Concat(linearCases, elementwiseCases, reduceCases, shapeCases, lossCases, convCases, layerCases, windowCases, attentionCases, sparseCases)

func attrs(a ...*onnx.Attribute) []*onnx.Attribute { return a }

var linearCases = []gradCase{
	{op: "Gemm", ins: []any{v(3, 4), v(4, 5), v(5)}},
	{op: "Gemm", name: "transposed", ins: []any{v(4, 3), v(5, 4), v(3, 1)}, attrs: attrs(onnx.AttrI("transA", 1), onnx.AttrI("transB", 1), onnx.AttrF("alpha", 0.5), onnx.AttrF("beta", -2))},
	{op: "Gemm", name: "transA", ins: []any{v(4, 3), v(4, 5), v(1, 1)}, attrs: attrs(onnx.AttrI("transA", 1))},
	{op: "Gemm", name: "transB", ins: []any{v(3, 4), v(5, 4)}, attrs: attrs(onnx.AttrI("transB", 1))},
	{op: "MatMul", ins: []any{v(3, 4), v(4, 5)}},
	{op: "MatMul", name: "sequence", ins: []any{v(2, 3, 4), v(4, 5)}},
	{op: "MatMul", name: "batch", ins: []any{v(2, 1, 3, 4), v(3, 4, 2)}},
	{op: "MatMul", name: "left matrix", ins: []any{v(3, 4), v(2, 4, 2)}},
	{op: "MatMul", name: "dot", ins: []any{v(4), v(4)}},
	{op: "MatMul", name: "vector-matrix", ins: []any{v(4), v(2, 4, 3)}},
	{op: "MatMul", name: "matrix-vector", ins: []any{v(2, 3, 4), v(4)}},
}

var elementwiseCases = []gradCase{
	{op: "Add", ins: []any{v(2, 3), v(2, 3)}},
	{op: "Add", name: "broadcast", ins: []any{v(2, 1, 4), v(3, 1)}},
	{op: "Add", name: "rows", ins: []any{v(7, 5), v(5)}},
	{op: "Sub", name: "broadcast", ins: []any{v(2, 1, 4), v(3, 1)}},
	{op: "Sub", name: "scalar", ins: []any{v(), v(3, 2)}},
	{op: "Mul", name: "broadcast", ins: []any{v(2, 1, 4), v(3, 1)}},
	{op: "Div", name: "broadcast", ins: []any{v(2, 1, 4), in(0.5, 2, 3, 1)}},
	{op: "Mod", ins: []any{in(-3, 3, 4, 3), in(0.7, 1.3, 3)}, attrs: attrs(onnx.AttrI("fmod", 1))},
	{op: "Pow", ins: []any{in(0.5, 2, 2, 3), in(-2, 3, 3)}},
	{op: "Sum", ins: []any{v(2, 3), v(3), v(2, 1)}},
	{op: "Mean", ins: []any{v(2, 3), v(3), v(2, 1)}},
	{op: "Max", ins: []any{v(2, 3), v(3), v(2, 1)}},
	{op: "Min", ins: []any{v(2, 3), v(3), v(2, 1)}},
	{op: "Where", ins: []any{tensor.Must(tensor.Of([]bool{true, false, true}, 3)), v(2, 1), v(2, 3)}},
	{op: "Clip", ins: []any{v(20), scalar(-0.5), scalar(0.6)}},
	{op: "Clip", name: "above", ins: []any{v(20), nil, scalar(0.2)}},
	{op: "PRelu", ins: []any{v(2, 3, 4), v(3, 1)}},
	{op: "Neg", ins: []any{v(5)}},
	{op: "Identity", ins: []any{v(5)}},
	{op: "Cast", ins: []any{v(5)}, attrs: attrs(onnx.AttrI("to", int64(tensor.Float64)))},
	{op: "Exp", ins: []any{v(5)}},
	{op: "Log", ins: []any{in(0.1, 2, 5)}},
	{op: "Dropout", ins: []any{v(5)}},
	{op: "Abs", ins: []any{v(6)}},
	{op: "Acos", ins: []any{in(-0.9, 0.9, 5)}},
	{op: "Acosh", ins: []any{in(1.2, 3, 5)}},
	{op: "Asin", ins: []any{in(-0.9, 0.9, 5)}},
	{op: "Asinh", ins: []any{v(5)}},
	{op: "Atan", ins: []any{v(5)}},
	{op: "Atanh", ins: []any{in(-0.9, 0.9, 5)}},
	{op: "Celu", ins: []any{v(10)}, attrs: attrs(onnx.AttrF("alpha", 0.7))},
	{op: "Cos", ins: []any{v(5)}},
	{op: "Cosh", ins: []any{v(5)}},
	{op: "Elu", ins: []any{v(10)}, attrs: attrs(onnx.AttrF("alpha", 0.7))},
	{op: "Erf", ins: []any{in(-2, 2, 8)}},
	{op: "Gelu", ins: []any{in(-3, 3, 8)}},
	{op: "Gelu", name: "tanh", ins: []any{in(-3, 3, 8)}, attrs: attrs(onnx.AttrS("approximate", "tanh"))},
	{op: "HardSigmoid", ins: []any{in(-4, 4, 12)}},
	{op: "HardSigmoid", name: "attributes", ins: []any{in(-4, 4, 12)}, attrs: attrs(onnx.AttrF("alpha", 0.4), onnx.AttrF("beta", 0.3))},
	{op: "HardSwish", ins: []any{in(-4, 4, 12)}},
	{op: "LeakyRelu", ins: []any{v(10)}},
	{op: "LeakyRelu", name: "negative", ins: []any{v(10)}, attrs: attrs(onnx.AttrF("alpha", -0.3))},
	{op: "Mish", ins: []any{in(-3, 3, 8)}},
	{op: "Reciprocal", ins: []any{in(0.5, 2, 5)}},
	{op: "Relu", ins: []any{v(3, 7)}},
	{op: "Selu", ins: []any{v(10)}},
	{op: "Sigmoid", ins: []any{in(-4, 4, 8)}},
	{op: "Sin", ins: []any{v(5)}},
	{op: "Sinh", ins: []any{v(5)}},
	{op: "Softplus", ins: []any{in(-4, 4, 8)}},
	{op: "Softsign", ins: []any{v(8)}},
	{op: "Sqrt", ins: []any{in(0.2, 2, 5)}},
	{op: "Swish", opset: 24, ins: []any{in(-3, 3, 8)}, attrs: attrs(onnx.AttrF("alpha", 1.5))},
	{op: "Tan", ins: []any{v(5)}},
	{op: "Tanh", ins: []any{in(-2, 2, 8)}},
	{op: "ThresholdedRelu", ins: []any{v(10)}, attrs: attrs(onnx.AttrF("alpha", 0.2))},
	{op: "Gelu", domain: "com.microsoft", ins: []any{in(-3, 3, 8)}},
	{op: "QuickGelu", domain: "com.microsoft", ins: []any{in(-3, 3, 8)}},
}

var reduceCases = []gradCase{
	{op: "ReduceL1", ins: []any{v(2, 3, 4), ints(1)}},
	{op: "ReduceL2", ins: []any{v(2, 3, 4), ints(0, 2)}},
	{op: "ReduceLogSum", ins: []any{in(0.2, 2, 2, 3, 4), ints(-1)}},
	{op: "ReduceLogSumExp", ins: []any{v(2, 3, 4), ints(0, 1)}, attrs: attrs(onnx.AttrI("keepdims", 0))},
	{op: "ReduceMax", ins: []any{v(2, 3, 4), ints(1)}},
	{op: "ReduceMean", ins: []any{v(2, 3, 4), ints(0, 2)}},
	{op: "ReduceMean", name: "all", ins: []any{v(2, 3)}, attrs: attrs(onnx.AttrI("keepdims", 0))},
	{op: "ReduceMin", ins: []any{v(2, 3, 4), ints(1, 2)}, attrs: attrs(onnx.AttrI("keepdims", 0))},
	{op: "ReduceProd", ins: []any{in(0.5, 1.5, 2, 3, 2), ints(1)}},
	{op: "ReduceSum", ins: []any{v(2, 3, 4), ints(0, 2)}},
	{op: "ReduceSum", name: "no axes", ins: []any{v(2, 3)}, attrs: attrs(onnx.AttrI("noop_with_empty_axes", 1))},
	{op: "ReduceSumSquare", ins: []any{v(2, 3, 4), ints(1)}},
	{op: "Softmax", ins: []any{v(2, 3, 4)}, attrs: attrs(onnx.AttrI("axis", 1))},
	{op: "Softmax", name: "flattened", opset: 11, ins: []any{v(2, 3, 4)}},
	{op: "LogSoftmax", ins: []any{v(2, 3, 4)}},
}

var shapeCases = []gradCase{
	{op: "Concat", ins: []any{v(2, 1, 3), v(2, 4, 3), v(2, 2, 3)}, attrs: attrs(onnx.AttrI("axis", 1))},
	{op: "Concat", name: "last", ins: []any{v(2, 3), v(2, 2)}, attrs: attrs(onnx.AttrI("axis", -1))},
	{op: "Expand", ins: []any{v(3, 1), ints(2, 3, 4)}},
	{op: "Flatten", ins: []any{v(2, 3, 4)}},
	{op: "Gather", ins: []any{v(4, 3), ints(1, -1, 1)}},
	{op: "Gather", name: "axis", ins: []any{v(2, 4, 3), intsOf([]int{2, 2}, 0, 2, 2, 3)}, attrs: attrs(onnx.AttrI("axis", 1))},
	{op: "GatherElements", ins: []any{v(3, 3), intsOf([]int{2, 3}, 1, 2, 0, -1, 0, 0)}},
	{op: "Reshape", ins: []any{v(2, 6), ints(3, -1)}},
	{op: "Slice", ins: []any{v(6, 5), ints(1, -1), ints(5, -6), ints(0, 1), ints(2, -2)}},
	{op: "Slice", name: "plain", ins: []any{v(6, 5), ints(2), ints(4)}},
	{op: "Split", ins: []any{v(2, 7), ints(3, 4)}, outs: 2, attrs: attrs(onnx.AttrI("axis", 1))},
	{op: "Split", name: "part", ins: []any{v(6, 2), ints(1, 3, 2)}, outs: 3, skip: 0b101},
	{op: "Squeeze", ins: []any{v(2, 1, 3), ints(1)}},
	{op: "Tile", ins: []any{v(2, 3), ints(3, 2)}},
	{op: "Transpose", ins: []any{v(2, 3, 4)}, attrs: attrs(onnx.AttrIs("perm", 1, 2, 0))},
	{op: "Transpose", name: "reversed", ins: []any{v(2, 3, 4)}},
	{op: "Unsqueeze", ins: []any{v(2, 3), ints(0, 2)}},
}

var lossCases = []gradCase{
	{op: "DiscretizedLogistic", domain: gradop.Domain, ins: []any{in(0, 1, 3, 20), levels(3, 20)}, attrs: attrs(onnx.AttrF("alpha", 0.1))},
	{op: "BCEWithLogits", domain: gradop.Domain, ins: []any{in(-5, 5, 3, 300), data{3, 300}}},
	{op: "BCEWithLogits", domain: gradop.Domain, name: "shapes", ins: []any{in(-5, 5, 3, 4), data{3, 1, 2, 2}}},
	{op: "SquaredError", domain: gradop.Domain, ins: []any{v(3, 4), v(3, 2, 2)}},
	{op: "SquaredError", domain: gradop.Domain, name: "mean", ins: []any{v(3, 4), data{3, 4}}, attrs: attrs(onnx.AttrI("mean", 1), onnx.AttrF("alpha", 3), onnx.AttrF("beta", 0.3))},
	{op: "GaussianKL", domain: gradop.Domain, ins: []any{v(3, 4), in(-2, 2, 3, 4)}},
	{op: "GaussianSample", domain: gradop.Domain, ins: []any{v(3, 4), in(-2, 2, 3, 4), data{3, 4}}},
	{op: "Scale", domain: gradop.Domain, ins: []any{v(5)}, attrs: attrs(onnx.AttrF("alpha", -1.5))},
	{op: "ReshapeLike", domain: gradop.Domain, ins: []any{v(2, 3), data{6}}},
}

var convCases = []gradCase{
	{op: "Conv", ins: []any{v(2, 3, 6, 5), v(4, 3, 3, 2), v(4)}},
	{op: "Conv", name: "strided", ins: []any{v(2, 2, 7, 8), v(3, 2, 3, 3), v(3)}, attrs: attrs(onnx.AttrIs("strides", 2, 3), onnx.AttrIs("pads", 1, 0, 2, 1))},
	{op: "Conv", name: "leftover", ins: []any{v(1, 1, 8, 8), v(2, 1, 2, 2)}, attrs: attrs(onnx.AttrIs("strides", 3, 3))},
	{op: "Conv", name: "groups and dilation", ins: []any{v(2, 4, 7, 6), v(6, 2, 2, 3)}, attrs: attrs(onnx.AttrI("group", 2), onnx.AttrIs("dilations", 2, 1), onnx.AttrIs("pads", 1, 1, 1, 1))},
	{op: "Conv", name: "same upper", ins: []any{v(1, 2, 5, 6), v(2, 2, 4, 3)}, attrs: attrs(onnx.AttrS("auto_pad", "SAME_UPPER"), onnx.AttrIs("strides", 2, 2))},
	{op: "Conv", name: "same lower", ins: []any{v(1, 2, 5, 6), v(2, 2, 4, 3)}, attrs: attrs(onnx.AttrS("auto_pad", "SAME_LOWER"))},
	{op: "Conv", name: "1-d depthwise", ins: []any{v(2, 3, 9), v(3, 1, 4), v(3)}, attrs: attrs(onnx.AttrI("group", 3), onnx.AttrIs("strides", 2))},
	{op: "Conv", name: "3-d", ins: []any{v(1, 2, 3, 4, 3), v(2, 2, 2, 2, 2)}},
	{op: "ConvTranspose", ins: []any{v(2, 3, 3, 4), v(3, 2, 3, 2), v(2)}},
	{op: "ConvTranspose", name: "strided", ins: []any{v(2, 3, 3, 4), v(3, 2, 4, 4), v(2)}, attrs: attrs(onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1))},
	{op: "ConvTranspose", name: "output padding", ins: []any{v(1, 2, 3, 3), v(2, 2, 3, 3)}, attrs: attrs(onnx.AttrIs("strides", 2, 2), onnx.AttrIs("pads", 1, 1, 1, 1), onnx.AttrIs("output_padding", 1, 1))},
	{op: "ConvTranspose", name: "output shape", ins: []any{v(1, 2, 3, 3), v(2, 2, 3, 3)}, attrs: attrs(onnx.AttrIs("strides", 2, 2), onnx.AttrIs("output_shape", 6, 5))},
	{op: "ConvTranspose", name: "same", ins: []any{v(1, 2, 3, 3), v(2, 2, 4, 3)}, attrs: attrs(onnx.AttrIs("strides", 2, 2), onnx.AttrS("auto_pad", "SAME_UPPER"))},
	{op: "ConvTranspose", name: "groups and dilation", ins: []any{v(1, 4, 3, 3), v(4, 3, 2, 2), v(6)}, attrs: attrs(onnx.AttrI("group", 2), onnx.AttrIs("dilations", 2, 1))},
	{op: "ConvTranspose", name: "1-d", ins: []any{v(2, 2, 5), v(2, 3, 3)}, attrs: attrs(onnx.AttrIs("strides", 3))},
}

// distinct is a variable whose elements differ enough for maxima to be unambiguous.
func distinct(shape ...int) variable { return in(-3, 3, shape...) }

func floats(v ...float32) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

var layerCases = []gradCase{
	{op: "MaxPool", ins: []any{distinct(2, 2, 5, 6)}, attrs: attrs(onnx.AttrIs("kernel_shape", 2, 3), onnx.AttrIs("strides", 2, 1), onnx.AttrIs("pads", 1, 0, 0, 1))},
	{op: "MaxPool", name: "ceil", ins: []any{distinct(1, 1, 7)}, attrs: attrs(onnx.AttrIs("kernel_shape", 3), onnx.AttrIs("strides", 3), onnx.AttrI("ceil_mode", 1))},
	{op: "AveragePool", ins: []any{v(2, 2, 5, 6)}, attrs: attrs(onnx.AttrIs("kernel_shape", 2, 3), onnx.AttrIs("strides", 2, 1), onnx.AttrIs("pads", 1, 1, 1, 1))},
	{op: "AveragePool", name: "pads count", ins: []any{v(1, 2, 5, 6)}, attrs: attrs(onnx.AttrIs("kernel_shape", 3, 3), onnx.AttrIs("pads", 1, 1, 1, 1), onnx.AttrI("count_include_pad", 1))},
	{op: "AveragePool", name: "same", ins: []any{v(1, 2, 5, 6)}, attrs: attrs(onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 2, 2), onnx.AttrS("auto_pad", "SAME_UPPER"))},
	{op: "GlobalAveragePool", ins: []any{v(2, 3, 4, 5)}},
	{op: "GlobalMaxPool", ins: []any{distinct(2, 3, 4, 5)}},
	{op: "BatchNormalization", ins: []any{v(3, 2, 4), v(2), v(2), floats64(0.1, 0.2), floats64(0.5, 1.5)}},
	{op: "BatchNormalization", name: "training", ins: []any{v(3, 2, 4), v(2), v(2), floats64(0.1, 0.2), floats64(0.5, 1.5)}, outs: 3, skip: 0b110, attrs: attrs(onnx.AttrI("training_mode", 1))},
	{op: "BatchNormalization", name: "vectors", ins: []any{v(5, 3), v(3), v(3), floats64(0.1, 0.2, 0), floats64(0.5, 1.5, 1)}, outs: 3, skip: 0b110, attrs: attrs(onnx.AttrI("training_mode", 1))},
	{op: "InstanceNormalization", ins: []any{v(2, 3, 4, 2), v(3), v(3)}},
	{op: "GroupNormalization", ins: []any{v(2, 4, 3), v(4), v(4)}, attrs: attrs(onnx.AttrI("num_groups", 2))},
	{op: "GroupNormalization", name: "per group", opset: 18, ins: []any{v(2, 4, 3), v(2), v(2)}, attrs: attrs(onnx.AttrI("num_groups", 2))},
	{op: "LayerNormalization", ins: []any{v(2, 3, 4), v(4), v(4)}},
	{op: "LayerNormalization", name: "axis", ins: []any{v(2, 3, 4), v(3, 4)}, attrs: attrs(onnx.AttrI("axis", 1), onnx.AttrF("epsilon", 0.01))},
	{op: "RMSNormalization", opset: 23, ins: []any{v(2, 3, 4), v(4)}},
	{op: "CumSum", ins: []any{v(3, 4), scalarInt(1)}, attrs: attrs(onnx.AttrI("exclusive", 1))},
	{op: "CumSum", name: "reverse", ins: []any{v(3, 4), scalarInt(0)}, attrs: attrs(onnx.AttrI("reverse", 1))},
	{op: "DepthToSpace", ins: []any{v(1, 8, 2, 3)}, attrs: attrs(onnx.AttrI("blocksize", 2))},
	{op: "DepthToSpace", name: "CRD", ins: []any{v(1, 8, 2, 3)}, attrs: attrs(onnx.AttrI("blocksize", 2), onnx.AttrS("mode", "CRD"))},
	{op: "SpaceToDepth", ins: []any{v(1, 2, 4, 6)}, attrs: attrs(onnx.AttrI("blocksize", 2))},
	{op: "Einsum", ins: []any{v(2, 3, 4), v(4, 5)}, attrs: attrs(onnx.AttrS("equation", "bij,jk->bik"))},
	{op: "Einsum", name: "three", ins: []any{v(2, 3), v(3, 4), v(4)}, attrs: attrs(onnx.AttrS("equation", "ij, jk, k -> i"))},
	{op: "GatherND", ins: []any{v(3, 4), intsOf([]int{3, 2}, 0, 1, 2, 3, 0, 1)}},
	{op: "Pad", ins: []any{v(3, 4), ints(1, 0, 2, 1), scalar(0.5)}},
	{op: "Pad", name: "reflect", ins: []any{v(3, 4), ints(1, 2, 0, 1)}, attrs: attrs(onnx.AttrS("mode", "reflect"))},
	{op: "Pad", name: "edge and crop", ins: []any{v(3, 4), ints(-1, 2), nil, ints(1)}, attrs: attrs(onnx.AttrS("mode", "edge"))},
	{op: "ReverseSequence", ins: []any{v(4, 3), ints(1, 3, 4)}},
	{op: "Trilu", ins: []any{v(2, 3, 4), scalarInt(1)}, attrs: attrs(onnx.AttrI("upper", 0))},
	{op: "CenterCropPad", ins: []any{v(5, 4), ints(3, 6)}},
	{op: "Resize", ins: []any{v(1, 2, 3, 4), nil, floats(1, 1, 2, 2)}},
	{op: "Resize", name: "linear", ins: []any{v(2, 1, 3, 4), nil, nil, ints(2, 1, 5, 7)}, attrs: attrs(onnx.AttrS("mode", "linear"))},
	{op: "Resize", name: "cubic", ins: []any{v(1, 1, 4, 5), nil, floats(1, 1, 1.5, 0.8)}, attrs: attrs(onnx.AttrS("mode", "cubic"), onnx.AttrS("coordinate_transformation_mode", "align_corners"))},
	{op: "Resize", name: "axes", ins: []any{v(1, 2, 4, 6), nil, nil, ints(3, 2)}, attrs: attrs(onnx.AttrS("mode", "linear"), onnx.AttrIs("axes", 3, 2), onnx.AttrI("antialias", 1))},
	{op: "Upsample", opset: 9, ins: []any{v(1, 2, 3, 4), floats(1, 1, 2, 2)}, attrs: attrs(onnx.AttrS("mode", "linear"))},
}

var windowCases = []gradCase{
	{op: "GlobalLpPool", ins: []any{v(2, 3, 4, 2)}},
	{op: "GlobalLpPool", name: "L1", ins: []any{v(2, 3, 4)}, attrs: attrs(onnx.AttrI("p", 1))},
	{op: "LpPool", ins: []any{v(2, 2, 5, 6)}, attrs: attrs(onnx.AttrIs("kernel_shape", 2, 3), onnx.AttrIs("strides", 2, 1), onnx.AttrIs("pads", 1, 0, 0, 1))},
	{op: "LpPool", name: "L1", ins: []any{v(1, 2, 6)}, attrs: attrs(onnx.AttrIs("kernel_shape", 3), onnx.AttrIs("dilations", 2), onnx.AttrI("p", 1))},
	{op: "LpPool", name: "L3", ins: []any{v(1, 2, 5, 6)}, attrs: attrs(onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrS("auto_pad", "SAME_UPPER"), onnx.AttrI("p", 3))},
	{op: "LRN", ins: []any{v(2, 5, 3, 2)}, attrs: attrs(onnx.AttrI("size", 4), onnx.AttrF("alpha", 0.5), onnx.AttrF("beta", 0.6), onnx.AttrF("bias", 0.8))},
	{op: "LRN", name: "one channel", ins: []any{v(2, 3, 4)}, attrs: attrs(onnx.AttrI("size", 1), onnx.AttrF("alpha", 0.5))},
	{op: "MaxUnpool", ins: []any{v(1, 2, 2, 2), intsOf([]int{1, 2, 2, 2}, 0, 3, 9, 14, 16, 18, 25, 31)}, attrs: attrs(onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 2, 2))},
	{op: "MeanVarianceNormalization", ins: []any{v(3, 2, 4, 2)}},
	{op: "MeanVarianceNormalization", name: "axes", ins: []any{v(2, 3, 4)}, attrs: attrs(onnx.AttrIs("axes", 1, 2))},
}

var attentionCases = []gradCase{
	{op: "Attention", opset: 23, ins: []any{v(2, 3, 4, 5), v(2, 3, 6, 5), v(2, 3, 6, 2)}},
	{op: "Attention", opset: 23, name: "one head of keys, causal", ins: []any{v(1, 3, 4, 5), v(1, 1, 4, 5), v(1, 1, 4, 2)}, attrs: attrs(onnx.AttrI("is_causal", 1), onnx.AttrF("scale", 0.7))},
	{op: "Attention", opset: 23, name: "flat, masked", ins: []any{v(2, 4, 6), v(2, 3, 6), v(2, 3, 4), tensor.Must(tensor.Of([]bool{true, true, false, true, false, true, true, true, true, false, true, true}, 4, 3))},
		attrs: attrs(onnx.AttrI("q_num_heads", 2), onnx.AttrI("kv_num_heads", 2))},
	{op: "Col2Im", ins: []any{v(2, 12, 9), ints(5, 4), ints(2, 3)}, attrs: attrs(onnx.AttrIs("strides", 2, 1), onnx.AttrIs("pads", 1, 0, 0, 1))},
	{op: "Col2Im", name: "dilated", ins: []any{v(1, 4, 6), ints(4, 5), ints(2, 2)}, attrs: attrs(onnx.AttrIs("dilations", 2, 2))},
	{op: "RotaryEmbedding", opset: 23, ins: []any{v(2, 3, 4, 6), data{5, 3}, data{5, 3}, intsOf([]int{2, 4}, 0, 1, 2, 3, 4, 2, 1, 0)}},
	{op: "RotaryEmbedding", opset: 23, name: "part, interleaved", ins: []any{v(1, 3, 12), data{1, 3, 2}, data{1, 3, 2}}, attrs: attrs(onnx.AttrI("num_heads", 2), onnx.AttrI("rotary_embedding_dim", 4), onnx.AttrI("interleaved", 1))},
}

func floats64(v ...float64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

func scalarInt(v int64) *tensor.Tensor { return tensor.Scalar(v) }

var sparseCases = []gradCase{
	{op: "CastLike", ins: []any{v(5), scalar(0)}},
	{op: "LpNormalization", ins: []any{v(3, 4)}},
	{op: "LpNormalization", name: "L1", ins: []any{v(3, 4)}, attrs: attrs(onnx.AttrI("p", 1), onnx.AttrI("axis", 0))},
	{op: "ScatterElements", ins: []any{v(3, 4), intsOf([]int{2, 2}, 0, 2, 1, 0), v(2, 2)}, attrs: attrs(onnx.AttrI("axis", 1))},
	{op: "ScatterElements", name: "add", ins: []any{v(3, 4), intsOf([]int{2, 2}, 0, 0, 1, 2), v(2, 2)}, attrs: attrs(onnx.AttrS("reduction", "add"))},
	{op: "ScatterND", ins: []any{v(4, 3), intsOf([]int{2, 1}, 2, 0), v(2, 3)}},
	{op: "ScatterND", name: "add", ins: []any{v(4, 3), intsOf([]int{2, 1}, 2, 2), v(2, 3)}, attrs: attrs(onnx.AttrS("reduction", "add"))},
	{op: "Shrink", ins: []any{v(12)}, attrs: attrs(onnx.AttrF("lambd", 0.4), onnx.AttrF("bias", 0.1))},
	{op: "TopK", ins: []any{v(3, 6), ints(2)}, outs: 2, skip: 2},
	{op: "TopK", name: "axis", ins: []any{v(5, 3), ints(3)}, outs: 2, skip: 2, attrs: attrs(onnx.AttrI("axis", 0), onnx.AttrI("largest", 0))},
	{op: "BiasGelu", domain: "com.microsoft", ins: []any{v(3, 4), v(4)}},
	{op: "FastGelu", domain: "com.microsoft", ins: []any{v(3, 4), v(4)}},
	{op: "FastGelu", domain: "com.microsoft", name: "no bias", ins: []any{v(3, 4)}},
}

// levels are pixels of 8 bits: both ends of the scale, and some between.
func levels(shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(tensor.Float64, shape...))
	for i := range tensor.Data[float64](t) {
		tensor.Data[float64](t)[i] = float64([]int{0, 255, 17, 128, 254, 1}[i%6]) / 255
	}
	return t
}
