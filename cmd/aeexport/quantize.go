package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/quant/qat"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
)

// quantOptions are the flags of quantisation.
type quantOptions struct {
	form        string
	from        string
	calibration string
	images      int
	method      string
	percentile  float64
	activations string
	reduceRange bool
	perTensor   bool
	keep        []string
	maxLoss     string
	loss        float64
	metric      string
	anomalous   []int
	cache       string
	format      string
	equalize    bool
	correct     bool
	adaround    bool
	qat         int
	qatLR       float64
}

// Forms of quantised models.
const (
	formInt8    = "int8"
	formWeights = "int8-weights"
	formFloat16 = "float16"
)

// formatDynamic is the --format of int8 models that choose the scales of activations while
// they run.
const formatDynamic = "dynamic"

func (q *quantOptions) add(all *cli.Flags) {
	all.Section(tuneFlags).StringVar(&q.from, "from", "", "ONNX `FILE` to start from: with --quantize it is quantised, else its weights are trained further")
	fs := all.Section(quantFlags)
	fs.StringVar(&q.form, "quantize", "", "write a smaller model too: int8, int8-weights (activations stay float32) or float16 (weights)")
	cli.Choices(fs, "quantize", formInt8, formWeights, formFloat16)
	fs.StringVar(&q.calibration, "calibration", "", "images to calibrate with: `DATA` as for --data, or a folder of .npy or .pb files; the training images if not given")
	fs.IntVar(&q.images, "calibration-images", 1000, "use the first `N` images for calibration; 0: all")
	fs.StringVar(&q.cache, "calibration-cache", "", "`FILE` to keep the result of calibration in; used if it is there and of the same model")
	fs.StringVar(&q.method, "calibration-method", "minmax", "minmax, moving-average, percentile, entropy or mse")
	cli.Choices(fs, "calibration-method", "minmax", "moving-average", "percentile", "entropy", "mse")
	fs.Float64Var(&q.percentile, "percentile", 0.9999, "share of the values that the range covers, for --calibration-method percentile")
	fs.StringVar(&q.activations, "activations", "u8", "type of activations: u8 or s8")
	cli.Choices(fs, "activations", "u8", "s8")
	fs.BoolVar(&q.reduceRange, "reduce-range", false, "7-bit weights, for other runtimes on processors that saturate (AVX2 without VNNI)")
	fs.BoolVar(&q.perTensor, "per-tensor", false, "one scale for all output channels of a weight tensor")
	fs.StringSliceVar(&q.keep, "keep-float", nil, "`NAMES` of nodes that stay float32")
	fs.StringVar(&q.format, "format", "qdq", "how int8 models are written: qdq, qoperator, or dynamic, which needs no calibration")
	cli.Choices(fs, "format", "qdq", "qoperator", formatDynamic)
	fs.BoolVar(&q.equalize, "equalize", false, "bring the channels of layers that follow each other to one range first")
	fs.BoolVar(&q.correct, "bias-correction", false, "take the mean error of rounded weights off the biases")
	fs.BoolVar(&q.adaround, "adaround", false, "round each weight up or down by what that does to the outputs, instead of to the nearest")
	fs.IntVar(&q.qat, "qat", 0, "train for `N` more epochs with weights and activations rounded as in int8")
	fs.Float64Var(&q.qatLR, "qat-lr", 0, "learning rate of --qat; 0: a tenth of that of training")
	fs.StringVar(&q.maxLoss, "max-loss", "", "keep the most harmful layers float32 until the loss by --metric is at most this `SHARE`, for example 1%")
	fs.StringVar(&q.metric, "metric", "mse", "what --max-loss bounds: mse, the growth of the reconstruction's error; psnr, its loss in dB; cosine, 1 less that of the latents; auc, the loss of the area under the curve of anomaly detection")
	fs.IntSliceVar(&q.anomalous, "anomalous", nil, "`LABELS` of the images that are anomalies, for --metric auc")
}

