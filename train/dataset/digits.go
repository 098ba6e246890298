package dataset

import (
	"context"
	"fmt"

	"github.com/aekit/aekit/internal/rng"
)

// Nominal sizes of the built-in digits, those of MNIST.
const (
	digitsTrain = 60000
	digitsTest  = 10000
	digitsSize  = 28
)

// digitsTestStart is where the test images begin in the endless sequence of digits.
const digitsTestStart = 1 << 40

// digitsVersion changes whenever the images of a seed change.
const digitsVersion = 1

// maxDigitSide bounds the image size so that 16.16 coordinates cannot overflow.
const maxDigitSide = 1 << 12

// digits draws images of the digits 0–9. Image i of a seed is a pure function, with the
// same bytes on every architecture.
type digits struct {
	info  Info
	seed  uint64
	first uint64
	n     int
	glyph *glyphs
	bx    []spline // per column
	by    []spline // per row
}

// NewDigits returns n images of handwriting-like digits, 0–9 with equal probability:
// glyphs of the Go fonts with a random stroke width, rotation, shear, scale, position and
// elastic distortion. They are white on black; with 3 channels all channels are equal.
// Image i does not depend on n. width and height are 8 to 4096, channels 1 or 3.
// With test, the images are different ones from those without.
func NewDigits(seed uint64, n, channels, height, width int, test bool) (Source, error) {
	if channels != 1 && channels != 3 {
		return nil, fmt.Errorf("dataset: digits: %d channels, want 1 or 3", channels)
	}
	if min(height, width) < 8 || max(height, width) > maxDigitSide {
		return nil, fmt.Errorf("dataset: digits: size %dx%d, want 8 to %d each", width, height, maxDigitSide)
	}
	if n < 0 {
		return nil, fmt.Errorf("dataset: digits: %d images", n)
	}
	g, err := digitGlyphs()
	if err != nil {
		return nil, err
	}
	d := &digits{
		info: Info{
			Name: "digits", Channels: channels, Height: height, Width: width,
			Classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		},
		seed: seed, n: n, glyph: g, bx: splines(width), by: splines(height),
	}
	if test {
		d.first = digitsTestStart
	}
	return d, nil
}

func (d *digits) Info() Info { return d.info }
func (d *digits) Len() int   { return d.n }

func (d *digits) Digest() (string, error) {
	return digestOf("aekit digits", fmt.Sprint(digitsVersion, d.seed, d.first, d.n, d.info.Channels, d.info.Height, d.info.Width)), nil
}

func (d *digits) Read(ctx context.Context, index []int, dst []float32, labels []int) error {
	if err := checkRead(d.info, d.n, index, dst, labels); err != nil {
		return err
	}
	plane, all := d.info.Height*d.info.Width, d.info.Elems()
	for k, i := range index {
		if err := ctx.Err(); err != nil {
			return err
		}
		img := dst[k*all : (k+1)*all]
		label := d.draw(uint64(i), img[:plane])
		for c := 1; c < d.info.Channels; c++ {
			copy(img[c*plane:(c+1)*plane], img[:plane])
		}
		if labels != nil {
			labels[k] = label
		}
	}
	return nil
}

// The elastic distortion is a uniform cubic B-spline with knotSpans spans each way.
const (
	knotSpans = 4
	knots     = knotSpans + 3
)

// spline is where a pixel lies in the control grid: the first of its four control
// points, and their weights, which sum to 1<<14.
type spline struct {
	first int
	w     [4]int32
}

// splines returns the spline positions of n pixel centres across the image.
func splines(n int) []spline {
	s := make([]spline, n)
	for i := range s {
		// t is the position in the span, as a multiple of 1/(2n).
		at := (2*i + 1) * knotSpans
		span, t := at/(2*n), float64(at%(2*n))/float64(2*n)
		u := 1 - t
		t2, t3, u3 := t*t, t*t*t, u*u*u
		w1 := (4 - float64(6*t2) + float64(3*t3)) / 6
		s[i] = spline{first: span, w: [4]int32{
			int32(float64(u3/6*(1<<14)) + 0.5), int32(float64(w1*(1<<14)) + 0.5), 0, int32(float64(t3/6*(1<<14)) + 0.5),
		}}
		s[i].w[2] = 1<<14 - s[i].w[0] - s[i].w[1] - s[i].w[3]
	}
	return s
}

const one = 1 << 16 // of 16.16 fixed point

