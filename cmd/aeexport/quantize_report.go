package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/imagefile"
	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/digest"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
)

// quantReport is the file MODEL.json beside a quantised model.
type quantReport struct {
	From         string              `json:"from"`
	Form         string              `json:"form"`
	Format       string              `json:"format,omitempty"`
	Method       string              `json:"method"`
	Bytes        [2]int64            `json:"bytes"` // before and after
	KeptFloat    []string            `json:"kept_float,omitempty"`
	Equalized    int                 `json:"equalized_layers,omitempty"`
	QATEpochs    int                 `json:"qat_epochs,omitempty"`
	FullyInteger bool                `json:"fully_integer"`
	Digest       string              `json:"digest,omitempty"`
	Layers       []quant.Layer       `json:"layers"`
	Sensitivity  []quant.Sensitivity `json:"sensitivity,omitempty"`
	// Tensors are values inside, with the error accumulated up to there.
	Tensors    []quant.Difference `json:"tensors,omitempty"`
	Evaluation *quant.Evaluation  `json:"evaluation,omitempty"`
	// Loss is the growth of the reconstruction's mean squared error, or, for a model that
	// does not reconstruct, the relative error of its output.
	Loss float64 `json:"loss"`
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
	d := &meta.Quantization{Format: q.format, Weights: "int8", Activations: map[string]string{"u8": "uint8", "s8": "int8"}[q.activations],
		Method: rep.Method, Images: images, Digest: rep.Digest}
	if q.form != formInt8 {
		d.Format, d.Activations, d.Images = "weight-only", "float32", 0
	}
	if q.form == formInt8 && !q.static() {
		d.Activations, d.Images = "uint8", 0
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

// print writes the report as a table.
func (rep *quantReport) print(w io.Writer) {
	e := rep.Evaluation
	fmt.Fprintf(w, "bytes %d -> %d; fully integer: %s; %v -> %v a batch\n", rep.Bytes[0], rep.Bytes[1], map[bool]string{true: "yes", false: "no"}[rep.FullyInteger], threeDigits(e.Times[0]), threeDigits(e.Times[1]))
	if r := e.Reconstruction; r != nil {
		fmt.Fprintf(w, "reconstruction MSE %.6g -> %.6g (%+.2f%%)\n", r[0], r[1], 100*rep.Loss)
	}
	if p := e.PSNR; p != nil {
		fmt.Fprintf(w, "reconstruction PSNR %.2f dB -> %.2f dB\n", p[0], p[1])
	}
	if e.Latents != nil {
		fmt.Fprintf(w, "cosine of the latents %.6f\n", *e.Latents)
	}
	if a := e.AUC; a != nil {
		fmt.Fprintf(w, "AUC %.4f -> %.4f\n", a[0], a[1])
	}
	if len(rep.KeptFloat) > 0 {
		fmt.Fprintf(w, "float32, for --max-loss: %s\n", strings.Join(rep.KeptFloat, ", "))
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
	for _, d := range slices.Concat(rep.Tensors, e.Outputs) {
		fmt.Fprintf(tw, "%s\t%.1f dB\t%.6f\t%.3g\n", d.Name, d.SQNR, d.Cosine, d.Max)
	}
	tw.Flush()
}

// threeDigits returns a time in seconds, rounded to three digits.
func threeDigits(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// writeComparison shows images, in each row one with its reconstructions by two models and
// 8 times their difference. ok is false for models that do not say what they reconstruct.
func writeComparison(ctx context.Context, path string, a, b *onnx.Model, inputs quant.Sources, ro runtime.Options) (ok bool, err error) {
	d, err := train.Describe(a)
	if err != nil || d.Values.Image == "" || d.Values.Reconstruction == "" {
		return false, nil
	}
	src, err := inputs()
	if err != nil {
		return false, err
	}
	in, err := src.Next(ctx)
	if err != nil {
		return false, err
	}
	list := []*tensor.Tensor{in[d.Values.Image]}
	for _, m := range []*onnx.Model{a, b} {
		s, err := runtime.New(m, ro)
		if err != nil {
			return false, err
		}
		defer s.Close()
		out, err := s.Run(ctx, in)
		if err != nil {
			return false, err
		}
		list = append(list, out[d.Values.Reconstruction])
	}
	size := d.Image.Channels * d.Image.Height * d.Image.Width
	for _, t := range list {
		if t == nil || t.DType() != tensor.Float32 || t.Elems() != list[0].Elems() || size == 0 || t.Elems()%size != 0 {
			return false, nil
		}
	}
	layout := imageio.NCHW
	if d.Image.Layout == meta.LayoutNHWC {
		layout = imageio.NHWC
	}
	var cells []*imageio.Planar
	for i := range list[0].Elems() / size {
		var row []*imageio.Planar
		for _, t := range list {
			p, err := imageio.FromFloats(t.Float32s()[i*size:][:size], d.Image.Channels, d.Image.Height, d.Image.Width, layout, imageio.Norm{Mean: d.Image.Mean, Std: d.Image.Std})
			if err != nil {
				return false, err
			}
			row = append(row, p)
		}
		diff, err := imageio.NewPlanar(d.Image.Channels, d.Image.Height, d.Image.Width)
		if err != nil {
			return false, err
		}
		for k, v := range row[1].Pix {
			e := int(v) - int(row[2].Pix[k])
			diff.Pix[k] = uint8(min(255, 8*max(e, -e)))
		}
		cells = append(cells, append(row, diff)...)
	}
	sheet, err := imageio.Sheet{Columns: 4, Pad: 2, Zoom: 2}.Grid(cells)
	if err != nil {
		return false, err
	}
	return true, atomicfile.WriteFile(path, func(w io.Writer) error { return imagefile.WritePNG(w, sheet) })
}
