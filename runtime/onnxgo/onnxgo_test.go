package onnxgo

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	onnxgo "github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/testbackend"
	_ "github.com/owulveryck/onnx-go/backend/testbackend/onnx"
	gorgonia "gorgonia.org/tensor"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var update = flag.Bool("update", false, "rewrite the manifest from what passes; reasons of skipped cases are kept")

const manifest = "testdata/manifest.txt"

// TestONNXGoCases runs the test cases that onnx-go has for its backends. The manifest says
// which pass; a case that passes and is not listed so fails the test as well.
func TestONNXGoCases(t *testing.T) {
	want := readManifest(t)
	got := map[string]string{}
	var titles []string
	for _, f := range testbackend.GetAllRegisteredTests() {
		tc := f()
		titles = append(titles, tc.Title)
		err := runCase(tc, 1e-6)
		switch reason := want[tc.Title]; {
		case err == nil:
			got[tc.Title] = "pass"
			if reason != "pass" && !*update {
				t.Errorf("%s passes; the manifest says %q", tc.Title, reason)
			}
		case strings.HasPrefix(reason, "skip: "):
			got[tc.Title] = reason
		default:
			got[tc.Title] = "skip: " + strings.SplitN(err.Error(), "\n", 2)[0]
			if !*update {
				t.Errorf("%s: %v", tc.Title, err)
			}
		}
	}
	for title := range want {
		if _, ok := got[title]; !ok {
			t.Errorf("%s is in the manifest and not among the cases", title)
		}
	}
	if *update {
		slices.Sort(titles)
		var b strings.Builder
		b.WriteString("# Test cases of github.com/owulveryck/onnx-go v0.5.0, backend/testbackend/onnx: \"title: pass\" or \"title: skip: reason\".\n# Rewritten by: go test ./runtime/onnxgo -run TestONNXGoCases -update\n")
		for _, title := range titles {
			fmt.Fprintf(&b, "%s: %s\n", title, got[title])
		}
		if err := os.WriteFile(manifest, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRounded runs the case whose results have four decimals.
func TestRounded(t *testing.T) {
	for _, f := range testbackend.GetAllRegisteredTests() {
		if tc := f(); tc.Title == "TestRoialign" {
			if err := runCase(tc, 1e-4); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Error("there is no case TestRoialign")
}

func readManifest(t *testing.T) map[string]string {
	t.Helper()
	m := map[string]string{}
	f, err := os.Open(manifest)
	if err != nil {
		if *update {
			return m
		}
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if title, reason, ok := strings.Cut(sc.Text(), ": "); ok && !strings.HasPrefix(title, "#") {
			m[title] = reason
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

// runCase does what testbackend's own runner does, with a tolerance that is a share of values
// above 1; its own one is 1e-6.
func runCase(tc *testbackend.TestCase, tolerance float64) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	b := New()
	defer b.Close()
	m := onnxgo.NewModel(b)
	if err := m.UnmarshalBinary(tc.ModelB); err != nil {
		return fmt.Errorf("onnx-go: %w", err)
	}
	for i, in := range tc.Input {
		if err := m.SetInput(i, in); err != nil {
			return fmt.Errorf("onnx-go: %w", err)
		}
	}
	if err := b.Run(); err != nil {
		return err
	}
	out, err := m.GetOutputTensors()
	if err != nil {
		return err
	}
	if len(out) != len(tc.ExpectedOutput) {
		return fmt.Errorf("%d outputs, want %d", len(out), len(tc.ExpectedOutput))
	}
	for i, want := range tc.ExpectedOutput {
		if out[i] == nil {
			return fmt.Errorf("output %d is missing", i)
		}
		if !slices.Equal([]int(out[i].Shape()), []int(want.Shape())) {
			return fmt.Errorf("output %d has shape %v, want %v", i, out[i].Shape(), want.Shape())
		}
		if err := near(out[i].Data(), want.Data(), tolerance); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	return nil
}

func near(got, want any, tolerance float64) error {
	g, w := numbers(reflect.ValueOf(got)), numbers(reflect.ValueOf(want))
	if len(g) != len(w) || len(g) == 0 {
		return fmt.Errorf("%d elements of %T, want %d of %T", len(g), got, len(w), want)
	}
	for i := range g {
		d := math.Abs(g[i] - w[i])
		if g[i] == w[i] || math.IsNaN(g[i]) && math.IsNaN(w[i]) {
			continue
		}
		if !(d <= tolerance*math.Max(1, math.Abs(w[i]))) {
			return fmt.Errorf("element %d is %v, want %v", i, g[i], w[i])
		}
	}
	return nil
}

// numbers returns a number, or a slice of them, as float64.
func numbers(v reflect.Value) []float64 {
	switch {
	case v.Kind() == reflect.Slice:
		var out []float64
		for i := range v.Len() {
			out = append(out, numbers(v.Index(i))...)
		}
		return out
	case v.CanFloat():
		return []float64{v.Float()}
	case v.CanInt():
		return []float64{float64(v.Int())}
	case v.CanUint():
		return []float64{float64(v.Uint())}
	case v.Kind() == reflect.Bool && v.Bool():
		return []float64{1}
	case v.Kind() == reflect.Bool:
		return []float64{0}
	}
	return nil
}

// encode returns the bytes of a model.
func encode(t *testing.T, b *onnx.Builder) []byte {
	t.Helper()
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// gemm is y = x·w + c with x of 1×3, as a layer of an autoencoder at batch 1.
func gemm(t *testing.T) []byte {
	b := onnx.NewBuilder(9)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(3))
	w := b.Initializer("w", tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2)))
	c := b.Initializer("c", tensor.Must(tensor.Of([]float32{10, 20}, 2)))
	b.Op("Gemm", "h", []string{x, w, c})
	b.Op("Relu", "y", []string{"h"})
	b.Output("y", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2))
	return encode(t, b)
}

// A backend of onnx-go gave other results from the second run on, because the bias was
// added to itself at batch 1.
func TestRepeatedRuns(t *testing.T) {
	g := New()
	defer g.Close()
	m := onnxgo.NewModel(g)
	if err := m.UnmarshalBinary(gemm(t)); err != nil {
		t.Fatal(err)
	}
	var kept []gorgonia.Tensor
	for run, c := range []struct{ x, y []float32 }{
		{[]float32{1, 1, 1}, []float32{19, 32}},
		{[]float32{1, 1, 1}, []float32{19, 32}},
		{[]float32{1, 1, 1}, []float32{19, 32}},
		{[]float32{0, 0, 2}, []float32{20, 32}},
		{[]float32{1, 1, 1}, []float32{19, 32}},
	} {
		if err := m.SetInput(0, gorgonia.New(gorgonia.WithShape(1, 3), gorgonia.WithBacking(c.x))); err != nil {
			t.Fatal(err)
		}
		if err := g.Run(); err != nil {
			t.Fatal(err)
		}
		out, err := m.GetOutputTensors()
		if err != nil {
			t.Fatal(err)
		}
		if got := out[0].Data().([]float32); !slices.Equal(got, c.y) {
			t.Errorf("run %d: y = %v for x = %v, want %v", run, got, c.x, c.y)
		}
		kept = append(kept, out[0])
	}
	if got := kept[0].Data().([]float32); !slices.Equal(got, []float32{19, 32}) {
		t.Errorf("the output of the first run has become %v", got)
	}
}

func TestShapesAndBuffersMayChange(t *testing.T) {
	g := New()
	defer g.Close()
	m := onnxgo.NewModel(g)
	if err := m.UnmarshalBinary(gemm(t)); err != nil {
		t.Fatal(err)
	}
	// The caller writes to its tensor between runs.
	x := gorgonia.New(gorgonia.WithShape(1, 3), gorgonia.WithBacking([]float32{0, 0, 0}))
	if err := m.SetInput(0, x); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		x.Data().([]float32)[0] = float32(i)
		if err := g.Run(); err != nil {
			t.Fatal(err)
		}
		out, err := m.GetOutputTensors()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := out[0].Data().([]float32), []float32{float32(10 + i), float32(20 + 2*i)}; !slices.Equal(got, want) {
			t.Errorf("x[0] = %d: y = %v, want %v", i, got, want)
		}
	}
	// Another batch size, and a transposed view.
	big := gorgonia.New(gorgonia.WithShape(3, 2), gorgonia.WithBacking([]float32{1, 0, 1, 0, 1, 2}))
	if err := big.T(); err != nil {
		t.Fatal(err)
	}
	if err := m.SetInput(0, big); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(); err != nil {
		t.Fatal(err)
	}
	out, err := m.GetOutputTensors()
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].Data().([]float32); !slices.Equal(got, []float32{19, 32, 20, 32}) || !slices.Equal([]int(out[0].Shape()), []int{2, 2}) {
		t.Errorf("transposed input: y = %v of shape %v", got, out[0].Shape())
	}
}

// An output that other nodes read, and one value that is an input twice.
func TestInnerOutputs(t *testing.T) {
	b := onnx.NewBuilder(9)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(2))
	b.Op("Mul", "square", []string{x, x})
	b.Op("Neg", "minus", []string{"square"})
	b.Output("square", tensor.Float32, onnx.FixedDim(2))
	b.Output("minus", tensor.Float32, onnx.FixedDim(2))
	g := New()
	defer g.Close()
	m := onnxgo.NewModel(g)
	if err := m.UnmarshalBinary(encode(t, b)); err != nil {
		t.Fatal(err)
	}
	for k := range 3 {
		v := float32(k + 2)
		if err := m.SetInput(0, gorgonia.New(gorgonia.WithShape(2), gorgonia.WithBacking([]float32{v, 1}))); err != nil {
			t.Fatal(err)
		}
		if err := g.Run(); err != nil {
			t.Fatal(err)
		}
		out, err := m.GetOutputTensors()
		if err != nil || out[0] == nil {
			t.Fatalf("outputs %v, %v", out, err)
		}
		if got := out[0].Data().([]float32); got[0] != v*v {
			t.Errorf("square of %v is %v", v, got)
		}
		if got := out[1].Data().([]float32); got[0] != -v*v {
			t.Errorf("minus the square of %v is %v", v, got)
		}
	}
}

func TestOpset(t *testing.T) {
	b := onnx.NewBuilder(13)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
	b.Op("Softmax", "y", []string{x})
	b.Output("y", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
	data := encode(t, b)
	for _, c := range []struct {
		options []Option
		want    float32
	}{{nil, 0.25}, {[]Option{Opset(13)}, 0.5}} {
		g := New(c.options...)
		m := onnxgo.NewModel(g)
		if err := m.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		if err := m.SetInput(0, gorgonia.New(gorgonia.WithShape(1, 2, 2), gorgonia.WithBacking(make([]float32, 4)))); err != nil {
			t.Fatal(err)
		}
		if err := g.Run(); err != nil {
			t.Fatal(err)
		}
		out, err := m.GetOutputTensors()
		if err != nil {
			t.Fatal(err)
		}
		if got := out[0].Data().([]float32)[0]; got != c.want {
			t.Errorf("options %d: softmax of zeros is %v, want %v", len(c.options), got, c.want)
		}
		g.Close()
	}
}

func TestMissingOperator(t *testing.T) {
	b := onnx.NewBuilder(9)
	b.Op("NoSuchOperator", "y", []string{b.Input("x", tensor.Float32, onnx.FixedDim(1))})
	b.Output("y", tensor.Float32, onnx.FixedDim(1))
	g := New()
	m := onnxgo.NewModel(g)
	if err := m.UnmarshalBinary(encode(t, b)); err != nil {
		t.Fatal(err)
	}
	if err := m.SetInput(0, gorgonia.New(gorgonia.WithShape(1), gorgonia.WithBacking([]float32{1}))); err != nil {
		t.Fatal(err)
	}
	err := g.Run()
	var missing *onnxgo.ErrNotImplemented
	if !errors.As(err, &missing) || missing.Operator != "NoSuchOperator" {
		t.Errorf("Run: %v", err)
	}
	if err := New().Run(); err == nil {
		t.Error("an empty graph runs")
	}
}

// TestOptions hands options of the sessions on: a limit that the model exceeds is an error.
func TestOptions(t *testing.T) {
	b := onnx.NewBuilder(9)
	x := b.Input("x", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
	b.Op("Relu", "y", []string{x})
	b.Output("y", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(2), onnx.FixedDim(2))
	data := encode(t, b)
	for elements, ok := range map[int]bool{3: false, 4: true} {
		g := New(Options(runtime.Options{Limits: runtime.Limits{Elements: elements}}))
		m := onnxgo.NewModel(g)
		if err := m.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		if err := m.SetInput(0, gorgonia.New(gorgonia.WithShape(1, 2, 2), gorgonia.WithBacking(make([]float32, 4)))); err != nil {
			t.Fatal(err)
		}
		if err := g.Run(); (err == nil) != ok || err != nil && !errors.Is(err, runtime.ErrLimit) {
			t.Errorf("%d elements allowed: %v", elements, err)
		}
		g.Close()
	}
}
