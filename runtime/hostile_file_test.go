package runtime_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// TestHostileModels: files that are broken in ways that the format allows.
func TestHostileModels(t *testing.T) {
	relu := func(t *testing.T) *onnx.Model {
		return hostileModel(t, 17, []int64{1, 4}, func(b *onnx.Builder, x string) string {
			return b.Op("Add", "y", []string{b.Op("Relu", "h", []string{x}), b.Initializer("w", float32s(4))})
		})
	}
	tests := []struct {
		name string
		f    func(m *onnx.Model)
		want string // part of the error
	}{
		{"no graph", func(m *onnx.Model) { m.Graph = nil }, "no graph"},
		{"no opset", func(m *onnx.Model) { m.Opsets = nil }, "operator set"},
		{"opset 0", func(m *onnx.Model) { m.Opsets[0].Version = 0 }, "version 0"},
		{"opset max", func(m *onnx.Model) { m.Opsets[0].Version = math.MaxInt64 }, "opset"},
		{"IR version 0", func(m *onnx.Model) { m.IRVersion = 0 }, "ir_version"},
		{"cycle", func(m *onnx.Model) { m.Graph.Nodes[0].Inputs[0] = "y" }, "cycle"},
		{"reads itself", func(m *onnx.Model) { m.Graph.Nodes[0].Inputs[0] = "h" }, "h"},
		{"wrong order", func(m *onnx.Model) {
			n := m.Graph.Nodes
			n[0], n[1] = n[1], n[0]
		}, "h"},
		{"value defined twice", func(m *onnx.Model) { m.Graph.Nodes[1].Outputs[0] = "h" }, "h"},
		{"input defined again", func(m *onnx.Model) { m.Graph.Nodes[0].Outputs[0] = "x" }, "x"},
		{"input twice", func(m *onnx.Model) { m.Graph.Inputs = append(m.Graph.Inputs, m.Graph.Inputs[0]) }, "x"},
		{"initializer twice", func(m *onnx.Model) { m.Graph.Initializers = append(m.Graph.Initializers, m.Graph.Initializers[0]) }, "w"},
		{"undefined value", func(m *onnx.Model) { m.Graph.Nodes[0].Inputs[0] = "ghost" }, "ghost"},
		{"undefined output", func(m *onnx.Model) { m.Graph.Outputs[0].Name = "ghost" }, "ghost"},
		{"nameless input", func(m *onnx.Model) { m.Graph.Inputs[0].Name = "" }, "name"},
		{"unknown operator", func(m *onnx.Model) { m.Graph.Nodes[0].OpType = "Frobnicate" }, "Frobnicate"},
		{"unknown domain", func(m *onnx.Model) {
			m.Graph.Nodes[0].Domain = "evil.example"
			m.Opsets = append(m.Opsets, onnx.OpsetID{Domain: "evil.example", Version: 1})
		}, "evil.example"},
		{"domain that is not imported", func(m *onnx.Model) { m.Graph.Nodes[0].Domain = "evil.example" }, "evil.example"},
		{"operators of training", func(m *onnx.Model) {
			m.Graph.Nodes[0].Domain = "ai.aekit.training"
			m.Opsets = append(m.Opsets, onnx.OpsetID{Domain: "ai.aekit.training", Version: 1})
		}, "ai.aekit.training"},
		{"attribute twice", func(m *onnx.Model) {
			m.Graph.Nodes[0].Attrs = []*onnx.Attribute{onnx.AttrI("a", 1), onnx.AttrI("a", 2)}
		}, "a"},
		{"reference outside a function", func(m *onnx.Model) {
			m.Graph.Nodes[0].Attrs = []*onnx.Attribute{onnx.AttrRef("a", onnx.AttrInt, "b")}
		}, "a"},
		{"weights in another file", func(m *onnx.Model) {
			w := m.Graph.Initializers[0]
			w.Value, w.External = nil, []onnx.StringPair{{Key: "location", Value: "/etc/passwd"}}
		}, "ExternalData"},
		{"strings as weights", func(m *onnx.Model) {
			w := m.Graph.Initializers[0]
			w.Value, w.DType, w.Strings, w.Dims = nil, tensor.String, [][]byte{[]byte("a")}, []int64{1}
		}, "w"},
		{"sparse weights", func(m *onnx.Model) {
			v := onnx.NewTensor("w", tensor.Must(tensor.Of([]float32{1}, 1)))
			i := onnx.NewTensor("", int64s(2))
			m.Graph.Initializers = nil
			m.Graph.Sparse = []*onnx.SparseTensor{{Values: v, Indices: i, Dims: []int64{1 << 40}}}
		}, "sparse"},
		{"sequence input", func(m *onnx.Model) {
			m.Graph.Inputs[0].Type = onnx.Type{Kind: onnx.KindSequence, Raw: []byte{0x22, 0x00}}
		}, "x"},
		{"function that calls itself", func(m *onnx.Model) {
			m.Opsets = append(m.Opsets, onnx.OpsetID{Domain: "f", Version: 1})
			m.Graph.Nodes[0].Domain, m.Graph.Nodes[0].OpType = "f", "F"
			m.Functions = []*onnx.Function{{
				Name: "F", Domain: "f", Inputs: []string{"a"}, Outputs: []string{"b"},
				Opsets: []onnx.OpsetID{{Domain: "f", Version: 1}},
				Nodes:  []*onnx.Node{{OpType: "F", Domain: "f", Inputs: []string{"a"}, Outputs: []string{"b"}}},
			}}
		}, "F"},
		{"endless loop", func(m *onnx.Model) {
			b := onnx.NewBuilder(17)
			i, c := b.Input("i", tensor.Int64), b.Input("c", tensor.Bool)
			v := b.Input("v", tensor.Float32)
			_ = i
			b.Output(b.Op("Identity", "c2", []string{c}), tensor.Bool)
			b.Output(b.Op("Identity", "v2", []string{v}), tensor.Float32)
			m.Graph.Initializers = append(m.Graph.Initializers,
				onnx.NewTensor("trips", tensor.Scalar(int64(math.MaxInt64))), onnx.NewTensor("on", tensor.Scalar(true)))
			n := m.Graph.Nodes[0]
			n.OpType, n.Inputs, n.Attrs = "Loop", []string{"trips", "on", "x"}, []*onnx.Attribute{onnx.AttrG("body", b.Graph())}
		}, context.DeadlineExceeded.Error()},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			m := relu(t)
			c.f(m)
			within := usual
			if c.name == "endless loop" {
				within = looping
			}
			err := attackWithin(t, within, m, runtime.Options{})
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: does not mention %q", err, c.want)
			}
			if strings.HasPrefix(c.name, "unknown") {
				var u *runtime.UnsupportedError
				if !errors.As(err, &u) {
					t.Errorf("%v, want an UnsupportedError", err)
				}
			}
			// The same, as a file.
			if b, err := onnx.Encode(m); err == nil {
				_ = attacked(t, within, func() error {
					s, err := runtime.Load(b, runtime.Options{})
					if err != nil {
						return err
					}
					defer s.Close()
					return runZeros(s)
				})
			}
		})
	}
}