func (q *quantOptions) check(given map[string]bool) error {
	switch q.form {
	case "", formInt8, formWeights, formFloat16:
	default:
		return usagef("--quantize %q: want int8, int8-weights or float16", q.form)
	}
	if q.form == "" {
		for _, name := range []string{"calibration", "calibration-images", "calibration-cache", "calibration-method", "percentile", "activations", "reduce-range", "per-tensor", "keep-float", "max-loss",
			"format", "equalize", "bias-correction", "adaround", "qat", "qat-lr", "metric", "anomalous"} {
			if given[name] {
				return usagef("--%s needs --quantize", name)
			}
		}
		return nil
	}
	if _, err := quant.ParseMethod(q.method); err != nil {
		return cli.UsageError{Msg: err.Error()}
	}
	if _, err := quant.ParseMetric(q.metric); err != nil {
		return cli.UsageError{Msg: err.Error()}
	}
	if _, err := quant.ParseFormat(q.format); err != nil && q.format != formatDynamic {
		return usagef("--format %q: want qdq, qoperator or dynamic", q.format)
	}
	if q.qat < 0 || !(q.qatLR >= 0) {
		return usagef("--qat %d --qat-lr %g: want positive numbers", q.qat, q.qatLR)
	}
	if !q.static() {
		for _, name := range []string{"qat", "adaround", "bias-correction", "max-loss"} {
			if given[name] {
				return usagef("--%s needs --quantize int8 in a format with calibrated activations", name)
			}
		}
	}
	if quant.Metric(q.metric) == quant.ByAUC && len(q.anomalous) == 0 {
		return usagef("--metric auc needs --anomalous LABELS")
	}
	if q.activations != "u8" && q.activations != "s8" {
		return usagef("--activations %q: want u8 or s8", q.activations)
	}
	if q.images < 0 || !(q.percentile > 0.5 && q.percentile <= 1) {
		return usagef("--calibration-images %d --percentile %g: want a number of images and a share between 0.5 and 1", q.images, q.percentile)
	}
	if q.maxLoss != "" {
		s, percent := strings.CutSuffix(q.maxLoss, "%")
		if _, err := fmt.Sscanf(s+"\n", "%g\n", &q.loss); err != nil || !(q.loss >= 0) || math.IsInf(q.loss, 0) {
			return usagef("--max-loss %q: want a share such as 1%% or 0.01", q.maxLoss)
		}
		if percent {
			q.loss /= 100
		}
	}
	return nil
}

// options returns the flags as the library takes them.
func (q *quantOptions) options() quant.Options {
	method, _ := quant.ParseMethod(q.method)
	o := quant.Options{BiasCorrection: q.correct, Method: method, Percentile: q.percentile, Signed: q.activations == "s8", ReduceRange: q.reduceRange, PerTensor: q.perTensor}
	if q.static() {
		o.Format = quant.Format(q.format)
	}
	return o.Keep(q.keep...)
}

// static reports whether activations are quantised with scales from a calibration.
func (q *quantOptions) static() bool { return q.form == formInt8 && q.format != formatDynamic }

// quantizeFile is `aeexport --from`.
func (j *job) quantizeFile(ctx context.Context) error {
	m, err := onnx.ReadFile(j.quant.from, onnx.DecodeOptions{})
	if err != nil {
		return err
	}
	return j.quantize(ctx, m, j.quant.from, j.model)
}

// quantize writes the quantised form of a model, whose file is from, to path.
func (j *job) quantize(ctx context.Context, m *onnx.Model, from, path string) error {
	if len(m.Graph.Inputs) == 0 {
		return fmt.Errorf("%s: the model has no inputs", from)
	}
	data := j.calibrating
	if data == nil {
		var err error
		if data, err = j.calibrationData(ctx, m); err != nil {
			return err
		}
	}
	rep := &quantReport{From: filepath.Base(from), Form: j.quant.form, Method: "none"}
	done, err := j.quantized(ctx, m, data, rep)
	if err != nil {
		return err
	}
	ro := runtime.Options{Threads: j.threads}
	if err := rep.identify(ctx, done, ro); err != nil {
		return err
	}
	if err := annotate(done, rep, j.quant, data.count); err != nil {
		return err
	}
	if err := onnx.WriteFile(path, done); err != nil {
		return err
	}
	if err := j.signing.file(path); err != nil {
		return err
	}
	for i, name := range []string{from, path} {
		st, err := os.Stat(name)
		if err != nil {
			return err
		}
		rep.Bytes[i] = st.Size()
	}
	j.out.wrote(path, fmt.Sprintf("%s, %.1f%% of the bytes, error %+.2f%%", rep.Form, 100*float64(rep.Bytes[1])/float64(rep.Bytes[0]), 100*rep.Loss))
	base := strings.TrimSuffix(path, filepath.Ext(path))
	if err := atomicfile.WriteFile(base+".json", func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rep)
	}); err != nil {
		return err
	}
	j.out.wrote(base+".json", "report")
	if !j.noPicture {
		ok, err := writeComparison(ctx, base+".png", m, done, data.evaluation(probeSize), ro)
		if err != nil {
			return err
		}
		if ok {
			j.out.wrote(base+".png", "images, reconstructions before and after, and 8 times their difference")
		}
	}
	if !j.quiet && !j.json {
		rep.print(j.out.stdout)
	}
	return nil
}

