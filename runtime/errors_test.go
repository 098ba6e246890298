package runtime_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestUnsupportedInside lists what is missing in branches, in functions and in other domains, each
// operator and version once, with all its nodes.
func TestUnsupportedInside(t *testing.T) {
	b := onnx.NewBuilder(17)
	b.Opset("acme", 3)
	b.Opset("my", 1)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(1))
	c := b.Input("c", tensor.Bool)
	branch := func(name, op string) *onnx.Graph {
		return &onnx.Graph{Name: name, Nodes: []*onnx.Node{{Name: name + "/n", OpType: op, Inputs: []string{"x"}, Outputs: []string{name + "/o"}}},
			Outputs: []*onnx.ValueInfo{{Name: name + "/o"}}}
	}
	y := b.Op("If", "y", []string{c}, onnx.AttrG("then_branch", branch("then", "Frobnicate")), onnx.AttrG("else_branch", branch("else", "Relu")))
	b.Function(&onnx.Function{Domain: "my", Name: "F", Inputs: []string{"a"}, Outputs: []string{"z"}, Opsets: []onnx.OpsetID{{Version: 12}},
		Nodes: []*onnx.Node{{Name: "inner", OpType: "Frobnicate", Inputs: []string{"a"}, Outputs: []string{"z"}}}})
	z := b.Node(&onnx.Node{Name: "call", OpType: "F", Domain: "my", Inputs: []string{y}, Outputs: []string{"z"}})[0]
	for _, name := range []string{"first", "second"} {
		z = b.Node(&onnx.Node{Name: name, OpType: "Blend", Domain: "acme", Inputs: []string{z, x}, Outputs: []string{name + "/o"}})[0]
	}
	b.Output(z, tensor.Float32, onnx.FixedDim(1))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	_, err = runtime.New(m, runtime.Options{})
	u, ok := errors.AsType[*runtime.UnsupportedError](err)
	if !ok {
		t.Fatalf("%v, want an UnsupportedError", err)
	}
	want := []runtime.MissingOp{
		{Domain: "acme", OpType: "Blend", Opset: 3, Nodes: []string{"first", "second"}},
		{OpType: "Frobnicate", Opset: 17, Nodes: []string{"then/n"}},
		{OpType: "Frobnicate", Opset: 12, Nodes: []string{"call/inner"}},
	}
	if !reflect.DeepEqual(u.Missing, want) {
		t.Errorf("%+v\nwant %+v", u.Missing, want)
	}
	for _, part := range []string{"acme.Blend", "Frobnicate (opset 17", "Frobnicate (opset 12", `"first" and 1 more`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// TestFunctionOfOtherOpset: the operators of a function are those of the versions that it imports.
// Softmax of version 12 has a default axis of 1 and flattens what follows.
func TestFunctionOfOtherOpset(t *testing.T) {
	for version, want := range map[int64]float32{12: 0.25, 17: 0.5} {
		b := onnx.NewBuilder(17)
		b.Opset("my", 1)
		x := b.Input("x", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
		b.Function(&onnx.Function{Domain: "my", Name: "F", Inputs: []string{"a"}, Outputs: []string{"z"}, Opsets: []onnx.OpsetID{{Version: version}},
			Nodes: []*onnx.Node{{OpType: "Softmax", Inputs: []string{"a"}, Outputs: []string{"z"}}}})
		y := b.Node(&onnx.Node{OpType: "F", Domain: "my", Inputs: []string{x}, Outputs: []string{"y"}})[0]
		b.Output(y, tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.Load(encodedModel(t, m), runtime.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range run(t, s, inputs{"x": tensor.Must(tensor.New(tensor.Float32, 1, 2, 2))})["y"].Float32s() {
			if v != want {
				t.Errorf("version %d: element %d is %v, want %v", version, i, v, want)
			}
		}
		s.Close()
	}
}

// TestNodeError: a failure in a run names the node and what it was given.
func TestNodeError(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.NamedDim("m"))
	b.Output(b.Op("MatMul", "product", []string{x, b.Initializer("w", float32s(3, 2))}), tensor.Float32)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	_, err = session(t, m, runtime.Options{}).Run(ctx, inputs{"x": float32s(2, 5)})
	e, ok := errors.AsType[*runtime.NodeError](err)
	if !ok || e.Name != "product" || e.OpType != "MatMul" || !reflect.DeepEqual(e.Inputs, []string{"float32[2 5]", "float32[3 2]"}) || e.Unwrap() == nil {
		t.Errorf("%#v (%v)", err, err)
	}
}

// TestBufferErrors: what is wrong with a buffer for an output says what is expected.
func TestBufferErrors(t *testing.T) {
	s := session(t, dense(t, 10, 4, 10), runtime.Options{})
	in := inputs{"image": random(t, 6, 1, 2, 10)}
	for _, c := range []struct {
		out  inputs
		want string
	}{
		{inputs{}, `no buffer is given for output "reconstruction"; want float32[batch 10]`},
		{inputs{"reconstruction": float32s(3, 10)}, `the buffer for output "reconstruction" is float32[3 10], want float32[2 10]`},
		{inputs{"reconstruction": tensor.Must(tensor.New(tensor.Int32, 2, 10))}, `is int32[2 10], want float32[2 10]`},
		{inputs{"reconstruction": float32s(2, 10), "more": float32s(1)}, `no output "more"; it has ["reconstruction"]`},
	} {
		err := s.RunInto(ctx, c.out, in)
		e, ok := errors.AsType[*runtime.InputError](err)
		if !ok || !strings.Contains(err.Error(), c.want) || !strings.Contains(c.want, e.Name) && e.Name != "reconstruction" {
			t.Errorf("%#v: %v, want %q", err, err, c.want)
		}
	}
	if _, err := s.Stats(map[string]tensor.Shape{"image": {2, 11}}); err == nil || !strings.Contains(err.Error(), "want float32[batch 10]") {
		t.Errorf("Stats for another shape: %v", err)
	}
}

// TestMetadata reads what a model says of itself, from an encoded file.
func TestMetadata(t *testing.T) {
	m := dense(t, 10, 4, 10)
	m.Metadata = []onnx.StringPair{{Key: "author", Value: "me"}, {Key: "empty"}}
	s, err := runtime.Load(encodedModel(t, m), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := s.Metadata()
	if want := map[string]string{"author": "me", "empty": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	got["author"] = "you"
	if s.Metadata()["author"] != "me" {
		t.Error("the map is the session's own")
	}
	in, out := s.Inputs(), s.Outputs()
	if len(in) != 1 || in[0].Name != "image" || in[0].DType != tensor.Float32 || !in[0].Shape.Equal(tensor.Shape{-1, 10}) || in[0].Dims[0] != "batch" {
		t.Errorf("inputs %+v", in)
	}
	in[0].Shape[0], in[0].Dims[0] = 7, "seven"
	if again := s.Inputs()[0].String(); again != "float32[batch 10]" {
		t.Errorf("after a change of what Inputs returned, the input is %s", again)
	}
	if len(out) != 1 || out[0].Name != "reconstruction" || out[0].String() != "float32[batch 10]" {
		t.Errorf("outputs %+v", out)
	}
}

// TestAfterClose: every method of a closed session that could need what it held says so.
func TestAfterClose(t *testing.T) {
	s, err := runtime.New(dense(t, 10, 4, 10), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := inputs{"image": random(t, 6, 1, 2, 10)}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, run := s.Run(ctx, in)
	_, sub := s.Sub([]string{"image"}, []string{"reconstruction"})
	_, stats := s.Stats(map[string]tensor.Shape{"image": {1, 10}})
	_, profile := s.Profile(ctx, in, 1)
	for name, err := range map[string]error{"Run": run, "RunInto": s.RunInto(ctx, in, in), "Sub": sub, "Stats": stats, "Profile": profile} {
		if !errors.Is(err, runtime.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

// TestCancelledBetweenNodes cancels a run from inside, in the third iteration of a loop without
// end: the run ends with the cause, and not before.
func TestCancelledBetweenNodes(t *testing.T) {
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(1))
	body := onnx.NewBuilder(17)
	body.Input("i", tensor.Int64)
	body.Input("go", tensor.Bool)
	v := body.Input("v", tensor.Float32, onnx.FixedDim(1))
	body.Output(body.Op("Identity", "on", []string{"go"}), tensor.Bool)
	body.Output(body.Op("Add", "w", []string{v, v}), tensor.Float32, onnx.FixedDim(1))
	b.Output(b.Op("Loop", "y", []string{"", b.Initializer("true", tensor.Scalar(true)), x}, onnx.AttrG("body", body.Graph())), tensor.Float32, onnx.FixedDim(1))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, m, runtime.Options{})
	cause := errors.New("enough")
	c, cancel := context.WithCancelCause(ctx)
	asked := 0
	_, err = s.Run(doneAfter{c, func() {
		if asked++; asked == 3 {
			cancel(cause)
		}
	}}, inputs{"x": float32s(1)})
	if !errors.Is(err, cause) || asked < 3 {
		t.Errorf("%v after %d looks at the context, want the cause of the cancellation", err, asked)
	}
}

// doneAfter tells of each look at whether a context is done.
type doneAfter struct {
	context.Context
	look func()
}

func (d doneAfter) Done() <-chan struct{} {
	d.look()
	return d.Context.Done()
}
