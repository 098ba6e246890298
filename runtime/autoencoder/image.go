package autoencoder

import (
	"image"
	"math"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/tensor"
)

// rounded returns x rounded to nearest, halves to even, within [lo, hi]; NaN gives lo.
func rounded(x float32, lo, hi float64) float64 {
	v := math.RoundToEven(float64(x))
	if !(v > lo) {
		return lo
	}
	return min(v, hi)
}

// planar scales an image to the model's size and channels.
func (c *core) planar(img image.Image) (*imageio.Planar, error) {
	if img == nil || img.Bounds().Empty() {
		return nil, errorf("empty image")
	}
	p, err := imageio.FromImage(img, c.info.Channels)
	if err != nil {
		return nil, err
	}
	return p.Resize(c.info.Width, c.info.Height, c.fit)
}

// layout is the order of the axes in the image tensor; a flat one is in channel order.
func (c *core) layout() imageio.Layout {
	if c.info.Layout == meta.LayoutNHWC {
		return imageio.NHWC
	}
	return imageio.NCHW
}

// pixels turns one row of an image tensor into pixel values, nominally in [0, 1], one
// plane a channel.
func (c *core) pixels(row []float32) []float32 {
	plane, channels := c.info.Width*c.info.Height, c.info.Channels
	step, stride := 1, plane
	if c.layout() == imageio.NHWC {
		step, stride = channels, 1
	}
	out := make([]float32, len(row))
	for ch := range channels {
		mean, std := c.info.Mean[ch], c.info.Std[ch]
		dst := out[ch*plane:][:plane]
		if mean == 0 && std == 1 && step == 1 {
			copy(dst, row[ch*stride:])
			continue
		}
		for i := range dst {
			dst[i] = float32(row[ch*stride+i*step]*std) + mean
		}
	}
	return out
}

// picture turns pixel values into an image: clamped, 8 bits.
func (c *core) picture(pixels []float32) (image.Image, error) {
	p, err := imageio.FromFloats(pixels, c.info.Channels, c.info.Height, c.info.Width, imageio.NCHW, imageio.Norm{})
	if err != nil {
		return nil, err
	}
	return p.Image(), nil
}

// imageElems is the number of elements of one image.
func (c *core) imageElems() int { return c.info.Width * c.info.Height * c.info.Channels }

// imageShape is the shape of the tensor of n images.
func (c *core) imageShape(n int) tensor.Shape {
	i := &c.info
	switch i.Layout {
	case meta.LayoutNCHW:
		return tensor.Shape{n, i.Channels, i.Height, i.Width}
	case meta.LayoutNHWC:
		return tensor.Shape{n, i.Height, i.Width, i.Channels}
	}
	return tensor.Shape{n, c.imageElems()}
}

// imageTensor is the input of the encoder for some images. It also returns the images at
// the model's size.
func (c *core) imageTensor(images []image.Image) (*tensor.Tensor, []*imageio.Planar, error) {
	elems := c.imageElems()
	shape := c.imageShape(len(images))
	if _, err := tensor.ByteSize(tensor.Float32, shape); err != nil {
		return nil, nil, err
	}
	values := make([]float32, len(images)*elems)
	planars := make([]*imageio.Planar, len(images))
	for i, img := range images {
		p, err := c.planar(img)
		if err != nil {
			return nil, nil, errorf("image %d: %w", i, err)
		}
		if err := p.Floats(values[i*elems:][:elems], c.layout(), imageio.Norm{Mean: c.info.Mean, Std: c.info.Std}); err != nil {
			return nil, nil, err
		}
		planars[i] = p
	}
	dtype := tensor.Float32
	for _, v := range c.session.Inputs() {
		if v.Name == c.info.Input && v.DType != tensor.Undefined {
			dtype = v.DType
			// Some graphs take [N, 28, 28] and the like.
			if n := len(v.Shape); n > 0 && n != len(shape) {
				if s, ok := sameElems(v.Shape, len(images), elems); ok {
					shape = s
				}
			}
		}
	}
	t, err := fromFloats(dtype, values, shape...)
	return t, planars, err
}

// sameElems returns declared with n for its first axis, if one sample has elems elements.
func sameElems(declared tensor.Shape, n, elems int) (tensor.Shape, bool) {
	s := declared.Clone()
	s[0] = 1
	if e, ok := s.Elems(); !ok || e != elems {
		return nil, false
	}
	s[0] = n
	return s, true
}

// rows splits the output of the decoder into pixel values of each image.
func (c *core) rows(t *tensor.Tensor, n int) ([][]float32, error) {
	elems := c.imageElems()
	v, err := toFloats(t)
	if err != nil {
		return nil, err
	}
	if len(v) != n*elems {
		return nil, errorf("output %q is %v, not %d images of %dx%d with %d channels", c.info.Output, t, n, c.info.Width, c.info.Height, c.info.Channels)
	}
	out := make([][]float32, n)
	for i := range out {
		out[i] = c.pixels(v[i*elems:][:elems])
	}
	return out, nil
}

// InputShape returns the shape of the named input for n images, if it is the one that takes
// images.
func (m *Model) InputShape(name string, n int) (tensor.Shape, bool) {
	if name == "" || name != m.info.Input {
		return nil, false
	}
	return m.imageShape(n), true
}
