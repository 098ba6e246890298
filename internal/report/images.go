package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/draw"
	"image/png"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/train/dataset"
)

// set is a number of images in memory, as numbers and as pictures.
type set struct {
	info   dataset.Info
	n      int
	pixels []float32 // [n][Elems], in [0, 1]
	labels []int     // -1 where there is none
	images []image.Image
}

// readSet reads at most limit images of src, spread evenly over it.
func readSet(ctx context.Context, src dataset.Source, limit int) (*set, error) {
	total := src.Len()
	n := min(limit, total)
	index := make([]int, n)
	for i := range index {
		index[i] = int(int64(i) * int64(total) / int64(n))
	}
	info := src.Info()
	s := &set{info: info, n: n, pixels: make([]float32, n*info.Elems()), labels: make([]int, n), images: make([]image.Image, n)}
	const step = 256
	for lo := 0; lo < n; lo += step {
		hi := min(lo+step, n)
		if err := src.Read(ctx, index[lo:hi], s.pixels[lo*info.Elems():hi*info.Elems()], s.labels[lo:hi]); err != nil {
			return nil, err
		}
	}
	for i := range s.images {
		p, err := imageio.FromFloats(s.row(i), info.Channels, info.Height, info.Width, imageio.NCHW, imageio.Norm{})
		if err != nil {
			return nil, err
		}
		s.images[i] = p.Image()
	}
	return s, nil
}

func (s *set) row(i int) []float32 {
	e := s.info.Elems()
	return s.pixels[i*e : (i+1)*e]
}

// classes returns the number of classes, 0 without labels.
func (s *set) classes() int { return len(s.info.Classes) }

// toPixels turns pictures that a model made into numbers in [0, 1].
func toPixels(images []image.Image, info dataset.Info) ([]float32, error) {
	e := info.Elems()
	out := make([]float32, len(images)*e)
	for i, img := range images {
		p, err := imageio.FromImage(img, info.Channels)
		if err != nil {
			return nil, err
		}
		if len(p.Pix) != e {
			return nil, fmt.Errorf("report: the model makes images of %dx%d, the data are %dx%d", p.W, p.H, info.Width, info.Height)
		}
		for k, v := range p.Pix {
			out[i*e+k] = float32(v) / 255
		}
	}
	return out, nil
}

// picture is an image in the page: a data URI and the size at which it is shown.
type picture struct {
	URI           template.URL
	Width, Height int
	Alt           string
}

// sheet arranges images of one size in rows with transparent space between them, zoomed by a
// whole factor so that a cell is about side pixels wide.
func sheet(images []image.Image, columns, side int, alt string) (*picture, error) {
	if len(images) == 0 {
		return nil, nil
	}
	const pad = 2
	b := images[0].Bounds()
	rows := (len(images) + columns - 1) / columns
	w, h := columns*(b.Dx()+pad)-pad, rows*(b.Dy()+pad)-pad
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i, img := range images {
		if img.Bounds().Size() != b.Size() {
			return nil, fmt.Errorf("report: images of %v and %v in one sheet", b.Size(), img.Bounds().Size())
		}
		x, y := i%columns*(b.Dx()+pad), i/columns*(b.Dy()+pad)
		draw.Draw(out, image.Rect(x, y, x+b.Dx(), y+b.Dy()), img, img.Bounds().Min, draw.Src)
	}
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, out); err != nil {
		return nil, err
	}
	zoom := max(1, side/b.Dx())
	return &picture{
		URI:   template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(buf.Bytes())),
		Width: w * zoom, Height: h * zoom, Alt: alt,
	}, nil
}
