package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
)

// tuneOptions are the flags for training a model of somebody else.
type tuneOptions struct {
	freeze []string
	values meta.Values
	span   []float64

	noLatent bool // the model does not say which value is its latent vector
	reading  autoencoder.Options
}

func (t *tuneOptions) add(all *cli.Flags) {
	all.Section(trainFlags).StringSliceVar(&t.freeze, "freeze", nil, "`NAMES` of weights that training leaves alone; * stands for any text, ? for one character")
	fs := all.Section(tuneFlags)
	fs.StringVar(&t.values.Image, "value-image", "", "with --from, for models that do not say it themselves: the value that takes the image")
	fs.StringVar(&t.values.Reconstruction, "value-output", "", "the value that is the reconstruction")
	fs.StringVar(&t.values.Z, "value-latent", "", "the value that decoding starts from")
	fs.StringVar(&t.values.Mu, "value-mu", "", "the mean of the latent vector, for a variational model")
	fs.StringVar(&t.values.LogVar, "value-logvar", "", "the logarithm of its variance")
	fs.Float64SliceVar(&t.span, "range", nil, "`BLACK,WHITE`: the numbers for them, for example -1,1; 0,1 if not given")
}

func (t *tuneOptions) check(given map[string]bool, from string) error {
	for _, name := range []string{"value-image", "value-output", "value-latent", "value-mu", "value-logvar", "range"} {
		if given[name] && from == "" {
			return usagef("--%s needs --from", name)
		}
	}
	if t.span != nil && (len(t.span) != 2 || !(math.Abs(t.span[1]-t.span[0]) > 0) || math.IsInf(t.span[0]-t.span[1], 0)) {
		return usagef("--range %v: want two numbers, for black and white", t.span)
	}
	if (t.values.Mu == "") != (t.values.LogVar == "") {
		return usagef("--value-mu and --value-logvar belong together")
	}
	return nil
}

// frozen returns what reports whether an initializer keeps its value: one that a pattern of
// --freeze matches. A pattern that matches none of the model's is an error.
func (t *tuneOptions) frozen(m *onnx.Model) (func(string) bool, error) {
	for _, p := range t.freeze {
		if !slices.ContainsFunc(m.Graph.Initializers, func(w *onnx.Tensor) bool { return glob(p, w.Name) }) {
			return nil, usagef("--freeze %q matches no weight of the model", p)
		}
	}
	return func(name string) bool {
		return strings.HasPrefix(name, wrapPrefix) || slices.ContainsFunc(t.freeze, func(p string) bool { return glob(p, name) })
	}, nil
}

// glob reports whether a pattern matches a name: * stands for any text, slashes and dots
// included, ? for one character.
func glob(pattern, name string) bool {
	p, s := []rune(pattern), []rune(name)
	star, mark := -1, 0
	i, k := 0, 0
	for k < len(s) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, k
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[k]):
			i, k = i+1, k+1
		case star >= 0:
			mark++
			i, k = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// How a model that says nothing is trained unless flags say otherwise.
const (
	tuneEpochs = 5
	tuneBatch  = 64
	tuneRate   = 1e-4
)

// fineTune is `aeexport --from` without --quantize: it trains the weights of a model that is
// there already and writes it in the form that it had.
func (j *job) fineTune(ctx context.Context) error {
	original, err := readModel(j.quant.from)
	if err != nil {
		return err
	}
	d, err := j.describe(original)
	if err != nil {
		return fmt.Errorf("%s: %w", j.quant.from, err)
	}
	if err := j.checkAnomaly(d); err != nil {
		return err
	}
	j.width, j.height, j.channels = d.Image.Width, d.Image.Height, d.Image.Channels
	if err := j.openData(ctx); err != nil {
		return err
	}
	model, err := j.wrapped(ctx, original, d)
	if err != nil {
		return fmt.Errorf("%s: %w", j.quant.from, err)
	}
	objective := "mse"
	if d.Kind == meta.KindVAE {
		objective = "elbo"
	}
	j.preset = arch.Preset{Name: filepath.Base(j.quant.from), Recipe: arch.Recipe{Objective: objective, Epochs: tuneEpochs, Batch: tuneBatch, LR: tuneRate}}
	if j.monitor.findLR {
		return j.findRate(ctx, model)
	}
	sample, err := j.probe(ctx, model)
	if err != nil {
		return err
	}
	trained, want, err := j.train(ctx, model, sample)
	if err != nil {
		return err
	}
	done, err := j.unwrapped(original, trained, d)
	if err != nil {
		return err
	}
	j.asIs = true
	j.noPicture = j.noPicture || j.tune.noLatent
	inputs, err := originalInputs(ctx, original, d, sample, want)
	if err != nil {
		return err
	}
	return j.write(ctx, done, inputs, want)
}

