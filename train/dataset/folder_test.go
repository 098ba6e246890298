package dataset

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/testdata"
)

// writeFiles creates files, given by slash-separated path, below a new folder.
func writeFiles(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func uniformPNG(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	var img interface {
		image.Image
		Set(x, y int, c color.Color)
	} = image.NewNRGBA(image.Rect(0, 0, w, h))
	if _, grey := c.(color.Gray); grey {
		img = image.NewGray(image.Rect(0, 0, w, h))
	}
	for y := range h {
		for x := range w {
			img.Set(x, y, c)
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestFolder(t *testing.T) {
	red, blue := uniformPNG(t, 10, 20, color.NRGBA{255, 0, 0, 255}), uniformPNG(t, 30, 5, color.NRGBA{0, 0, 255, 255})
	pgm := []byte("P5\n2 1\n255\n\x80\x80")
	dir := writeFiles(t, map[string][]byte{
		"b/1.png": red, "a/deep/2.PNG": blue, "b/3.pgm": pgm, "a/broken.jpg": []byte("\xff\xd8 no"), "b/empty.png": nil,
		"a/notes.txt": []byte("x"), ".hidden/4.png": red, "a/.5.png": red,
	})
	for _, limit := range []int64{0, 1} { // kept, and decoded again
		d, err := Open(context.Background(), dir, Options{Width: 4, Height: 3, MemoryLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		info := d.Train.Info()
		if d.Train.Len() != 3 || info.Channels != 3 || info.Height != 3 || info.Width != 4 || !slices.Equal(info.Classes, []string{"a", "b"}) {
			t.Fatalf("%d images, info %+v", d.Train.Len(), info)
		}
		if d.Test != nil {
			t.Error("there is a test set")
		}
		if len(d.Skipped) != 2 || !strings.Contains(d.Skipped[0], "broken.jpg") || !strings.Contains(d.Skipped[1], "empty.png") {
			t.Errorf("skipped %q", d.Skipped)
		}
		x, l := read(t, d.Train)
		if !slices.Equal(l, []int{0, 1, 1}) {
			t.Errorf("labels %v, want [0 1 1]", l)
		}
		g := byteLevels[0x80]
		for k, want := range [][3]float32{{0, 0, 1}, {1, 0, 0}, {g, g, g}} {
			for i := range 36 {
				if got := x[k*36+i]; got != want[i/12] {
					t.Fatalf("image %d value %d is %g, want %g", k, i, got, want[i/12])
				}
			}
		}
	}
}

func TestFolderTrainTest(t *testing.T) {
	grey := uniformPNG(t, 8, 8, color.Gray{100})
	dir := writeFiles(t, map[string][]byte{
		"train/x/1.png": grey, "train/y/2.png": grey, "test/y/3.png": grey, "test/z/4.png": grey,
	})
	d, err := OpenFolder(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if i := d.Train.Info(); i.Channels != 1 || i.Width != 64 || i.Height != 64 {
		t.Errorf("info %+v, want 64x64 grey", i)
	}
	if _, l := read(t, d.Train); !slices.Equal(l, []int{0, 1}) {
		t.Errorf("training labels %v, want [0 1]", l)
	}
	if _, l := read(t, d.Test); !slices.Equal(l, []int{1, 2}) {
		t.Errorf("test labels %v, want [1 2]", l)
	}
}

// TestFolderLimit: the first images are those that a limit asks for, bad files between them
// are counted, and what comes after them is not read.
func TestFolderLimit(t *testing.T) {
	files := map[string][]byte{"00.png": []byte("x")}
	for i := 1; i < 60; i++ {
		files[fmt.Sprintf("%02d.png", i)] = uniformPNG(t, 8, 8, color.Gray{uint8(i)})
	}
	files["03.png"], files["40.png"] = []byte("y"), []byte("z")
	dir := writeFiles(t, files)
	var read int64
	d, err := OpenFolder(context.Background(), dir, Options{N: 5, Width: 8, Height: 8, Progress: func(_ string, done, _ int64) { read = done }})
	if err != nil {
		t.Fatal(err)
	}
	pix := make([]float32, 5*64)
	if err := d.Train.Read(context.Background(), []int{0, 1, 2, 3, 4}, pix, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{1, 2, 4, 5, 6} {
		if got := pix[64*i] * 255; got < want-0.01 || got > want+0.01 {
			t.Errorf("image %d has the level %g, want %g", i, got, want)
		}
	}
	if d.Train.Len() != 5 || len(d.Skipped) != 2 || read > 7+2*folderWorkers {
		t.Errorf("%d images, skipped %q, %d files read", d.Train.Len(), d.Skipped, read)
	}
}

func TestFolderWithoutClasses(t *testing.T) {
	grey := uniformPNG(t, 8, 8, color.Gray{100})
	dir := writeFiles(t, map[string][]byte{"1.png": grey, "a/2.png": grey, "a/3.png": grey})
	d, err := Open(context.Background(), dir, Options{N: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, l := read(t, d.Train); !slices.Equal(l, []int{-1, -1}) || d.Train.Info().Classes != nil {
		t.Errorf("labels %v, classes %v; want none", l, d.Train.Info().Classes)
	}
	bad := writeFiles(t, map[string][]byte{"1.png": []byte("x")})
	if _, err := Open(context.Background(), bad, Options{}); err == nil || !strings.Contains(err.Error(), "none of the 1 images") {
		t.Errorf("folder of broken files: error %v", err)
	}
	big := writeFiles(t, map[string][]byte{"1.pgm": []byte("P5 1000 1000 255\n"), "2.png": grey})
	d, err = Open(context.Background(), big, Options{MaxPixels: 1000})
	if err != nil || len(d.Skipped) != 1 || !strings.Contains(d.Skipped[0], "1000x1000") {
		t.Errorf("image above MaxPixels: %v, %+v", err, d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, dir, Options{}); err == nil {
		t.Error("cancelled context gave no error")
	}
}

func TestFaces(t *testing.T) {
	dir := testdata.Path(t, "faces-att")
	var calls int
	d, err := Open(context.Background(), dir, Options{Width: 46, Height: 56, Progress: func(string, int64, int64) { calls++ }})
	if err != nil {
		t.Fatal(err)
	}
	i := d.Train.Info()
	if d.Train.Len() != 300 || len(i.Classes) != 30 || i.Channels != 1 || len(d.Skipped) != 0 || calls != 300 {
		t.Errorf("%d images, info %+v, skipped %v, %d calls of Progress", d.Train.Len(), i, d.Skipped, calls)
	}
	_, l := read(t, d.Train)
	for k, v := range l {
		if v != k/10 {
			t.Fatalf("label %d is %d, want %d", k, v, k/10)
		}
	}
}

func TestDigests(t *testing.T) {
	digest := func(s Source) string {
		t.Helper()
		d, err := s.Digest()
		if err != nil || len(d) != 64 {
			t.Fatalf("digest %q, %v", d, err)
		}
		return d
	}
	grey, other := uniformPNG(t, 8, 8, color.Gray{100}), uniformPNG(t, 8, 8, color.Gray{101})
	open := func(files map[string][]byte) Source {
		d, err := Open(context.Background(), writeFiles(t, files), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d.Train
	}
	a := open(map[string][]byte{"x/1.png": grey, "x/2.png": other})
	b := open(map[string][]byte{"x/1.png": grey, "x/3.png": other})
	c := open(map[string][]byte{"x/1.png": grey, "x/2.png": grey})
	if digest(a) != digest(b) {
		t.Error("digest depends on file names")
	}
	base := newDigits(t, 1, 10, 1, 28, 28, false)
	train, val, err := Split(base, 0.3, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMemory(Info{Channels: 1, Height: 1, Width: 2}, []byte{1, 2, 3, 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := newMemory(Info{Channels: 1, Height: 2, Width: 1}, []byte{1, 2, 3, 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i, s := range []Source{
		a, c, base, train, val, m, n, newDigits(t, 2, 10, 1, 28, 28, false), newDigits(t, 1, 11, 1, 28, 28, false),
		newDigits(t, 1, 10, 1, 28, 28, true), newDigits(t, 1, 10, 1, 32, 28, false),
	} {
		d := digest(s)
		if j, ok := seen[d]; ok {
			t.Errorf("sources %d and %d have the same digest", i, j)
		}
		seen[d] = i
	}
}

// TestFolderTiles: a file gives as many images as lie beside each other in it, in rows, and
// one where it is smaller.
func TestFolderTiles(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 11, 7)) // 2×2 tiles of 4×3; 3 columns and a row are left over
	for y := range 7 {
		for x := range 11 {
			img.SetGray(x, y, color.Gray{uint8(16*y + x)})
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	dir := writeFiles(t, map[string][]byte{"a/1.png": buf.Bytes(), "b/2.png": uniformPNG(t, 2, 2, color.Gray{200})})
	digests := map[string]bool{}
	for _, c := range []struct {
		opt    Options
		labels []int
	}{
		{Options{Tiles: true}, []int{0, 0, 0, 0, 1}},
		{Options{Tiles: true, MemoryLimit: 25}, []int{0, 0, 0, 0, 1}}, // two kept, the rest decoded again
		{Options{Tiles: true, N: 3}, []int{0, 0, 0}},
		{Options{}, []int{0, 1}},
	} {
		c.opt.Width, c.opt.Height = 4, 3
		d, err := Open(context.Background(), dir, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		x, l := read(t, d.Train)
		if !slices.Equal(l, c.labels) {
			t.Fatalf("%+v: labels %v, want %v", c.opt, l, c.labels)
		}
		sum, _ := d.Train.Digest()
		digests[sum] = true
		if !c.opt.Tiles {
			continue
		}
		for i := range min(4, len(l)) {
			for k := range 12 {
				left, top := 1+4*(i%2), 3*(i/2)
				if want := byteLevels[16*(top+k/4)+left+k%4]; x[12*i+k] != want {
					t.Fatalf("%+v: tile %d value %d is %g, want %g", c.opt, i, k, x[12*i+k], want)
				}
			}
		}
	}
	if len(digests) != 3 {
		t.Errorf("%d different digests, want 3: of all tiles, of three, and of resized images", len(digests))
	}
	if _, err := Open(context.Background(), "digits", Options{Tiles: true}); err != ErrNoTiles {
		t.Errorf("digits in tiles: %v", err)
	}
}
