package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
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
	anomaly     float64
	pictureRows int
	json        bool
	quiet       bool
	list        bool
	version     bool
	help        bool
	completion  string
	given       map[string]bool // flags on the command line or in the configuration
	typed       map[string]bool // flags on the command line
	flags       *cli.Flags
	config      string // file of flags
	quant       quantOptions
	source      dataOptions
	monitor     monitorOptions
	tune        tuneOptions
	zoo         zooOptions
	report      reportOptions
	signing     signOptions
}

// Titles of the sections of flags.
const (
	archFlags   = "Architecture"
	dataFlags   = "Images"
	trainFlags  = "Training"
	watchFlags  = "Watching"
	fileFlags   = "Files"
	quantFlags  = "Quantisation"
	tuneFlags   = "Models of others"
	reportFlags = "Report"
	otherFlags  = "Other"
)

func newFlags(o *options, size, hidden *string) *cli.Flags {
	all := cli.NewFlags("aeexport")
	fs := all.Section(archFlags)
	fs.StringVar(&o.preset, "arch", arch.Default, "architecture; --list describes them")
	fs.BoolVar(&o.list, "list", false, "list the architectures and their defaults; with --quiet only their names")
	fs.StringVar(hidden, "hidden", "", "`WIDTHS` of the encoder's hidden layers, from the image inwards, for example 400 or 64,32")
	fs.IntVar(&o.latent, "latent", 0, "size of the latent vector; 0: the architecture's")

	fs = all.Section(dataFlags)
	fs.StringVar(&o.data, "data", "digits", "training images (`DATA`): digits (built in), mnist, fashion-mnist, cifar10, a folder of images, or of tar files of images, or such a file")
	fs.StringVar(&o.dataDir, "data-dir", "", "`DIR` with the files of mnist, fashion-mnist or cifar10")
	fs.IntVar(&o.images, "images", 0, "use the first `N` training images; 0: all")
	fs.StringVar(size, "size", "", "`WxH`: resize the images")
	fs.IntVar(&o.channels, "channels", 0, "1 for grey, 3 for colour; 0: as the images are")
	o.source.add(all)
	fs.Float64Var(&o.val, "val-fraction", 0, "share of the training images to validate on instead of training")

	fs = all.Section(trainFlags)
	fs.IntVar(&o.epochs, "epochs", 0, "passes over the images; 0: the architecture's")
	fs.IntVar(&o.steps, "steps", 0, "stop after `N` steps, for trying things out; 0: no limit")
	fs.IntVar(&o.batch, "batch", 0, "images a step; 0: the architecture's")
	fs.Float64Var(&o.lr, "lr", 0, "learning rate; 0: the architecture's")
	fs.StringVar(&o.objective, "objective", "", "`NAME` or NAME:SETTING=VALUE,…, for example elbo:likelihood=gaussian,warmup=5; docs/models.md describes them; the architecture's if not given")
	fs.Float64Var(&o.beta, "beta", 0, "weight of the KL term of an ELBO; 0: the architecture's")
	fs.StringVar(&o.optimizer, "optimizer", "adam", "adam, adamw or sgd, or `NAME`:SETTING=VALUE,…, for example adam:beta1=0.5,eps=1e-4; the architecture's if not given")
	fs.StringVar(&o.schedule, "schedule", "constant", "learning rate over time: constant, cosine, tripling or steps:at=EPOCH/EPOCH/…,gamma=FACTOR; the architecture's if not given")
	fs.Float64Var(&o.warmup, "warmup", 0, "epochs over which the learning rate rises from 0")
	fs.Float64Var(&o.clip, "clip", 0, "upper bound of the gradient's norm; 0: none")
	fs.Float64Var(&o.ema, "ema", 0, "decay of a moving average of the weights that becomes the result; 0: none")
	fs.IntVar(&o.patience, "patience", 0, "stop after `N` epochs without a better validation loss; 0: never")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of weights, order, noise and built-in images")
	fs.IntVar(&o.threads, "threads", 0, "threads; 0: as many as the process may use")
	fs.StringVar(&o.checkpoint, "checkpoint", "", "`FILE` to save the state of training in, regularly and when interrupted")
	fs.BoolVar(&o.resume, "resume", false, "continue from the checkpoint if there is one")
	o.monitor.add(all)
	o.zoo.add(all)

	fs = all.Section(watchFlags)
	fs.StringVar(&o.plot, "plot", "", "PNG `FILE` to draw the loss curves in")
	fs.BoolVar(&o.json, "json", false, "print a line of JSON for each epoch on standard output")
	fs.BoolVar(&o.quiet, "quiet", false, "print errors only")
	o.report.add(all.Section(reportFlags))

	fs = all.Section(fileFlags)
	fs.StringVar(&o.config, "config", "", "YAML `FILE` of flags, for example one that was written beside a model; the command line has precedence")
	fs.StringVar(&o.weights, "weights", "", "safetensors `FILE` to take the weights from, instead of training")
	fs.StringVar(&o.saveWeights, "save-weights", "", "safetensors `FILE` to write the weights to")
	fs.BoolVar(&o.split, "split", false, "write encoder and decoder as separate files too")
	fs.StringVar(&o.testdata, "testdata", "", "`DIR` to write the model and test data to, in the layout of the ONNX backend tests")
	fs.IntVar(&o.opset, "opset", export.DefaultOpset, "version of the ONNX operators")
	fs.IntVar(&o.ir, "ir-version", 0, fmt.Sprintf("version of the ONNX format; 0: %d, or what the opset needs", export.DefaultIRVersion))
	fs.BoolVar(&o.noPicture, "no-picture", false, "do not write MODEL.png")
	fs.IntVar(&o.pictureRows, "picture-rows", 6, "rows of generated images in MODEL.png")
	fs.Float64Var(&o.anomaly, "anomaly-quantile", 0, "let the model say from which error on 'aerun score' calls an image unusual: above those of the share `X` of the test images, or else of the validation or training images, for example 0.99; 0: do not")
	o.signing.add(fs)

	o.quant.add(all)
	o.tune.add(all)

	fs = all.Section(otherFlags)
	fs.StringVar(&o.completion, "completion", "", "print the script by which a `SHELL` completes these flags: bash, zsh or fish")
	cli.Choices(fs, "completion", cli.Shells...)
	fs.BoolVar(&o.version, "version", false, "print the version")
	fs.BoolVarP(&o.help, "help", "h", false, "show this text")

	var names []string
	for _, p := range arch.List() {
		names = append(names, p.Name)
	}
	cli.Choices(all.Section(archFlags), "arch", names...)
	cli.Choices(all.Section(dataFlags), "data", dataset.Names()...)
	return all
}

