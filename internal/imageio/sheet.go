package imageio

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"math"
)

// Sheet is how [Sheet.Grid] arranges images.
type Sheet struct {
	Columns int         // 0: as square as possible
	Pad     int         // pixels between the images and around them
	Back    color.NRGBA // colour of the padding and of empty cells; its alpha is ignored
	Zoom    int         // every pixel becomes Zoom×Zoom; 0 means 1
}

// Grid returns one image with all the given ones, row by row. They must have the same
// size; if any has colour, the result has.
func (s Sheet) Grid(images []*Planar) (*Planar, error) {
	if len(images) == 0 {
		return nil, errors.New("imageio: a sheet of no images")
	}
	if s.Columns < 0 || s.Pad < 0 || s.Zoom < 0 || max(s.Columns, s.Pad, s.Zoom) > 1<<20 {
		return nil, fmt.Errorf("imageio: sheet of %d columns, padding %d, zoom %d", s.Columns, s.Pad, s.Zoom)
	}
	zoom := max(1, s.Zoom)
	channels, h, w := 1, images[0].H, images[0].W
	for i, p := range images {
		if p.H != h || p.W != w {
			return nil, fmt.Errorf("imageio: sheet: image %d is %dx%d, image 0 is %dx%d", i, p.W, p.H, w, h)
		}
		channels = max(channels, p.C)
	}
	if s.Back.R != s.Back.G || s.Back.G != s.Back.B {
		channels = 3
	}
	cols := s.Columns
	if cols == 0 {
		cols = int(math.Ceil(math.Sqrt(float64(len(images)))))
	}
	rows := (len(images) + cols - 1) / cols
	side := func(n, size int) int64 {
		return int64(n)*(int64(size)*int64(zoom)+int64(s.Pad)) + int64(s.Pad)
	}
	if side(cols, w) > 1<<20 || side(rows, h) > 1<<20 {
		return nil, fmt.Errorf("imageio: sheet of %dx%d pixels is too large", side(cols, w), side(rows, h))
	}
	out, err := NewPlanar(channels, int(side(rows, h)), int(side(cols, w)))
	if err != nil {
		return nil, err
	}
	plane := out.H * out.W
	for c, v := range []uint8{s.Back.R, s.Back.G, s.Back.B}[:channels] {
		if v != 0 {
			for i := range plane {
				out.Pix[c*plane+i] = v
			}
		}
	}
	for i, p := range images {
		q, err := p.Channels(channels)
		if err != nil {
			return nil, err
		}
		x0 := i%cols*(w*zoom+s.Pad) + s.Pad
		y0 := i/cols*(h*zoom+s.Pad) + s.Pad
		for c := range channels {
			for y := range h * zoom {
				src := q.Pix[(c*h+y/zoom)*w:][:w]
				dst := out.Pix[c*plane+(y0+y)*out.W+x0:]
				for x := range w * zoom {
					dst[x] = src[x/zoom]
				}
			}
		}
	}
	return out, nil
}

// WritePNG writes p. The bytes are a function of the pixels and of the version of Go.
func WritePNG(w io.Writer, p *Planar) error {
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	return enc.Encode(w, p.Image())
}

// WriteGIF writes frames, all of one size, as an animation that repeats for ever. delay is
// in hundredths of a second. With back, the frames between the last and the first follow
// in reverse. Colours are those of a palette of 6×6×6 levels and 40 greys, or of 256 greys
// where no frame has colour.
func WriteGIF(w io.Writer, frames []*Planar, delay int, back bool) error {
	if len(frames) == 0 {
		return errors.New("imageio: an animation of no frames")
	}
	if delay < 0 || delay > math.MaxUint16 {
		return fmt.Errorf("imageio: delay of %d hundredths of a second", delay)
	}
	colour := false
	for i, f := range frames {
		if f.W != frames[0].W || f.H != frames[0].H {
			return fmt.Errorf("imageio: frame %d is %dx%d, frame 0 is %dx%d", i, f.W, f.H, frames[0].W, frames[0].H)
		}
		colour = colour || f.C == 3
	}
	if frames[0].W > math.MaxUint16 || frames[0].H > math.MaxUint16 {
		return fmt.Errorf("imageio: frames of %dx%d are too large for GIF", frames[0].W, frames[0].H)
	}
	palette := gifPalette(colour)
	g := &gif.GIF{Config: image.Config{ColorModel: palette, Width: frames[0].W, Height: frames[0].H}}
	for _, f := range frames {
		m := image.NewPaletted(image.Rect(0, 0, f.W, f.H), palette)
		for i := range m.Pix {
			m.Pix[i] = paletteIndex(f, i, colour)
		}
		g.Image = append(g.Image, m)
		g.Delay = append(g.Delay, delay)
	}
	if back {
		for i := len(frames) - 2; i > 0; i-- {
			g.Image = append(g.Image, g.Image[i])
			g.Delay = append(g.Delay, delay)
		}
	}
	return gif.EncodeAll(w, g)
}

// cubeLevels is the number of levels a channel has in the colour palette; the rest of its
// 256 entries are greys.
const cubeLevels = 6

const cubeSize = cubeLevels * cubeLevels * cubeLevels

func gifPalette(colour bool) color.Palette {
	p := make(color.Palette, 256)
	for i := range p {
		v := uint8(i)
		switch {
		case !colour:
			p[i] = color.RGBA{v, v, v, 255}
		case i < cubeSize:
			const step = 255 / (cubeLevels - 1)
			p[i] = color.RGBA{uint8(i / cubeLevels / cubeLevels * step), uint8(i / cubeLevels % cubeLevels * step), uint8(i % cubeLevels * step), 255}
		default:
			v = greyEntry(i)
			p[i] = color.RGBA{v, v, v, 255}
		}
	}
	return p
}

// greyEntry is the grey of entry i of the colour palette.
func greyEntry(i int) uint8 {
	const greys = 256 - cubeSize
	return uint8(((i-cubeSize)*255 + (greys-1)/2) / (greys - 1))
}

// paletteIndex returns the entry for pixel i of f: pixels that are nearly grey take one of
// the greys, others that of the colour cube, after ordered dithering.
func paletteIndex(f *Planar, i int, colour bool) uint8 {
	if !colour {
		return f.Pix[i]
	}
	c := f.At(i%f.W, i/f.W)
	lo, hi := min(c.R, c.G, c.B), max(c.R, c.G, c.B)
	if hi-lo <= 8 {
		const greys = 256 - cubeSize
		return uint8(cubeSize + (int(luma(c.R, c.G, c.B))*(greys-1)+127)/255)
	}
	d := bayer[i/f.W%4][i%f.W%4]
	level := func(v uint8) int { return (int(v)*(cubeLevels-1)*16 + d*255) / (255 * 16) }
	return uint8((level(c.R)*cubeLevels+level(c.G))*cubeLevels + level(c.B))
}

// bayer is the 4×4 ordered dithering matrix, 0 … 15.
var bayer = [4][4]int{{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}}
