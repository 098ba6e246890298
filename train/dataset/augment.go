package dataset

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/rng"
)

// Augment changes training images at random. What happens to an image depends only on
// the seed, the epoch and the image's index; the same on every architecture. The zero
// value changes nothing. All amounts are 0 or more.
type Augment struct {
	Flip bool // mirror left and right, every other time

	// Crop cuts a window of the image's proportions at a random place and enlarges it to
	// the image's size. Its sides are shorter by up to this share, below 1.
	Crop float64

	Shift  float64 // move by up to this share of the width and height, below 1
	Rotate float64 // turn by up to this many degrees, at most 180, about the middle
	Scale  float64 // enlarge or shrink by up to this share, below 1
	Shear  float64 // shift rows by up to this share of their distance from the middle

	Brightness float64 // add up to ± this to all values
	Contrast   float64 // multiply the distance from the mean by 1 ± up to this
	Saturation float64 // multiply the distance from grey by 1 ± up to this; colour only
}

func (a *Augment) check() error {
	if a == nil {
		return nil
	}
	for _, v := range []struct {
		name string
		v    float64
		max  float64
	}{
		{"crop", a.Crop, 0.99}, {"shift", a.Shift, 1}, {"rotate", a.Rotate, 180}, {"scale", a.Scale, 0.99}, {"shear", a.Shear, 10},
		{"brightness", a.Brightness, 1}, {"contrast", a.Contrast, 10}, {"saturation", a.Saturation, 10},
	} {
		if !(v.v >= 0 && v.v <= v.max) {
			return fmt.Errorf("dataset: augmentation: %s %g is not in [0, %g]", v.name, v.v, v.max)
		}
	}
	return nil
}

// apply changes img, [Channels][Height][Width] in [0, 1], in place.
func (a *Augment) apply(info Info, img []float32, r *rng.Rand) {
	// Every parameter is drawn whether it is used or not, so that switching one on does
	// not change the others.
	flip := r.Uint32()&1 == 1
	dx, dy := r.Range(-1, 1), r.Range(-1, 1)
	turn, scale, shear := r.Range(-1, 1), r.Range(-1, 1), r.Range(-1, 1)
	bright, contrast, saturation := r.Range(-1, 1), r.Range(-1, 1), r.Range(-1, 1)
	crop, cx, cy := r.Range(0, 1), r.Range(-1, 1), r.Range(-1, 1)
	if a.Flip && flip {
		for y := 0; y < len(img); y += info.Width {
			row := img[y : y+info.Width]
			for i, j := 0, len(row)-1; i < j; i, j = i+1, j-1 {
				row[i], row[j] = row[j], row[i]
			}
		}
	}
	if a.Crop > 0 {
		cut := float64(crop * a.Crop)
		// The window's middle lies up to half of what is cut from the image's; warp takes
		// the move in output pixels.
		m := affine{ax: 1 - cut, by: 1 - cut}
		m.dx = float64(cx*cut) / 2 * float64(info.Width-1) / (1 - cut)
		m.dy = float64(cy*cut) / 2 * float64(info.Height-1) / (1 - cut)
		m.warp(info, img)
	}
	if a.Shift > 0 || a.Rotate > 0 || a.Scale > 0 || a.Shear > 0 {
		cos, sin := cosSin(float64(turn * a.Rotate))
		s := 1 + float64(scale*a.Scale)
		k := float64(shear * a.Shear)
		m := affine{
			ax: cos / s, bx: (sin + float64(k*cos)) / s,
			ay: -sin / s, by: (cos - float64(k*sin)) / s,
			dx: float64(dx*a.Shift) * float64(info.Width), dy: float64(dy*a.Shift) * float64(info.Height),
		}
		m.warp(info, img)
	}
	if a.Brightness > 0 || a.Contrast > 0 || a.Saturation > 0 {
		sat := float32(1 + float64(saturation*a.Saturation))
		if info.Channels != 3 {
			sat = 1
		}
		recolour(img, len(img)/info.Channels, float32(bright*a.Brightness), float32(1+float64(contrast*a.Contrast)), sat)
	}
}

// recolour scales the distance of each pixel from its grey by sat, then of each value from
// the image's mean by contrast, and adds bright. plane is the number of pixels.
func recolour(img []float32, plane int, bright, contrast, sat float32) {
	if sat != 1 {
		for i := range plane {
			grey := (img[i] + img[plane+i] + img[2*plane+i]) / 3
			for c := i; c < len(img); c += plane {
				img[c] = grey + float32((img[c]-grey)*sat)
			}
		}
	}
	var sum float64
	for _, v := range img {
		sum += float64(v)
	}
	mean := float32(sum / float64(len(img)))
	for i, v := range img {
		img[i] = min(1, max(0, mean+bright+float32((v-mean)*contrast)))
	}
}

// affine maps output pixels, relative to the moved middle, to input pixels.
type affine struct{ ax, bx, ay, by, dx, dy float64 }

// warp resamples img bilinearly; what lies outside repeats the border.
func (m *affine) warp(info Info, img []float32) {
	w, h := info.Width, info.Height
	cx, cy := float64(w-1)/2, float64(h-1)/2
	src := append([]float32(nil), img...)
	for y := range h {
		for x := range w {
			px, py := float64(x)-cx-m.dx, float64(y)-cy-m.dy
			u := min(float64(w-1), max(0, cx+float64(m.ax*px)+float64(m.bx*py)))
			v := min(float64(h-1), max(0, cy+float64(m.ay*px)+float64(m.by*py)))
			u0, v0 := int(u), int(v)
			u1, v1 := min(w-1, u0+1), min(h-1, v0+1)
			fu, fv := float32(u-float64(u0)), float32(v-float64(v0))
			for c := range info.Channels {
				p := src[c*w*h : (c+1)*w*h]
				top := p[v0*w+u0] + float32((p[v0*w+u1]-p[v0*w+u0])*fu)
				low := p[v1*w+u0] + float32((p[v1*w+u1]-p[v1*w+u0])*fu)
				img[(c*h+y)*w+x] = top + float32((low-top)*fv)
			}
		}
	}
}

// cosSin returns the cosine and sine of an angle of at most 180 degrees, by Taylor series
// of an eighth of it and three doublings; math.Cos may differ between architectures.
func cosSin(degrees float64) (cos, sin float64) {
	x := float64(degrees * (math.Pi / 180 / 8))
	x2 := float64(x * x)
	cos = 1 - float64(x2/2*(1-float64(x2/12*(1-float64(x2/30*(1-float64(x2/56*(1-x2/90))))))))
	sin = float64(x * (1 - float64(x2/6*(1-float64(x2/20*(1-float64(x2/42*(1-x2/72))))))))
	for range 3 {
		cos, sin = float64(cos*cos)-float64(sin*sin), 2*float64(cos*sin)
	}
	return cos, sin
}
