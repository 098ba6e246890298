package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/imageio"
)

// Options say where [Open] finds data and what it makes of it. The zero value is good.
type Options struct {
	// Dir is searched first for the files of a named data set: the folder itself and
	// its subfolders mnist, fashion-mnist, cifar10 …
	Dir string

	// Cache is searched next, and receives downloads, in a subfolder for each data set.
	// "" is the folder aekit in os.UserCacheDir.
	Cache string

	// Width and Height, both or neither, resize the images. Without them images keep
	// their size; digits are 28×28 and those of a folder 64×64.
	Width, Height int

	// Channels is 1 for grey and 3 for colour. With 0 images stay as they are; those of
	// a folder are taken as the first of them is.
	Channels int

	// Fit is what happens when resizing changes the proportions: "cover" (or "", cut
	// from the middle), "contain" (black borders) or "stretch".
	Fit string

	// Tiles cuts each image file of a folder that is large enough into parts of the size, as
	// many as lie beside each other, instead of resizing it. Other data give [ErrNoTiles].
	Tiles bool

	// Seed selects the built-in digits.
	Seed uint64

	// N, if positive, limits the training images to the first N; of the built-in digits
	// it is their number.
	N int

	// MemoryLimit is how many bytes of pixels of a folder are kept; images beyond it are
	// decoded again whenever they are read. 0 means 1 GiB.
	MemoryLimit int64

	// Labels is a CSV file that gives the classes of the images of a folder or of tar files;
	// see [OpenFolder]. "" takes them from the subfolders.
	Labels string

	// MaxPixels limits the size of an image file before it is decoded; 0 means 2^26.
	MaxPixels int64

	// Offline forbids downloads.
	Offline bool

	// Client makes the downloads; nil is one with limits on the waiting time.
	Client *http.Client

	// Mirrors replaces the built-in addresses of a named data set by base addresses, to
	// which "/" and the file name are added.
	Mirrors map[string][]string

	// Progress, if set, is called during downloads and while a folder is read, with the
	// name of the file, or of the folder, and bytes or files done and in all (0 if not
	// known). Calls do not overlap.
	Progress func(name string, done, total int64)
}

// ErrNoTiles says that Options.Tiles was set for data that are not a folder of image files.
var ErrNoTiles = errors.New("dataset: only the image files of a folder can be cut into tiles")

// Names lists the data sets that Open knows by name.
func Names() []string { return []string{"digits", "mnist", "fashion-mnist", "cifar10"} }

// NotFoundError says that a data set is not there and could not be downloaded. Its text
// is one line that says which files to put where.
type NotFoundError struct {
	Name  string   // of the data set
	Files []string // that are missing
	Dir   string   // where they are looked for
	Err   error    // why the download failed; nil with Options.Offline
}

func (e *NotFoundError) Error() string {
	why := "downloads are off"
	if e.Err != nil {
		why = "download failed (" + e.Err.Error() + ")"
	}
	return fmt.Sprintf("dataset: %s: %s; put %s into %s", e.Name, strings.ReplaceAll(why, "\n", " "), strings.Join(e.Files, ", "), e.Dir)
}

func (e *NotFoundError) Unwrap() error { return e.Err }

// Open finds a data set: "digits" (built in, see [NewDigits]), "mnist", "fashion-mnist",
// "cifar10", or the path of a folder of images, or of tar files, or of one such file (see
// [OpenFolder]).
//
// The named ones are looked for in Options.Dir, then in the cache, and are else
// downloaded into the cache; what is downloaded must have the known size and SHA-256.
// Where only the file train-5000.bin.gz, a part of CIFAR-10, is found in Options.Dir, its
// last tenth is the test set.
func Open(ctx context.Context, name string, opt Options) (*Data, error) {
	return open(ctx, name, opt, catalog)
}

