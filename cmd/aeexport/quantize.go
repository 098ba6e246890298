package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/digest"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
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
	cache       string
}

// Forms of quantised models.
const (
	formInt8    = "int8"
	formWeights = "int8-weights"
	formFloat16 = "float16"
)

func (q *quantOptions) add(fs *pflag.FlagSet) {
	fs.StringVar(&q.form, "quantize", "", "write a smaller model too: int8, int8-weights (activations stay float32) or float16 (weights)")
	fs.StringVar(&q.from, "from", "", "ONNX file to start from: with --quantize it is quantised, else its weights are trained further")
	fs.StringVar(&q.calibration, "calibration", "", "images to calibrate with: as --data, or a folder of .npy or .pb files; the training images if not given")
	fs.IntVar(&q.images, "calibration-images", 1000, "use the first N images for calibration; 0: all")
	fs.StringVar(&q.cache, "calibration-cache", "", "file to keep the result of calibration in; used if it is there and of the same model")
	fs.StringVar(&q.method, "calibration-method", "minmax", "minmax, percentile, entropy or mse")
	fs.Float64Var(&q.percentile, "percentile", 0.9999, "share of the values that the range covers, for --calibration-method percentile")
	fs.StringVar(&q.activations, "activations", "u8", "type of activations: u8 or s8")
	fs.BoolVar(&q.reduceRange, "reduce-range", false, "7-bit weights, for other runtimes on processors that saturate (AVX2 without VNNI)")
	fs.BoolVar(&q.perTensor, "per-tensor", false, "one scale for all output channels of a weight tensor")
	fs.StringSliceVar(&q.keep, "keep-float", nil, "names of nodes that stay float32")
	fs.StringVar(&q.maxLoss, "max-loss", "", "keep the most harmful layers float32 until the error grows by at most this, for example 1%")
}

func (q *quantOptions) check(given map[string]bool) error {
	switch q.form {
	case "", formInt8, formWeights, formFloat16:
	default:
		return usagef("--quantize %q: want int8, int8-weights or float16", q.form)
	}
	if q.form == "" {
		for _, name := range []string{"calibration", "calibration-images", "calibration-cache", "calibration-method", "percentile", "activations", "reduce-range", "per-tensor", "keep-float", "max-loss"} {
			if given[name] {
				return usagef("--%s needs --quantize", name)
			}
		}
		return nil
	}
	if _, err := quant.ParseMethod(q.method); err != nil {
		return usageError{err.Error()}
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
	o := quant.Options{Method: method, Percentile: q.percentile, Signed: q.activations == "s8", ReduceRange: q.reduceRange, PerTensor: q.perTensor}
	return o.Keep(q.keep...)
}

// quantReport is the file MODEL.json beside a quantised model.
type quantReport struct {
	From         string              `json:"from"`
	Form         string              `json:"form"`
	Method       string              `json:"method"`
	Bytes        [2]int64            `json:"bytes"` // before and after
	KeptFloat    []string            `json:"kept_float,omitempty"`
	FullyInteger bool                `json:"fully_integer"`
	Digest       string              `json:"digest,omitempty"`
	Layers       []quant.Layer       `json:"layers"`
	Sensitivity  []quant.Sensitivity `json:"sensitivity,omitempty"`
	Evaluation   *quant.Evaluation   `json:"evaluation,omitempty"`
	// Loss is the growth of the reconstruction's mean squared error, or, for a model that
	// does not reconstruct, the relative error of its output.
	Loss float64 `json:"loss"`
}

// quantizeFile is `aeexport --from`.
func (j *job) quantizeFile(ctx context.Context) error {
	b, err := os.ReadFile(j.quant.from)
	if err != nil {
		return err
	}
	m, err := onnx.Decode(b, onnx.DecodeOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", j.quant.from, err)
	}
	return j.quantize(ctx, m, j.quant.from, j.model)
}

// quantize writes the quantised form of a model, whose file is from, to path.
func (j *job) quantize(ctx context.Context, m *onnx.Model, from, path string) error {
	if len(m.Graph.Inputs) == 0 {
		return fmt.Errorf("%s: the model has no inputs", from)
	}
	rep := &quantReport{From: filepath.Base(from), Form: j.quant.form, Method: "none"}
	o := j.quant.options()
	ro := runtime.Options{Threads: j.threads}
	var done *onnx.Model
	var r *quant.Report
	var err error
	inputs, images, err := j.calibrationInputs(ctx, m)
	if err != nil {
		return err
	}
	switch j.quant.form {
	case formWeights:
		done, r, err = quant.WeightsInt8(m, o)
	case formFloat16:
		done, r, err = quant.WeightsFloat16(m, o)
	default:
		var cal *quant.Calibration
		if cal, err = j.calibrate(ctx, m, inputs, ro); err != nil {
			return err
		}
		if j.quant.maxLoss != "" {
			if rep.KeptFloat, err = quant.WithinLoss(ctx, m, cal, o, j.quant.loss, inputs(evaluationImages), ro); err != nil {
				return err
			}
			o = o.Keep(rep.KeptFloat...)
		}
		if rep.Sensitivity, err = quant.Sensitivities(ctx, m, cal, o, inputs(evaluationImages), ro); err != nil {
			return err
		}
		done, r, err = quant.Quantize(m, cal, o)
	}
	if err != nil {
		return err
	}
	rep.Method, rep.Layers = r.Method, r.Layers
	src, err := inputs(evaluationImages)()
	if err != nil {
		return err
	}
	if rep.Evaluation, err = quant.Evaluate(ctx, m, done, src, j.quant.form == formInt8, ro); err != nil {
		return err
	}
	rep.Loss = rep.Evaluation.Loss()
	if err := rep.identify(ctx, done, ro); err != nil {
		return err
	}
	if err := annotate(done, rep, j.quant, images); err != nil {
		return err
	}
	if err := onnx.WriteFile(path, done); err != nil {
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
	report := strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
	if err := atomicfile.WriteFile(report, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rep)
	}); err != nil {
		return err
	}
	j.out.wrote(report, "report")
	if !j.quiet && !j.json {
		rep.print(j.out.stdout)
	}
	return nil
}

