package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aekit/aekit/internal/imagefile"
	"github.com/aekit/aekit/internal/imageio"
)

const (
	folderSide    = 64
	folderMemory  = 1 << 30
	folderWorkers = 4
)

// folder is a Source of image files. Pixels are kept up to a limit.
type folder struct {
	info      Info
	fit       imageio.Fit
	maxPixels int64
	tiled     bool
	files     []string // of each image
	part      []int    // which of its file's tiles each image is
	labels    []int    // nil if the folder has no classes
	pix       [][]uint8
	digest    string
}

// OpenFolder is [Open] of a folder of PNG, JPEG, GIF, PGM and PPM images, taken with all
// its subfolders in the order of their paths; names that begin with a dot are passed
// over. If every image lies in a subfolder, the first subfolder of its path is its class;
// Options.Labels may name a CSV file of names and classes instead, in which a name is a path
// below the folder or a base name, with or without extension, and images without an entry
// have no label.
// If the folder's only entries are train and test, they are the training and test images;
// else there is no test set. Files that cannot be decoded are passed over and listed in
// Data.Skipped.
//
// A folder without images but with tar files (.tar, .tar.gz, .tgz) is a set of shards: the
// images are those in the tar files, in the order of the files and of their entries. They
// are never unpacked to disk. What exceeds Options.MemoryLimit is read again in every
// epoch, each shard from its beginning to its end, through a buffer in which the order is
// shuffled. An image's class is that of the label file, or in the entry NAME.cls beside
// NAME.jpg (the convention of WebDataset), or the first folder of its path. Shards whose
// names begin with test are the test set, if there are others.
func OpenFolder(ctx context.Context, dir string, opt Options) (*Data, error) {
	return Open(ctx, filepath.Clean(dir)+string(filepath.Separator), opt)
}

func openFolder(ctx context.Context, dir string, opt Options, fit imageio.Fit) (*Data, error) {
	dir = filepath.Clean(dir)
	if tars, err := listTars(dir); err != nil || len(tars) > 0 {
		if err != nil {
			return nil, fmt.Errorf("dataset: %w", err)
		}
		return openTars(ctx, dir, tars, opt, fit)
	}
	table, err := tableOf(opt)
	if err != nil {
		return nil, err
	}
	files, err := listImages(dir)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("dataset: no images (PNG, JPEG, GIF, PGM, PPM) and no tar files in %s", dir)
	}
	parts := map[string][]string{}
	for _, f := range files {
		top, rest, ok := strings.Cut(f, "/")
		if !ok || top != "train" && top != "test" {
			parts = nil
			break
		}
		parts[top] = append(parts[top], rest)
	}
	d := &Data{}
	if len(parts["train"]) == 0 {
		f, skipped, err := loadFolder(ctx, dir, files, opt, fit, table, Info{Name: dir}, opt.N)
		if err != nil {
			return nil, err
		}
		d.Train, d.Skipped = f, skipped
		return d, nil
	}
	f, skipped, err := loadFolder(ctx, filepath.Join(dir, "train"), parts["train"], opt, fit, table, Info{Name: dir}, opt.N)
	if err != nil {
		return nil, err
	}
	d.Train, d.Skipped = f, skipped
	if len(parts["test"]) > 0 {
		opt.Channels, opt.Height, opt.Width = f.info.Channels, f.info.Height, f.info.Width
		t, skipped, err := loadFolder(ctx, filepath.Join(dir, "test"), parts["test"], opt, fit, table, f.info, 0)
		if err != nil {
			return nil, err
		}
		d.Test, d.Skipped = t, append(d.Skipped, skipped...)
	}
	return d, nil
}