// TestHostileLoop: slices that a loop collects count although they have no elements.
func TestHostileLoop(t *testing.T) {
	m := hostileModel(t, 17, []int64{1}, func(b *onnx.Builder, x string) string { return b.Op("Identity", "y", []string{x}) })
	b := onnx.NewBuilder(17)
	b.Input("i", tensor.Int64)
	b.Output(b.Op("Identity", "c2", []string{b.Input("c", tensor.Bool)}), tensor.Bool)
	b.Output(b.Op("Identity", "none", []string{b.Initializer("zero", float32s(0))}), tensor.Float32)
	m.Graph.Initializers = append(m.Graph.Initializers,
		onnx.NewTensor("trips", tensor.Scalar(int64(math.MaxInt64))), onnx.NewTensor("on", tensor.Scalar(true)))
	m.Graph.Inputs = nil
	n := m.Graph.Nodes[0]
	n.OpType, n.Inputs, n.Attrs = "Loop", []string{"trips", "on"}, []*onnx.Attribute{onnx.AttrG("body", b.Graph())}
	err := attack(t, m, runtime.Options{Limits: runtime.Limits{Arena: 1 << 20}})
	if !errors.Is(err, runtime.ErrLimit) {
		t.Errorf("%v, want ErrLimit", err)
	}
}

// TestHostileNesting: graphs inside graphs, deeper than any model.
func TestHostileNesting(t *testing.T) {
	for _, depth := range []int{40, 70, 5000} {
		m := hostileModel(t, 17, []int64{1}, func(b *onnx.Builder, x string) string { return b.Op("Relu", "y", []string{x}) })
		g := m.Graph
		for range depth {
			inner := &onnx.Graph{Name: "g", Outputs: []*onnx.ValueInfo{{Name: "z"}}, Nodes: []*onnx.Node{{OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"z"}}}}
			g.Nodes[0].Attrs = []*onnx.Attribute{onnx.AttrG("body", inner)}
			g = inner
		}
		if err := attack(t, m, runtime.Options{}); err == nil {
			t.Errorf("%d graphs deep: accepted", depth)
		}
	}
}

