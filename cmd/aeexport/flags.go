package main

import (
	"fmt"
	"io"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
)

// options is a parsed command line.
type options struct {
	model string // file to write

	preset      string
	width       int
	height      int
	channels    int
	hidden      []int
	latent      int
	data        string
	dataDir     string
	images      int
	epochs      int
	steps       int
	batch       int
	lr          float64
	beta        float64
	objective   string
	optimizer   string
	schedule    string
	warmup      float64
	clip        float64
	ema         float64
	patience    int
	val         float64
	seed        uint64
	threads     int
	checkpoint  string
	resume      bool
	weights     string
	saveWeights string
	split       bool
	testdata    string
	opset       int
	ir          int
	plot        string
	noPicture   bool
	pictureRows int
	json        bool
	quiet       bool
	list        bool
	version     bool
	help        bool
	given       map[string]bool // flags on the command line
	flags       *pflag.FlagSet
	config      string // file of flags
	quant       quantOptions
	source      dataOptions
	monitor     monitorOptions
	tune        tuneOptions
	zoo         zooOptions
	report      reportOptions
	signing     signOptions
}

func newFlags(o *options, size, hidden *string) *pflag.FlagSet {
	fs := pflag.NewFlagSet("aeexport", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.preset, "arch", arch.Default, "architecture; --list describes them")
	fs.BoolVar(&o.list, "list", false, "list the architectures and their defaults")
	fs.StringVar(&o.config, "config", "", "YAML file of flags, for example one that was written beside a model; the command line has precedence")
	fs.StringVar(&o.data, "data", "digits", "training images: digits (built in), mnist, fashion-mnist, cifar10, a folder of images, or of tar files of images, or such a file")
	fs.StringVar(&o.dataDir, "data-dir", "", "folder with the files of a named data set")
	fs.IntVar(&o.images, "images", 0, "use the first N training images; 0: all")
	o.source.add(fs)
	fs.StringVar(size, "size", "", "WxH: resize the images")
	fs.IntVar(&o.channels, "channels", 0, "1 for grey, 3 for colour; 0: as the images are")
	fs.StringVar(hidden, "hidden", "", "widths of the encoder's hidden layers, from the image inwards, for example 400 or 64,32")
	fs.IntVar(&o.latent, "latent", 0, "size of the latent vector; 0: the architecture's")
	fs.IntVar(&o.epochs, "epochs", 0, "passes over the images; 0: the architecture's")
	fs.IntVar(&o.steps, "steps", 0, "stop after N steps, for trying things out; 0: no limit")
	fs.IntVar(&o.batch, "batch", 0, "images a step; 0: the architecture's")
	fs.Float64Var(&o.lr, "lr", 0, "learning rate; 0: the architecture's")
	fs.StringVar(&o.objective, "objective", "", "NAME or NAME:SETTING=VALUE,…, for example elbo:likelihood=gaussian,warmup=5; docs/models.md describes them; the architecture's if not given")
	fs.Float64Var(&o.beta, "beta", 0, "weight of the KL term of an ELBO; 0: the architecture's")
	fs.StringVar(&o.optimizer, "optimizer", "adam", "adam, adamw or sgd, or NAME:SETTING=VALUE,…, for example adam:beta1=0.5,eps=1e-4; the architecture's if not given")
	fs.StringVar(&o.schedule, "schedule", "constant", "learning rate over time: constant, cosine, tripling or steps:at=EPOCH/EPOCH/…,gamma=FACTOR; the architecture's if not given")
	fs.Float64Var(&o.warmup, "warmup", 0, "epochs over which the learning rate rises from 0")
	fs.Float64Var(&o.clip, "clip", 0, "upper bound of the gradient's norm; 0: none")
	fs.Float64Var(&o.ema, "ema", 0, "decay of a moving average of the weights that becomes the result; 0: none")
	fs.Float64Var(&o.val, "val-fraction", 0, "share of the training images to validate on instead of training")
	fs.IntVar(&o.patience, "patience", 0, "stop after N epochs without a better validation loss; 0: never")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of weights, order, noise and built-in images")
	fs.IntVar(&o.threads, "threads", 0, "threads; 0: as many as the process may use")
	fs.StringVar(&o.checkpoint, "checkpoint", "", "file to save the state of training in, regularly and when interrupted")
	fs.BoolVar(&o.resume, "resume", false, "continue from the checkpoint if there is one")
	o.monitor.add(fs)
	o.report.add(fs)
	fs.StringVar(&o.weights, "weights", "", "safetensors file to take the weights from, instead of training")
	fs.StringVar(&o.saveWeights, "save-weights", "", "safetensors file to write the weights to")
	fs.BoolVar(&o.split, "split", false, "write encoder and decoder as separate files too")
	fs.StringVar(&o.testdata, "testdata", "", "folder to write the model and test data to, in the layout of the ONNX backend tests")
	fs.IntVar(&o.opset, "opset", export.DefaultOpset, "version of the ONNX operators")
	fs.IntVar(&o.ir, "ir-version", 0, fmt.Sprintf("version of the ONNX format; 0: %d, or what the opset needs", export.DefaultIRVersion))
	o.quant.add(fs)
	o.signing.add(fs)
	o.zoo.add(fs)
	o.tune.add(fs)
	fs.StringVar(&o.plot, "plot", "", "PNG file to draw the loss curves in")
	fs.BoolVar(&o.noPicture, "no-picture", false, "do not write MODEL.png")
	fs.IntVar(&o.pictureRows, "picture-rows", 6, "rows of generated images in MODEL.png")
	fs.BoolVar(&o.json, "json", false, "print a line of JSON for each epoch on standard output")
	fs.BoolVar(&o.quiet, "quiet", false, "print errors only")
	fs.BoolVar(&o.version, "version", false, "print the version")
	fs.BoolVarP(&o.help, "help", "h", false, "show this text")
	return fs
}

