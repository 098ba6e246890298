package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// readAll reads every image of a data set that a fuzz target opened, in several orders, and
// checks what an honest data set holds too.
func readAll(t *testing.T, d *Data) {
	t.Helper()
	for _, s := range []Source{d.Train, d.Test} {
		if s == nil {
			continue
		}
		info := s.Info()
		if s.Len() == 0 || info.Elems() < 1 {
			t.Fatalf("%d images of %+v", s.Len(), info)
		}
		x, labels := read(t, s)
		for i, v := range x {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("value %d is %v", i, v)
			}
		}
		for i, l := range labels {
			if l < -1 || l >= len(info.Classes) {
				t.Fatalf("label %d is %d, of %d classes", i, l, len(info.Classes))
			}
		}
		read(t, s, s.Len()-1, 0)
	}
}

// imageNames are names of files in the fuzz targets; bad ones among them.
var imageNames = []string{"a/1.png", "b/2.jpg", "b/.3.png", "4.pgm", "train/5.gif", "test/6.ppm", "7.txt", "c/8.jpeg"}

// FuzzFolder opens a folder of two files of arbitrary content: every image that was accepted
// can be read, and errors are one line.
func FuzzFolder(f *testing.F) {
	red := uniformPNG(f, 3, 2, color.NRGBA{255, 0, 0, 255})
	grey := uniformPNG(f, 1, 4, color.Gray{7})
	f.Add(red, grey, uint8(0), []byte("1,x\n2,y\n"))
	f.Add(red, []byte("P5\n2 1\n255\n\x80\x80"), uint8(3), []byte(nil))
	f.Add(grey, red, uint8(4), []byte("name,label\n5.gif,1\n\"6\",2\n"))
	f.Fuzz(func(t *testing.T, a, b []byte, which uint8, labels []byte) {
		dir := t.TempDir()
		names := []string{imageNames[which&7], imageNames[(which+1)&7]}
		for i, data := range [][]byte{a, b} {
			p := filepath.Join(dir, "data", filepath.FromSlash(names[i]))
			if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		opt := Options{MaxPixels: 1 << 12, Width: 3, Height: 2, MemoryLimit: int64(which >> 4), Fit: []string{"cover", "contain", "stretch"}[which>>3%3]}
		if len(labels) > 0 {
			opt.Labels = filepath.Join(dir, "labels.csv")
			if err := os.WriteFile(opt.Labels, labels, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		d, err := Open(context.Background(), filepath.Join(dir, "data"), opt)
		if err == nil {
			readAll(t, d)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of several lines: %q", err)
		}
	})
}

// archive packs entries with given headers into a tar file.
func archive(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	pixel := uniformPNG(t, 2, 2, color.NRGBA{1, 2, 3, 255})
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		var data []byte
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			data = pixel
			if strings.HasSuffix(h.Name, ".cls") {
				data = []byte("3\n")
			}
			h.Typeflag, h.Size = tar.TypeReg, int64(len(data))
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// repairTar sets the checksums of the headers of a tar file, as far as they can be found, so
// that what changes in them is reached.
func repairTar(b []byte) []byte {
	const block = 512
	b = bytes.Clone(b)
	for at := 0; len(b)-at >= block; at += block {
		h := b[at : at+block]
		if !bytes.HasPrefix(h[257:], []byte("ustar")) {
			continue
		}
		copy(h[148:156], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		for i := range 6 {
			h[148+i] = '0' + byte(sum>>(3*(5-i))&7)
		}
		h[154], h[155] = 0, ' '
	}
	return b
}

// FuzzTar opens arbitrary bytes as a tar file of images, plain and compressed: every image
// that was accepted can be read, also when nothing is kept in memory.
func FuzzTar(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "a/1.png"}, tar.Header{Name: "a/2.png"}, tar.Header{Name: "a/1.cls"}), uint8(0))
	f.Add(archive(f, tar.Header{Name: "../1.png"}, tar.Header{Name: "/2.png"}, tar.Header{Name: "l.png", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), uint8(1))
	f.Add(archive(f, tar.Header{Name: "x.png", PAXRecords: map[string]string{"comment": "x"}}, tar.Header{Name: "x.txt"}), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, how uint8) {
		dir := t.TempDir()
		name := filepath.Join(dir, "x.tar")
		b = repairTar(b)
		if how&1 != 0 {
			name += ".gz"
			b = gz(t, b)
		}
		if err := os.WriteFile(name, b, 0o666); err != nil {
			t.Fatal(err)
		}
		d, err := Open(context.Background(), name, Options{MaxPixels: 1 << 12, Width: 3, Height: 2, MemoryLimit: int64(how >> 1)})
		if err == nil {
			readAll(t, d)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of several lines: %q", err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
			t.Errorf("reading wrote files: %v, %v", list, err)
		}
	})
}
