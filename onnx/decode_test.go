package onnx_test

import (
	"bytes"
	"errors"
	"math"
	goruntime "runtime"
	"strings"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// field is one encoded field of a message.
type field []byte

func num(n protowire.Number, v int64) field {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), uint64(v))
}

func blob(n protowire.Number, b string) field {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

func f32(n protowire.Number, v float32) field {
	return protowire.AppendFixed32(protowire.AppendTag(nil, n, protowire.Fixed32Type), math.Float32bits(v))
}

func f64(n protowire.Number, v float64) field {
	return protowire.AppendFixed64(protowire.AppendTag(nil, n, protowire.Fixed64Type), math.Float64bits(v))
}

func packed(n protowire.Number, vs ...int64) field {
	var b []byte
	for _, v := range vs {
		b = protowire.AppendVarint(b, uint64(v))
	}
	return blob(n, string(b))
}

func cat(fs ...field) string {
	var b []byte
	for _, f := range fs {
		b = append(b, f...)
	}
	return string(b)
}

func msg(n protowire.Number, fs ...field) field { return blob(n, cat(fs...)) }

// model wraps the fields of a graph in a model of IR version 8.
func model(graph ...field) string {
	return cat(num(1, 8), msg(7, graph...), msg(8, num(2, 17)))
}

const (
	nodeField = 1
	initField = 5
)

func TestDecodeTensorForms(t *testing.T) {
	f16 := func(v ...float32) *tensor.Tensor {
		var s []tensor.F16
		for _, x := range v {
			s = append(s, tensor.ToF16(x))
		}
		return tensor.Must(tensor.Of(s, len(v)))
	}
	bf16 := tensor.Must(tensor.Of([]tensor.BF16{tensor.ToBF16(1), tensor.ToBF16(-2)}, 2))
	two := num(1, 2)
	tests := []struct {
		name string
		b    string
		want *tensor.Tensor
	}{
		{"float raw", cat(two, num(2, 1), blob(9, "\x00\x00\x80\x3f\x00\x00\x00\xc0")), tensor.Must(tensor.Of([]float32{1, -2}, 2))},
		{"float_data packed", cat(two, num(2, 1), blob(4, "\x00\x00\x80\x3f\x00\x00\x00\xc0")), tensor.Must(tensor.Of([]float32{1, -2}, 2))},
		{"float_data unpacked, type last", cat(f32(4, 1), two, f32(4, -2), num(2, 1)), tensor.Must(tensor.Of([]float32{1, -2}, 2))},
		{"float_data in two parts", cat(two, blob(4, "\x00\x00\x80\x3f"), f32(4, -2), num(2, 1)), tensor.Must(tensor.Of([]float32{1, -2}, 2))},
		{"dims packed", cat(packed(1, 1, 2), num(2, 3), blob(9, "\x80\x7f")), tensor.Must(tensor.Of([]int8{-128, 127}, 1, 2))},
		{"uint8", cat(two, num(2, 2), packed(5, 0, 255)), tensor.Must(tensor.Of([]uint8{0, 255}, 2))},
		{"int8", cat(two, num(2, 3), packed(5, -128, 127)), tensor.Must(tensor.Of([]int8{-128, 127}, 2))},
		{"uint16", cat(two, num(2, 4), packed(5, 0, 65535)), tensor.Must(tensor.Of([]uint16{0, 65535}, 2))},
		{"int16", cat(two, num(2, 5), num(5, -32768), num(5, 7)), tensor.Must(tensor.Of([]int16{-32768, 7}, 2))},
		{"int32", cat(two, num(2, 6), packed(5, math.MinInt32, math.MaxInt32)), tensor.Must(tensor.Of([]int32{math.MinInt32, math.MaxInt32}, 2))},
		{"int64", cat(two, num(2, 7), packed(7, math.MinInt64, math.MaxInt64)), tensor.Must(tensor.Of([]int64{math.MinInt64, math.MaxInt64}, 2))},
		{"bool", cat(two, num(2, 9), packed(5, 0, 1)), tensor.Must(tensor.Of([]bool{false, true}, 2))},
		{"bool raw, not 0 or 1", cat(two, num(2, 9), blob(9, "\x00\xff")), tensor.Must(tensor.Of([]bool{false, true}, 2))},
		{"float16", cat(two, num(2, 10), packed(5, 0x3c00, 0xc000)), f16(1, -2)},
		{"float16 raw", cat(two, num(2, 10), blob(9, "\x00\x3c\x00\xc0")), f16(1, -2)},
		{"double", cat(two, num(2, 11), f64(10, 1), f64(10, -2)), tensor.Must(tensor.Of([]float64{1, -2}, 2))},
		{"uint32", cat(two, num(2, 12), packed(11, 0, math.MaxUint32)), tensor.Must(tensor.Of([]uint32{0, math.MaxUint32}, 2))},
		{"uint64", cat(two, num(2, 13), packed(11, 0, -1)), tensor.Must(tensor.Of([]uint64{0, math.MaxUint64}, 2))},
		{"bfloat16", cat(two, num(2, 16), packed(5, 0x3f80, 0xc000)), bf16},
		{"scalar", cat(num(2, 6), num(5, 42)), tensor.Scalar(int32(42))},
		{"empty", cat(num(1, 0), num(2, 7)), tensor.Must(tensor.New(tensor.Int64, 0))},
		{"empty with a huge axis", cat(num(1, 0), num(1, math.MaxInt32), num(2, 7)), tensor.Must(tensor.New(tensor.Int64, 0, math.MaxInt32))},
		{"unknown fields", cat(blob(99, "x"), num(2, 6), num(5, 42), f64(98, 1)), tensor.Scalar(int32(42))},
	}
	for _, c := range tests {
		// Each offset in memory, so that views and copies are both made.
		for off := range 8 {
			buf := append(make([]byte, off, off+len(c.b)), c.b...)[off:]
			got, err := onnx.DecodeTensor(buf, onnx.DecodeOptions{})
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				break
			}
			if got.Value == nil || got.Value.DType() != c.want.DType() || !got.Value.Shape().Equal(c.want.Shape()) || !bytes.Equal(got.Value.Bytes(), c.want.Bytes()) {
				t.Errorf("%s at %d: got %v % x, want %v % x", c.name, off, got.Value, got.Value.Bytes(), c.want, c.want.Bytes())
			}
			e, err := onnx.EncodeTensor(got)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				break
			}
			again, err := onnx.DecodeTensor(e, onnx.DecodeOptions{Copy: true})
			if err != nil || !again.Equal(got) {
				t.Errorf("%s: does not survive encoding: %v", c.name, err)
			}
		}
	}
}