func parse(args []string) (*options, error) {
	o := &options{given: map[string]bool{}}
	var size, hidden string
	fs := newFlags(o, &size, &hidden)
	if err := fs.Parse(args); err != nil {
		return nil, usagef("%v; `aeexport --help` lists the flags", err)
	}
	o.flags = fs
	if o.help || o.version || o.list {
		return o, nil
	}
	if o.config != "" {
		if err := readConfig(fs, o.config); err != nil {
			return nil, err
		}
	}
	fs.Visit(func(f *pflag.Flag) { o.given[f.Name] = true })
	if fs.NArg() != 1 {
		return nil, usagef("want one file to write, have %d; usage: aeexport [flags] MODEL.onnx", fs.NArg())
	}
	o.model = fs.Arg(0)
	if ext := filepath.Ext(o.model); ext != ".onnx" {
		return nil, usagef("%s: the name of the model must end in .onnx", o.model)
	}
	var err error
	if size != "" {
		if o.width, o.height, err = parseSize(size); err != nil {
			return nil, err
		}
	}
	if hidden != "" {
		if o.hidden, err = parseInts(hidden); err != nil {
			return nil, usagef("--hidden %q: want numbers separated by commas", hidden)
		}
	}
	return o, o.check()
}

func (o *options) check() error {
	switch {
	case o.channels != 0 && o.channels != 1 && o.channels != 3:
		return usagef("--channels %d: want 1 or 3", o.channels)
	case o.val < 0 || o.val >= 1:
		return usagef("--val-fraction %g: want a share from 0 to below 1", o.val)
	case o.patience > 0 && o.val == 0:
		return usagef("--patience needs validation images: --val-fraction 0.1")
	case o.epochs < 0 || o.batch < 0 || o.lr < 0 || o.latent < 0 || o.steps < 0 || o.images < 0 || o.threads < 0 || o.patience < 0 || o.beta < 0:
		return usagef("a negative number makes no sense for --epochs, --steps, --batch, --lr, --latent, --images, --threads, --patience or --beta")
	case o.pictureRows < 0 || o.pictureRows > 1000:
		return usagef("--picture-rows %d: want 0 to 1000", o.pictureRows)
	case o.resume && o.checkpoint == "":
		return usagef("--resume needs --checkpoint FILE")
	case o.resume && o.weights != "":
		return usagef("--resume continues training, --weights replaces it: give one of them")
	}
	for _, check := range []func() error{func() error { return o.quant.check(o.given) }, o.source.check, o.monitor.check, o.zoo.check, o.report.check, o.signing.check,
		func() error { return o.tune.check(o.given, o.quant.from) }} {
		if err := check(); err != nil {
			return err
		}
	}
	if _, err := arch.Find(o.preset); err != nil {
		return usageError{err.Error()}
	}
	if _, err := train.ParseOptimizer(o.optimizer); err != nil {
		return usageError{err.Error()}
	}
	if _, err := train.ParseSchedule(o.schedule); err != nil {
		return usageError{err.Error()}
	}
	if o.objective != "" {
		if _, err := train.ParseObjective(o.objective, o.beta); err != nil {
			return usageError{err.Error()}
		}
	}
	return nil
}

func parseSize(s string) (w, h int, err error) {
	a, b, ok := strings.Cut(strings.ToLower(s), "x")
	if w, err = strconv.Atoi(a); err == nil && ok {
		h, err = strconv.Atoi(b)
	}
	if !ok || err != nil || w < 1 || h < 1 {
		return 0, 0, usagef("--size %q: want WIDTHxHEIGHT, for example 64x64", s)
	}
	return w, h, nil
}

func parseInts(s string) ([]int, error) {
	var out []int
	for _, f := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func printHelp(w io.Writer) {
	var o options
	var size, hidden string
	fmt.Fprintf(w, `Usage: aeexport [flags] MODEL.onnx

Trains an autoencoder and writes it as ONNX, with a picture beside it. Without flags it
trains a variational autoencoder on built-in images of digits.

Flags:
%s`, newFlags(&o, &size, &hidden).FlagUsagesWrapped(100))
}

func printPresets(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range arch.List() {
		c, r := p.Config, p.Recipe
		fmt.Fprintf(tw, "%s\t%s\t(%dx%dx%d, hidden %v, latent %d; %s, %d epochs, batch %d, rate %g)\n",
			p.Name, p.Doc, c.Width, c.Height, c.Channels, c.Hidden, c.Latent, r.Objective, r.Epochs, r.Batch, r.LR)
	}
	tw.Flush()
}

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = ""

func versionLine() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("aeexport %s %s %s/%s", v, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH)
}
