package runtime_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// allocates lists the operators whose nodes take memory in each run, and why. A node of any
// other operator must run without allocating once it has run before.
var allocates = func() map[string]string {
	m := map[string]string{}
	for reason, ops := range map[string]string{
		"the size of the output is the value of the first input":          "BlackmanWindow ConstantOfShape HammingWindow HannWindow MelWeightMatrix",
		"the size of the output depends on data":                          "NonMaxSuppression NonZero Unique",
		"intermediate products, whose number and order an equation gives": "Einsum",
		"the right operand of a stack of products is packed in each run":  "QLinearMatMul",
	} {
		for _, o := range strings.Fields(ops) {
			m[o] = reason
		}
	}
	return m
}()

// TestOperatorsAllocateNothing runs the ONNX backend test cases of one node with the caller's
// buffers and counts allocations.
func TestOperatorsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops items at random, and what it held is allocated again")
	}
	cases, err := onnxcases.LoadArchive(testdata.Path(t, "onnx-conformance/node-cases.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	passes := readManifest(t)
	ctx := context.Background()
	checked, found := 0, map[string]bool{}
	for _, c := range cases {
		if passes[c.Suite+"/"+c.Name] != "pass" {
			continue
		}
		ins, err := c.Sets[0].DecodeInputs()
		if err != nil {
			t.Fatal(err)
		}
		model, err := onnx.Decode(c.Model, onnx.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		nodes := model.Graph.Nodes
		if len(nodes) != 1 {
			continue
		}
		// Shapes, axes and the like are constants, as in models that are not tests.
		for i, x := range ins {
			if i > 0 && x != nil && i < len(model.Graph.Inputs) {
				model.Graph.Initializers = append(model.Graph.Initializers, onnx.NewTensor(model.Graph.Inputs[i].Name, x.Value))
				ins[i] = nil
			}
		}
		s, err := runtime.New(model, runtime.Options{Threads: 1})
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		in, out := map[string]*tensor.Tensor{}, map[string]*tensor.Tensor{}
		for i, x := range ins {
			if x != nil {
				in[model.Graph.Inputs[i].Name] = x.Value
			}
		}
		out, err = s.Run(ctx, in)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if n := testing.AllocsPerRun(2, func() {
			if err := s.RunInto(ctx, out, in); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
		}); n != 0 {
			found[nodes[0].OpType] = true
			if allocates[nodes[0].OpType] == "" {
				t.Errorf("%s: %v allocations in a run of %s", c.Name, n, nodes[0].OpType)
			}
		}
		checked++
		s.Close()
	}
	for o := range allocates {
		if !found[o] {
			t.Errorf("%s is listed and does not allocate", o)
		}
	}
	if checked < 500 {
		t.Errorf("%d cases of one node, want at least 500", checked)
	}
}