// quantized returns the quantised form of a model and fills the report but for the file.
func (j *job) quantized(ctx context.Context, m *onnx.Model, data *calibrationData, rep *quantReport) (done *onnx.Model, err error) {
	o := j.quant.options()
	ro := runtime.Options{Threads: j.threads}
	evaluation := data.evaluation(evaluationImages)
	start := m // what is quantised, where weights change before
	if j.quant.equalize {
		if start, rep.Equalized, err = quant.Equalize(m); err != nil {
			return nil, err
		}
	}
	var r *quant.Report
	switch {
	case j.quant.form == formWeights:
		done, r, err = quant.WeightsInt8(start, o)
	case j.quant.form == formFloat16:
		done, r, err = quant.WeightsFloat16(start, o)
	case !j.quant.static():
		done, r, err = quant.Dynamic(start, o)
	default:
		var cal *quant.Calibration
		if cal, err = j.calibrate(ctx, start, data, ro); err != nil {
			return nil, err
		}
		if j.quant.qat > 0 {
			if start, cal, o, err = j.trainQuantized(ctx, start, cal, o, data, ro); err != nil {
				return nil, err
			}
			rep.QATEpochs = j.quant.qat
		}
		if j.quant.adaround {
			src, err := data.calibration(j.quant.images)()
			if err != nil {
				return nil, err
			}
			if o.Rounding, err = quant.Correlate(ctx, start, src, ro); err != nil {
				return nil, err
			}
		}
		if j.quant.maxLoss != "" {
			if rep.KeptFloat, err = quant.WithinLoss(ctx, start, cal, o, quant.Metric(j.quant.metric), j.quant.loss, evaluation, ro); err != nil {
				return nil, err
			}
			o = o.Keep(rep.KeptFloat...)
		}
		if rep.Sensitivity, err = quant.Sensitivities(ctx, start, cal, o, evaluation, ro); err != nil {
			return nil, err
		}
		if done, r, err = quant.Quantize(start, cal, o); err != nil {
			return nil, err
		}
		rep.Format = j.quant.format
		// The table of tensors is that of the QDQ form, whose values have the model's names.
		twin := o
		twin.Format = quant.QDQ
		pairs, _, err := quant.Quantize(start, cal, twin)
		if err != nil {
			return nil, err
		}
		inside, err := evaluate(ctx, start, pairs, evaluation, true, ro)
		if err != nil {
			return nil, err
		}
		rep.Tensors = inside.Tensors
	}
	if err != nil {
		return nil, err
	}
	rep.Method, rep.Layers = r.Method, r.Layers
	if rep.Evaluation, err = evaluate(ctx, m, done, evaluation, false, ro); err != nil {
		return nil, err
	}
	rep.Loss = rep.Evaluation.Loss()
	return done, nil
}

func evaluate(ctx context.Context, a, b *onnx.Model, inputs quant.Sources, inside bool, ro runtime.Options) (*quant.Evaluation, error) {
	src, err := inputs()
	if err != nil {
		return nil, err
	}
	return quant.Evaluate(ctx, a, b, src, inside, ro)
}

// trainQuantized is --qat. The calibration that it returns is of the model that it returns.
func (j *job) trainQuantized(ctx context.Context, m *onnx.Model, cal *quant.Calibration, o quant.Options, data *calibrationData, ro runtime.Options) (*onnx.Model, *quant.Calibration, quant.Options, error) {
	fail := func(err error) (*onnx.Model, *quant.Calibration, quant.Options, error) { return nil, nil, o, err }
	if data.images == nil {
		return fail(usagef("--qat needs images to train with: --data"))
	}
	cfg, err := j.qatConfig(m, data)
	if err != nil {
		return fail(err)
	}
	r, err := qat.Train(ctx, m, cal, o, cfg)
	if err != nil {
		return fail(err)
	}
	src, err := data.calibration(j.quant.images)()
	if err != nil {
		return fail(err)
	}
	cal, err = quant.Calibrate(ctx, r.Model, src, ro)
	return r.Model, cal, r.Options, err
}

// qatConfig is how the model was trained but for length and rate; of a file, how its kind is
// trained unless it says otherwise.
func (j *job) qatConfig(m *onnx.Model, data *calibrationData) (train.Config, error) {
	var cfg train.Config
	switch {
	case j.used != nil:
		cfg = *j.used
	default:
		if j.preset.Name == "" {
			d, err := train.Describe(m)
			if err != nil {
				return cfg, fmt.Errorf("--qat: %w", err)
			}
			recipe := arch.Recipe{Objective: "mse", Epochs: tuneEpochs, Batch: tuneBatch, LR: 10 * tuneRate}
			if d.Kind == meta.KindVAE {
				recipe.Objective = "elbo"
			}
			j.preset = arch.Preset{Name: filepath.Base(j.quant.from), Recipe: recipe}
		}
		if j.data == nil {
			j.data = data.images
		}
		var err error
		if cfg, err = j.trainConfig(m); err != nil {
			return cfg, err
		}
	}
	cfg.Epochs, cfg.LR = j.quant.qat, cfg.LR/10
	if j.quant.qatLR > 0 {
		cfg.LR = j.quant.qatLR
	}
	cfg.Schedule, cfg.Warmup, cfg.EMA, cfg.Checkpoint = train.Cosine{}, 0, 0, ""
	cfg.OnStep, cfg.OnEpoch = j.out.step, nil
	epochs := cfg.Epochs
	cfg.OnEpoch = func(e train.Epoch) {
		j.out.note("int8 epoch %d/%d  %s  %.1f s", e.Epoch, epochs, losses(e.Train), e.Seconds)
	}
	return cfg, nil
}
