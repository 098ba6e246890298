package metric

import (
	"fmt"
	"math"
)

// Constants of SSIM (Wang, Bovik, Sheikh, Simoncelli: "Image quality assessment: from
// error visibility to structural similarity", 2004).
const (
	ssimWindow = 11
	ssimSigma  = 1.5
	ssimK1     = 0.01
	ssimK2     = 0.03
)

// msWeights are the exponents of the five scales of MS-SSIM (Wang, Simoncelli, Bovik:
// "Multiscale structural similarity for image quality assessment", 2003).
var msWeights = [...]float64{0.0448, 0.2856, 0.3001, 0.2363, 0.1333}

// SSIM is the mean structural similarity of two images whose values have the range peak
// (1 for [0, 1]), with an 11×11 Gaussian window of σ = 1.5 that lies wholly inside the
// image, K1 = 0.01 and K2 = 0.03, averaged over the channels. It is 1 for equal images.
// Where a side is below 11 the window is the largest odd one that fits.
func SSIM(a, b []float32, channels, height, width int, peak float64) (float64, error) {
	if err := checkSSIM(a, b, channels, height, width, peak); err != nil {
		return 0, err
	}
	n := min(ssimWindow, (min(height, width)-1)|1)
	plane := height * width
	sum := 0.0
	for c := range channels {
		x, y := wide(a[c*plane:(c+1)*plane]), wide(b[c*plane:(c+1)*plane])
		s, _ := ssimPlane(x, y, height, width, n, peak)
		sum += s
	}
	return sum / float64(channels), nil
}

// MSSSIM is the multi-scale structural similarity with five scales, averaged over the
// channels. Between scales both images are averaged over 2×2 pixels. Contrast terms below
// 0 count as 0. The sides must be at least 161, so that the window fits the last scale.
func MSSSIM(a, b []float32, channels, height, width int, peak float64) (float64, error) {
	if err := checkSSIM(a, b, channels, height, width, peak); err != nil {
		return 0, err
	}
	const least = (ssimWindow-1)<<(len(msWeights)-1) + 1
	if min(height, width) < least {
		return 0, fmt.Errorf("metric: MS-SSIM of %dx%d pixels, want at least %d each", width, height, least)
	}
	plane := height * width
	sum := 0.0
	for c := range channels {
		x, y := wide(a[c*plane:(c+1)*plane]), wide(b[c*plane:(c+1)*plane])
		h, w := height, width
		product := 1.0
		for i, weight := range msWeights {
			s, cs := ssimPlane(x, y, h, w, ssimWindow, peak)
			if i < len(msWeights)-1 {
				s = cs
			}
			product *= math.Pow(math.Max(s, 0), weight)
			x, _, _ = halve(x, h, w)
			y, h, w = halve(y, h, w)
		}
		sum += product
	}
	return sum / float64(channels), nil
}

func checkSSIM(a, b []float32, channels, height, width int, peak float64) error {
	if channels < 1 || height < 1 || width < 1 {
		return fmt.Errorf("metric: image of %dx%dx%d", channels, height, width)
	}
	n := int64(len(a))
	if len(a) != len(b) || n%int64(channels) != 0 || n/int64(channels)%int64(height) != 0 || n/int64(channels)/int64(height) != int64(width) {
		return fmt.Errorf("metric: %d and %d values for images of %dx%dx%d", len(a), len(b), channels, height, width)
	}
	if !(peak > 0) || math.IsInf(peak, 0) {
		return fmt.Errorf("metric: peak %g is not positive", peak)
	}
	return nil
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// ssimPlane returns the means of the SSIM map and of its contrast-structure factor, with
// an n×n window.
func ssimPlane(x, y []float64, h, w, n int, peak float64) (ssim, cs float64) {
	kernel := gaussian(n)
	product := func(a, b []float64) []float64 {
		p := make([]float64, len(a))
		for i, v := range a {
			p[i] = v * b[i]
		}
		return p
	}
	mx, my := blur(x, h, w, kernel), blur(y, h, w, kernel)
	xx, yy, xy := blur(product(x, x), h, w, kernel), blur(product(y, y), h, w, kernel), blur(product(x, y), h, w, kernel)
	c1, c2 := ssimK1*peak*ssimK1*peak, ssimK2*peak*ssimK2*peak
	for i := range mx {
		mxx, myy, mxy := mx[i]*mx[i], my[i]*my[i], mx[i]*my[i]
		k := (2*(xy[i]-mxy) + c2) / (xx[i] - mxx + yy[i] - myy + c2)
		cs += k
		ssim += k * (2*mxy + c1) / (mxx + myy + c1)
	}
	return ssim / float64(len(mx)), cs / float64(len(mx))
}

// gaussian returns n weights with the sum 1.
func gaussian(n int) []float64 {
	k := make([]float64, n)
	sum := 0.0
	for i := range k {
		d := float64(i) - float64(n-1)/2
		k[i] = math.Exp(-d * d / (2 * ssimSigma * ssimSigma))
		sum += k[i]
	}
	for i := range k {
		k[i] /= sum
	}
	return k
}

// blur filters both axes where the kernel lies inside the image, so the result is smaller
// by len(kernel)-1 each way.
func blur(x []float64, h, w int, kernel []float64) []float64 {
	n := len(kernel)
	ow, oh := w-n+1, h-n+1
	rows := make([]float64, h*ow)
	for y := range h {
		out := rows[y*ow : (y+1)*ow]
		for k, f := range kernel {
			for i, v := range x[y*w+k:][:ow] {
				out[i] += f * v
			}
		}
	}
	out := make([]float64, oh*ow)
	for y := range oh {
		o := out[y*ow : (y+1)*ow]
		for k, f := range kernel {
			for i, v := range rows[(y+k)*ow:][:ow] {
				o[i] += f * v
			}
		}
	}
	return out
}

// halve averages 2×2 pixels; the last row or column of an odd size is repeated.
func halve(x []float64, h, w int) ([]float64, int, int) {
	oh, ow := (h+1)/2, (w+1)/2
	out := make([]float64, oh*ow)
	for y := range oh {
		r0, r1 := x[2*y*w:], x[min(2*y+1, h-1)*w:]
		for i := range ow {
			j := min(2*i+1, w-1)
			out[y*ow+i] = (r0[2*i] + r0[j] + r1[2*i] + r1[j]) / 4
		}
	}
	return out, oh, ow
}