// protobuf appends a length-delimited field.
func protobuf(b []byte, field int, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|2)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

func varint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(field)<<3), v)
}

// TestHostileTensors: data that does not have the size that its extents say.
func TestHostileTensors(t *testing.T) {
	tests := []struct {
		name string
		dims []uint64
		raw  int
		ok   bool
	}{
		{"exact", []uint64{2, 2}, 16, true},
		{"shorter", []uint64{2, 2}, 15, false},
		{"longer", []uint64{2, 2}, 17, false},
		{"empty", []uint64{2, 2}, 0, false},
		{"no elements", []uint64{0, 2}, 0, true},
		{"data for no elements", []uint64{0, 2}, 4, false},
		{"product wraps to 4", []uint64{1 << 63, 2, 4}, 16, false},
		{"product wraps to 0", []uint64{1 << 32, 1 << 32}, 0, false},
		{"negative", []uint64{math.MaxUint64, 4}, 16, false},
		{"negative twice", []uint64{math.MaxUint64 - 1, math.MaxUint64 - 1}, 16, false},
		{"2^31", []uint64{1 << 31}, 16, false},
		{"bytes wrap", []uint64{1<<62 + 4}, 16, false},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			var w []byte
			for _, d := range c.dims {
				w = varint(w, 1, d)
			}
			w = varint(w, 2, 1) // float32
			w = protobuf(w, 8, []byte("w"))
			w = protobuf(w, 9, make([]byte, c.raw))
			node := protobuf(protobuf(protobuf(nil, 1, []byte("w")), 2, []byte("y")), 4, []byte("Relu"))
			graph := protobuf(protobuf(nil, 1, node), 5, w)
			graph = protobuf(protobuf(graph, 2, []byte("g")), 12, protobuf(protobuf(nil, 1, []byte("y")), 2, protobuf(nil, 1, varint(nil, 1, 1))))
			model := protobuf(protobuf(varint(nil, 1, 8), 7, graph), 8, varint(nil, 2, 17))
			err := attacked(t, usual, func() error {
				s, err := runtime.Load(model, runtime.Options{})
				if err != nil {
					return err
				}
				defer s.Close()
				return runZeros(s)
			})
			if (err == nil) != c.ok {
				t.Errorf("dims %v, %d bytes: %v", c.dims, c.raw, err)
			}
		})
	}
}