func readModel(path string) (*onnx.Model, error) {
	m, err := onnx.ReadFile(path, onnx.DecodeOptions{})
	if err != nil {
		return nil, err
	}
	if err := onnx.Check(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// describe joins what a model says of itself, the flags, and what its graph leaves no choice
// about.
func (j *job) describe(m *onnx.Model) (*meta.Model, error) {
	d, err := train.Describe(m)
	if errors.Is(err, meta.ErrNone) {
		d, err = &meta.Model{}, nil
	}
	if err != nil {
		return nil, err
	}
	v, f := &d.Values, &j.tune.values
	for _, p := range []struct{ to, from *string }{
		{&v.Image, &f.Image}, {&v.Reconstruction, &f.Reconstruction}, {&v.Z, &f.Z}, {&v.Mu, &f.Mu}, {&v.LogVar, &f.LogVar},
	} {
		if *p.from != "" {
			*p.to = *p.from
		}
	}
	inputs := realInputs(m.Graph)
	if v.Image == "" {
		if len(inputs) != 1 {
			return nil, usagef("the model has %d inputs; name the image with --value-image", len(inputs))
		}
		v.Image = inputs[0].Name
	}
	in := valueInfo(inputs, v.Image)
	if in == nil {
		return nil, usagef("the model has no input %q", v.Image)
	}
	if v.Reconstruction == "" {
		var like []string
		for _, o := range m.Graph.Outputs {
			if len(m.Graph.Outputs) == 1 || slices.EqualFunc(o.Type.Shape, in.Type.Shape, sameDim) && o.Type.HasShape {
				like = append(like, o.Name)
			}
		}
		if len(like) != 1 {
			return nil, usagef("%d outputs of the model may be the reconstruction; name it with --value-output", len(like))
		}
		v.Reconstruction = like[0]
	}
	if d.Kind == "" {
		d.Kind = meta.KindAE
		if v.Mu != "" {
			d.Kind = meta.KindVAE
			if v.Z == "" {
				return nil, usagef("a variational model needs --value-latent, the value that is drawn")
			}
		}
	}
	if v.Z == "" {
		j.tune.noLatent, v.Z = true, v.Reconstruction
	}
	if err := j.geometry(d, in); err != nil {
		return nil, err
	}
	if j.tune.noLatent {
		i := &d.Image
		j.tune.reading = autoencoder.Options{Input: v.Image, Output: v.Reconstruction, Width: i.Width, Height: i.Height, Channels: i.Channels, Layout: i.Layout}
		if s := j.tune.span; s != nil {
			j.tune.reading.Range = [2]float32{float32(s[0]), float32(s[1])}
		}
	}
	return d, nil
}

// geometry finds out what images the model takes.
func (j *job) geometry(d *meta.Model, in *onnx.ValueInfo) error {
	img := &d.Image
	dims := in.Type.Shape
	fixed := func(i int) int { return int(max(0, min(dims[i].Value, math.MaxInt32))) }
	if img.Layout == "" {
		if !in.Type.HasShape || in.Type.Elem != tensor.Float32 {
			return usagef("the model does not declare %q as float32 with a shape", in.Name)
		}
		switch rank := len(dims); {
		case rank == 4 && fixed(1) != 1 && fixed(1) != 3 && (fixed(3) == 1 || fixed(3) == 3):
			img.Layout, img.Height, img.Width, img.Channels = meta.LayoutNHWC, fixed(1), fixed(2), fixed(3)
		case rank == 4:
			img.Layout, img.Channels, img.Height, img.Width = meta.LayoutNCHW, fixed(1), fixed(2), fixed(3)
		case rank == 3:
			img.Layout, img.Channels, img.Height, img.Width = meta.LayoutFlat, 1, fixed(1), fixed(2)
		case rank == 2:
			img.Layout = meta.LayoutFlat
			n := fixed(1)
			for _, c := range []int{1, 3} {
				if s := int(math.Round(math.Sqrt(float64(n / c)))); img.Width == 0 && s > 0 && s*s*c == n {
					img.Channels, img.Height, img.Width = c, s, s
				}
			}
		default:
			return usagef("%q has %d axes, which is no image", in.Name, rank)
		}
	}
	if j.width > 0 {
		img.Width, img.Height = j.width, j.height
	}
	if j.channels > 0 {
		img.Channels = j.channels
	}
	if img.Channels == 0 {
		img.Channels = 1
	}
	if img.Width == 0 || img.Height == 0 {
		return usagef("the model does not declare the size of its images: give --size")
	}
	if s := j.tune.span; s != nil {
		std := 1 / (s[1] - s[0])
		if std < 0 {
			return usagef("--range %v: models that take negatives cannot be trained", s)
		}
		img.Mean, img.Std = nil, nil
		for range img.Channels {
			img.Mean = append(img.Mean, float32(-s[0]*std))
			img.Std = append(img.Std, float32(std))
		}
	}
	return nil
}

// realInputs returns the inputs of a graph that are not initializers.
func realInputs(g *onnx.Graph) []*onnx.ValueInfo {
	return slices.DeleteFunc(slices.Clone(g.Inputs), func(v *onnx.ValueInfo) bool { return g.Initializer(v.Name) != nil })
}

func valueInfo(list []*onnx.ValueInfo, name string) *onnx.ValueInfo {
	if i := slices.IndexFunc(list, func(v *onnx.ValueInfo) bool { return v.Name == name }); i >= 0 {
		return list[i]
	}
	return nil
}

func sameDim(a, b onnx.Dim) bool { return a.Value == b.Value && a.Param == b.Param }

// unwrapped returns the original with the trained weights and, if it is known which value is
// the latent vector, with the description of itself.
func (j *job) unwrapped(original, trained *onnx.Model, d *meta.Model) (*onnx.Model, error) {
	m := *original
	g := *original.Graph
	m.Graph = &g
	g.Initializers = slices.Clone(g.Initializers)
	for i, w := range g.Initializers {
		if t := trained.Graph.Initializer(w.Name); t != nil && t.Value != nil && t.DType == w.DType {
			c := *w
			c.Value = t.Value
			g.Initializers[i] = &c
		}
	}
	if j.tune.noLatent {
		return &m, onnx.Check(&m)
	}
	td, err := train.Describe(trained)
	if err != nil {
		return nil, err
	}
	m.Metadata = slices.Clone(m.Metadata)
	err = train.Annotate(&m, func(to *meta.Model) {
		prior := to.Prior
		*to = *d
		to.Training, to.Dataset = td.Training, td.Dataset
		if to.Prior = td.Prior; to.Prior == nil {
			to.Prior = prior
		}
		for i := range to.Prior {
			if to.Prior[i].Value == td.Values.Z {
				to.Prior[i].Value = d.Values.Z
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return &m, onnx.Check(&m)
}

// originalInputs turns the images that the wrapped model was tried with into the original's
// input, by running what lies between, and cuts them and want to its batch if that is fixed.
func originalInputs(ctx context.Context, original *onnx.Model, d *meta.Model, p *probe, want map[string]*tensor.Tensor) (*probe, error) {
	pre := wrapGraph(original, d)
	s, err := runtime.New(pre, runtime.Options{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	out := *p
	out.inputs = map[string]*tensor.Tensor{}
	x := p.inputs[imageName(d)]
	if imageName(d) == d.Values.Image {
		out.inputs[d.Values.Image] = x
	} else {
		sub, err := s.Sub([]string{imageName(d)}, []string{d.Values.Image})
		if err != nil {
			return nil, err
		}
		defer sub.Close()
		res, err := sub.Run(ctx, map[string]*tensor.Tensor{imageName(d): x})
		if err != nil {
			return nil, err
		}
		out.inputs[d.Values.Image] = res[d.Values.Image]
	}
	drawn := random(original.Graph)
	for name := range want {
		if valueInfo(original.Graph.Outputs, name) == nil || drawn[name] {
			delete(want, name)
		}
	}
	in := valueInfo(original.Graph.Inputs, d.Values.Image)
	n := x.Shape()[0]
	if b := in.Type.Shape[0].Value; b > 0 && int64(n) > b {
		for _, m := range []map[string]*tensor.Tensor{out.inputs, want} {
			for name, t := range m {
				if m[name], err = firstRows(t, int(b)); err != nil {
					return nil, err
				}
			}
		}
		out.images = out.images[:b]
	}
	return &out, nil
}

// random returns the values that depend on operators which draw random numbers: two runs do
// not give the same.
func random(g *onnx.Graph) map[string]bool {
	out := map[string]bool{}
	for _, n := range g.Nodes {
		drawn := slices.ContainsFunc(n.Inputs, func(name string) bool { return out[name] })
		switch n.OpType {
		case "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli":
			drawn = true
		}
		for _, name := range n.Outputs {
			if drawn && name != "" {
				out[name] = true
			}
		}
	}
	return out
}

func firstRows(t *tensor.Tensor, n int) (*tensor.Tensor, error) {
	if t.Rank() == 0 || t.DType() != tensor.Float32 {
		return nil, fmt.Errorf("%v has no batch axis", t)
	}
	shape := slices.Clone(t.Shape())
	per := t.Elems() / max(1, shape[0])
	shape[0] = n
	return tensor.Of(slices.Clone(t.Float32s()[:n*per]), shape...)
}
