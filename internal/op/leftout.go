package op

import (
	"slices"
	"strings"
)

// leftOut names the operators of moreTable: those of the standard domain, and those of
// com.microsoft.
const (
	leftOut = "AffineGrid Attention Bernoulli BitShift BlackmanWindow CenterCropPad Col2Im Compress " +
		"ConvInteger CumProd CumSum DFT DeformConv Det DynamicQuantizeLinear Einsum EyeLike GRU " +
		"GatherND GlobalLpPool GridSample HammingWindow HannWindow Hardmax If LRN LSTM Loop " +
		"LpNormalization LpPool MatMulInteger MaxRoiPool MaxUnpool MeanVarianceNormalization " +
		"MelWeightMatrix Multinomial NonMaxSuppression NonZero OneHot QLinearConv QLinearMatMul RNN " +
		"ReverseSequence RoiAlign RotaryEmbedding STFT Scan Scatter ScatterElements ScatterND " +
		"TensorScatter TfIdfVectorizer TopK Trilu Unique"
	leftOutMicrosoft = "BiasGelu DynamicQuantizeLSTM DynamicQuantizeMatMul FastGelu FusedConv FusedGemm FusedMatMul Gelu " +
		"MatMulIntegerToFloat QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv " +
		"QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearSigmoid " +
		"QLinearSoftmax QLinearWhere QuickGelu SkipLayerNormalization"
)

// LeftOut reports whether an operator is missing only because the program was built with the
// tag aekit_core.
func LeftOut(domain, typ string) bool {
	if Complete {
		return false
	}
	return moreNamed(domain, typ)
}

func moreNamed(domain, typ string) bool {
	switch domain {
	case "":
		return slices.Contains(strings.Fields(leftOut), typ)
	case "com.microsoft":
		return slices.Contains(strings.Fields(leftOutMicrosoft), typ)
	}
	return false
}
