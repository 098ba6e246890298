package train

import (
	"strings"
	"testing"
)

func TestParseOptimizer(t *testing.T) {
	for spec, want := range map[string]Optimizer{
		"":                        Adam{},
		"adam":                    Adam{},
		"adam:beta1=0.5,eps=1e-4": Adam{Beta1: 0.5, Eps: 1e-4},
		"adamw":                   Adam{WeightDecay: 0.01},
		"adamw:weightdecay=0.1":   Adam{WeightDecay: 0.1},
		"sgd:momentum=0":          SGD{},
	} {
		if got, err := ParseOptimizer(spec); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", spec, got, err, want)
		}
	}
	for spec, want := range map[string]string{
		"adamant":        "no optimizer",
		"adam:eps=-1":    "eps -1",
		"adam:beta1=2":   "beta1 2",
		"sgd:momentum=1": "momentum 1",
		"adam:rate=1":    "no setting",
		"sgd:momentum":   "NAME=VALUE",
	} {
		if _, err := ParseOptimizer(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", spec, err, want)
		}
	}
}
