package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/testdata"
)

// idx builds an IDX file of bytes.
func idx(dims []uint32, data []byte) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return append(b, data...)
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestReadIDX(t *testing.T) {
	pix := []byte{0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6}
	img, lab := idx([]uint32{2, 2, 3}, pix), idx([]uint32{2}, []byte{1, 0})
	for _, tc := range []struct {
		name       string
		img, label []byte
	}{{"plain", img, lab}, {"gzip", gz(t, img), gz(t, lab)}, {"mixed", gz(t, img), lab}} {
		s, err := ReadIDX(bytes.NewReader(tc.img), bytes.NewReader(tc.label), []string{"a", "b"})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		x, l := read(t, s, 1, 0)
		want := []float32{1. / 255, 2. / 255, 3. / 255, 4. / 255, 5. / 255, 6. / 255, 0, .2, .4, .6, .8, 1}
		if !slices.Equal(x, want) || !slices.Equal(l, []int{0, 1}) {
			t.Errorf("%s: images %v labels %v, want %v [0 1]", tc.name, x, l, want)
		}
		if i := s.Info(); i.Channels != 1 || i.Height != 2 || i.Width != 3 || len(i.Classes) != 2 {
			t.Errorf("%s: info %+v", tc.name, i)
		}
	}
	s, err := ReadIDX(bytes.NewReader(img), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, l := read(t, s); !slices.Equal(l, []int{-1, -1}) {
		t.Errorf("labels of an unlabelled set: %v", l)
	}
}

func TestReadIDXMalformed(t *testing.T) {
	good := idx([]uint32{2, 2, 3}, make([]byte, 12))
	tests := []struct {
		name       string
		img, label []byte
		want       string
	}{
		{"empty", nil, nil, "truncated"},
		{"short header", good[:9], nil, "truncated"},
		{"short data", good[:len(good)-1], nil, "ends after 11 of 12"},
		{"long data", append(slices.Clone(good), 0), nil, "more than the 12 bytes"},
		{"rank", idx([]uint32{12}, make([]byte, 12)), nil, "1 axes, want 3"},
		{"floats", append([]byte{0, 0, 13, 3}, good[4:]...), nil, "not an IDX file"},
		{"text", []byte("hello, world, hello"), nil, "not an IDX file"},
		{"no pixels", idx([]uint32{2, 0, 3}, nil), nil, "3x0"},
		{"huge", idx([]uint32{1 << 20, 1 << 20, 1 << 20}, nil), nil, "claims more than"},
		{"negative", idx([]uint32{1 << 31, 1, 1}, nil), nil, "claims more than"},
		{"huge but absent", idx([]uint32{1 << 10, 1 << 10, 1 << 10}, []byte{1}), nil, "ends after 1 of"},
		{"gzip header only", []byte{0x1f, 0x8b}, nil, "truncated"},
		{"gzip cut", gz(t, good)[:20], nil, "truncated"},
		{"gzip of more", gz(t, append(slices.Clone(good), make([]byte, 1<<20)...)), nil, "more than the 12 bytes"},
		{"label count", good, idx([]uint32{3}, []byte{0, 0, 0}), "3 labels for 2 images"},
		{"label range", good, idx([]uint32{2}, []byte{0, 2}), "label 2 of image 1"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var err error
			if tc.label != nil {
				_, err = ReadIDX(bytes.NewReader(tc.img), bytes.NewReader(tc.label), []string{"a", "b"})
			} else {
				_, err = ReadIDX(bytes.NewReader(tc.img), nil, nil)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
	// A gzip stream whose checksum is wrong must not pass.
	bad := gz(t, good)
	bad[len(bad)-8] ^= 1
	if _, err := ReadIDX(bytes.NewReader(bad), nil, nil); err == nil {
		t.Error("wrong gzip checksum gave no error")
	}
}

// TestGzipBomb: files that become a thousand times as large are refused before they have
// filled the memory.
func TestGzipBomb(t *testing.T) {
	const images = 1 << 20 // of 28×28 pixels
	var file bytes.Buffer
	w, err := gzip.NewWriterLevel(&file, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(idx([]uint32{images, 28, 28}, nil))
	zeros := make([]byte, 1<<20)
	for range bombFree/len(zeros) + 8 {
		w.Write(zeros)
	}
	w.Close()
	bomb := file.Bytes()
	read := map[string]func() error{
		"IDX": func() error {
			_, err := ReadIDX(bytes.NewReader(bomb), nil, nil)
			return err
		},
		"CIFAR-10": func() error {
			_, err := ReadCIFAR10(bytes.NewReader(bomb))
			return err
		},
	}
	for name, f := range read {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		err := f()
		goruntime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "not image data") {
			t.Errorf("%s: %d bytes that become more than %d: %v", name, len(bomb), bombFree, err)
		}
		// In sum, while buffers grow until they hold bombFree bytes.
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*bombFree {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

func FuzzReadIDX(f *testing.F) {
	f.Add(idx([]uint32{2, 2, 3}, make([]byte, 12)), idx([]uint32{2}, []byte{1, 0}))
	f.Add(gz(f, idx([]uint32{1, 1, 1}, []byte{9})), []byte{})
	f.Fuzz(func(t *testing.T, img, lab []byte) {
		s, err := ReadIDX(bytes.NewReader(img), bytes.NewReader(lab), []string{"a", "b"})
		if err != nil {
			return
		}
		if n := s.Len(); n > 0 && s.Info().Elems() < 1<<16 {
			read(t, s, 0, n-1)
		}
	})
}

func cifarRecords(labels ...byte) (b []byte) {
	for i, l := range labels {
		b = append(b, l)
		for k := range cifarPixels {
			b = append(b, byte(k*(i+1)))
		}
	}
	return
}

func TestReadCIFAR10(t *testing.T) {
	a, b := cifarRecords(3, 9), cifarRecords(0)
	s, err := ReadCIFAR10(bytes.NewReader(a), bytes.NewReader(gz(t, b)))
	if err != nil {
		t.Fatal(err)
	}
	x, l := read(t, s)
	if !slices.Equal(l, []int{3, 9, 0}) {
		t.Errorf("labels %v, want [3 9 0]", l)
	}
	for _, p := range [][3]int{{0, 7, 7}, {1, 2000, 4000 % 256}, {2, 3071, 3071 % 256}} {
		if got, want := x[p[0]*cifarPixels+p[1]], byteLevels[p[2]]; got != want {
			t.Errorf("image %d value %d is %g, want %g", p[0], p[1], got, want)
		}
	}
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "no CIFAR-10 records"}, {"cut", a[:len(a)-1], "record 1 has 3072 of 3073"},
		{"label", cifarRecords(1, 10), "record 1 has label 10"}, {"gzip cut", gz(t, a)[:30], "record 0 has 19 of 3073"},
	} {
		if _, err := ReadCIFAR10(bytes.NewReader(tc.data)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

func FuzzReadCIFAR10(f *testing.F) {
	f.Add(cifarRecords(1))
	f.Add(gz(f, cifarRecords(1, 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ReadCIFAR10(bytes.NewReader(b)); err == nil {
			read(t, s, 0, s.Len()-1)
		}
		_, _, _ = readCIFARArchive(bytes.NewReader(b))
	})
}

// TestSharedData reads the real files, and checks facts that are published about them.
func TestSharedData(t *testing.T) {
	dir := testdata.Dir(t)
	tests := []struct {
		name                 string
		train, test          int
		c, h, w              int
		firstLabels          []int
		mean                 float64 // of the training pixels
		digestOfTrainAndTest [2]string
	}{
		{name: "mnist", train: 60000, test: 10000, c: 1, h: 28, w: 28, firstLabels: []int{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}, mean: 0.1307},
		{name: "fashion-mnist", train: 60000, test: 10000, c: 1, h: 28, w: 28, firstLabels: []int{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, mean: 0.2860},
		{name: "cifar10", train: 4500, test: 500, c: 3, h: 32, w: 32, firstLabels: []int{6, 9, 9, 4, 1, 1, 2, 7, 8, 3}, mean: 0.47},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d, err := Open(context.Background(), tc.name, Options{Dir: dir, Offline: true})
			if err != nil {
				t.Fatal(err)
			}
			if d.Train.Len() != tc.train || d.Test.Len() != tc.test {
				t.Errorf("%d and %d images, want %d and %d", d.Train.Len(), d.Test.Len(), tc.train, tc.test)
			}
			if i := d.Train.Info(); i.Channels != tc.c || i.Height != tc.h || i.Width != tc.w || len(i.Classes) != 10 || i.Name != tc.name {
				t.Errorf("info %+v", i)
			}
			if _, l := read(t, d.Train, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9); !slices.Equal(l, tc.firstLabels) {
				t.Errorf("labels begin %v, want %v", l, tc.firstLabels)
			}
			m := d.Train.(*memory)
			var sum int64
			for _, p := range m.pix {
				sum += int64(p)
			}
			mean := float64(sum) / float64(len(m.pix)) / 255
			if tol := 0.00006 + 0.006*float64(tc.c/3); mean < tc.mean-tol || mean > tc.mean+tol {
				t.Errorf("mean of the training pixels is %.5f, want %.4f", mean, tc.mean)
			}
		})
	}
}

func TestOpenReshapes(t *testing.T) {
	dir := t.TempDir()
	writeMNIST(t, dir, 5, 3)
	for _, tc := range []struct {
		opt     Options
		c, h, w int
		train   int
	}{
		{Options{}, 1, 28, 28, 5},
		{Options{Channels: 3}, 3, 28, 28, 5},
		{Options{Width: 14, Height: 14}, 1, 14, 14, 5},
		{Options{Width: 20, Height: 40, Channels: 3, Fit: "contain", N: 2}, 3, 40, 20, 2},
		{Options{N: 100}, 1, 28, 28, 5},
	} {
		tc.opt.Dir, tc.opt.Offline = dir, true
		d, err := Open(context.Background(), "mnist", tc.opt)
		if err != nil {
			t.Errorf("%+v: %v", tc.opt, err)
			continue
		}
		i := d.Train.Info()
		if i.Channels != tc.c || i.Height != tc.h || i.Width != tc.w || d.Train.Len() != tc.train || d.Test.Len() != 3 {
			t.Errorf("%+v: info %+v, %d and %d images", tc.opt, i, d.Train.Len(), d.Test.Len())
		}
		x, _ := read(t, d.Train)
		for _, v := range x {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%+v: value %g", tc.opt, v)
			}
		}
	}
}

// writeMNIST writes small data sets under the names of MNIST's files.
func writeMNIST(t testing.TB, dir string, train, test uint32) {
	t.Helper()
	for _, p := range []struct {
		prefix string
		n      uint32
	}{{"train", train}, {"t10k", test}} {
		pix, labels := make([]byte, p.n*784), make([]byte, p.n)
		for i := range pix {
			pix[i] = byte(i * 7)
		}
		for i := range labels {
			labels[i] = byte(i % 10)
		}
		for name, data := range map[string][]byte{
			"-images-idx3-ubyte":    idx([]uint32{p.n, 28, 28}, pix),
			"-labels-idx1-ubyte.gz": gz(t, idx([]uint32{p.n}, labels)),
		} {
			if err := os.WriteFile(filepath.Join(dir, p.prefix+name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		opt  Options
		want string
	}{
		{"nonsense", Options{}, "the data sets are digits, mnist"},
		{file, Options{}, "not a folder"},
		{dir, Options{}, "no images"},
		{"digits", Options{Width: 28}, "both width and height"},
		{"digits", Options{Channels: 2}, "want 1 or 3"},
		{"digits", Options{N: -1}, "-1 training images"},
		{"digits", Options{Fit: "x"}, "unknown fit"},
		{"mnist", Options{Dir: dir, Cache: dir, Offline: true}, "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz into " + dir},
	} {
		_, err := Open(context.Background(), tc.name, tc.opt)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%q, %+v): error %v, want one line with %q", tc.name, tc.opt, err, tc.want)
		}
	}
	_, err := Open(context.Background(), "cifar10", Options{Cache: dir, Offline: true})
	if nf := (*NotFoundError)(nil); !errors.As(err, &nf) || nf.Name != "cifar10" || nf.Dir != filepath.Join(dir, "cifar10") {
		t.Errorf("error %#v, want a NotFoundError", err)
	}
	// A damaged file is reported with its name.
	writeMNIST(t, dir, 2, 2)
	bad := filepath.Join(dir, "t10k-images-idx3-ubyte")
	if err := os.WriteFile(bad, []byte("garbage"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), "mnist", Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("damaged file: error %v does not name %s", err, bad)
	}
}
