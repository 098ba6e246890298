package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/runtime/ort"
)

// Titles of the sections of flags.
const (
	verbFlags    = "Flags"
	pictureFlags = "Pictures"
	modelSection = "What the model does not say of itself"
	runFlags     = "Execution"
)

// flags returns an empty set of flags for the verb, and its section of the verb's own.
func (a *app) flags() (*cli.Flags, *pflag.FlagSet) {
	all := cli.NewFlags("aerun " + a.verb.name)
	return all, all.Section(verbFlags)
}

// parse reads the command line. The remaining arguments number at least low and, unless it
// is negative, at most high.
func (a *app) parse(fs *cli.Flags, args []string, low, high int) ([]string, error) {
	help := fs.Section(runFlags).BoolP("help", "h", false, "show this text")
	ver := fs.Section(runFlags).Bool("version", false, "print the version")
	if a.listing != nil {
		*a.listing = fs
		return nil, errHelp
	}
	if err := fs.Parse(args); err != nil {
		return nil, usagef("%s: %v; `aerun %s --help` lists the flags", a.verb.name, err, a.verb.name)
	}
	switch {
	case *help:
		short := strings.ToUpper(a.verb.short[:1]) + a.verb.short[1:]
		fmt.Fprintf(a.stdout, "Usage: aerun %s [flags] %s\n\n%s.\n\n%s%s", a.verb.name, a.verb.args, short, a.verb.more, fs.Help())
		return nil, errHelp
	case *ver:
		fmt.Fprintln(a.stdout, versionLine())
		return nil, errHelp
	}
	rest := fs.Args()
	switch {
	case len(rest) < low:
		return nil, usagef("%s: too few arguments; usage: aerun %s [flags] %s", a.verb.name, a.verb.name, a.verb.args)
	case high >= 0 && len(rest) > high:
		return nil, usagef("%s: unexpected argument %q; usage: aerun %s [flags] %s", a.verb.name, rest[high], a.verb.name, a.verb.args)
	}
	return rest, nil
}

// sessionFlags say how a model is executed.
type sessionFlags struct {
	backend  string
	ortLib   string
	threads  int
	external bool
	// verifyKey is a file with the public key that models must be signed with; "": any model.
	verifyKey string
}

func (f *sessionFlags) add(all *cli.Flags) {
	fs := all.Section(runFlags)
	fs.StringVar(&f.backend, "backend", "native", "what executes the model: native or ort (ONNX Runtime)")
	cli.Choices(fs, "backend", "native", "ort")
	fs.IntVar(&f.threads, "threads", 0, "threads of one run; 0: as many as the process may use")
	f.addShared(all)
}

func (f *sessionFlags) addShared(all *cli.Flags) {
	fs := all.Section(runFlags)
	fs.StringVar(&f.ortLib, "ort-lib", "", "shared library (`FILE`) of ONNX Runtime, for --backend ort; the one that AEKIT_ORT_LIB names if not given")
	fs.BoolVar(&f.external, "external-data", false, "let the model read weights from other files in its folder")
	fs.StringVar(&f.verifyKey, "verify-key", "", "refuse models that are not signed with the key to this ed25519 public key (a PEM `FILE`)")
}

// options returns the runtime options for the model in a folder, and a function that
// releases them.
func (f *sessionFlags) options(backend, dir string, threads int) (runtime.Options, func(), error) {
	o := runtime.Options{Threads: threads}
	done := func() {}
	if threads < 0 {
		return o, nil, usagef("--threads %d is negative", threads)
	}
	switch backend {
	case "native":
	case "ort":
		b, err := ort.New(ort.Options{Library: f.ortLib})
		if err != nil {
			return o, nil, err
		}
		o.Backend = b
	default:
		return o, nil, usagef("unknown backend %q, want native or ort", backend)
	}
	if f.external {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return o, nil, err
		}
		o.ExternalData = root.FS()
		done = func() { root.Close() }
	}
	return o, done, nil
}

// open loads the model in a file.
func (f *sessionFlags) open(path string) (*runtime.Session, error) {
	o, done, err := f.options(f.backend, filepath.Dir(path), f.threads)
	if err != nil {
		return nil, err
	}
	defer done()
	return f.openSession(path, o)
}

