package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/rng"
)

type entryOf struct {
	name string
	data []byte
}

func tarOf(t *testing.T, zipped bool, entries ...entryOf) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.Writer = &buf
	if zipped {
		z := gzip.NewWriter(&buf)
		defer z.Close()
		w = z
	}
	tw := tar.NewWriter(w)
	for _, e := range entries {
		if err := tw.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.data)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if z, ok := w.(*gzip.Writer); ok {
		z.Close()
	}
	return bytes.Clone(buf.Bytes())
}

func grey(t *testing.T, v uint8) []byte { return uniformPNG(t, 2, 2, color.Gray{v}) }

// shardFiles are 5 shards, every second one gzip, of 3 to 19 images whose grey is their
// number, some damaged images between them.
func shardFiles(t *testing.T) (files map[string][]byte, total, bad int) {
	files = map[string][]byte{}
	for s := range 5 {
		var entries []entryOf
		for k := range 3 + 4*s {
			if (s+k)%4 == 3 {
				entries = append(entries, entryOf{fmt.Sprintf("s%d/x/%02d-bad.png", s%3, k), []byte("\x89PNG\r\n\x1a\n no")})
				bad++
			}
			entries = append(entries, entryOf{fmt.Sprintf("s%d/x/%02d.png", s%3, k), grey(t, uint8(total))})
			total++
		}
		name := fmt.Sprintf("%d.tar", s)
		if s%2 == 1 {
			name += ".gz"
		}
		files[name] = tarOf(t, s%2 == 1, entries...)
	}
	return files, total, bad
}

