// Package imageio converts between image.Image and the number arrays that models take, and
// draws the sheets that show results. Package imagefile reads and writes the files.
//
// [Planar] is the meeting point: 8-bit samples, one plane a channel. Resizing and colour
// conversion are integer arithmetic, so a file gives the same numbers on every
// architecture.
package imageio

import (
	"fmt"
	"image"
	"image/color"
)

// A Planar image holds 8-bit samples, Pix[(c·H+y)·W+x]. C is 1 (grey) or 3 (red, green,
// blue); W and H are at least 1.
type Planar struct {
	C, H, W int
	Pix     []uint8
}

// NewPlanar returns a black image, or an error if the size is not positive, channels is
// neither 1 nor 3, or the number of samples does not fit an int.
func NewPlanar(channels, height, width int) (*Planar, error) {
	if channels != 1 && channels != 3 {
		return nil, fmt.Errorf("imageio: %d channels, want 1 or 3", channels)
	}
	if width < 1 || height < 1 {
		return nil, fmt.Errorf("imageio: size %dx%d", width, height)
	}
	if int64(width) > maxInt/3/int64(height) {
		return nil, fmt.Errorf("imageio: size %dx%d is too large", width, height)
	}
	return &Planar{C: channels, H: height, W: width, Pix: make([]uint8, channels*height*width)}, nil
}

const maxInt = int64(^uint(0) >> 1)

// FromImage converts img to the given number of channels, 1 or 3. Transparency is blended
// with black; grey is the luma of JFIF (ITU-R BT.601).
func FromImage(img image.Image, channels int) (*Planar, error) {
	b := img.Bounds()
	p, err := NewPlanar(channels, b.Dy(), b.Dx())
	if err != nil {
		return nil, err
	}
	plane := p.W * p.H
	for y := range p.H {
		row := p.Pix[y*p.W:]
		switch m := img.(type) {
		case *image.Gray:
			src := m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:p.W]
			for c := range p.C {
				copy(row[c*plane:], src)
			}
		case *image.RGBA:
			p.setRow(y, m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:4*p.W], 4)
		case *image.YCbCr:
			for x := range p.W {
				yi, ci := m.YOffset(b.Min.X+x, b.Min.Y+y), m.COffset(b.Min.X+x, b.Min.Y+y)
				r, g, bl := color.YCbCrToRGB(m.Y[yi], m.Cb[ci], m.Cr[ci])
				if channels == 1 {
					row[x] = Luma(r, g, bl)
					continue
				}
				row[x], row[plane+x], row[2*plane+x] = r, g, bl
			}
		default:
			for x := range p.W {
				r, g, bl, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
				if channels == 1 {
					row[x] = Luma(uint8(r>>8), uint8(g>>8), uint8(bl>>8))
					continue
				}
				row[x], row[plane+x], row[2*plane+x] = uint8(r>>8), uint8(g>>8), uint8(bl>>8)
			}
		}
	}
	return p, nil
}

// setRow fills row y from interleaved red, green, blue samples that are step apart.
func (p *Planar) setRow(y int, src []uint8, step int) {
	plane := p.W * p.H
	row := p.Pix[y*p.W:]
	for x := range p.W {
		s := src[x*step:][:3]
		if p.C == 1 {
			row[x] = Luma(s[0], s[1], s[2])
		} else {
			row[x], row[plane+x], row[2*plane+x] = s[0], s[1], s[2]
		}
	}
}

// Luma weighs the channels by 0.299, 0.587 and 0.114; equal channels keep their value.
func Luma(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// Channels returns p with 1 or 3 channels: p itself if it has them already.
func (p *Planar) Channels(n int) (*Planar, error) {
	if n == p.C {
		return p, nil
	}
	q, err := NewPlanar(n, p.H, p.W)
	if err != nil {
		return nil, err
	}
	plane := p.W * p.H
	if n == 3 {
		for c := range 3 {
			copy(q.Pix[c*plane:], p.Pix)
		}
		return q, nil
	}
	for i := range q.Pix {
		q.Pix[i] = Luma(p.Pix[i], p.Pix[plane+i], p.Pix[2*plane+i])
	}
	return q, nil
}

// Image returns p as an *image.Gray or *image.NRGBA with its own memory.
func (p *Planar) Image() image.Image {
	r := image.Rect(0, 0, p.W, p.H)
	if p.C == 1 {
		m := image.NewGray(r)
		copy(m.Pix, p.Pix)
		return m
	}
	m := image.NewNRGBA(r)
	plane := p.W * p.H
	for i := range plane {
		copy(m.Pix[4*i:], []uint8{p.Pix[i], p.Pix[plane+i], p.Pix[2*plane+i], 255})
	}
	return m
}

// At returns the colour of a pixel inside the image.
func (p *Planar) At(x, y int) color.NRGBA {
	i, plane := y*p.W+x, p.W*p.H
	if p.C == 1 {
		v := p.Pix[i]
		return color.NRGBA{v, v, v, 255}
	}
	return color.NRGBA{p.Pix[i], p.Pix[plane+i], p.Pix[2*plane+i], 255}
}

// Crop returns a copy of the w×h pixels from (x, y), which must lie inside p.
func (p *Planar) Crop(x, y, w, h int) (*Planar, error) {
	if x < 0 || y < 0 || w < 1 || h < 1 || w > p.W-x || h > p.H-y {
		return nil, fmt.Errorf("imageio: crop %dx%d at (%d, %d) of an image of %dx%d", w, h, x, y, p.W, p.H)
	}
	q, err := NewPlanar(p.C, h, w)
	if err != nil {
		return nil, err
	}
	for c := range p.C {
		for i := range h {
			copy(q.Pix[(c*h+i)*w:][:w], p.Pix[(c*p.H+y+i)*p.W+x:])
		}
	}
	return q, nil
}

// IsGrey reports whether img can only hold grey.
func IsGrey(img image.Image) bool {
	switch img.(type) {
	case *image.Gray, *image.Gray16:
		return true
	}
	return false
}
