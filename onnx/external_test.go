package onnx_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// withExternal returns a model whose initializers w (float32[3]) and v (int4[3]) lie in files
// that the entries name.
func withExternal(entries ...onnx.StringPair) *onnx.Model {
	return &onnx.Model{IRVersion: 8, Graph: &onnx.Graph{Name: "g", Initializers: []*onnx.Tensor{
		{Name: "w", DType: tensor.Float32, Dims: []int64{3}, External: entries},
	}}}
}

func pair(k, v string) onnx.StringPair { return onnx.StringPair{Key: k, Value: v} }

func TestLoadExternal(t *testing.T) {
	dir := t.TempDir()
	b := make([]byte, 4)
	for i := range 3 {
		b = binary.LittleEndian.AppendUint32(b, uint32(0x3f800000+i))
	}
	b = append(b, 0x21, 0x03)
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", "w.bin"), b, 0o666); err != nil {
		t.Fatal(err)
	}
	m := withExternal(pair("location", "sub/w.bin"), pair("offset", "4"), pair("length", "12"))
	m.Graph.Nodes = []*onnx.Node{{OpType: "Constant", Outputs: []string{"c"}, Attrs: []*onnx.Attribute{
		{Name: "value", Type: onnx.AttrTensor, Tensor: &onnx.Tensor{DType: tensor.Int4, Dims: []int64{3}, External: []onnx.StringPair{pair("location", "sub/w.bin"), pair("offset", "16")}}},
	}}}
	// Through the file format, so that External comes from the decoder.
	m, err := onnx.Decode(encode(t, m), onnx.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !onnx.HasExternal(m) {
		t.Error("HasExternal before loading: false")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := onnx.LoadExternal(m, root.FS(), onnx.Limits{}); err != nil {
		t.Fatal(err)
	}
	w := m.Graph.Initializers[0]
	if got := w.Value.Float32s(); got[0] != 1 || got[2] <= got[1] || got[1] <= 1 {
		t.Errorf("w = %v", got)
	}
	if got := m.Graph.Nodes[0].Attrs[0].Tensor.Value.Bytes(); string(got) != "\x01\x02\x03" {
		t.Errorf("int4 attribute = %x", got)
	}
	if onnx.HasExternal(m) || w.External != nil {
		t.Errorf("external entries are left: %v", w.External)
	}
	again, err := onnx.Decode(encode(t, m), onnx.DecodeOptions{})
	if err != nil || !again.Graph.Initializers[0].Equal(w) {
		t.Errorf("embedded: %v", err)
	}
}

func TestLoadExternalRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, make([]byte, 64), 0o666); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.bin"), make([]byte, 12), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	type test struct{ location, offset, length, want string }
	tests := []test{
		{"", "", "", "not a path below"},
		{"..", "", "", "not a path below"},
		{"../secret", "", "", "not a path below"},
		{"folder/../w.bin", "", "", "not a path below"},
		{`..\secret`, "", "", "not a path below"},
		{"./w.bin", "", "", "not a path below"},
		{"/etc/passwd", "", "", "not a path below"},
		{outside, "", "", "not a path below"},
		{`C:\secret`, "", "", "not a path below"},
		{"w.bin\x00", "", "", "not a path below"},
		{"folder", "", "", "not a regular file"},
		{"w.bin/x", "", "", "not a folder"},
		{"missing", "", "", "no such file"},
		{"w.bin", "1", "", "asked for 12 from 1 on"},
		{"w.bin", "9223372036854775807", "", "asked for"},
		{"w.bin", "-1", "", `offset is "-1"`},
		{"w.bin", "99999999999999999999", "", "offset is"},
		{"w.bin", "0", "8", "takes 12 bytes, length is 8"},
		{"w.bin", "0", "13", "takes 12 bytes, length is 13"},
		{"w.bin", "0", "x", `length is "x"`},
	}
	if goruntime.GOOS == "linux" || goruntime.GOOS == "darwin" {
		for _, err := range []error{
			os.Symlink(outside, filepath.Join(dir, "link")),
			os.Symlink("w.bin", filepath.Join(dir, "inner")),
			os.Symlink("folder", filepath.Join(dir, "dirlink")),
			os.WriteFile(filepath.Join(dir, "folder", "f"), make([]byte, 12), 0o666),
			mkfifo(filepath.Join(dir, "fifo")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		tests = append(tests, test{"link", "", "", "symbolic link"}, test{"inner", "", "", "symbolic link"},
			test{"dirlink/f", "", "", "not a folder"}, test{"fifo", "", "", "not a regular file"})
		if os.Link(filepath.Join(dir, "folder", "f"), filepath.Join(dir, "hard")) == nil {
			tests = append(tests, test{"hard", "", "", "hard links"})
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range tests {
		entries := []onnx.StringPair{pair("location", c.location)}
		if c.offset != "" {
			entries = append(entries, pair("offset", c.offset))
		}
		if c.length != "" {
			entries = append(entries, pair("length", c.length))
		}
		m := withExternal(entries...)
		err := onnx.LoadExternal(m, root.FS(), onnx.Limits{})
		if err == nil || !strings.Contains(err.Error(), c.want) && !(c.want == "no such file" && errors.Is(err, os.ErrNotExist)) {
			t.Errorf("%+v: error %v", c, err)
		}
		if m.Graph.Initializers[0].Value != nil {
			t.Errorf("%+v: data was loaded", c)
		}
	}
	var limit *onnx.LimitError
	for _, l := range []onnx.Limits{{Bytes: 11}, {Elements: 2}} {
		if err := onnx.LoadExternal(withExternal(pair("location", "w.bin")), root.FS(), l); !errors.As(err, &limit) {
			t.Errorf("limits %+v: %v", l, err)
		}
	}
	huge := withExternal(pair("location", "w.bin"))
	huge.Graph.Initializers[0].Dims = []int64{1 << 40, 1 << 40}
	if err := onnx.LoadExternal(huge, root.FS(), onnx.Limits{}); err == nil {
		t.Error("an overflowing shape was loaded")
	}
}
