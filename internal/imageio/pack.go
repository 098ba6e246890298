package imageio

import "fmt"

// Layout is the order of the axes of an image in a tensor.
type Layout uint8

const (
	NCHW Layout = iota // channel planes
	NHWC               // channels of a pixel together
)

// String returns "NCHW" or "NHWC".
func (l Layout) String() string {
	if int(l) < len(layoutNames) {
		return layoutNames[l]
	}
	return fmt.Sprintf("layout(%d)", uint8(l))
}

var layoutNames = [...]string{"NCHW", "NHWC"}

// Norm relates a sample b, 0 to 255, to the number x that a model sees:
// x = (b/255 - Mean) / Std. Mean and Std have one element for each channel, or one for
// all; empty they stand for 0 and 1. The zero Norm gives [0, 1].
type Norm struct {
	Mean, Std []float32
}

// channel returns the mean and standard deviation of channel c.
func (n Norm) channel(c int) (mean, std float32) {
	pick := func(v []float32, def float32) float32 {
		switch len(v) {
		case 0:
			return def
		case 1:
			return v[0]
		}
		return v[c]
	}
	return pick(n.Mean, 0), pick(n.Std, 1)
}

// Check returns an error unless n fits images of the given number of channels: 0, 1 or
// channels finite means, and as many positive finite standard deviations.
func (n Norm) Check(channels int) error {
	for _, v := range []struct {
		name string
		v    []float32
	}{{"means", n.Mean}, {"standard deviations", n.Std}} {
		if l := len(v.v); l > 1 && l != channels {
			return fmt.Errorf("imageio: %d %s for %d channels", l, v.name, channels)
		}
		for _, x := range v.v {
			if x-x != 0 || v.name != "means" && x <= 0 {
				return fmt.Errorf("imageio: %s %v out of range", v.name, v.v)
			}
		}
	}
	return nil
}

// Floats stores p in dst as a model takes it. dst must have C·H·W elements.
func (p *Planar) Floats(dst []float32, layout Layout, n Norm) error {
	if len(dst) != len(p.Pix) {
		return fmt.Errorf("imageio: %d values of room for an image of %d", len(dst), len(p.Pix))
	}
	if err := n.Check(p.C); err != nil {
		return err
	}
	plane := p.H * p.W
	for c := range p.C {
		var level [256]float32
		mean, std := n.channel(c)
		for i := range level {
			level[i] = (float32(i)/255 - mean) / std
		}
		step, at := 1, c*plane
		if layout == NHWC {
			step, at = p.C, c
		}
		for _, b := range p.Pix[c*plane : (c+1)*plane] {
			dst[at] = level[b]
			at += step
		}
	}
	return nil
}

// FromFloats is the inverse of [Planar.Floats] for an image of the given size: values are
// clamped to the range of 8 bits and rounded to nearest, and NaN becomes 0.
func FromFloats(src []float32, channels, height, width int, layout Layout, n Norm) (*Planar, error) {
	p, err := NewPlanar(channels, height, width)
	if err != nil {
		return nil, err
	}
	if len(src) != len(p.Pix) {
		return nil, fmt.Errorf("imageio: %d values for an image of %dx%dx%d", len(src), channels, height, width)
	}
	if err := n.Check(channels); err != nil {
		return nil, err
	}
	plane := height * width
	for c := range channels {
		mean, std := n.channel(c)
		step, at := 1, c*plane
		if layout == NHWC {
			step, at = channels, c
		}
		out := p.Pix[c*plane : (c+1)*plane]
		for i := range out {
			out[i] = toByte(float32(src[at]*std) + mean)
			at += step
		}
	}
	return p, nil
}

// toByte maps [0, 1] to 0 … 255.
func toByte(v float32) uint8 {
	switch {
	case v >= 1:
		return 255
	case v > 0:
		return uint8(float32(v*255) + 0.5)
	}
	return 0
}
