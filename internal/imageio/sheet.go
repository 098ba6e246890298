package imageio

import (
	"errors"
	"fmt"
	"image/color"
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
