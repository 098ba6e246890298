package tensor

import (
	"errors"
	"fmt"
	"image"
	"image/color"
)

// FromImage returns an image as a Float32 tensor of shape [1 channels height width], the form in
// which most models take it: samples are in [0, 1], white being 1. channels is 1 for grey
// (luminance, as [color.Gray16Model] has it) or 3 for red, green and blue. Where the image is
// transparent, black shows through. It fails for other channels and for images without pixels.
//
// Package runtime/autoencoder scales images to the size, range and layout that a model asks for.
func FromImage(img image.Image, channels int) (*Tensor, error) {
	if channels != 1 && channels != 3 {
		return nil, fmt.Errorf("tensor: an image of %d channels, want 1 or 3", channels)
	}
	r := img.Bounds()
	if r.Empty() {
		return nil, errors.New("tensor: an image without pixels")
	}
	h, w := r.Dy(), r.Dx()
	t, err := New(Float32, 1, channels, h, w)
	if err != nil {
		return nil, err
	}
	at := func(x, y int) color.RGBA64 {
		r, g, b, a := img.At(x, y).RGBA()
		return color.RGBA64{R: uint16(r), G: uint16(g), B: uint16(b), A: uint16(a)}
	}
	if fast, ok := img.(image.RGBA64Image); ok {
		at = fast.RGBA64At
	}
	const white = 0xffff
	d := t.Float32s()
	for y := range h {
		for x := range w {
			c := at(r.Min.X+x, r.Min.Y+y)
			i := y*w + x
			if channels == 1 {
				d[i] = float32(color.Gray16Model.Convert(c).(color.Gray16).Y) / white
				continue
			}
			d[i], d[h*w+i], d[2*h*w+i] = float32(c.R)/white, float32(c.G)/white, float32(c.B)/white
		}
	}
	return t, nil
}
