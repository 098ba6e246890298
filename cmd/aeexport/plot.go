package main

import (
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/train"
)

var curveColors = []color.Color{
	color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff},
	color.RGBA{R: 0xff, G: 0x7f, B: 0x0e, A: 0xff},
	color.RGBA{R: 0x2c, G: 0xa0, B: 0x2c, A: 0xff},
	color.RGBA{R: 0xd6, G: 0x27, B: 0x28, A: 0xff},
}

// plotLosses draws the terms of the loss against the epochs, as a PNG file.
func plotLosses(path string, epochs []train.Epoch) error {
	p := plot.New()
	p.X.Label.Text = "epoch"
	p.Y.Label.Text = "loss"
	add := func(name string, value func(train.Epoch) (float64, bool), dashed bool, c color.Color) error {
		var pts plotter.XYs
		for _, e := range epochs {
			if v, ok := value(e); ok {
				pts = append(pts, plotter.XY{X: float64(e.Epoch), Y: v})
			}
		}
		if len(pts) == 0 {
			return nil
		}
		l, err := plotter.NewLine(pts)
		if err != nil {
			return err
		}
		l.Color, l.Width = c, vg.Points(1.5)
		if dashed {
			l.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		p.Add(l)
		p.Legend.Add(name, l)
		return nil
	}
	if len(epochs) > 0 {
		for i, name := range epochs[0].Train.Names {
			c := curveColors[i%len(curveColors)]
			if err := add(name, func(e train.Epoch) (float64, bool) { return e.Train.Values[i], true }, false, c); err != nil {
				return err
			}
			if err := add(name+" (validation)", func(e train.Epoch) (float64, bool) {
				if e.Val == nil {
					return 0, false
				}
				return e.Val.Values[i], true
			}, true, c); err != nil {
				return err
			}
		}
	}
	p.Legend.Top = true
	w, err := p.WriterTo(16*vg.Centimeter, 10*vg.Centimeter, "png")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(f io.Writer) error {
		_, err := w.WriteTo(f)
		return err
	})
}
