package imagefile

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"math"

	"github.com/aekit/aekit/internal/imageio"
)

// WritePNG writes p. The bytes are a function of the pixels and of the version of Go.
func WritePNG(w io.Writer, p *imageio.Planar) error {
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	return enc.Encode(w, p.Image())
}

// WriteGIF writes frames, all of one size, as an animation that repeats for ever. delay is
// in hundredths of a second. With back, the frames between the last and the first follow
// in reverse. Colours are those of a palette of 6×6×6 levels and 40 greys, or of 256 greys
// where no frame has colour.
func WriteGIF(w io.Writer, frames []*imageio.Planar, delay int, back bool) error {
	if len(frames) == 0 {
		return errors.New("an animation of no frames")
	}
	if delay < 0 || delay > math.MaxUint16 {
		return fmt.Errorf("delay of %d hundredths of a second", delay)
	}
	colour := false
	for i, f := range frames {
		if f.W != frames[0].W || f.H != frames[0].H {
			return fmt.Errorf("frame %d is %dx%d, frame 0 is %dx%d", i, f.W, f.H, frames[0].W, frames[0].H)
		}
		colour = colour || f.C == 3
	}
	if frames[0].W > math.MaxUint16 || frames[0].H > math.MaxUint16 {
		return fmt.Errorf("frames of %dx%d are too large for GIF", frames[0].W, frames[0].H)
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
func paletteIndex(f *imageio.Planar, i int, colour bool) uint8 {
	if !colour {
		return f.Pix[i]
	}
	c := f.At(i%f.W, i/f.W)
	lo, hi := min(c.R, c.G, c.B), max(c.R, c.G, c.B)
	if hi-lo <= 8 {
		const greys = 256 - cubeSize
		return uint8(cubeSize + (int(imageio.Luma(c.R, c.G, c.B))*(greys-1)+127)/255)
	}
	d := bayer[i/f.W%4][i%f.W%4]
	level := func(v uint8) int { return (int(v)*(cubeLevels-1)*16 + d*255) / (255 * 16) }
	return uint8((level(c.R)*cubeLevels+level(c.G))*cubeLevels + level(c.B))
}

// bayer is the 4×4 ordered dithering matrix, 0 … 15.
var bayer = [4][4]int{{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}}
