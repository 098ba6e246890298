package report

import (
	"context"
	"image"
	"image/color"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/metric"
	"github.com/aekit/aekit/runtime/autoencoder"
)

// reconstruction is how well the images come back.
type reconstruction struct {
	Images  int          `json:"images"`
	Unseen  bool         `json:"unseen"` // they are not training images
	MSE     float64      `json:"mse"`
	PSNR    float64      `json:"psnr"` // dB, of the mean of the errors
	SSIM    float64      `json:"ssim"`
	MSSSIM  float64      `json:"ms_ssim,omitempty"` // for images of at least 161×161
	ByClass []classError `json:"by_class,omitempty"`
}

type classError struct {
	Class  string  `json:"class"`
	Images int     `json:"images"`
	MSE    float64 `json:"mse"`
}

// Columns and numbers of pictures that are shown.
const (
	shownColumns = 18
	cellSide     = 56
	pageWidth    = shownColumns * (cellSide + 2)
)

// columns is how many images stand side by side.
func (r *result) columns() int {
	cell := r.info.Width * max(1, cellSide/r.info.Width)
	return max(3, min(shownColumns, pageWidth/(cell+2)))
}

func (r *result) reconstruct(ctx context.Context, m *autoencoder.Model) error {
	t := r.test
	recs := make([]autoencoder.Reconstruction, t.n)
	for _, g := range r.groups(t) {
		part, err := r.labelled(m, g.label).Reconstruct(ctx, pick(t.images, g.index)...)
		if err != nil {
			return err
		}
		for k, i := range g.index {
			recs[i] = part[k]
		}
	}
	out := &reconstruction{Images: t.n, Unseen: r.unseen}
	by := make([]classError, t.classes())
	for i, rec := range recs {
		out.MSE += rec.MSE / float64(t.n)
		out.SSIM += rec.SSIM / float64(t.n)
		if l := t.labels[i]; l >= 0 && l < len(by) {
			by[l].MSE += rec.MSE
			by[l].Images++
		}
	}
	out.PSNR = min(999, metric.PSNR(out.MSE, 1))
	if min(t.info.Height, t.info.Width) >= 161 {
		n := min(t.n, 50)
		for i := range n {
			px, err := toPixels([]image.Image{recs[i].Output}, t.info)
			if err != nil {
				break
			}
			v, err := metric.MSSSIM(t.row(i), px, t.info.Channels, t.info.Height, t.info.Width, 1)
			if err != nil {
				break
			}
			out.MSSSIM += v / float64(n)
		}
	}
	var bars []bar
	for l, c := range by {
		if c.Images > 0 {
			c.Class, c.MSE = t.info.Classes[l], c.MSE/float64(c.Images)
			out.ByClass = append(out.ByClass, c)
			bars = append(bars, bar{Label: c.Class, Value: c.MSE})
		}
	}
	r.numbers.Reconstruction = out
	if len(bars) > 1 {
		r.figures.ByClass = barChart(bars, "mean squared error")
	}
	columns := min(r.columns(), t.n)
	order := make([]int, t.n)
	for i := range order {
		order[i] = i
	}
	var err error
	if r.figures.Pairs, err = r.pairs(recs, order[:min(2*columns, t.n)], columns, "images, their reconstructions and the differences"); err != nil {
		return err
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if recs[a].MSE > recs[b].MSE {
			return -1
		}
		return 1
	})
	r.figures.Worst, err = r.pairs(recs, order[:columns], columns, "the worst reconstructions")
	return err
}

// pairs shows images in groups of three rows: image, reconstruction, difference.
func (r *result) pairs(recs []autoencoder.Reconstruction, index []int, columns int, alt string) (*picture, error) {
	var cells []image.Image
	for lo := 0; lo < len(index); lo += columns {
		row := index[lo:min(lo+columns, len(index))]
		if len(row) < columns {
			break
		}
		for _, i := range row {
			cells = append(cells, recs[i].Input)
		}
		for _, i := range row {
			cells = append(cells, recs[i].Output)
		}
		for _, i := range row {
			cells = append(cells, difference(recs[i].Input, recs[i].Output))
		}
	}
	return sheet(cells, columns, cellSide, alt)
}

// difference is grey where two images agree, brighter where the second is.
func difference(a, b image.Image) image.Image {
	p, err1 := imageio.FromImage(a, 1)
	q, err2 := imageio.FromImage(b, 1)
	if err1 != nil || err2 != nil || p.W != q.W || p.H != q.H {
		return a
	}
	out := image.NewGray(image.Rect(0, 0, p.W, p.H))
	for i := range p.Pix {
		out.SetGray(i%p.W, i/p.W, color.Gray{Y: uint8(math.Round(127.5 + (float64(q.Pix[i])-float64(p.Pix[i]))/2))})
	}
	return out
}

// group is images that a conditional model takes with one label.
type group struct {
	label int
	index []int
}

// groups cuts a set by label if the model takes labels.
func (r *result) groups(s *set) []group {
	all := group{}
	by := map[int]*group{}
	var out []group
	var order []int
	for i, l := range s.labels {
		if r.info.Label == "" {
			all.index = append(all.index, i)
			continue
		}
		if by[l] == nil {
			by[l] = &group{label: l}
			order = append(order, l)
		}
		by[l].index = append(by[l].index, i)
	}
	if r.info.Label == "" {
		return []group{all}
	}
	for _, l := range order {
		out = append(out, *by[l])
	}
	return out
}

func pick(images []image.Image, index []int) []image.Image {
	out := make([]image.Image, len(index))
	for k, i := range index {
		out[k] = images[i]
	}
	return out
}
