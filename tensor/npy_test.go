package tensor_test

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/tensor"
)

// npy assembles a file of version 1 without padding.
func npy(header, data string) string {
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(header)), byte(len(header) >> 8)}) + header + data
}

func TestNPYRead(t *testing.T) {
	f := tensor.Must(tensor.Of([]float32{1, -2}, 2))
	long := "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }" + strings.Repeat(" ", 1000) + "\n"
	tests := []struct {
		name, file string
		want       *tensor.Tensor
	}{
		{"little", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", "\x00\x00\x80\x3f\x00\x00\x00\xc0"), f},
		{"big", npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }\n", "\x3f\x80\x00\x00\xc0\x00\x00\x00"), f},
		{"version 2", "\x93NUMPY\x02\x00" + string([]byte{byte(len(long)), byte(len(long) >> 8), 0, 0}) + long + "\x00\x00\x80\x3f\x00\x00\x00\xc0", f},
		{"other order of keys, no spaces", npy(`{"shape":(1,2),"fortran_order":False,"descr":"|i1"}`, "\x80\x7f"), tensor.Must(tensor.Of([]int8{-128, 127}, 1, 2))},
		{"scalar", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", "\x02\x00\x00\x00\x00\x00\x00\x00"), tensor.Scalar(int64(2))},
		{"empty", npy("{'descr': '<u2', 'fortran_order': False, 'shape': (3, 0), }", ""), tensor.Must(tensor.New(tensor.Uint16, 3, 0))},
		{"Python 2", npy("{'descr': '>u2', 'fortran_order': False, 'shape': (1L, 1L), }", "\x01\x02"), tensor.Must(tensor.Of([]uint16{0x102}, 1, 1))},
		{"bools", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\x00\x02"), tensor.Must(tensor.Of([]bool{false, true}, 2))},
	}
	for _, c := range tests {
		got, err := tensor.ReadNPY(strings.NewReader(c.file+"what follows"), 0)
		if err != nil || got.DType() != c.want.DType() || !got.Shape().Equal(c.want.Shape()) || !bytes.Equal(got.Bytes(), c.want.Bytes()) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestNPYRefuses(t *testing.T) {
	head := func(descr, order, shape string) string {
		return npy("{'descr': "+descr+", 'fortran_order': "+order+", 'shape': "+shape+", }\n", strings.Repeat("\x00", 64))
	}
	tests := []struct{ name, file, want string }{
		{"empty", "", "ends early"},
		{"65 axes", head("'<f4'", "False", "("+strings.Repeat("1,", 65)+")"), "65 axes, at most 64"},
		{"other file", "PK\x03\x04 and more", "does not begin"},
		{"version 9", "\x93NUMPY\x09\x00", "version 9.0"},
		{"huge header", "\x93NUMPY\x02\x00\xff\xff\xff\xff{", "at most"},
		{"cut header", "\x93NUMPY\x01\x00\x40\x00{'descr'", "ends early"},
		{"cut data", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "\x00\x00\x00\x00"), "ends early"},
		{"large and cut", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (100000000,), }", "\x00\x00\x00\x00"), "ends early"},
		{"Fortran", head("'<f4'", "True", "(2, 2)"), "Fortran"},
		{"objects", head("'|O'", "False", "(2,)"), "not read"},
		{"structs", head("[('a', '<f4')]", "False", "(2,)"), "not a plain type"},
		{"complex", head("'<c8'", "False", "(2,)"), "not read"},
		{"f16", head("'<f16'", "False", "(2,)"), "not read"},
		{"no order for 4 bytes", head("'|f4'", "False", "(2,)"), "not read"},
		{"negative", head("'<f4'", "False", "(-1,)"), "no extent"},
		{"not a tuple", head("'<f4'", "False", "(3)"), "not a tuple"},
		{"overflow", head("'<f4'", "False", "(4294967296, 4294967296, 4294967296)"), ""},
		{"number too large", head("'<f4'", "False", "(99999999999999999999,)"), "no extent"},
		{"terabytes", head("'<f4'", "False", "(1000000, 1000000)"), ""},
		{"unknown key", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", "\x00\x00\x00\x00"), "unknown key"},
		{"key twice", npy("{'descr': '<f4', 'descr': '<f4', 'shape': ()}", "\x00\x00\x00\x00"), "twice"},
		{"key absent", npy("{'descr': '<f4', 'shape': ()}", "\x00\x00\x00\x00"), "absent"},
		{"code", npy("__import__('os')", ""), `no "{"`},
		{"more after", npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()} + 1", "\x00\x00\x00\x00"), "follows"},
	}
	for _, c := range tests {
		got, err := tensor.ReadNPY(strings.NewReader(c.file), 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, error %v, want %q in it", c.name, got, err, c.want)
		}
	}
	if _, err := tensor.ReadNPY(strings.NewReader(head("'<f4'", "False", "(3,)")), 11); err == nil {
		t.Error("12 bytes were read with a limit of 11")
	}
}

func TestNPYRoundTrip(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64,
		tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64, tensor.Bool} {
		for _, shape := range []tensor.Shape{{}, {0}, {7}, {2, 3}, {1, 2, 3, 4}, {3, 0, 2}} {
			x := tensor.Must(tensor.New(d, shape...))
			for i := range x.Bytes() {
				x.Bytes()[i] = byte(i)
				if d == tensor.Bool {
					x.Bytes()[i] &= 1
				}
			}
			var b bytes.Buffer
			if err := tensor.WriteNPY(&b, x); err != nil {
				t.Fatal(err)
			}
			if head := b.Len() - len(x.Bytes()); head%64 != 0 || b.Bytes()[head-1] != '\n' {
				t.Errorf("%v: header of %d bytes", x, head)
			}
			y, err := tensor.ReadNPY(&b, 0)
			if err != nil || y.DType() != d || !y.Shape().Equal(shape) || !bytes.Equal(x.Bytes(), y.Bytes()) {
				t.Errorf("%v: read back as %v, %v", x, y, err)
			}
			if b.Len() != 0 {
				t.Errorf("%v: %d bytes are left", x, b.Len())
			}
		}
	}
	if err := tensor.WriteNPY(io.Discard, tensor.Must(tensor.New(tensor.BFloat16, 1))); err == nil {
		t.Error("bfloat16 was written")
	}
}

func TestNPYShared(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata.Path(t, "reference-models"), "*", "*.npy"))
	if err != nil || len(files) == 0 {
		t.Skip("no .npy files")
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		x, err := tensor.ReadNPY(bytes.NewReader(b), 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, v := range x.Float32s() {
			if math.IsNaN(float64(v)) || math.Abs(float64(v)) > 1e4 {
				t.Fatalf("%s: element %d is %v", name, i, v)
			}
		}
		if n := len(b) - len(x.Bytes()); n != 128 || !bytes.Equal(b[n:], x.Bytes()) && tensor.HostLittleEndian {
			t.Errorf("%s: %v are not its last bytes", name, x)
		}
	}
}

// TestNPYGolden holds a file that NumPy 2.4.6 wrote: numpy.save(f, numpy.arange(6, dtype='<i2').reshape(2, 3)).
func TestNPYGolden(t *testing.T) {
	want := "\x93NUMPY\x01\x00v\x00{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }" + strings.Repeat(" ", 58) + "\n" +
		"\x00\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00"
	var b bytes.Buffer
	if err := tensor.WriteNPY(&b, tensor.Must(tensor.Of([]int16{0, 1, 2, 3, 4, 5}, 2, 3))); err != nil || b.String() != want {
		t.Errorf("%v, %q, want %q", err, b.String(), want)
	}
}

func FuzzReadNPY(f *testing.F) {
	var b bytes.Buffer
	if err := tensor.WriteNPY(&b, tensor.Must(tensor.New(tensor.Float32, 2, 3))); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(npy(`{"shape":(1,2),"fortran_order":False,"descr":"|i1"}`, "\x80\x7f")))
	f.Add([]byte(npy("{'descr': '>u2', 'fortran_order': False, 'shape': (1L, 1L), }", "\x01\x02")))
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := tensor.ReadNPY(bytes.NewReader(in), 1<<20)
		if err != nil {
			return
		}
		if len(x.Bytes()) > len(in) {
			t.Fatalf("%d bytes became %v", len(in), x)
		}
		var b bytes.Buffer
		if err := tensor.WriteNPY(&b, x); err != nil {
			t.Fatal(err)
		}
		y, err := tensor.ReadNPY(&b, 0)
		if err != nil || y.DType() != x.DType() || !y.Shape().Equal(x.Shape()) || !bytes.Equal(x.Bytes(), y.Bytes()) {
			t.Fatalf("%v became %v, %v", x, y, err)
		}
	})
}