func TestDecodeOtherTypes(t *testing.T) {
	tests := []struct {
		name string
		b    string
		raw  string
	}{
		{"complex64", cat(num(1, 1), num(2, 14), f32(4, 1), f32(4, 0)), "\x00\x00\x80\x3f\x00\x00\x00\x00"},
		{"complex128 raw", cat(num(1, 1), num(2, 15), blob(9, strings.Repeat("\x01", 16))), strings.Repeat("\x01", 16)},
	}
	for _, c := range tests {
		got, err := onnx.DecodeTensor([]byte(c.b), onnx.DecodeOptions{})
		if err != nil || got.Value != nil || string(got.Raw) != c.raw {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	narrow := []struct {
		name string
		b    string
		data string
	}{
		{"int4 raw", cat(num(1, 3), num(2, 22), blob(9, "\xa1\x03")), "\x01\xfa\x03"},
		{"int4 typed", cat(num(1, 3), num(2, 22), packed(5, 0x21, 0x08)), "\x01\x02\xf8"},
		{"uint4 raw", cat(num(1, 2), num(2, 21), blob(9, "\xf7")), "\x07\x0f"},
		{"uint2 typed", cat(num(1, 5), num(2, 25), packed(5, 0xe4, 1)), "\x00\x01\x02\x03\x01"},
		{"int2 raw", cat(num(1, 4), num(2, 26), blob(9, "\xe4")), "\x00\x01\xfe\xff"},
		{"float4 raw", cat(num(1, 3), num(2, 23), blob(9, "\x9f\x02")), "\x0f\x09\x02"},
		{"float8 typed", cat(num(1, 2), num(2, 17), packed(5, 0x38, 0xff)), "\x38\xff"},
		{"no elements", cat(num(1, 0), num(2, 22)), ""},
	}
	for _, c := range narrow {
		got, err := onnx.DecodeTensor([]byte(c.b), onnx.DecodeOptions{})
		if err != nil || got.Value == nil || string(got.Value.Bytes()) != c.data {
			t.Errorf("%s: %+v, %v", c.name, got, err)
			continue
		}
		b, err := onnx.EncodeTensor(got)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if again, err := onnx.DecodeTensor(b, onnx.DecodeOptions{}); err != nil || !again.Equal(got) {
			t.Errorf("%s: after encoding %+v, %v", c.name, again, err)
		}
	}
	s, err := onnx.DecodeTensor([]byte(cat(num(1, 2), num(2, 8), blob(6, "a"), blob(6, ""))), onnx.DecodeOptions{})
	if err != nil || len(s.Strings) != 2 || string(s.Strings[0]) != "a" {
		t.Errorf("strings: %+v, %v", s, err)
	}
}

// TestDecodeRefuses holds the ways in which hostile or damaged files are wrong.
func TestDecodeRefuses(t *testing.T) {
	ten := func(fs ...field) string { return model(msg(initField, append(fs, blob(8, "w"))...)) }
	attr := func(fs ...field) string {
		return model(msg(nodeField, blob(4, "Op"), msg(5, append(fs, blob(1, "a"))...)))
	}
	four := "\x00\x00\x80\x3f"
	tests := []struct {
		name, b, want string
	}{
		{"empty", "", "no ir_version"},
		{"text", "hello, world\n", ""},
		{"png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ""},
		{"zeros", strings.Repeat("\x00", 64), "field tag"},
		{"no graph", cat(num(1, 8)), "no graph"},
		{"graph twice", cat(num(1, 8), msg(7), msg(7)), "graph occurs twice"},
		{"negative IR", cat(num(1, -1), msg(7)), "ir_version -1"},
		{"length beyond the end", cat(num(1, 8)) + "\x3a\x7fabc", "only 3 are left"},
		{"length of 2^63", cat(num(1, 8)) + "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "are left"},
		{"length of 11 bytes", cat(num(1, 8)) + "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "length of field 7"},
		{"field number 0", "\x00\x01", "field tag"},
		{"group without end", cat(num(1, 8)) + "\x3b", "field 7"},
		{"wire type", cat(num(1, 8), num(7, 1)), "wire type 0, want 2"},
		{"raw_data shorter", ten(num(1, 2), num(2, 1), blob(9, four)), "takes 8 bytes, raw_data has 4"},
		{"raw_data longer", ten(num(1, 1), num(2, 1), blob(9, four+four)), "takes 4 bytes, raw_data has 8"},
		{"raw_data of a half element", ten(num(1, 1), num(2, 1), blob(9, "abc")), "takes 4 bytes, raw_data has 3"},
		{"no data", ten(num(1, 2), num(2, 1)), "raw_data has 0"},
		{"data for no elements", ten(num(1, 0), num(2, 1), blob(9, four)), "takes 0 bytes"},
		{"float_data shorter", ten(num(1, 2), num(2, 1), f32(4, 1)), "takes 2 values, field 4 has 1"},
		{"float_data ragged", ten(num(1, 2), num(2, 1), blob(4, "abc")), "not whole numbers of 4 bytes"},
		{"int32_data cut", ten(num(1, 1), num(2, 6), blob(5, "\x80")), "ends inside a number"},
		{"int64_data too long a number", ten(num(1, 1), num(2, 7), blob(7, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), "field 7"},
		{"data twice", ten(num(1, 1), num(2, 1), f32(4, 1), blob(9, four)), "data twice"},
		{"data of another type", ten(num(1, 1), num(2, 1), packed(5, 1)), "field 5, which is for other types"},
		{"dims overflow", ten(num(1, 1<<32), num(1, 1<<32), num(2, 1)), "overflows"},
		{"dims overflow to a small number", ten(num(1, 1<<62), num(1, 8), num(2, 1)), "overflows"},
		{"negative dim", ten(num(1, -1), num(2, 1)), "negative"},
		{"negative dim beside zero", ten(num(1, 0), num(1, -5), num(2, 1)), "negative"},
		{"2^31 dims of nothing", ten(num(1, 1<<31), num(2, 1)), ""},
		{"terabytes", ten(num(1, 1<<40), num(2, 1)), "elements in a tensor"},
		{"no element type", ten(num(1, 1), blob(9, four)), "no element type"},
		{"element type 99", ten(num(1, 1), num(2, 99), blob(9, four)), "element type 99"},
		{"element type 2^40", ten(num(1, 1), num(2, 1<<40), blob(9, four)), "not a 32-bit number"},
		{"uint8 of 256", ten(num(1, 1), num(2, 2), packed(5, 256)), "value 256 does not fit uint8"},
		{"int8 of -129", ten(num(1, 1), num(2, 3), packed(5, -129)), "value -129 does not fit int8"},
		{"int32 of 2^31", ten(num(1, 1), num(2, 6), packed(5, 1<<31)), "does not fit int32"},
		{"strings missing", ten(num(1, 3), num(2, 8), blob(6, "a")), "has 3 strings, string_data has 1"},
		{"raw strings", ten(num(1, 1), num(2, 8), blob(9, "a")), "string_data has 0"},
		{"segment", ten(num(1, 1), num(2, 1), msg(3, num(1, 0), num(2, 1)), blob(9, four)), "segments"},
		{"data and external data", ten(num(1, 1), num(2, 1), blob(9, four), num(14, 1)), "external data and data of its own"},
		{"data_location 2", ten(num(1, 1), num(2, 1), blob(9, four), num(14, 2)), "data_location 2"},
		{"sparse without indices", model(msg(15, msg(1, num(1, 1), num(2, 1), blob(9, four)))), "no values or no indices"},
		{"attribute INT with a float", attr(num(20, 2), f32(2, 1)), "type INT and has a value of another type"},
		{"attribute FLOAT with a string", attr(num(20, 1), blob(4, "x")), "another type"},
		{"attribute of two types", attr(f32(2, 1), num(3, 1)), "does not say which"},
		{"attribute of type 99", attr(num(20, 99)), "type 99, which does not exist"},
		{"attribute of type -1", attr(num(20, -1)), "type -1"},
		{"attribute TENSOR without", attr(num(20, 4)), "type TENSOR and has no value"},
		{"attribute with value and reference", attr(num(20, 2), num(3, 1), blob(21, "ref")), "both a value and a reference"},
		{"attribute graph twice", attr(num(20, 5), msg(6), msg(6)), "occurs twice"},
		{"type of two kinds", model(msg(11, blob(1, "x"), msg(2, msg(1, num(1, 1)), msg(4)))), "two alternatives"},
	}
	for _, c := range tests {
		m, err := onnx.Decode([]byte(c.b), onnx.DecodeOptions{})
		if err == nil {
			t.Errorf("%s: decoded as %+v", c.name, m.Graph)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, want %q in it", c.name, err, c.want)
		}
		var fe *onnx.FormatError
		if errors.As(err, &fe) && (fe.Offset < 0 || fe.Offset > int64(len(c.b))) {
			t.Errorf("%s: offset %d of %d", c.name, fe.Offset, len(c.b))
		}
	}
}

func TestDecodeVersions(t *testing.T) {
	for v := int64(1); v < 20; v++ {
		_, err := onnx.Decode([]byte(cat(num(1, v), msg(7))), onnx.DecodeOptions{})
		var unsupported onnx.UnsupportedError
		if ok := v >= onnx.MinIRVersion && v <= onnx.MaxIRVersion; ok != (err == nil) || !ok && !errors.As(err, &unsupported) {
			t.Errorf("IR version %d: %v", v, err)
		}
	}
}

func TestDecodeLimits(t *testing.T) {
	deep := field(nil)
	for range 70 {
		deep = msg(nodeField, blob(4, "If"), msg(5, blob(1, "then_branch"), num(20, 5), msg(6, deep)))
	}
	small := msg(initField, num(1, 2), num(2, 2), blob(9, "ab"))
	many := strings.Repeat(cat(msg(nodeField)), 3<<18)
	tests := []struct {
		name   string
		b      string
		limits onnx.Limits
		ok     bool
	}{
		{"depth 70", model(deep), onnx.Limits{}, false},
		{"depth 70 allowed", model(deep), onnx.Limits{Depth: 71}, true},
		{"bytes", model(small), onnx.Limits{Bytes: 10}, false},
		{"tensors", model(small, small, small), onnx.Limits{Tensors: 2}, false},
		{"tensors exactly", model(small, small), onnx.Limits{Tensors: 2}, true},
		{"elements", model(small), onnx.Limits{Elements: 1}, false},
		{"elements exactly", model(small), onnx.Limits{Elements: 2}, true},
		{"nodes", model(msg(nodeField), msg(nodeField)), onnx.Limits{Nodes: 1}, false},
		{"nodes in a body", model(deep), onnx.Limits{Depth: 71, Nodes: 69}, false},
		{"memory of many nodes", model(field(many)), onnx.Limits{}, false},
	}
	for _, c := range tests {
		_, err := onnx.Decode([]byte(c.b), onnx.DecodeOptions{Limits: c.limits})
		var le *onnx.LimitError
		if c.ok != (err == nil) || !c.ok && !errors.As(err, &le) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

// TestDecodeBoundsMemory feeds small pieces that would become large structs.
func TestDecodeBoundsMemory(t *testing.T) {
	pieces := map[string]field{
		"nodes":       msg(nodeField),
		"values":      msg(11),
		"metadata":    msg(16),
		"dims":        msg(11, msg(2, msg(1, msg(2, msg(1), msg(1), msg(1), msg(1), msg(1), msg(1))))),
		"node inputs": msg(nodeField, blob(1, ""), blob(1, ""), blob(1, ""), blob(1, ""), blob(1, ""), blob(1, "")),
		"int attrs":   msg(nodeField, msg(5, blob(1, "a"), num(3, 1))),
		"packed ints": msg(nodeField, msg(5, blob(1, "a"), num(20, 7), blob(8, strings.Repeat("\x01", 1000)))),
		"int64_data":  msg(initField, num(1, 1000), num(2, 7), blob(7, strings.Repeat("\x01", 1000))),
		"strings":     msg(initField, num(1, 4), num(2, 8), blob(6, ""), blob(6, ""), blob(6, ""), blob(6, "")),
		"empty":       msg(initField, num(1, 0), num(2, 1)),
	}
	for name, p := range pieces {
		b := []byte(model(field(bytes.Repeat(p, (1<<19)/len(p)))))
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		_, _ = onnx.Decode(b, onnx.DecodeOptions{})
		goruntime.ReadMemStats(&after)
		got := after.TotalAlloc - before.TotalAlloc
		// Growing a slice by doubling allocates up to three times what it ends with.
		if limit := uint64(3 * (16<<20 + 32*len(b))); got > limit {
			t.Errorf("%s: %d bytes of input made it allocate %d", name, len(b), got)
		}
	}
}

func TestTruncationsAndFlips(t *testing.T) {
	full := encode(t, all(t))
	for n := range full {
		if m, err := onnx.Decode(full[:n], onnx.DecodeOptions{}); err == nil {
			// Some prefixes are models themselves: those that end after the graph.
			if _, err := onnx.Encode(m); err != nil {
				t.Errorf("the first %d of %d bytes: %v", n, len(full), err)
			}
		}
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(full); i += step {
		for _, flip := range []byte{0x01, 0x08, 0x80, 0xff} {
			b := bytes.Clone(full)
			b[i] ^= flip
			m, err := onnx.Decode(b, onnx.DecodeOptions{})
			if err != nil {
				continue
			}
			_ = onnx.Check(m)
			if _, err := onnx.Encode(m); err != nil {
				t.Errorf("byte %d ^ %#x: decoded, but not encoded: %v", i, flip, err)
			}
		}
	}
}

func TestViewsAndCopies(t *testing.T) {
	b := encode(t, small(t))
	inside := func(p *tensor.Tensor) bool {
		at := uintptr(unsafe.Pointer(&p.Bytes()[0]))
		lo := uintptr(unsafe.Pointer(&b[0]))
		return at >= lo && at < lo+uintptr(len(b))
	}
	for _, c := range []bool{false, true} {
		m, err := onnx.Decode(b, onnx.DecodeOptions{Copy: c})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range m.Graph.Initializers {
			if inside(w.Value) && c {
				t.Errorf("%s is a view in spite of Copy", w.Name)
			}
			if at := uintptr(unsafe.Pointer(&w.Value.Bytes()[0])); at%4 != 0 {
				t.Errorf("%s lies at %#x, not aligned", w.Name, at)
			}
		}
	}
	// One of eight offsets is aligned: there the tensor must be a view on little-endian machines.
	views := 0
	body := encodeTensor(t, onnx.NewTensor("w", tensor.Must(tensor.Of([]float64{1, 2}, 2))))
	for off := range 8 {
		b = append(make([]byte, off, off+len(body)), body...)
		w, err := onnx.DecodeTensor(b[off:], onnx.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if inside(w.Value) {
			views++
		}
	}
	little := *(*byte)(unsafe.Pointer(&[]uint16{1}[0])) == 1
	if want := map[bool]int{true: 1, false: 0}[little]; views != want {
		t.Errorf("%d of 8 offsets gave a view, want %d", views, want)
	}
}

func encodeTensor(t testing.TB, w *onnx.Tensor) []byte {
	t.Helper()
	b, err := onnx.EncodeTensor(w)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func BenchmarkDecode4MB(b *testing.B) {
	w := tensor.Must(tensor.New(tensor.Float32, 1024, 1024))
	m := small(b)
	m.Graph.Initializers = append(m.Graph.Initializers, onnx.NewTensor("big", w))
	e := encode(b, m)
	for _, c := range []struct {
		name string
		copy bool
	}{{"views", false}, {"copies", true}} {
		// The offset at which the large tensor is aligned, so that it can be a view.
		aligned := e
		for off := range 4 {
			b2 := append(make([]byte, off, off+len(e)), e...)[off:]
			m, err := onnx.Decode(b2, onnx.DecodeOptions{})
			if err != nil {
				b.Fatal(err)
			}
			at := uintptr(unsafe.Pointer(&m.Graph.Initializer("big").Value.Bytes()[0]))
			if lo := uintptr(unsafe.Pointer(&b2[0])); at >= lo && at < lo+uintptr(len(b2)) {
				aligned = b2
			}
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(e)))
			for b.Loop() {
				if _, err := onnx.Decode(aligned, onnx.DecodeOptions{Copy: c.copy}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
