package main

import (
	"os"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/train/autodiff"
)

// TestCurrent fails where docs/operators.md is not what the program would write.
func TestCurrent(t *testing.T) {
	cases, err := os.ReadFile("../../" + manifest)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../" + target)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(generate(op.Core, autodiff.Operators(), string(cases))) {
		t.Errorf("%s is out of date: run go generate ./internal/op", target)
	}
}

func TestOperatorOf(t *testing.T) {
	names := map[string]op.Key{}
	for k := range op.Core {
		if k.Domain == "" {
			names[strings.ToLower(k.Type)] = k
		}
	}
	for c, want := range map[string]string{
		"reduce_sum_default_axes": "ReduceSum", "reduce_sum_square_keepdims": "ReduceSumSquare", "greater_equal_bcast": "GreaterOrEqual", "greater": "Greater",
		"edge_pad": "Pad", "constant_pad": "Pad", "constant": "Constant", "constantofshape_float_ones": "ConstantOfShape", "tril_pos": "Trilu",
		"basic_conv_with_padding": "Conv", "basic_convinteger": "ConvInteger", "mvn": "MeanVarianceNormalization", "maxpool_2d": "MaxPool", "max_one_input": "Max",
	} {
		if k, ok := operatorOf(names, c); !ok || k.Type != want {
			t.Errorf("case %q counts for %q, want %q", c, k.Type, want)
		}
	}
	if k, ok := operatorOf(names, "zzz"); ok {
		t.Errorf("case \"zzz\" counts for %q", k.Type)
	}
}