// listImages returns the slash-separated paths of the images below dir, sorted.
func listImages(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), ".") && file != dir && e.Name() != "." {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if isImage(file) && e.Type().IsRegular() {
			rel, err := filepath.Rel(dir, file)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// isImage reports whether a file's extension is that of an image.
func isImage(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".pgm", ".ppm", ".pnm":
		return true
	}
	return false
}

// tableOf reads the label file that the options name, if they do.
func tableOf(opt Options) (labelTable, error) {
	if opt.Labels == "" {
		return nil, nil
	}
	return readLabels(opt.Labels)
}

// loadFolder decodes every file once, to know which are good and what they contain; with a
// positive limit, the number of images, only as many as it takes. info may bring the classes
// of the training set.
func loadFolder(ctx context.Context, dir string, files []string, opt Options, fit imageio.Fit, table labelTable, info Info, limit int) (*folder, []string, error) {
	f := &folder{fit: fit, maxPixels: opt.MaxPixels, tiled: opt.Tiles}
	info.Channels, info.Height, info.Width = opt.Channels, opt.Height, opt.Width
	if info.Height == 0 {
		info.Height, info.Width = folderSide, folderSide
	}
	if info.Channels == 0 {
		info.Channels = 3
		if imageio.IsGrey(firstImage(dir, files, opt.MaxPixels)) {
			info.Channels = 1
		}
	}
	f.info = info
	memory := opt.MemoryLimit
	if memory == 0 {
		memory = folderMemory
	}

	type result struct {
		pix  [][]uint8 // nil elements are read again
		sums [][sha256.Size]byte
		err  error
	}
	results := make([]result, len(files))
	work := make(chan int)
	var mu sync.Mutex
	var done, kept int64
	var found int // images
	var wg sync.WaitGroup
	for range folderWorkers {
		wg.Go(func() {
			for i := range work {
				pix, err := f.decode(filepath.Join(dir, filepath.FromSlash(files[i])))
				results[i] = result{pix: pix, err: err}
				for _, p := range pix {
					results[i].sums = append(results[i].sums, sha256.Sum256(p))
				}
				mu.Lock()
				for k, p := range pix {
					if kept += int64(len(p)); kept > memory {
						pix[k] = nil
					}
				}
				done++
				found += len(pix)
				if opt.Progress != nil {
					opt.Progress(info.Name, done, int64(len(files)))
				}
				mu.Unlock()
			}
		})
	}
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return limit > 0 && found >= limit
	}
	for i := range files {
		// Files are handed out in their order, so the first images are among those found.
		if ctx.Err() != nil || enough() {
			break
		}
		work <- i
	}
	close(work)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("dataset: %s: %w", dir, err)
	}

	var skipped, good []string
	h := sha256.New()
	fmt.Fprintf(h, "aekit folder 1\n%d %d %d\n", info.Channels, info.Height, info.Width)
	for i, r := range results {
		if limit > 0 && len(good) == limit {
			break
		}
		if r.err != nil {
			skipped = append(skipped, r.err.Error())
			continue
		}
		for k := range r.pix {
			if limit > 0 && len(good) == limit {
				break
			}
			good = append(good, files[i])
			f.files, f.part = append(f.files, filepath.Join(dir, filepath.FromSlash(files[i]))), append(f.part, k)
			f.pix = append(f.pix, r.pix[k])
			h.Write(r.sums[k][:])
		}
	}
	if len(good) == 0 {
		return nil, nil, fmt.Errorf("dataset: none of the %d images in %s can be read: %s", len(files), dir, skipped[0])
	}
	if err := f.classify(good, table); err != nil {
		return nil, nil, err
	}
	fmt.Fprintln(h, f.labels)
	f.digest = hex.EncodeToString(h.Sum(nil))
	return f, skipped, nil
}

// firstImage returns the first image that can be decoded, or nil.
func firstImage(dir string, files []string, maxPixels int64) image.Image {
	for _, name := range files {
		if img, err := imagefile.DecodeFile(filepath.Join(dir, filepath.FromSlash(name)), maxPixels); err == nil {
			return img
		}
	}
	return nil
}

// classify sets labels from the table, or else from the first subfolder of each path.
func (f *folder) classify(files []string, table labelTable) error {
	names := folderClasses(files)
	if table != nil {
		var err error
		if names, err = table.named(files); err != nil {
			return err
		}
	}
	if names == nil {
		f.info.Classes = nil
		return nil
	}
	f.labels, f.info.Classes = number(names, f.info.Classes)
	return nil
}

// decode reads a file as pixels of the wanted size: one image, or its tiles.
func (f *folder) decode(path string) ([][]uint8, error) {
	img, err := imagefile.DecodeFile(path, f.maxPixels)
	if err != nil {
		return nil, err
	}
	p, err := imageio.FromImage(img, f.info.Channels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	parts := []*imageio.Planar{p}
	if f.tiled && p.W >= f.info.Width && p.H >= f.info.Height {
		if parts, err = tiles(p, f.info.Width, f.info.Height); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	out := make([][]uint8, len(parts))
	for i, p := range parts {
		if p, err = convert(p, f.info, f.fit); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out[i] = p.Pix
	}
	return out, nil
}

// tiles cuts an image into as many parts of a size as it holds beside each other, row by
// row, from the middle of what they leave over.
func tiles(p *imageio.Planar, w, h int) ([]*imageio.Planar, error) {
	var out []*imageio.Planar
	nx, ny := p.W/w, p.H/h
	for y := range ny {
		for x := range nx {
			t, err := p.Crop((p.W-nx*w)/2+x*w, (p.H-ny*h)/2+y*h, w, h)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		}
	}
	return out, nil
}

func (f *folder) Info() Info              { return f.info }
func (f *folder) Len() int                { return len(f.files) }
func (f *folder) Digest() (string, error) { return f.digest, nil }

func (f *folder) Read(ctx context.Context, index []int, dst []float32, labels []int) error {
	if err := checkRead(f.info, len(f.files), index, dst, labels); err != nil {
		return err
	}
	size := f.info.Elems()
	for k, i := range index {
		if err := ctx.Err(); err != nil {
			return err
		}
		pix := f.pix[i]
		if pix == nil {
			parts, err := f.decode(f.files[i])
			if err != nil {
				return fmt.Errorf("dataset: file changed since the folder was opened: %w", err)
			}
			if f.part[i] >= len(parts) || len(parts[f.part[i]]) != size {
				return fmt.Errorf("dataset: %s has changed its size since the folder was opened", f.files[i])
			}
			pix = parts[f.part[i]]
		}
		for j, b := range pix {
			dst[k*size+j] = byteLevels[b]
		}
		if labels != nil {
			labels[k] = -1
			if f.labels != nil {
				labels[k] = f.labels[i]
			}
		}
	}
	return nil
}
