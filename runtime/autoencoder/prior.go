package autoencoder

import (
	"context"
	"image"
	"math"
	"slices"
	"sort"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Sampling says how latent vectors are drawn.
type Sampling struct {
	Seed uint64
	// Temperature scales the spread of the distributions: below 1 samples are nearer to the
	// typical, above 1 more varied. 0 means 1.
	Temperature float64
	// Standard draws from N(0, 1), which the training of variational, adversarial and
	// Wasserstein autoencoders compares latent vectors with, although the model names another
	// prior. A mixture that was fitted to the latent vectors of images, which
	// [Model.Generate] otherwise uses, gives better pictures; the standard normal is what the
	// bound on the likelihood speaks of.
	Standard bool
	// First is the number of the first sample. Sample k of a seed is the same whatever
	// First, the number of samples and the batch size.
	First uint64
}

func (o Sampling) temperature() (float64, error) {
	t := o.Temperature
	if t == 0 {
		t = 1
	}
	if !(t > 0) || math.IsInf(t, 0) {
		return 0, errorf("temperature %g: want a positive number", o.Temperature)
	}
	return t, nil
}

// Generate draws n latent vectors from the model's prior and decodes them.
func (m *Model) Generate(ctx context.Context, n int, o Sampling) ([]image.Image, error) {
	var out []image.Image
	for lo := 0; lo < n; lo += m.batch {
		k := min(m.batch, n-lo)
		part := o
		part.First += uint64(lo)
		drawn, err := m.Sample(ctx, k, part)
		if err != nil {
			return nil, err
		}
		images, err := m.decodeDrawn(ctx, drawn, k)
		if err != nil {
			return nil, err
		}
		out = append(out, images...)
	}
	return out, nil
}

// Sample draws n samples from the model's prior: the values of all its stages by name, the
// first axis of each counting the samples. A latent vector of an unconditional stage
// (normal, gaussian, mixture; coin tosses and uniform classes) is the same bit for bit on
// every processor and backend. Conditional stages take their parameters from the model, and
// are the same where its outputs are.
func (m *Model) Sample(ctx context.Context, n int, o Sampling) (map[string]*tensor.Tensor, error) {
	if n < 1 {
		return nil, errorf("%d samples", n)
	}
	temp, err := o.temperature()
	if err != nil {
		return nil, err
	}
	stages, err := m.stages(ctx, o.Standard)
	if err != nil {
		return nil, err
	}
	drawn := map[string]*tensor.Tensor{}
	for i := range stages {
		st := &stages[i]
		d := drawing{m: m, stage: st, stream: rng.New(o.Seed, streamLabel, uint64(i)), first: o.First, n: n, temp: temp}
		t, err := d.draw(ctx, drawn)
		if err != nil {
			return nil, errorf("drawing %q: %w", st.Value, err)
		}
		drawn[st.Value] = t
	}
	return drawn, nil
}

// streamLabel keeps these draws apart from those of training with the same seed.
const streamLabel = 0x67656e6572617465

// stages returns the model's prior; without metadata, or if standard is set, a standard
// normal latent vector.
func (m *Model) stages(ctx context.Context, standard bool) ([]meta.Stage, error) {
	if m.info.Latent == "" {
		return nil, ErrNoDecoder
	}
	if standard && (m.info.Codes != "" || m.info.Kind == meta.KindVQ) {
		return nil, errorf("%w: a model with discrete latents has no standard normal", ErrNoPrior)
	}
	if m.meta != nil && m.meta.Values.Z == m.info.Latent {
		if len(m.meta.Prior) > 0 && !standard {
			for _, st := range m.meta.Prior {
				for _, name := range append([]string{st.Value}, append(st.Given, st.Params...)...) {
					if !m.values[name] {
						return nil, errorf("%w: the model lacks the value %q that its prior names", ErrNoPrior, name)
					}
				}
			}
			return m.meta.Prior, nil
		}
		if m.info.Kind != meta.KindVAE && m.info.Kind != meta.KindGenerator && !standard {
			return nil, ErrNoPrior
		}
	}
	shape, dtype, err := m.latent(ctx)
	if err != nil {
		return nil, err
	}
	if !dtype.IsFloat() {
		return nil, errorf("%w: its latents have type %v", ErrNoPrior, dtype)
	}
	return []meta.Stage{{Value: m.info.Latent, Distribution: meta.DistNormal, DType: dtype.String(), Shape: shape}}, nil
}

// decodeDrawn computes the images of drawn values: from the last one alone where that is
// enough.
func (m *Model) decodeDrawn(ctx context.Context, drawn map[string]*tensor.Tensor, n int) ([]image.Image, error) {
	if m.info.Output == "" {
		return nil, ErrNoDecoder
	}
	names := make([]string, 0, len(drawn))
	for name := range drawn {
		names = append(names, name)
	}
	sort.Strings(names)
	if m.meta != nil && len(m.meta.Prior) > 0 {
		last := m.meta.Prior[len(m.meta.Prior)-1].Value
		if s, err := m.part(last, m.info.Output); err == nil && drawn[last] != nil {
			return m.decodeFrom(ctx, s, map[string]*tensor.Tensor{last: drawn[last]}, n)
		}
	}
	if m.info.Label != "" {
		if s, err := m.sub(append(slices.Clone(names), m.info.Label), []string{m.info.Output}); err == nil {
			return m.decodeFrom(ctx, s, drawn, n)
		}
	}
	s, err := m.sub(names, []string{m.info.Output})
	if err != nil {
		return nil, errorf("the part of the model from %q to %q: %w", names, m.info.Output, err)
	}
	return m.decodeFrom(ctx, s, drawn, n)
}

func (m *Model) decodeFrom(ctx context.Context, s *runtime.Session, drawn map[string]*tensor.Tensor, n int) ([]image.Image, error) {
	in := map[string]*tensor.Tensor{}
	for _, v := range s.Inputs() {
		if t := drawn[v.Name]; t != nil {
			in[v.Name] = t
		}
	}
	out, err := m.run(ctx, s, in, n)
	if err != nil {
		return nil, err
	}
	return m.pictures(out[m.info.Output], n)
}

// drawing is one stage of Sample.
type drawing struct {
	m      *Model
	stage  *meta.Stage
	stream rng.Stream
	first  uint64
	n      int
	temp   float64
}

// noise is the stream of sample i; choices that are not noise of an element have their own.
func (d *drawing) noise(i int) rng.Stream  { return d.stream.Sub(d.first+uint64(i), 0) }
func (d *drawing) choice(i int) rng.Stream { return d.stream.Sub(d.first+uint64(i), 1) }

func (d *drawing) draw(ctx context.Context, drawn map[string]*tensor.Tensor) (*tensor.Tensor, error) {
	st := d.stage
	elems := st.Elems()
	dtype, err := tensor.ParseDType(st.DType)
	if err != nil {
		return nil, err
	}
	shape := append(tensor.Shape{d.n}, st.Shape...)
	if _, err := tensor.ByteSize(tensor.Float32, shape); err != nil {
		return nil, err
	}
	values := make([]float32, d.n*elems)
	switch {
	case len(st.Params) == 0:
		for i := range d.n {
			d.unconditional(values[i*elems:][:elems], i)
		}
	case st.Length == 0:
		params, err := d.params(ctx, drawn)
		if err != nil {
			return nil, err
		}
		for k := range elems {
			if err := d.element(values, params, k); err != nil {
				return nil, err
			}
		}
	default:
		if st.Length > elems {
			return nil, errorf("length %d of %d elements", st.Length, elems)
		}
		given := make(map[string]*tensor.Tensor, len(drawn)+1)
		for name, t := range drawn {
			given[name] = t
		}
		for k := range st.Length {
			if given[st.Value], err = fromFloats(dtype, values, shape...); err != nil {
				return nil, err
			}
			params, err := d.params(ctx, given)
			if err != nil {
				return nil, err
			}
			if err := d.element(values, params, k); err != nil {
				return nil, err
			}
		}
	}
	return fromFloats(dtype, values, shape...)
}

// unconditional draws sample i from fixed parameters.
func (d *drawing) unconditional(dst []float32, i int) {
	st := d.stage
	switch st.Distribution {
	case meta.DistNormal:
		d.noise(i).Normal(dst, 0)
		scale(dst, d.temp)
	case meta.DistGaussian:
		d.noise(i).Normal(dst, 0)
		scale(dst, d.temp)
		gaussian(dst, st.Mean, st.Chol)
	case meta.DistGMM:
		c := &st.Components[pick(st.Components, d.choice(i))]
		d.noise(i).Normal(dst, 0)
		scale(dst, d.temp)
		gaussian(dst, c.Mean, c.Chol)
	case meta.DistBernoulli:
		d.noise(i).Bernoulli(dst, 0, 0.5)
	case meta.DistCategorical:
		r := d.noise(i).Rand()
		for k := range dst {
			dst[k] = float32(r.IntN(st.Classes))
		}
	}
}

func scale(v []float32, t float64) {
	if t == 1 {
		return
	}
	for i := range v {
		v[i] = float32(float64(v[i]) * t)
	}
}

// gaussian turns standard normals n into mean + chol·n; see meta.Component. The products
// of two float32 are exact in float64, so fused and separate arithmetic agree.
func gaussian(n, mean, chol []float32) {
	if len(chol) == len(n) {
		for i := range n {
			n[i] = float32(float64(mean[i]) + float64(float64(chol[i])*float64(n[i])))
		}
		return
	}
	for i := len(n) - 1; i >= 0; i-- {
		row := chol[i*(i+1)/2:][:i+1]
		sum := float64(mean[i])
		for k, l := range row {
			sum += float64(float64(l) * float64(n[k]))
		}
		n[i] = float32(sum)
	}
}

// pick chooses a component by weight.
func pick(c []meta.Component, s rng.Stream) int {
	total := 0.0
	for i := range c {
		total += float64(c[i].Weight)
	}
	u := s.Rand().Float64() * total
	for i := range c {
		if u -= float64(c[i].Weight); u < 0 {
			return i
		}
	}
	return len(c) - 1
}

// params runs the sub-model that gives the parameters of a conditional stage.
func (d *drawing) params(ctx context.Context, drawn map[string]*tensor.Tensor) ([][]float32, error) {
	st := d.stage
	ins := slices.Clone(st.Given)
	in := map[string]*tensor.Tensor{}
	for _, name := range ins {
		if name == d.m.info.Label {
			continue
		}
		if drawn[name] == nil {
			return nil, errorf("its parameters depend on %q, which is not drawn before", name)
		}
		in[name] = drawn[name]
	}
	s, err := d.m.sub(ins, st.Params)
	if err != nil && d.m.info.Label != "" && !slices.Contains(ins, d.m.info.Label) {
		s, err = d.m.sub(append(ins, d.m.info.Label), st.Params)
	}
	if err != nil {
		return nil, err
	}
	out, err := d.m.run(ctx, s, in, d.n)
	if err != nil {
		return nil, err
	}
	per := st.Elems()
	if st.Distribution == meta.DistCategorical {
		per *= st.Classes
	}
	var params [][]float32
	for _, name := range st.Params {
		v, err := toFloats(out[name])
		if err != nil {
			return nil, err
		}
		if len(v) != d.n*per {
			return nil, errorf("parameter %q is %v, want %d numbers for each of %d samples", name, out[name], per, d.n)
		}
		params = append(params, v)
	}
	return params, nil
}

// element draws element k of every sample of a conditional stage.
func (d *drawing) element(values []float32, params [][]float32, k int) error {
	st := d.stage
	elems := st.Elems()
	var u [1]float32
	for i := range d.n {
		at := i*elems + k
		switch st.Distribution {
		case meta.DistGaussian:
			d.noise(i).Normal(u[:], uint64(k))
			sd := math.Exp(float64(params[1][at]) / 2)
			values[at] = float32(float64(params[0][at]) + float64(sd*d.temp)*float64(u[0]))
		case meta.DistBernoulli:
			d.noise(i).Uniform(u[:], uint64(k))
			p := 1 / (1 + math.Exp(-float64(params[0][at])/d.temp))
			if float64(u[0]) < p {
				values[at] = 1
			} else {
				values[at] = 0
			}
		case meta.DistCategorical:
			d.noise(i).Uniform(u[:], uint64(k))
			c, err := category(params[0][at*st.Classes:][:st.Classes], d.temp, float64(u[0]))
			if err != nil {
				return err
			}
			values[at] = float32(c)
		default:
			return errorf("a %s stage has no parameters", st.Distribution)
		}
	}
	return nil
}

// category returns the class at u in [0, 1) of the distribution with these logits.
func category(logits []float32, temp, u float64) (int, error) {
	top := math.Inf(-1)
	for _, l := range logits {
		top = max(top, float64(l))
	}
	if math.IsNaN(top) || math.IsInf(top, 0) {
		return 0, errorf("the model gives logits that are not finite")
	}
	total := 0.0
	for _, l := range logits {
		total += math.Exp((float64(l) - top) / temp)
	}
	u *= total
	last := 0
	for i, l := range logits {
		p := math.Exp((float64(l) - top) / temp)
		if p > 0 {
			last = i
		}
		if u -= p; u < 0 {
			return i, nil
		}
	}
	return last, nil
}