// modelFlags say what a model does not say of itself.
type modelFlags struct {
	sessionFlags
	size, rng string
	label     int
	fs        *cli.Flags
	o         autoencoder.Options
}

func (f *modelFlags) add(all *cli.Flags) {
	f.addNames(all)
	fs := all.Section(modelSection)
	fs.StringVar(&f.o.Layout, "layout", "", "order of the image tensor: NCHW, NHWC or flat")
	fs.StringVar(&f.rng, "range", "", "numbers for black and white as `LOW,HIGH`, for example -1,1")
	cli.Choices(fs, "layout", "NCHW", "NHWC", "flat")
	fs = all.Section(runFlags)
	fs.StringVar(&f.o.Fit, "fit", "stretch", "images of other proportions: stretch, cover or contain")
	cli.Choices(fs, "fit", "stretch", "cover", "contain")
	fs.IntVar(&f.label, "label", 0, "class label for conditional models")
	fs.IntVar(&f.o.Batch, "batch", 0, "images of one run at most; 0: 64")
	f.sessionFlags.add(all)
}

// addNames adds the flags that say what the values of a model mean.
func (f *modelFlags) addNames(all *cli.Flags) {
	f.fs = all
	fs := all.Section(modelSection)
	fs.StringVar(&f.o.Input, "input", "", "the value that takes images")
	fs.StringVar(&f.o.Latent, "latent", "", "the value that is the latent vector")
	fs.StringVar(&f.o.Output, "output", "", "the value that is the reconstruction")
	fs.StringVar(&f.size, "size", "", "size of images as `WxH`")
	fs.IntVar(&f.o.Channels, "channels", 0, "1 for grey, 3 for colour")
}

// options returns the flags as options of package autoencoder.
func (f *modelFlags) options() (autoencoder.Options, error) {
	o := f.o
	if f.size != "" {
		w, h, err := cli.Size("--size", f.size)
		if err != nil {
			return o, err
		}
		o.Width, o.Height = w, h
	}
	if f.rng != "" {
		lo, hi, ok := strings.Cut(f.rng, ",")
		a, err1 := strconv.ParseFloat(strings.TrimSpace(lo), 32)
		b, err2 := strconv.ParseFloat(strings.TrimSpace(hi), 32)
		if !ok || errors.Join(err1, err2) != nil || !(b > a) {
			return o, usagef("--range %q: want two numbers LOW,HIGH, the smaller one first", f.rng)
		}
		o.Range = [2]float32{float32(a), float32(b)}
	}
	if o.Channels != 0 && o.Channels != 1 && o.Channels != 3 {
		return o, usagef("--channels %d, want 1 or 3", o.Channels)
	}
	if o.Layout != "" && !slices.Contains([]string{"nchw", "nhwc", "flat"}, strings.ToLower(o.Layout)) {
		return o, usagef("--layout %q, want NCHW, NHWC or flat", o.Layout)
	}
	if !slices.Contains([]string{"stretch", "cover", "contain"}, o.Fit) {
		return o, usagef("--fit %q, want stretch, cover or contain", o.Fit)
	}
	if o.Batch < 0 {
		return o, usagef("--batch %d is negative", o.Batch)
	}
	return o, nil
}

// load returns the autoencoder in a file, or the smallest built-in model for "".
func (f *modelFlags) load(path string) (*autoencoder.Model, error) {
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	var m *autoencoder.Model
	if path == "" {
		m, err = f.loadEmbedded(o)
	} else {
		ro, done, err2 := f.sessionFlags.options(f.backend, filepath.Dir(path), f.threads)
		if err2 != nil {
			return nil, err2
		}
		defer done()
		m, err = f.openModel(path, ro, o)
	}
	if errors.Is(err, autoencoder.ErrNoSize) {
		err = fmt.Errorf("%w: give --size WxH", err)
	}
	if err != nil {
		return nil, err
	}
	if f.fs.Changed("label") {
		if m.Info().Label == "" {
			m.Close()
			return nil, named(path, errors.New("--label: the model takes no label"))
		}
		m = m.WithLabel(f.label)
	}
	return m, nil
}

// batch is how many images a verb handles at a time.
func (f *modelFlags) batch() int {
	if f.o.Batch > 0 {
		return f.o.Batch
	}
	return 64
}