func TestTarShards(t *testing.T) {
	files, total, bad := shardFiles(t)
	dir := writeFiles(t, files)
	var digests []string
	// All in memory, then chunks of one and of two images.
	for _, limit := range []int64{0, 1, 2 * 4 * keptChunks} {
		d, err := Open(context.Background(), dir, Options{Width: 2, Height: 2, MemoryLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		s := d.Train.(*shards)
		if (s.pix != nil) != (limit == 0) || limit > 1 && s.chunk != 2 {
			t.Fatalf("limit %d: in memory: %v, chunks of %d", limit, s.pix != nil, s.chunk)
		}
		if s.Len() != total || len(d.Skipped) != bad || s.Info().Channels != 1 || !slices.Equal(s.Info().Classes, []string{"s0", "s1", "s2"}) {
			t.Fatalf("%d images, %d skipped, %+v; want %d and %d", s.Len(), len(d.Skipped), s.Info(), total, bad)
		}
		x, l := read(t, d.Train)
		for i := range total {
			if want := byteLevels[i]; x[4*i] != want || x[4*i+3] != want {
				t.Fatalf("limit %d: image %d is %g, want %g", limit, i, x[4*i], want)
			}
		}
		if l[0] != 0 || l[3] != 1 || l[total-1] != 1 {
			t.Errorf("labels %v", l)
		}
		digest, err := s.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
		// Any order works, also one that goes back.
		back := make([]int, total)
		for i := range back {
			back[i] = (total - 1 - i) * 7 % total
		}
		dst := make([]float32, 4*total)
		if err := s.Read(context.Background(), back, dst, nil); err != nil {
			t.Fatal(err)
		}
		for k, i := range back {
			if dst[4*k] != byteLevels[i] {
				t.Fatalf("limit %d: image %d read backwards is %g, want %g", limit, i, dst[4*k], byteLevels[i])
			}
		}
	}
	if digests[0] != digests[1] || digests[1] != digests[2] {
		t.Errorf("digests %q depend on the limit of memory", digests)
	}
}

// TestStreamOrder: an epoch of a stream has every image once, opens each file once, and does
// not come in the order of the files; the same for a part of the set, and through a loader.
func TestStreamOrder(t *testing.T) {
	files, total, _ := shardFiles(t)
	d, err := Open(context.Background(), writeFiles(t, files), Options{Width: 2, Height: 2, MemoryLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := d.Train.(*shards)
	train, val, err := Split(s, 0.25, 3)
	if err != nil {
		t.Fatal(err)
	}
	var last []int
	for epoch := range uint64(4) {
		for _, src := range []Source{s, train} {
			o := orderOf(src, rng.New(8, epoch))
			sorted := slices.Sorted(slices.Values(o))
			for i, v := range sorted {
				if v != i {
					t.Fatalf("epoch %d: order %v is no permutation", epoch, o)
				}
			}
			if len(o) != src.Len() || slices.Equal(o, sorted) || slices.Equal(o, last) {
				t.Fatalf("epoch %d: order %v of %d images, after %v", epoch, o, src.Len(), last)
			}
			last = o
		}
	}
	if train.Len()+val.Len() != total {
		t.Errorf("parts of %d and %d images, want %d in all", train.Len(), val.Len(), total)
	}
	opened := map[string]int{}
	openHook = func(name string) { opened[name]++ }
	defer func() { openHook = nil }()
	l := newLoader(t, s, LoaderOptions{Batch: 4, Epochs: 1, Seed: 2, Workers: 1})
	seen := map[int]bool{}
	for {
		b, err := l.Next(context.Background())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for k, i := range b.Index {
			if b.Images[4*k] != byteLevels[i] || seen[i] {
				t.Fatalf("image %d: %g, seen before: %v", i, b.Images[4*k], seen[i])
			}
			seen[i] = true
		}
	}
	if len(seen) != total || len(opened) != 5 {
		t.Errorf("%d images of %d files, want %d of 5", len(seen), len(opened), total)
	}
	for name, n := range opened {
		if n != 1 {
			t.Errorf("%s was opened %d times in an epoch", filepath.Base(name), n)
		}
	}
}

func TestTarNamesAreNotWritten(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "x.tar")
	evil := filepath.Join(top, "evil.png")
	if err := os.WriteFile(file, tarOf(t, false, entryOf{"../../evil.png", grey(t, 1)}, entryOf{evil, grey(t, 2)}, entryOf{"/abs.png", grey(t, 3)}), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := Open(context.Background(), file, Options{MemoryLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	read(t, d.Train)
	if d.Train.Len() != 3 {
		t.Errorf("%d images, want 3", d.Train.Len())
	}
	var found []string
	filepath.WalkDir(top, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, p)
		}
		return err
	})
	if !slices.Equal(found, []string{file}) {
		t.Errorf("files %q, want the tar file only", found)
	}
}

func TestTarLabels(t *testing.T) {
	img := []entryOf{{"a/1.png", grey(t, 10)}, {"a/1.cls", []byte("10\n")}, {"b/2.png", grey(t, 20)}, {"b/2.cls", []byte("9")}, {"b/3.png", grey(t, 30)}}
	dir := writeFiles(t, map[string][]byte{
		"shards/train-0.tar": tarOf(t, false, img...), "shards/test-0.tgz": tarOf(t, true, img[2:4]...),
		"labels.csv": []byte("name,label\nb/3.png,dog\n1,cat\n"),
	})
	labelsOf := func(src Source) []int {
		_, l := read(t, src)
		return l
	}
	d, err := Open(context.Background(), filepath.Join(dir, "shards"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Whole numbers are in the order of their values.
	if got := labelsOf(d.Train); !slices.Equal(got, []int{1, 0, -1}) || !slices.Equal(d.Train.Info().Classes, []string{"9", "10"}) {
		t.Errorf("labels %v of %q, want [1 0 -1] of [9 10]", got, d.Train.Info().Classes)
	}
	if d.Test == nil || d.Test.Len() != 1 || labelsOf(d.Test)[0] != 0 {
		t.Errorf("test set %v", d.Test)
	}
	d, err = Open(context.Background(), filepath.Join(dir, "shards", "train-0.tar"), Options{Labels: filepath.Join(dir, "labels.csv")})
	if err != nil {
		t.Fatal(err)
	}
	if got := labelsOf(d.Train); !slices.Equal(got, []int{0, -1, 1}) || !slices.Equal(d.Train.Info().Classes, []string{"cat", "dog"}) {
		t.Errorf("labels %v of %q, want [0 -1 1] of [cat dog]", got, d.Train.Info().Classes)
	}
}

func TestDamagedTar(t *testing.T) {
	var entries []entryOf
	for k := range 20 {
		entries = append(entries, entryOf{fmt.Sprintf("%d.png", k), grey(t, uint8(k))})
	}
	plain, zipped := tarOf(t, false, entries...), tarOf(t, true, entries...)
	for _, c := range []struct {
		name string
		data []byte
		min  int // images before the damage; 0: an error
	}{
		{"cut.tar", plain[:len(plain)/2], 5},
		{"cut.tar.gz", zipped[:len(zipped)*3/4], 1},
		{"header.tar", append(bytes.Clone(plain[:1024*4]), bytes.Repeat([]byte{7}, 1024)...), 3},
		{"none.tar", nil, 0},
		{"none.tgz", []byte("no gzip"), 0},
	} {
		dir := writeFiles(t, map[string][]byte{c.name: c.data})
		d, err := Open(context.Background(), dir, Options{})
		if c.min == 0 {
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %v, want one of one line", c.name, err)
			}
			continue
		}
		if err != nil || d.Train.Len() < c.min || d.Train.Len() == 20 || len(d.Skipped) != 1 {
			t.Errorf("%s: %v; %+v, want at least %d images and one complaint", c.name, err, d, c.min)
		}
	}
	// A file that changes under a stream.
	dir := writeFiles(t, map[string][]byte{"x.tar": plain})
	d, err := Open(context.Background(), dir, Options{MemoryLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "x.tar"), 3000); err != nil {
		t.Fatal(err)
	}
	if err := d.Train.Read(context.Background(), []int{19}, make([]float32, d.Train.Info().Elems()), nil); !errors.Is(err, errChanged) {
		t.Errorf("of a file that was cut since: %v, want %v", err, errChanged)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

// TestTarHoles: an entry of a few bytes that claims to go on with zeros is left out, before
// its zeros take memory and time.
func TestTarHoles(t *testing.T) {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	// The writer refuses the names of the format, which are put in afterwards.
	holes := map[string]string{"XNU.sparse.major": "0", "XNU.sparse.minor": "1", "XNU.sparse.numblocks": "1", "XNU.sparse.map": "0,10", "XNU.sparse.size": "209715200"}
	for _, e := range []struct {
		name    string
		data    []byte
		records map[string]string
	}{{"a.png", grey(t, 1), nil}, {"b.png", grey(t, 2)[:10], holes}, {"c.png", grey(t, 3), nil}} {
		if err := tw.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.data)), Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: e.records}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	dir := writeFiles(t, map[string][]byte{"x.tar": bytes.ReplaceAll(buf.Bytes(), []byte("XNU."), []byte("GNU."))})
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	d, err := Open(context.Background(), dir, Options{})
	goruntime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 2 || len(d.Skipped) != 1 || !strings.Contains(d.Skipped[0], "holes") {
		t.Errorf("%d images, skipped %q, want 2 and the one with holes", d.Train.Len(), d.Skipped)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func TestLabelFileIsBounded(t *testing.T) {
	defer func(n int64) { maxLabels = n }(maxLabels)
	dir := writeFiles(t, map[string][]byte{"img/a.png": grey(t, 1), "l.csv": []byte("a.png,x\nb.png,y\n"), "field.csv": append([]byte("\"a.png"), bytes.Repeat([]byte{' '}, 100)...)})
	open := func(labels string) error {
		_, err := Open(context.Background(), filepath.Join(dir, "img"), Options{Labels: labels})
		return err
	}
	for _, c := range []struct {
		file  string
		most  int64
		fails bool
	}{{"l.csv", 16, false}, {"l.csv", 15, true}, {"field.csv", 50, true}} {
		maxLabels = c.most
		err := open(filepath.Join(dir, c.file))
		if fails := err != nil && strings.Contains(err.Error(), fmt.Sprintf("more than %d bytes", c.most)); fails != c.fails || !fails && err != nil {
			t.Errorf("%s of at most %d bytes: %v", c.file, c.most, err)
		}
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		maxLabels = 1 << 20
		if err := open("/dev/zero"); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("a file without end: %v", err)
		}
	}
}

func TestFolderLabels(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{"img/a.png": grey(t, 1), "img/b.png": grey(t, 2), "img/sub/a.png": grey(t, 3)})
	labels := filepath.Join(dir, "l.csv")
	for _, c := range []struct {
		csv, want string
		labels    []int
	}{
		{"file,class\na.png,x\nsub/a.png,y\n", "", []int{0, -1, 1}},
		{"\ufeffb, \"two, words\"\n", "", []int{-1, 0, -1}},
		{"./b.png,1\nsub\\a,0\n", "", []int{-1, 1, 0}},
		{"a.png,x\na.png,y\n", "line 2", nil},
		{"a.png\n", "second column", nil},
		{"file,label\n", "empty", nil},
		{"c.png,x\n", "no image of the data", nil},
		{"\"a,x\n", "line 1", nil},
	} {
		if err := os.WriteFile(labels, []byte(c.csv), 0o666); err != nil {
			t.Fatal(err)
		}
		d, err := Open(context.Background(), filepath.Join(dir, "img"), Options{Labels: labels})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: error %v, want %q", c.csv, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.csv, err)
			continue
		}
		if _, l := read(t, d.Train); !slices.Equal(l, c.labels) {
			t.Errorf("%q: labels %v, want %v", c.csv, l, c.labels)
		}
	}
	if _, err := Open(context.Background(), "digits", Options{Labels: labels}); err == nil {
		t.Error("labels of the built-in digits: no error")
	}
}
