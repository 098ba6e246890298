package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/tensor"
)

// file puts a header and data together.
func file(header, data string) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

func sample() *File {
	f := &File{Tensors: map[string]*tensor.Tensor{}, Metadata: map[string]string{"format": "pt", "b": "<&>\" \n \u00e9"}}
	i := 0
	for _, d := range dtypes {
		for _, shape := range []tensor.Shape{{}, {3}, {2, 0}, {1, 2, 3}} {
			t := tensor.Must(tensor.New(d, shape...))
			for j := range t.Bytes() {
				t.Bytes()[j] = byte(j * 7)
				if d == tensor.Bool {
					t.Bytes()[j] &= 1
				}
			}
			f.Tensors[fmt.Sprintf("layer.%v.%v", d, shape)] = t
			i++
		}
	}
	return f
}

func write(t testing.TB, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func same(a, b *File) error {
	if !maps.Equal(a.Metadata, b.Metadata) {
		return fmt.Errorf("metadata %v, %v", a.Metadata, b.Metadata)
	}
	if len(a.Tensors) != len(b.Tensors) {
		return fmt.Errorf("%d and %d tensors", len(a.Tensors), len(b.Tensors))
	}
	for name, x := range a.Tensors {
		y := b.Tensors[name]
		if y == nil || x.DType() != y.DType() || !x.Shape().Equal(y.Shape()) || !bytes.Equal(x.Bytes(), y.Bytes()) {
			return fmt.Errorf("%s: %v, %v", name, x, y)
		}
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	f := sample()
	b := write(t, f)
	if again := write(t, sample()); !bytes.Equal(b, again) {
		t.Error("the same tensors gave other bytes")
	}
	if n := binary.LittleEndian.Uint64(b); n%8 != 0 {
		t.Errorf("header of %d bytes", n)
	}
	for off := range 8 {
		got, err := Decode(append(make([]byte, off), b...)[off:])
		if err != nil {
			t.Fatal(err)
		}
		if err := same(f, got); err != nil {
			t.Errorf("at %d: %v", off, err)
		}
	}
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := WriteFile(path, f); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := same(f, got); err != nil {
		t.Error(err)
	}
	if _, err := ReadFile(path, int64(len(b)-1)); err == nil {
		t.Error("a larger file than allowed was read")
	}
	if err := os.WriteFile(path, b[:len(b)-1], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path, 0); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("truncated: %v", err)
	}
	empty, err := Decode(write(t, &File{}))
	if err != nil || len(empty.Tensors) != 0 {
		t.Errorf("no tensors: %v, %v", empty, err)
	}
}

// TestGolden holds a file that the reference implementation, safetensors 0.8.0 for Python, wrote.
func TestGolden(t *testing.T) {
	header := `{"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"I8","shape":[1,2],"data_offsets":[8,10]}}`
	for len(header)%8 != 0 {
		header += " "
	}
	want := file(header, "\x00\x00\x80\x3f\x00\x00\x00\xc0\x80\x7f")
	f := &File{Metadata: map[string]string{"k": "v"}, Tensors: map[string]*tensor.Tensor{
		"a": tensor.Must(tensor.Of([]int8{-128, 127}, 1, 2)), "b": tensor.Must(tensor.Of([]float32{1, -2}, 2)),
	}}
	if got := write(t, f); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRefuses(t *testing.T) {
	one := func(fields string) []byte { return file(`{"a":{`+fields+`}}`, "\x00\x00\x80\x3f") }
	tests := []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "no file"},
		{"no header", make([]byte, 8), "not a JSON object"},
		{"huge header", []byte("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "at most"},
		{"header beyond the end", []byte("\x09\x00\x00\x00\x00\x00\x00\x00{}"), "in a file of 10"},
		{"space first", file(" {}", ""), "not a JSON object"},
		{"not UTF-8", file("{\"\xff\":1}", ""), "not a JSON object"},
		{"array", file("[]", ""), "not a JSON object"},
		{"cut JSON", file(`{"a":{"dtype":"F32"`, ""), "header"},
		{"more after", file(`{} {}`, ""), "follows"},
		{"raw_data longer", one(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), "does not take 4 bytes"},
		{"raw_data shorter", one(`"dtype":"F16","shape":[1],"data_offsets":[0,4]`), "does not take 4 bytes"},
		{"beyond the end", one(`"dtype":"F32","shape":[2],"data_offsets":[0,8]`), "lies at [0, 8)"},
		{"backwards", one(`"dtype":"F32","shape":[1],"data_offsets":[4,0]`), "lies at"},
		{"hole at the start", one(`"dtype":"U8","shape":[3],"data_offsets":[1,4]`), "lies at [1, 4)"},
		{"hole at the end", one(`"dtype":"U8","shape":[3],"data_offsets":[0,3]`), "1 bytes belong to no tensor"},
		{"hole between", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, "abc"), "lies at [2, 3)"},
		{"overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "abc"), "lies at [1, 3)"},
		{"same place", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "a"), "lies at [0, 1)"},
		{"name twice", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "a"), `"a" occurs twice`},
		{"key twice", one(`"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]`), "occurs twice"},
		{"key in capitals", one(`"DTYPE":"F32","shape":[1],"data_offsets":[0,4]`), "unknown key"},
		{"key absent", one(`"dtype":"F32","shape":[1]`), "absent"},
		{"unknown type", one(`"dtype":"F33","shape":[1],"data_offsets":[0,4]`), "does not exist"},
		{"float8", one(`"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]`), "not supported"},
		{"type is a number", one(`"dtype":1,"shape":[1],"data_offsets":[0,4]`), "instead of a string"},
		{"negative extent", one(`"dtype":"F32","shape":[-1],"data_offsets":[0,4]`), "not a whole number"},
		{"fraction", one(`"dtype":"F32","shape":[1.0],"data_offsets":[0,4]`), "not a whole number"},
		{"exponent", one(`"dtype":"F32","shape":[1e0],"data_offsets":[0,4]`), "not a whole number"},
		{"string extent", one(`"dtype":"F32","shape":["1"],"data_offsets":[0,4]`), "not a whole number"},
		{"overflow", one(`"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]`), ""},
		{"overflow to 4 bytes", one(`"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,4]`), ""},
		{"offset of 2^64", one(`"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551620]`), "not a whole number"},
		{"three offsets", one(`"dtype":"F32","shape":[1],"data_offsets":[0,4,4]`), "3 data_offsets"},
		{"metadata of numbers", file(`{"__metadata__":{"a":1}}`, ""), "instead of a string"},
		{"metadata twice", file(`{"__metadata__":{"a":"1","a":"2"}}`, ""), "occurs twice"},
		{"tensor is a list", file(`{"a":[[[[[[1]]]]]]}`, ""), "instead of {"},
		{"deep", file(`{"a":`+strings.Repeat("[", 100000)+`}`, ""), "instead of {"},
	}
	for _, c := range tests {
		f, err := Decode(c.b)
		var fe *FormatError
		var ue UnsupportedError
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &fe) && !errors.As(err, &ue) {
			t.Errorf("%s: %v, error %v, want %q in it", c.name, f, err, c.want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	x := tensor.Scalar(float32(1))
	for name, f := range map[string]*File{
		"nil":              {Tensors: map[string]*tensor.Tensor{"a": nil}},
		"reserved":         {Tensors: map[string]*tensor.Tensor{"__metadata__": x}},
		"not UTF-8":        {Tensors: map[string]*tensor.Tensor{"\xff": x}},
		"no type":          {Tensors: map[string]*tensor.Tensor{"a": {}}},
		"metadata not UTF": {Metadata: map[string]string{"\xff": ""}},
	} {
		if err := Write(&bytes.Buffer{}, f); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(write(f, sample()))
	f.Add(file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"BOOL","shape":[2],"data_offsets":[1,3]}}  `, "a\x00\x02"))
	f.Add(file(`{"__metadata__":{"k":"v"}}`, ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Decode(b)
		if err != nil {
			return
		}
		out := write(t, got)
		again, err := Decode(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := same(got, again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, write(t, again)) {
			t.Fatal("writing is not stable")
		}
	})
}
