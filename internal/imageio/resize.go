package imageio

import "fmt"

// Fit says what to do when the shapes of an image and its new size differ.
type Fit uint8

const (
	Stretch Fit = iota // change the proportions
	Cover              // scale to cover the size, cut the rest off equally on both sides
	Contain            // scale to lie inside the size, fill with black equally on both sides
)

// String returns "stretch", "cover" or "contain".
func (f Fit) String() string {
	if int(f) < len(fitNames) {
		return fitNames[f]
	}
	return fmt.Sprintf("fit(%d)", uint8(f))
}

var fitNames = [...]string{"stretch", "cover", "contain"}

// ParseFit is the inverse of [Fit.String].
func ParseFit(s string) (Fit, error) {
	for i, n := range fitNames {
		if s == n {
			return Fit(i), nil
		}
	}
	return 0, fmt.Errorf("imageio: unknown fit %q, want stretch, cover or contain", s)
}

// Resize returns p at another size; p itself if it has that size. Along each axis,
// shrinking averages the area that a new pixel covers, and enlarging is cubic convolution
// (Keys 1981 with a = -1/2, the Catmull-Rom spline), with the border pixels repeated.
func (p *Planar) Resize(width, height int, fit Fit) (*Planar, error) {
	if width == p.W && height == p.H {
		return p, nil
	}
	out, err := NewPlanar(p.C, height, width)
	if err != nil {
		return nil, err
	}
	src := p
	w, h := width, height // of the scaled image
	wide := int64(p.W)*int64(height) > int64(width)*int64(p.H)
	switch fit {
	case Cover:
		cw, ch := p.W, p.H
		if wide {
			cw = atLeast1(scaled(p.H, width, height))
		} else {
			ch = atLeast1(scaled(p.W, height, width))
		}
		if src, err = p.Crop((p.W-cw)/2, (p.H-ch)/2, cw, ch); err != nil {
			return nil, err
		}
	case Contain:
		if wide {
			h = atLeast1(scaled(width, p.H, p.W))
		} else {
			w = atLeast1(scaled(height, p.W, p.H))
		}
	}
	if int64(w)*int64(src.H) > maxInt/4 {
		return nil, fmt.Errorf("imageio: resizing %dx%d to %dx%d is too large", p.W, p.H, width, height)
	}
	scaledPix := out.Pix
	if w != width || h != height {
		scaledPix = make([]uint8, p.C*w*h)
	}
	resample(scaledPix, w, h, src.Pix, src.W, src.H, p.C)
	if w != width || h != height {
		x0, y0 := (width-w)/2, (height-h)/2
		for c := range p.C {
			for y := range h {
				copy(out.Pix[(c*height+y0+y)*width+x0:], scaledPix[(c*h+y)*w:][:w])
			}
		}
	}
	return out, nil
}

// scaled returns n·num/den, rounded.
func scaled(n, num, den int) int {
	return int((2*int64(n)*int64(num) + int64(den)) / (2 * int64(den)))
}

func atLeast1(n int) int { return max(1, n) }

// weightBits is the scale of the filter weights: those of one output pixel sum to
// 1<<weightBits.
const weightBits = 14

// taps are the input samples that make one output sample.
type taps struct {
	first int
	w     []int32
}

// resample scales planes. The intermediate rows keep 6 fraction bits.
func resample(dst []uint8, dw, dh int, src []uint8, sw, sh, planes int) {
	const extra = 6
	tx, ty := filter(sw, dw), filter(sh, dh)
	mid := make([]int32, dw*sh)
	for c := range planes {
		for y := range sh {
			in := src[(c*sh+y)*sw:][:sw]
			out := mid[y*dw:][:dw]
			for x, t := range tx {
				s := int32(1) << (weightBits - extra - 1)
				for k, w := range t.w {
					s += w * int32(in[t.first+k])
				}
				out[x] = s >> (weightBits - extra)
			}
		}
		for y, t := range ty {
			out := dst[(c*dh+y)*dw:][:dw]
			for x := range out {
				s := int64(1) << (weightBits + extra - 1)
				for k, w := range t.w {
					s += int64(w) * int64(mid[(t.first+k)*dw+x])
				}
				out[x] = uint8(min(255, max(0, s>>(weightBits+extra))))
			}
		}
	}
}

// filter returns the taps of n output samples from m input samples.
func filter(m, n int) []taps {
	out := make([]taps, n)
	for i := range out {
		if n <= m {
			out[i] = areaTaps(m, n, i)
		} else {
			out[i] = cubicTaps(m, n, i)
		}
		// The largest weight takes what rounding left over.
		sum, big := int32(0), 0
		for k, w := range out[i].w {
			sum += w
			if w > out[i].w[big] {
				big = k
			}
		}
		out[i].w[big] += 1<<weightBits - sum
	}
	return out
}

// areaTaps covers [i·m/n, (i+1)·m/n) of the input, in units of 1/n.
func areaTaps(m, n, i int) taps {
	lo, hi := int64(i)*int64(m), int64(i+1)*int64(m)
	first, last := lo/int64(n), (hi+int64(n)-1)/int64(n)
	t := taps{first: int(first), w: make([]int32, last-first)}
	for k := range t.w {
		a := max(lo, (first+int64(k))*int64(n))
		b := min(hi, (first+int64(k)+1)*int64(n))
		t.w[k] = int32(((b-a)<<(weightBits+1) + int64(m)) / (2 * int64(m)))
	}
	return t
}

// cubicTaps centres the kernel on (i+½)·m/n - ½.
func cubicTaps(m, n, i int) taps {
	num := int64(2*i+1)*int64(m) - int64(n) // position times 2n, at least -n
	at := (num + 2*int64(n)) / (2 * int64(n))
	at-- // floor
	u := float64(num-at*2*int64(n)) / float64(2*n)
	u2 := float64(u * u)
	u3 := float64(u2 * u)
	w := [4]float64{
		u2 - 0.5*u - 0.5*u3,
		1 - float64(2.5*u2) + float64(1.5*u3),
		0.5*u + 2*u2 - float64(1.5*u3),
		0.5*u3 - 0.5*u2,
	}
	lo, hi := max(0, int(at)-1), min(m-1, int(at)+2)
	t := taps{first: lo, w: make([]int32, hi-lo+1)}
	for k, v := range w {
		j := min(hi, max(lo, int(at)-1+k))
		t.w[j-lo] += int32(floorHalf(float64(v * (1 << weightBits))))
	}
	return t
}

// floorHalf rounds to the nearest integer, halves up.
func floorHalf(x float64) int64 {
	x += 0.5
	n := int64(x)
	if float64(n) > x {
		n--
	}
	return n
}
