package autoencoder

import (
	"context"
	"image"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/metric"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Latents is what the encoder makes of images; the first axis of each tensor counts them.
type Latents struct {
	Z *tensor.Tensor // what [Model.Decode] takes
	// Mu and LogVar are the parameters of the distribution that a variational model gives,
	// Codes the discrete latents of a quantising one; nil where the model has none.
	Mu, LogVar, Codes *tensor.Tensor
}

// encoder returns the session from the image to the given values.
func (m *Model) encoder(outs ...string) (*runtime.Session, error) {
	if m.info.Input == "" {
		return nil, ErrNoEncoder
	}
	s, err := m.part(m.info.Input, outs...)
	if err != nil {
		return nil, errorf("the part of the model from %q to %q: %w", m.info.Input, outs, err)
	}
	return s, nil
}

// Encode returns the latent vectors of images.
func (m *Model) Encode(ctx context.Context, images ...image.Image) (*Latents, error) {
	i := &m.info
	if i.Input == "" {
		return nil, ErrNoEncoder
	}
	if i.Latent == "" {
		return nil, errorf("%w: it does not say which value is the latent vector", ErrNoEncoder)
	}
	outs := []string{i.Latent}
	for _, name := range []string{i.Mu, i.LogVar, i.Codes} {
		if name != "" && name != i.Latent {
			outs = append(outs, name)
		}
	}
	s, err := m.encoder(outs...)
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, errorf("no images to encode")
	}
	x, _, err := m.imageTensor(images)
	if err != nil {
		return nil, err
	}
	out, err := m.run(ctx, s, map[string]*tensor.Tensor{i.Input: x}, len(images))
	if err != nil {
		return nil, err
	}
	l := &Latents{Z: out[i.Latent]}
	for _, f := range []struct {
		name string
		dst  **tensor.Tensor
	}{{i.Mu, &l.Mu}, {i.LogVar, &l.LogVar}, {i.Codes, &l.Codes}} {
		if f.name != "" {
			*f.dst = out[f.name]
		}
	}
	return l, nil
}

// Decode returns the images of latent vectors; z's first axis counts them. A flat z of the
// right number of elements takes the shape that the model wants.
func (m *Model) Decode(ctx context.Context, z *tensor.Tensor) ([]image.Image, error) {
	i := &m.info
	if i.Output == "" || i.Latent == "" {
		return nil, ErrNoDecoder
	}
	if z == nil || z.Rank() == 0 || z.Elems() == 0 {
		return nil, errorf("no latent vectors to decode")
	}
	s, err := m.part(i.Latent, i.Output)
	if err != nil {
		return nil, errorf("the part of the model from %q to %q: %w", i.Latent, i.Output, err)
	}
	n := z.Shape()[0]
	if z, err = m.fitLatent(ctx, z); err != nil {
		return nil, err
	}
	out, err := m.run(ctx, s, map[string]*tensor.Tensor{i.Latent: z}, n)
	if err != nil {
		return nil, err
	}
	return m.pictures(out[i.Output], n)
}

// fitLatent gives latent vectors the shape and type that the decoder takes, where both are
// known and hold the same number of elements.
func (m *Model) fitLatent(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	shape, dtype, err := m.latent(ctx)
	if err != nil {
		return z, nil
	}
	n := z.Shape()[0]
	want := append(tensor.Shape{n}, shape...)
	if e, ok := want.Elems(); !ok || e != z.Elems() {
		return nil, errorf("latent vectors %v: the model wants %v for each", z, shape)
	}
	if z.DType() != dtype {
		v, err := toFloats(z)
		if err != nil {
			return nil, err
		}
		return fromFloats(dtype, v, want...)
	}
	return z.Reshape(want...)
}