func open(ctx context.Context, name string, opt Options, cat []entry) (*Data, error) {
	fit := imageio.Cover
	if opt.Fit != "" {
		var err error
		if fit, err = imageio.ParseFit(opt.Fit); err != nil {
			return nil, fmt.Errorf("dataset: unknown fit %q, want cover, contain or stretch", opt.Fit)
		}
	}
	if (opt.Width > 0) != (opt.Height > 0) || opt.Width < 0 || opt.Height < 0 {
		return nil, fmt.Errorf("dataset: size %dx%d: want both width and height, or neither", opt.Width, opt.Height)
	}
	if opt.Channels != 0 && opt.Channels != 1 && opt.Channels != 3 {
		return nil, fmt.Errorf("dataset: %d channels, want 1 or 3", opt.Channels)
	}
	if opt.N < 0 {
		return nil, fmt.Errorf("dataset: %d training images", opt.N)
	}
	named := slices.IndexFunc(cat, func(e entry) bool { return e.name == name })
	if opt.Labels != "" && (name == "digits" || named >= 0) {
		return nil, fmt.Errorf("dataset: %s has labels of its own", name)
	}
	if opt.Tiles && (name == "digits" || named >= 0) {
		return nil, ErrNoTiles
	}
	if name == "digits" {
		return openDigits(opt)
	}
	if named >= 0 {
		return openNamed(ctx, &cat[named], opt, fit)
	}
	st, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("dataset: no data set or folder %q; the data sets are %s", name, strings.Join(Names(), ", "))
	case err != nil:
		return nil, fmt.Errorf("dataset: %w", err)
	case st.Mode().IsRegular() && isTar(name):
		return openTars(ctx, name, []string{name}, opt, fit)
	case !st.IsDir():
		return nil, fmt.Errorf("dataset: %s is not a folder", name)
	}
	return openFolder(ctx, name, opt, fit)
}

func openDigits(opt Options) (*Data, error) {
	orDefault := func(v, def int) int {
		if v == 0 {
			return def
		}
		return v
	}
	c, h, w := orDefault(opt.Channels, 1), orDefault(opt.Height, digitsSize), orDefault(opt.Width, digitsSize)
	n := orDefault(opt.N, digitsTrain)
	train, err := NewDigits(opt.Seed, n, c, h, w, false)
	if err != nil {
		return nil, err
	}
	test, err := NewDigits(opt.Seed, min(digitsTest, max(1, n/6)), c, h, w, true)
	if err != nil {
		return nil, err
	}
	return &Data{Train: train, Test: test}, nil
}

// openNamed finds a data set of files, or downloads it.
func openNamed(ctx context.Context, e *entry, opt Options, fit imageio.Fit) (*Data, error) {
	var dirs []string
	if opt.Dir != "" {
		dirs = append(dirs, opt.Dir)
		for _, d := range e.dirs {
			dirs = append(dirs, filepath.Join(opt.Dir, d))
		}
	}
	cache := opt.Cache
	if cache == "" {
		if c, err := os.UserCacheDir(); err == nil {
			cache = filepath.Join(c, "aekit")
		}
	}
	var train, test *memory
	var err error
	found := false
	for _, d := range dirs {
		if train, test, found, err = e.find(d, true); found || err != nil {
			break
		}
	}
	if !found && err == nil && cache != "" {
		train, test, found, err = e.find(filepath.Join(cache, e.name), false)
	}
	if err != nil {
		return nil, err
	}
	if !found {
		missing := &NotFoundError{Name: e.name, Dir: opt.Dir}
		for _, f := range e.files {
			missing.Files = append(missing.Files, f.name)
		}
		if missing.Dir == "" {
			missing.Dir = filepath.Join(cache, e.name)
		}
		if opt.Offline {
			return nil, missing
		}
		if cache == "" {
			missing.Err = errors.New("there is no cache folder")
			return nil, missing
		}
		dir := filepath.Join(cache, e.name)
		if err := e.download(ctx, dir, opt); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("dataset: %s: %w", e.name, ctx.Err())
			}
			missing.Err = err
			return nil, missing
		}
		if train, test, found, err = e.find(dir, false); err != nil {
			return nil, err
		} else if !found {
			return nil, fmt.Errorf("dataset: %s: files vanished from %s", e.name, dir)
		}
	}
	return finish(e.name, train, test, opt, fit)
}

// finish applies the options to a data set in memory.
func finish(name string, train, test *memory, opt Options, fit imageio.Fit) (*Data, error) {
	d := &Data{}
	for _, p := range []struct {
		m   *memory
		dst *Source
	}{{train, &d.Train}, {test, &d.Test}} {
		if p.m == nil {
			continue
		}
		if p.m.n == 0 {
			return nil, fmt.Errorf("dataset: %s has no images", name)
		}
		m, err := p.m.reshape(opt.Channels, opt.Height, opt.Width, fit)
		if err != nil {
			return nil, err
		}
		m.info.Name = name
		*p.dst = m
	}
	if opt.N > 0 && opt.N < d.Train.Len() {
		var err error
		if d.Train, err = Range(d.Train, 0, opt.N); err != nil {
			return nil, err
		}
	}
	return d, nil
}