// draw renders image i of the stream into dst (height·width values) and returns its label.
// Random parameters are floating-point, with every product rounded by itself; the pixels
// are computed in integers.
func (d *digits) draw(i uint64, dst []float32) int {
	r := rng.New(d.seed, streamDigits, d.first+i).Rand()
	label := r.IntN(10)
	font := r.IntN(len(digitFonts))
	field := &d.glyph.field[font][label].dist

	side := float64(min(d.info.Width, d.info.Height))
	height := float64(side * r.Range(0.62, 0.76)) // of the digit, in pixels
	aspect := r.Range(0.85, 1.2)
	tanHalf := r.Range(-0.11, 0.11) // of half the rotation: ±12.5°
	den := 1 + float64(tanHalf*tanHalf)
	cos, sin := (1-float64(tanHalf*tanHalf))/den, 2*tanHalf/den
	shear := r.Range(-0.25, 0.2)
	if font%2 == 1 {
		shear += 0.1 // an italic leans already
	}
	dx := float64(side * r.Range(-0.05, 0.05))
	dy := float64(side * r.Range(-0.05, 0.05))
	stroke := float64(gridHeight * r.Range(0.06, 0.1)) // half the width of a stroke, in cells
	soft := r.Range(1, 1.5)                            // width of an edge, in pixels

	// Inverse map from pixels, relative to the middle, to cells.
	cells := gridHeight / height
	ax := int32(float64(float64(cos*cells)/aspect) * one)
	bx := int32(float64(float64((sin+float64(shear*cos))*cells)/aspect) * one)
	ay := int32(float64(-sin*cells) * one)
	by := int32(float64((cos-float64(shear*sin))*cells) * one)
	var warp [2][knots][knots]int32
	for c := range warp {
		for y := range knots {
			for x := range knots {
				warp[c][y][x] = int32(float64(r.Normal()*3) * one)
			}
		}
	}
	// value = 128 + (distance + offset)·gain, in units of 1/256 of an edge
	gain := int32(float64(height/gridHeight/soft) * 256 / (distUnit / 256))
	offset := int32(float64((stroke - d.glyph.half[font]) * distUnit))

	w, h := d.info.Width, d.info.Height
	// The position of the centre of pixel (0, 0), relative to the middle of the digit.
	px := int64((0.5 - float64(w)/2 - dx) * one)
	py := int64((0.5 - float64(h)/2 - dy) * one)
	const middle = (gridSize - 1) * one / 2
	for y := range h {
		sy := &d.by[y]
		var row [2][knots]int32
		for c := range row {
			k := warp[c][sy.first : sy.first+4]
			for x := range knots {
				v := int64(k[0][x])*int64(sy.w[0]) + int64(k[1][x])*int64(sy.w[1]) +
					int64(k[2][x])*int64(sy.w[2]) + int64(k[3][x])*int64(sy.w[3])
				row[c][x] = int32(v >> 14)
			}
		}
		yy := py + int64(y)*one
		u0 := int32((px*int64(ax)+yy*int64(bx))>>16) + middle
		v0 := int32((px*int64(ay)+yy*int64(by))>>16) + middle
		line := dst[y*w : (y+1)*w]
		for x := range line {
			s := &d.bx[x]
			ku, kv := row[0][s.first:s.first+4], row[1][s.first:s.first+4]
			// 14-bit weights and 18-bit displacements, pre-shifted to stay within 32 bits.
			u := u0 + (ku[0]>>4*s.w[0]+ku[1]>>4*s.w[1]+ku[2]>>4*s.w[2]+ku[3]>>4*s.w[3])>>10
			v := v0 + (kv[0]>>4*s.w[0]+kv[1]>>4*s.w[1]+kv[2]>>4*s.w[2]+kv[3]>>4*s.w[3])>>10
			u0 += ax
			v0 += ay
			line[x] = byteLevels[shade(field, u, v, offset, gain)]
		}
	}
	return label
}

// shade samples the distance field at the cell coordinates u, v (16.16) and turns the
// distance into a grey level.
func shade(field *[gridSize * gridSize]int16, u, v, offset, gain int32) uint8 {
	iu, iv := u>>16, v>>16
	if uint32(iu) >= gridSize-1 || uint32(iv) >= gridSize-1 {
		return 0
	}
	f := field[iv*gridSize+iu:][:gridSize+2]
	fu, fv := u>>8&255, v>>8&255
	a := int32(f[0])<<8 + (int32(f[1])-int32(f[0]))*fu
	b := int32(f[gridSize])<<8 + (int32(f[gridSize+1])-int32(f[gridSize]))*fu
	dist := (a + (b-a)>>8*fv) >> 8
	g := 128 + (dist+offset)*gain>>8
	return uint8(min(255, max(0, g)))
}
