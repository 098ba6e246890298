package dataset

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aekit/aekit/internal/imageio"
)

// Limits of the entries that are read from a tar file.
const (
	maxEntry = 256 << 20 // bytes of an image
	maxClass = 1 << 10   // bytes of a .cls entry
)

func isTar(name string) bool {
	n := strings.ToLower(name)
	return strings.HasSuffix(n, ".tar") || strings.HasSuffix(n, ".tar.gz") || strings.HasSuffix(n, ".tgz")
}

// listTars returns the sorted paths of the tar files in dir, itself and its subfolders, or
// nothing if there is an image among them.
func listTars(dir string) ([]string, error) {
	var tars []string
	images := false
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(e.Name(), ".") && file != dir && e.Name() != ".":
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.Type().IsRegular():
		case isImage(file):
			images = true
			return fs.SkipAll
		case isTar(file):
			tars = append(tars, file)
		}
		return nil
	})
	if images || err != nil {
		return nil, err
	}
	slices.Sort(tars)
	return tars, nil
}

func openTars(ctx context.Context, name string, files []string, opt Options, fit imageio.Fit) (*Data, error) {
	if opt.Tiles {
		return nil, ErrNoTiles
	}
	table, err := tableOf(opt)
	if err != nil {
		return nil, err
	}
	var train, test []string
	for _, f := range files {
		if strings.HasPrefix(strings.ToLower(filepath.Base(f)), "test") {
			test = append(test, f)
		} else {
			train = append(train, f)
		}
	}
	if len(train) == 0 {
		train, test = test, nil
	}
	if opt.MemoryLimit == 0 {
		opt.MemoryLimit = folderMemory
	}
	if len(test) > 0 {
		opt.MemoryLimit = max(1, opt.MemoryLimit/2)
	}
	t, skipped, err := loadTars(ctx, train, opt, fit, table, Info{Name: name}, opt.N)
	if err != nil {
		return nil, err
	}
	d := &Data{Train: t, Skipped: skipped}
	if len(test) > 0 {
		opt.Channels, opt.Height, opt.Width = t.info.Channels, t.info.Height, t.info.Width
		s, skipped, err := loadTars(ctx, test, opt, fit, table, t.info, 0)
		if err != nil {
			return nil, err
		}
		d.Test, d.Skipped = s, append(d.Skipped, skipped...)
	}
	return d, nil
}

// tarReader goes through the images of a tar file. The names of entries are only looked at.
type tarReader struct {
	file *os.File
	tar  *tar.Reader
	next int // number of the image that next gives, of those that the file has
	// sparse says that the image at hand has holes, which the file does not pay for.
	sparse bool
	// class is called with the stem and the content of each .cls entry, if not nil.
	class func(stem, class string)
}

// openHook, if not nil, is told of every tar file that is opened.
var openHook func(name string)

