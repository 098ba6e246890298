package autodiff

import (
	"testing"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/train/gradop"
)

// Reasons why an operator of the runtime has no gradient rule.
const (
	renamed = "the standard operator by another name, which graphs are brought to"
	integer = "works on integers, or rounds to them: training has float operators in its place (fake quantisation)"
	signal  = "signal processing: made of constants in autoencoders"
	control = "control flow and recurrence: the models that are trained here are feed-forward"
	fused   = "written by optimizers for inference: the unfused operators are differentiable"
	vision  = "of detection and resampling networks, not of autoencoders"
	dynamic = "its result's shape or place depends on the values"
	rare    = "differentiable, not written: no model of images that was met uses it"
)

// without lists the operators that have no rule.
var without = map[op.Key]string{
	{Type: "AffineGrid"}: vision, {Type: "BlackmanWindow"}: signal,
	{Type: "Compress"}: dynamic, {Type: "ConvInteger"}: integer, {Type: "CumProd"}: rare, {Type: "DFT"}: signal,
	{Type: "DeformConv"}: vision, {Type: "DequantizeLinear"}: integer, {Type: "Det"}: rare, {Type: "DynamicQuantizeLinear"}: integer,
	{Type: "DynamicSlice"}: dynamic, {Type: "GRU"}: control, {Type: "GridSample"}: vision,
	{Type: "HammingWindow"}: signal, {Type: "HannWindow"}: signal, {Type: "If"}: control, {Type: "LSTM"}: control,
	{Type: "Loop"}: control, {Type: "MatMulInteger"}: integer, {Type: "MaxRoiPool"}: vision,
	{Type: "MelWeightMatrix"}:   signal,
	{Type: "NonMaxSuppression"}: vision, {Type: "QLinearConv"}: integer, {Type: "QLinearMatMul"}: integer, {Type: "QuantizeLinear"}: integer,
	{Type: "RNN"}: control, {Type: "RoiAlign"}: vision, {Type: "STFT"}: signal, {Type: "Scan"}: control,
	{Type: "Scatter"}: renamed, {Type: "TensorScatter"}: rare, {Type: "TfIdfVectorizer"}: integer, {Type: "Unique"}: dynamic,
	{Domain: "com.microsoft", Type: "DynamicQuantizeLSTM"}: integer, {Domain: "com.microsoft", Type: "DynamicQuantizeMatMul"}: integer, {Domain: "com.microsoft", Type: "FusedConv"}: fused,
	{Domain: "com.microsoft", Type: "FusedGemm"}: fused, {Domain: "com.microsoft", Type: "FusedMatMul"}: fused,
	{Domain: "com.microsoft", Type: "MatMulIntegerToFloat"}: integer, {Domain: "com.microsoft", Type: "QGemm"}: integer,
	{Domain: "com.microsoft", Type: "QLinearAdd"}: integer, {Domain: "com.microsoft", Type: "QLinearAveragePool"}: integer,
	{Domain: "com.microsoft", Type: "QLinearConcat"}: integer, {Domain: "com.microsoft", Type: "QLinearConv"}: integer,
	{Domain: "com.microsoft", Type: "QLinearGlobalAveragePool"}: integer, {Domain: "com.microsoft", Type: "QLinearLeakyRelu"}: integer,
	{Domain: "com.microsoft", Type: "QLinearMul"}: integer, {Domain: "com.microsoft", Type: "QLinearSigmoid"}: integer,
	{Domain: "com.microsoft", Type: "QLinearSoftmax"}: integer, {Domain: "com.microsoft", Type: "QLinearWhere"}: integer,
	{Domain: "com.microsoft", Type: "SkipLayerNormalization"}: fused, {Domain: "com.microsoft", Type: "QuantizeLinear"}: renamed, {Domain: "com.microsoft", Type: "DequantizeLinear"}: renamed,
}

// TestEveryOperatorIsAccountedFor: an operator of the runtime has a gradient rule, which
// TestRules compares with differences, or is flat, or there is a reason why it has none.
func TestEveryOperatorIsAccountedFor(t *testing.T) {
	for k := range op.Core {
		have := 0
		for _, b := range []bool{rules[k] != nil, flat[k], without[k] != ""} {
			if b {
				have++
			}
		}
		if have != 1 {
			t.Errorf("%v: rule %v, flat %v, reason %q: want exactly one of them", k, rules[k] != nil, flat[k], without[k])
		}
	}
	for k := range without {
		if op.Core[k] == nil {
			t.Errorf("the reason for %v, which the runtime lacks, is not needed", k)
		}
	}
	for k := range rules {
		if op.Core[k] == nil && gradop.Set[k] == nil {
			t.Errorf("the rule of %v is for no operator", k)
		}
	}
}