func parse(args []string) (*options, error) {
	o := &options{given: map[string]bool{}}
	var size, hidden string
	fs := newFlags(o, &size, &hidden)
	if err := fs.Parse(args); err != nil {
		return nil, usagef("%v; `aeexport --help` lists the flags", err)
	}
	o.flags = fs
	if o.help || o.version || o.list || o.completion != "" {
		return o, nil
	}
	o.typed = map[string]bool{}
	fs.Visit(func(f *pflag.Flag) { o.typed[f.Name] = true })
	if o.config != "" {
		if err := readConfig(fs.FlagSet, o.config); err != nil {
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
		if o.width, o.height, err = cli.Size("--size", size); err != nil {
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

// notFrom are flags that say what a new model is like, or how it is written: with --from the
// file says so.
var notFrom = []string{"arch", "hidden", "latent", "codes", "weights", "opset", "ir-version"}

// ofTraining are flags that have no effect where nothing is trained, ofTuning those that have
// none in --qat either.
var (
	ofTuning = []string{"checkpoint", "resume", "plot", "metrics", "tensorboard", "log-every", "learning-curve", "find-lr", "time-limit", "steps", "nll",
		"epochs", "schedule", "warmup", "ema"}
	ofTraining = []string{"batch", "lr", "objective", "beta", "optimizer", "clip", "patience", "val-fraction", "freeze", "noise", "augment"}
	// ofNewFiles are flags for files that are written beside a new model, not beside one that
	// is quantised with --from.
	ofNewFiles = []string{"report", "split", "save-weights", "testdata", "picture-rows"}
)

// withoutEffect returns the first flag of the command line that has no effect with the others,
// and why.
func (o *options) withoutEffect() (name, why string) {
	var idle []string
	switch {
	case o.quant.from != "" && o.quant.form != "":
		why, idle = "with --from and --quantize nothing is trained", slices.Concat(ofTuning, ofNewFiles)
	case o.weights != "":
		why, idle = "with --weights nothing is trained", ofTuning
	default:
		return "", ""
	}
	if o.quant.qat == 0 {
		idle = slices.Concat(idle, ofTraining)
	} else {
		why += " but by --qat"
	}
	for _, n := range idle {
		if o.typed[n] {
			return n, why
		}
	}
	return "", ""
}

func (o *options) check() error {
	for _, f := range []struct {
		name  string
		value float64
		below float64 // 0: any number
	}{
		{"epochs", float64(o.epochs), 0}, {"steps", float64(o.steps), 0}, {"batch", float64(o.batch), 0}, {"images", float64(o.images), 0},
		{"latent", float64(o.latent), 0}, {"threads", float64(o.threads), 0}, {"patience", float64(o.patience), 0}, {"codes", float64(o.zoo.codes), 0},
		{"nll", float64(o.zoo.nll), 0}, {"lr", o.lr, 0}, {"beta", o.beta, 0}, {"warmup", o.warmup, 0}, {"clip", o.clip, 0}, {"ema", o.ema, 1}, {"val-fraction", o.val, 1},
		{"anomaly-quantile", o.anomaly, 0},
	} {
		if v := f.value; !(v >= 0) || math.IsInf(v, 0) || f.below > 0 && v >= f.below {
			want := "a number of 0 or more"
			if f.below > 0 {
				want = "a share from 0 to below 1"
			}
			return usagef("--%s %g: want %s", f.name, v, want)
		}
	}
	switch {
	case o.channels != 0 && o.channels != 1 && o.channels != 3:
		return usagef("--channels %d: want 1 or 3", o.channels)
	case o.patience > 0 && o.val == 0:
		return usagef("--patience needs validation images: --val-fraction 0.1")
	case o.pictureRows < 0 || o.pictureRows > 1000:
		return usagef("--picture-rows %d: want 0 to 1000", o.pictureRows)
	case o.anomaly > 1:
		return usagef("--anomaly-quantile %g: want a share from 0 to 1", o.anomaly)
	case o.anomaly > 0 && o.quant.from != "" && o.quant.form != "":
		return usagef("--anomaly-quantile is for models that are trained; a quantised one keeps what its file says")
	case o.resume && o.checkpoint == "":
		return usagef("--resume needs --checkpoint FILE")
	case o.resume && o.weights != "":
		return usagef("--resume continues training, --weights replaces it: give one of them")
	case o.dataDir != "" && !slices.Contains(dataset.Names()[1:], o.data) && !slices.Contains(dataset.Names()[1:], o.quant.calibration):
		return usagef("--data-dir is for --data %s", strings.Join(dataset.Names()[1:], ", "))
	}
	if name, why := o.withoutEffect(); name != "" {
		return usagef("--%s has no effect: %s", name, why)
	}
	if err := (export.Options{Opset: o.opset, IRVersion: o.ir}).Check(); err != nil {
		return cli.UsageError{Msg: err.Error()}
	}
	if from := o.quant.from; from != "" {
		for _, name := range notFrom {
			if o.typed[name] {
				return usagef("--%s is for new models: with --from, %s is what it is", name, from)
			}
		}
		if sameFile(from, o.model) {
			return usagef("%s would be written over itself: name another file than that of --from", from)
		}
	}
	for _, check := range []func() error{func() error { return o.quant.check(o.given) }, o.source.check, o.monitor.check, o.zoo.check, o.report.check, o.signing.check,
		func() error { return o.tune.check(o.given, o.quant.from) }} {
		if err := check(); err != nil {
			return err
		}
	}
	if _, err := arch.Find(o.preset); err != nil {
		return cli.UsageError{Msg: err.Error()}
	}
	if _, err := train.ParseOptimizer(o.optimizer); err != nil {
		return cli.UsageError{Msg: err.Error()}
	}
	if _, err := train.ParseSchedule(o.schedule); err != nil {
		return cli.UsageError{Msg: err.Error()}
	}
	if o.objective != "" {
		if _, err := train.ParseObjective(o.objective, o.beta); err != nil {
			return cli.UsageError{Msg: err.Error()}
		}
	}
	return nil
}

// sameFile reports whether two names are of one file that exists.
func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
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

func helpText() string {
	var o options
	var size, hidden string
	return `Usage: aeexport [flags] MODEL.onnx

Trains an autoencoder and writes it as ONNX, with a picture (MODEL.png) and its
configuration (MODEL.yaml) beside it. Without flags it trains a variational
autoencoder on built-in images of digits.

Examples:
  aeexport model.onnx
  aeexport --list
  aeexport --arch conv-ae --data photos/ --size 64x64 --epochs 20 photos.onnx
  aeexport --data photos/ --val-fraction 0.1 --patience 5 --plot loss.png m.onnx
  aeexport --checkpoint m.ckpt --resume --time-limit 2h --report report m.onnx
  aeexport --quantize int8 m.onnx                # writes m.int8.onnx too
  aeexport --from any.onnx --data photos/ --epochs 5 tuned.onnx
  aeexport --from any.onnx --quantize int8 --calibration photos/ any.int8.onnx
  aeexport --config m.yaml again.onnx

Exit status: 0 on success; 1 if the work failed or was interrupted; 2 for a
command line that makes no sense.
` + newFlags(&o, &size, &hidden).Help()
}

// presets lists the architectures, each with its defaults on a second line, or only their names.
func presets(names bool) string {
	var b strings.Builder
	for _, p := range arch.List() {
		if names {
			b.WriteString(p.Name + "\n")
			continue
		}
		c, r := p.Config, p.Recipe
		fmt.Fprintf(&b, "%-19s %s\n%20s%dx%dx%d, hidden %v, latent %d; %s, %d epochs, batch %d, rate %g\n",
			p.Name, p.Doc, "", c.Width, c.Height, c.Channels, c.Hidden, c.Latent, r.Objective, r.Epochs, r.Batch, r.LR)
	}
	return b.String()
}

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = ""

func versionLine() string { return cli.Version("aeexport", version) }