func openTarReader(name string) (*tarReader, error) {
	if openHook != nil {
		openHook(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r := &tarReader{file: f, tar: tar.NewReader(f)}
	if !strings.HasSuffix(strings.ToLower(name), ".tar") {
		in := &counter{r: f}
		z, err := gunzip(in, bufio.NewReader(in))
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.tar = tar.NewReader(z)
	}
	return r, nil
}

func (r *tarReader) Close() error { return r.file.Close() }

// advance goes to the next image and returns its name.
func (r *tarReader) advance() (name string, size int64, err error) {
	for {
		h, err := r.tar.Next()
		if err != nil {
			return "", 0, err
		}
		base := path.Base(h.Name)
		switch {
		case h.Typeflag != tar.TypeReg || strings.HasPrefix(base, "."):
		case isImage(base):
			r.next++
			r.sparse = h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != ""
			return h.Name, h.Size, nil
		case r.class != nil && strings.EqualFold(path.Ext(base), ".cls") && h.Size <= maxClass:
			b, err := io.ReadAll(r.tar)
			if err != nil {
				return "", 0, err
			}
			r.class(strings.TrimSuffix(h.Name, path.Ext(h.Name)), strings.TrimSpace(string(b)))
		}
	}
}

// image reads the image that advance has come to.
func (r *tarReader) image(size int64) ([]byte, error) {
	if r.sparse {
		return nil, errors.New("an entry with holes")
	}
	if size > maxEntry {
		return nil, fmt.Errorf("an entry of %d bytes", size)
	}
	// Memory grows with what there is, not with what the entry claims.
	b, err := io.ReadAll(io.LimitReader(r.tar, size))
	if err == nil && int64(len(b)) < size {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// scanned is what the first pass over a tar file finds.
type scanned struct {
	names   []string // of the good images
	number  []int    // of each, among all images of the file
	sums    [][sha256.Size]byte
	pix     [][]uint8 // nil where memory ran out
	classes map[string]string
	skipped []string
}

// loadTars decodes every image once, to know which are good and what they contain.
func loadTars(ctx context.Context, files []string, opt Options, fit imageio.Fit, table labelTable, info Info, limit int) (*shards, []string, error) {
	s := &shards{files: files, fit: fit, maxPixels: opt.MaxPixels}
	info.Channels, info.Height, info.Width = opt.Channels, opt.Height, opt.Width
	if info.Height == 0 {
		info.Height, info.Width = folderSide, folderSide
	}
	if info.Channels == 0 {
		info.Channels = 3
		if imageio.IsGrey(firstInTars(files, opt.MaxPixels)) {
			info.Channels = 1
		}
	}
	s.info = info
	results := make([]scanned, len(files))
	var mu sync.Mutex
	var done, kept int64
	room := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		kept += int64(n)
		return kept <= opt.MemoryLimit
	}
	work := make(chan int)
	var wg sync.WaitGroup
	for range folderWorkers {
		wg.Go(func() {
			for i := range work {
				results[i] = s.scan(ctx, files[i], room)
				mu.Lock()
				done++
				if opt.Progress != nil {
					opt.Progress(info.Name, done, int64(len(files)))
				}
				mu.Unlock()
			}
		})
	}
	for i := range files {
		work <- i
	}
	close(work)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("dataset: %s: %w", info.Name, err)
	}
	skipped, err := s.join(results, table, limit, kept <= opt.MemoryLimit)
	if err != nil {
		return nil, nil, err
	}
	if s.pix == nil {
		s.buffer(opt.MemoryLimit)
	}
	return s, skipped, nil
}

// scan reads a whole tar file. What is behind damage is lost and reported.
func (s *shards) scan(ctx context.Context, file string, room func(int) bool) scanned {
	var out scanned
	bad := func(what string, err error) {
		out.skipped = append(out.skipped, fmt.Sprintf("%s: %s%v", file, what, err))
	}
	r, err := openTarReader(file)
	if err != nil {
		out.skipped = append(out.skipped, err.Error())
		return out
	}
	defer r.Close()
	out.classes = map[string]string{}
	r.class = func(stem, class string) { out.classes[stem] = class }
	for ctx.Err() == nil {
		name, size, err := r.advance()
		if err == io.EOF {
			break
		}
		if err != nil {
			bad("", err)
			break
		}
		b, err := r.image(size)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			bad(fmt.Sprintf("%q: ", name), err)
			break
		}
		var pix []uint8
		if err == nil {
			pix, err = s.decode(b)
		}
		if err != nil {
			bad(fmt.Sprintf("%q: ", name), err)
			continue
		}
		out.names = append(out.names, name)
		out.number = append(out.number, r.next-1)
		out.sums = append(out.sums, sha256.Sum256(pix))
		if !room(len(pix)) {
			pix = nil
		}
		out.pix = append(out.pix, pix)
	}
	return out
}

// join makes one sequence of the images of all files.
func (s *shards) join(results []scanned, table labelTable, limit int, keep bool) (skipped []string, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "aekit folder 1\n%d %d %d\n", s.info.Channels, s.info.Height, s.info.Width)
	var names, classes []string
	for i := range results {
		r := &results[i]
		skipped = append(skipped, r.skipped...)
		n := len(r.names)
		if limit > 0 {
			n = min(n, limit-len(names))
		}
		s.start = append(s.start, len(names))
		s.number = append(s.number, r.number[:n])
		for k, name := range r.names[:n] {
			names = append(names, name)
			classes = append(classes, r.classes[strings.TrimSuffix(name, path.Ext(name))])
			h.Write(r.sums[k][:])
		}
		if keep {
			s.pix = append(s.pix, r.pix[:n]...)
		}
	}
	if s.n = len(names); s.n == 0 {
		why := "there is none"
		if len(skipped) > 0 {
			why = skipped[0]
		}
		return nil, fmt.Errorf("dataset: no image in %s can be read: %s", s.info.Name, why)
	}
	if !slices.ContainsFunc(classes, func(c string) bool { return c != "" }) {
		for i, n := range names {
			names[i] = strings.TrimPrefix(path.Clean(n), "/")
		}
		classes = folderClasses(names)
	}
	if table != nil {
		if classes, err = table.named(names); err != nil {
			return nil, err
		}
	}
	if classes != nil {
		s.labels, s.info.Classes = number(classes, s.info.Classes)
	}
	fmt.Fprintln(h, s.labels)
	s.digest = hex.EncodeToString(h.Sum(nil))
	return skipped, nil
}

// firstInTars returns the first image that can be decoded, or nil.
func firstInTars(files []string, maxPixels int64) image.Image {
	for _, f := range files {
		r, err := openTarReader(f)
		if err != nil {
			continue
		}
		for {
			_, size, err := r.advance()
			if err != nil {
				break
			}
			if b, err := r.image(size); err == nil {
				if img, err := decodeBytes(b, maxPixels); err == nil {
					r.Close()
					return img
				}
			}
		}
		r.Close()
	}
	return nil
}