// evaluationImages is how many images the report measures with.
const evaluationImages = 256

// identify finds out whether a model computes in integers throughout, and if so, what it
// gives for fixed inputs.
func (rep *quantReport) identify(ctx context.Context, m *onnx.Model, ro runtime.Options) error {
	s, err := runtime.New(m, ro)
	if err != nil {
		return err
	}
	defer s.Close()
	shapes := map[string]tensor.Shape{}
	for _, v := range s.Inputs() {
		shape := v.Shape.Clone()
		for i, d := range shape {
			if d < 0 {
				shape[i] = 1
			}
		}
		shapes[v.Name] = shape
	}
	st, err := s.Stats(shapes)
	if err != nil || !st.FullyInteger() {
		return err
	}
	rep.FullyInteger = true
	rep.Digest, err = digest.Of(ctx, s)
	return err
}

// annotate says in the model how it was quantised.
func annotate(m *onnx.Model, rep *quantReport, q quantOptions, images int) error {
	d := &meta.Quantization{Format: "qdq", Weights: "int8", Activations: map[string]string{"u8": "uint8", "s8": "int8"}[q.activations],
		Method: rep.Method, Images: images, Digest: rep.Digest}
	if q.form != formInt8 {
		d.Format, d.Activations, d.Images = "weight-only", "float32", 0
	}
	if q.form == formFloat16 {
		d.Weights = "float16"
	}
	if r := rep.Evaluation.Reconstruction; r != nil {
		d.FloatMSE, d.MSE = r[0], r[1]
	}
	if _, err := train.Describe(m); !errors.Is(err, meta.ErrNone) {
		return train.Annotate(m, func(t *meta.Model) { t.Quantization = d })
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	key := meta.Prefix + "quantization"
	m.Metadata = append(slices.DeleteFunc(m.Metadata, func(p onnx.StringPair) bool { return p.Key == key }), onnx.StringPair{Key: key, Value: string(b)})
	return nil
}

// calibrate runs the model on the calibration images, or reads what that gave before.
func (j *job) calibrate(ctx context.Context, m *onnx.Model, inputs func(n int) quant.Sources, ro runtime.Options) (*quant.Calibration, error) {
	if j.quant.cache != "" {
		f, err := os.Open(j.quant.cache)
		if err == nil {
			defer f.Close()
			c, err := quant.ReadCalibration(f)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", j.quant.cache, err)
			}
			if ok, err := c.Matches(m); err != nil || ok {
				return c, err
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	src, err := inputs(j.quant.images)()
	if err != nil {
		return nil, err
	}
	c, err := quant.Calibrate(ctx, m, src, ro)
	if err != nil || j.quant.cache == "" {
		return c, err
	}
	return c, atomicfile.WriteFile(j.quant.cache, c.Write)
}

// calibrationInputs returns a function that makes sources of the first n images, and how
// many images calibration uses.
func (j *job) calibrationInputs(ctx context.Context, m *onnx.Model) (func(n int) quant.Sources, int, error) {
	in := m.Graph.Inputs[0]
	name := j.quant.calibration
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		if src, err := quant.FromFolder(name, in.Name); err == nil {
			n := 0
			for {
				batch, err := src.Next(ctx)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return nil, 0, err
				}
				if s := batch[in.Name].Shape(); len(s) > 0 {
					n += s[0]
				}
			}
			return func(int) quant.Sources {
				return func() (quant.Source, error) { return quant.FromFolder(name, in.Name) }
			}, n, nil
		}
	}
	data := j.data
	if name == "" && data == nil {
		name = j.options.data
	}
	flat := in.Type.HasShape && len(in.Type.Shape) == 2
	if name != "" {
		o := dataset.Options{Dir: j.dataDir, Width: j.width, Height: j.height, Channels: j.channels, Seed: j.seed, N: j.images, Progress: j.out.download}
		if d, err := train.Describe(m); err == nil {
			o.Width, o.Height, o.Channels = d.Image.Width, d.Image.Height, d.Image.Channels
		} else if s := in.Type.Shape; len(s) == 4 && s[1].Value > 0 && s[2].Value > 0 && s[3].Value > 0 {
			o.Channels, o.Height, o.Width = int(s[1].Value), int(s[2].Value), int(s[3].Value)
		}
		var err error
		if data, err = dataset.Open(ctx, name, o); err != nil {
			return nil, 0, err
		}
	}
	batch := 32
	if s := in.Type.Shape; len(s) > 0 && s[0].Value > 0 {
		batch = int(s[0].Value)
	}
	total := data.Train.Len()
	if j.quant.images > 0 {
		total = min(total, j.quant.images)
	}
	return func(n int) quant.Sources {
		return func() (quant.Source, error) { return quant.FromImages(data.Train, in.Name, flat, batch, n) }
	}, total, nil
}

// print writes the report as a table.
func (rep *quantReport) print(w io.Writer) {
	e := rep.Evaluation
	fmt.Fprintf(w, "bytes %d -> %d; fully integer: %s; %.3g s -> %.3g s a batch\n", rep.Bytes[0], rep.Bytes[1], map[bool]string{true: "yes", false: "no"}[rep.FullyInteger], e.Times[0], e.Times[1])
	if r := e.Reconstruction; r != nil {
		fmt.Fprintf(w, "reconstruction MSE %.6g -> %.6g (%+.2f%%)\n", r[0], r[1], 100*rep.Loss)
	}
	alone := map[string]quant.Sensitivity{}
	for _, s := range rep.Sensitivity {
		alone[s.Node] = s
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "layer\toperator\tweights\tSQNR of weights\tof the output, layer alone")
	for _, l := range rep.Layers {
		if l.Float {
			fmt.Fprintf(tw, "%s\t%s\t%d\tfloat32\t\n", l.Node, l.OpType, l.Weights)
			continue
		}
		text := ""
		if s, ok := alone[l.Node]; ok {
			text = fmt.Sprintf("%.1f dB", s.SQNR)
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%.1f dB\t%s\n", l.Node, l.OpType, l.Weights, l.WeightSQNR, text)
	}
	tw.Flush()
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "tensor\tSQNR, accumulated\tcosine\tlargest difference")
	for _, d := range slices.Concat(e.Tensors, e.Outputs) {
		fmt.Fprintf(tw, "%s\t%.1f dB\t%.6f\t%.3g\n", d.Name, d.SQNR, d.Cosine, d.Max)
	}
	tw.Flush()
}