func (m *Model) pictures(t *tensor.Tensor, n int) ([]image.Image, error) {
	rows, err := m.rows(t, n)
	if err != nil {
		return nil, err
	}
	out := make([]image.Image, n)
	for i, r := range rows {
		if out[i], err = m.picture(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Reconstruction is what a model makes of an image, and how near that is to it.
type Reconstruction struct {
	Input  image.Image // the image as the model sees it: its size, its channels
	Output image.Image
	MSE    float64 // mean squared error of a pixel in [0, 1], before the output is clamped and rounded
	PSNR   float64 // in dB, of the same error; +Inf where it is 0
	SSIM   float64 // structural similarity of the output clamped to [0, 1] (Wang et al. 2004)
}

// Reconstruct encodes and decodes images.
func (m *Model) Reconstruct(ctx context.Context, images ...image.Image) ([]Reconstruction, error) {
	planars, rows, err := m.roundTrip(ctx, images)
	if err != nil {
		return nil, err
	}
	i := &m.info
	out := make([]Reconstruction, len(rows))
	for k, r := range rows {
		in := unit(planars[k])
		mse := metric.MSE(in, r)
		img, err := m.picture(r)
		if err != nil {
			return nil, err
		}
		for j, v := range r {
			r[j] = min(1, max(0, v))
		}
		ssim, err := metric.SSIM(in, r, i.Channels, i.Height, i.Width, 1)
		if err != nil {
			return nil, err
		}
		out[k] = Reconstruction{Input: planars[k].Image(), Output: img, MSE: mse, PSNR: metric.PSNR(mse, 1), SSIM: ssim}
	}
	return out, nil
}

// roundTrip returns the images at the model's size, and the pixel values of their
// reconstructions.
func (m *Model) roundTrip(ctx context.Context, images []image.Image) ([]*imageio.Planar, [][]float32, error) {
	i := &m.info
	if i.Input == "" {
		return nil, nil, ErrNoEncoder
	}
	if i.Output == "" {
		return nil, nil, ErrNoDecoder
	}
	if len(images) == 0 {
		return nil, nil, errorf("no images to reconstruct")
	}
	s, err := m.encoder(i.Output)
	if err != nil {
		return nil, nil, err
	}
	x, planars, err := m.imageTensor(images)
	if err != nil {
		return nil, nil, err
	}
	out, err := m.run(ctx, s, map[string]*tensor.Tensor{i.Input: x}, len(images))
	if err != nil {
		return nil, nil, err
	}
	rows, err := m.rows(out[i.Output], len(images))
	return planars, rows, err
}

// unit returns the pixel values of an image, in [0, 1].
func unit(p *imageio.Planar) []float32 {
	v := make([]float32, len(p.Pix))
	for i, x := range p.Pix {
		v[i] = float32(x) / 255
	}
	return v
}

// Score is how badly a model reconstructs an image.
type Score struct {
	MSE float64 // mean squared error of a pixel in [0, 1]
	// Unusual says that the error is at or above the model's threshold. It is false for
	// models without one.
	Unusual bool
}

// Score returns the reconstruction errors of images: high for images unlike those that the
// model was trained on.
func (m *Model) Score(ctx context.Context, images ...image.Image) ([]Score, error) {
	planars, rows, err := m.roundTrip(ctx, images)
	if err != nil {
		return nil, err
	}
	out := make([]Score, len(rows))
	for i, r := range rows {
		e := metric.MSE(unit(planars[i]), r)
		out[i] = Score{MSE: e, Unusual: m.info.Threshold >= 0 && !(e < m.info.Threshold)}
	}
	return out, nil
}

// latent returns the shape of one latent vector and its element type: from the prior, the
// graph's declarations, or by encoding a black image.
func (m *Model) latent(ctx context.Context) (tensor.Shape, tensor.DType, error) {
	m.mu.Lock()
	shape, dtype := m.shape, m.dtype
	m.mu.Unlock()
	if shape != nil {
		return shape, dtype, nil
	}
	shape, dtype, err := m.findLatent(ctx)
	if err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	m.shape, m.dtype = shape, dtype
	m.mu.Unlock()
	return shape, dtype, nil
}

func (m *Model) findLatent(ctx context.Context) (tensor.Shape, tensor.DType, error) {
	i := &m.info
	if m.meta != nil && m.meta.Values.Z == i.Latent {
		for _, st := range m.meta.Prior {
			if d, err := tensor.ParseDType(st.DType); err == nil && st.Value == i.Latent {
				return append(tensor.Shape{}, st.Shape...), d, nil
			}
		}
	}
	if s, err := m.part(i.Latent, i.Output); err == nil && i.Output != "" {
		for _, v := range s.Inputs() {
			if v.Name != i.Latent || len(v.Shape) == 0 || v.DType == tensor.Undefined {
				continue
			}
			if e, ok := v.Shape[1:].Elems(); ok && e > 0 {
				return v.Shape[1:].Clone(), v.DType, nil
			}
		}
	}
	if i.Input == "" {
		return nil, 0, errorf("the model does not declare the shape of its latent vector %q", i.Latent)
	}
	l, err := m.Encode(ctx, image.NewGray(image.Rect(0, 0, i.Width, i.Height)))
	if err != nil {
		return nil, 0, err
	}
	return l.Z.Shape()[1:].Clone(), l.Z.DType(), nil
}

// discrete reports whether there is nothing between two latents.
func (m *Model) discrete(z *tensor.Tensor) bool {
	if m.info.Codes != "" || m.info.Kind == meta.KindVQ || !z.DType().IsFloat() {
		return true
	}
	if m.meta == nil {
		return false
	}
	for _, st := range m.meta.Prior {
		if st.Value == m.info.Latent && (st.Distribution == meta.DistBernoulli || st.Distribution == meta.DistCategorical) {
			return true
		}
	}
	return false
}