// TestHostileExternalData: locations outside the folder that was given, and what is no
// plain file, are refused although a folder was given.
func TestHostileExternalData(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "model")
	secret := filepath.Join(root, "secret")
	for _, err := range []error{
		os.Mkdir(dir, 0o755), os.WriteFile(secret, make([]byte, 16), 0o644),
		os.WriteFile(filepath.Join(dir, "good"), make([]byte, 16), 0o644),
		os.WriteFile(filepath.Join(dir, "short"), make([]byte, 15), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		location string
		more     []onnx.StringPair
		ok       bool
	}{
		{location: "good", ok: true},
		{location: "short"},
		{location: "../secret"},
		{location: "good/../../secret"},
		{location: `..\secret`},
		{location: secret},
		{location: ""},
		{location: "."},
		{location: "absent"},
		{location: "good\x00"},
		{location: "good", more: []onnx.StringPair{{Key: "offset", Value: "-4"}}},
		{location: "good", more: []onnx.StringPair{{Key: "offset", Value: "9223372036854775800"}}},
		{location: "good", more: []onnx.StringPair{{Key: "length", Value: "1"}}},
		{location: "good", more: []onnx.StringPair{{Key: "length", Value: "1e9"}}},
	}
	link := func(name string, err error) {
		if err == nil {
			tests = append(tests, struct {
				location string
				more     []onnx.StringPair
				ok       bool
			}{location: name})
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	link("symlink", os.Symlink(secret, filepath.Join(dir, "symlink")))
	link("folder/secret", os.Symlink(root, filepath.Join(dir, "folder")))
	link("hardlink", os.Link(secret, filepath.Join(dir, "hardlink")))
	if goruntime.GOOS == "linux" {
		link("device", os.Symlink("/dev/zero", filepath.Join(dir, "device")))
	}
	for _, c := range tests {
		t.Run(fmt.Sprintf("%q %v", c.location, c.more), func(t *testing.T) {
			m := hostileModel(t, 17, []int64{1, 4}, func(b *onnx.Builder, x string) string {
				return b.Op("Add", "y", []string{x, b.Initializer("w", float32s(4))})
			})
			w := m.Graph.Initializers[0]
			w.Value, w.External = nil, append([]onnx.StringPair{{Key: "location", Value: c.location}}, c.more...)
			if err := attack(t, m, runtime.Options{ExternalData: os.DirFS(dir)}); (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("/dev", func(t *testing.T) {
		if goruntime.GOOS != "linux" {
			t.Skip("no /dev/zero")
		}
		m := hostileModel(t, 17, []int64{1, 4}, func(b *onnx.Builder, x string) string {
			return b.Op("Add", "y", []string{x, b.Initializer("w", float32s(4))})
		})
		w := m.Graph.Initializers[0]
		w.Value, w.External = nil, []onnx.StringPair{{Key: "location", Value: "zero"}}
		if err := attack(t, m, runtime.Options{ExternalData: os.DirFS("/dev")}); err == nil {
			t.Error("weights were read from a device")
		}
	})
}

// TestHostileNumbers: NaN and infinities in images and weights pass through without harm,
// and reach the output where arithmetic says so.
func TestHostileNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	m := hostileModel(t, 17, []int64{2, 4}, func(b *onnx.Builder, x string) string {
		w := b.Initializer("w", tensor.Must(tensor.Of([]float32{1, nan, inf, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 4, 4)))
		return b.Op("Relu", "y", []string{b.Op("Gemm", "h", []string{x, w})})
	})
	s := session(t, m, runtime.Options{})
	x := tensor.Must(tensor.Of([]float32{1, 0, 0, 0, nan, inf, -inf, 0}, 2, 4))
	y := run(t, s, inputs{"x": x})["y"].Float32s()
	want := []float32{1, nan, inf, 1, nan, nan, nan, nan}
	for i := range want {
		if y[i] != want[i] && !(y[i] != y[i] && want[i] != want[i]) {
			t.Errorf("y = %v, want %v", y, want)
			break
		}
	}
}

// TestHostileIntegers: quantised models with zero points that do not belong to their type
// are refused, and products of −128 by −128 are exact.
func TestHostileIntegers(t *testing.T) {
	const k = 70 // longer than any group of products that a kernel adds before widening
	a := tensor.Must(tensor.New(tensor.Int8, 3, k))
	w := tensor.Must(tensor.New(tensor.Int8, k, 17))
	for _, x := range []*tensor.Tensor{a, w} {
		for i := range tensor.Data[int8](x) {
			tensor.Data[int8](x)[i] = -128
		}
	}
	build := func(zero *tensor.Tensor) *onnx.Model {
		b := onnx.NewBuilder(17)
		x := b.Input("x", tensor.Int8, onnx.FixedDim(3), onnx.FixedDim(k))
		b.Output(b.Op("MatMulInteger", "y", []string{x, b.Initializer("w", w), b.Initializer("zero", zero)}), tensor.Int32, onnx.FixedDim(3), onnx.FixedDim(17))
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	y := run(t, session(t, build(tensor.Scalar(int8(0))), runtime.Options{}), inputs{"x": a})["y"]
	for i, v := range tensor.Data[int32](y) {
		if v != k*128*128 {
			t.Fatalf("element %d is %d, want %d", i, v, k*128*128)
		}
	}
	for _, zero := range []*tensor.Tensor{tensor.Scalar(int32(300)), tensor.Scalar(uint8(200)), tensor.Scalar(float32(1)), tensor.Must(tensor.New(tensor.Int8, 2))} {
		if err := attack(t, build(zero), runtime.Options{}); err == nil {
			t.Errorf("zero point %v for int8: accepted", zero)
		}
	}
}

// TestOldIR: files in which every initializer is an input too load from IR version 3; before
// it there were no operator sets, and the error says so.
func TestOldIR(t *testing.T) {
	for ir := int64(1); ir <= 3; ir++ {
		m := hostileModel(t, 7, []int64{1, 4}, func(b *onnx.Builder, x string) string {
			return b.Op("Relu", "y", []string{b.Op("Add", "h", []string{x, b.Initializer("w", float32s(4))})})
		})
		m.IRVersion = ir
		m.Graph.Inputs = append(m.Graph.Inputs, onnx.NewValueInfo("w", tensor.Float32, onnx.FixedDim(4)))
		if ir < 3 {
			// There was no opset then.
			m.Opsets = nil
		}
		err := attack(t, m, runtime.Options{})
		if ir < 3 && (err == nil || !strings.Contains(err.Error(), "ir_version")) {
			t.Errorf("IR version %d: %v", ir, err)
		}
		if ir == 3 && err != nil {
			t.Errorf("IR version 3: %v", err)
		}
	}
}
