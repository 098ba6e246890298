package dataset

import (
	"context"
	"fmt"
	"math"

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
	bx    []segment // of a row
	by    []spline  // per row
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
		seed: seed, n: n, glyph: g, bx: segments(width, min(width, height)), by: splines(height),
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
	knotSpans = 3
	knots     = knotSpans + 3
)

// spline is where a pixel lies in the control grid: the first of its four control
// points, and their weights times 1<<weightBits.
type spline struct {
	first int
	w     [4]int32
}

const weightBits = 24

// basis returns the weights of the four control points at t in [0, 1].
func basis(t float64) [4]float64 {
	u := 1 - t
	t2, t3 := t*t, t*t*t
	return [4]float64{
		u * u * u / 6,
		(4 - float64(6*t2) + float64(3*t3)) / 6,
		(1 + float64(3*t) + float64(3*t2) - float64(3*t3)) / 6,
		t3 / 6,
	}
}

func toFixed(w [4]float64) (f [4]int32) {
	for i, v := range w {
		f[i] = int32(math.Floor(float64(v*(1<<weightBits)) + 0.5))
	}
	return f
}

// splines returns the positions of n pixel centres across the image.
func splines(n int) []spline {
	s := make([]spline, n)
	for i := range s {
		at := (2*i + 1) * knotSpans // in units of 1/(2n) span
		s[i] = spline{first: at / (2 * n), w: toFixed(basis(float64(at%(2*n)) / float64(2*n)))}
	}
	return s
}

// A segment is up to maxSegment pixels of a row that share their control points. Along it
// the distortion is summed up from its value and its first, second and third
// differences: diff[k] holds the weights of the control points in the k-th of these.
type segment struct {
	x0, x1 int
	first  int
	diff   [4][4]int32
}

// maxSegment bounds how far rounding errors of the differences add up.
const maxSegment = 16

// segments divides a row of n pixels. A pixel is at most 84/side cells wide, for a digit
// in an image whose shorter side is given, and a segment at most 48 cells.
func segments(n, side int) []segment {
	limit := min(maxSegment, side/2)
	var out []segment
	for x0 := 0; x0 < n; {
		first := (2*x0 + 1) * knotSpans / (2 * n)
		x1 := x0 + 1
		for x1 < n && x1-x0 < limit && (2*x1+1)*knotSpans/(2*n) == first {
			x1++
		}
		// The differences of the polynomial, which may leave [0, 1].
		var d [4][4]float64
		for k := range d {
			at := (2*(x0+k)+1)*knotSpans - first*2*n
			d[k] = basis(float64(at) / float64(2*n))
		}
		for k := 1; k < 4; k++ {
			for j := 3; j >= k; j-- {
				for i := range d[j] {
					d[j][i] -= d[j-1][i]
				}
			}
		}
		s := segment{x0: x0, x1: x1, first: first}
		for k := range d {
			s.diff[k] = toFixed(d[k])
		}
		out = append(out, s)
		x0 = x1
	}
	return out
}

// weigh sums up four control points (16.16) to a number with 40 fraction bits.
func weigh(p []int32, w *[4]int32) int64 {
	p = p[:4]
	return int64(p[0])*int64(w[0]) + int64(p[1])*int64(w[1]) + int64(p[2])*int64(w[2]) + int64(p[3])*int64(w[3])
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
				warp[c][y][x] = int32(float64(r.Normal()*3.2) * one)
			}
		}
	}
	// value = 128 + (distance + offset)·gain, in units of 1/256 of an edge
	gain := int32(float64(height/gridHeight/soft) * 256 / (distUnit / 256))
	offset := int32(float64((stroke - d.glyph.half[font]) * distUnit))

	sh := newShader(field, offset, gain)
	w, h := d.info.Width, d.info.Height
	// The position of the centre of pixel (0, 0), relative to the middle of the digit.
	px := int64((0.5 - float64(w)/2 - dx) * one)
	py := int64((0.5 - float64(h)/2 - dy) * one)
	const middle = int64(gridSize-1) << (coordBits - 1)
	for y := range h {
		sy := &d.by[y]
		var row [2][knots]int32
		for c := range row {
			k := warp[c][sy.first : sy.first+4]
			for x := range knots {
				v := [4]int32{k[0][x], k[1][x], k[2][x], k[3][x]}
				row[c][x] = int32(weigh(v[:], &sy.w) >> weightBits)
			}
		}
		yy := py + int64(y)*one
		line := dst[y*w : (y+1)*w]
		for i := range d.bx {
			s := &d.bx[i]
			pixels := line[s.x0:s.x1]
			xx := px + int64(s.x0)*one
			const toCoord = 2*16 - coordBits
			u, v := (xx*int64(ax)+yy*int64(bx))>>toCoord+middle, (xx*int64(ay)+yy*int64(by))>>toCoord+middle
			if far(u) || far(v) {
				clear(pixels)
				continue
			}
			ku, kv := row[0][s.first:], row[1][s.first:]
			const fromWeight = weightBits + 16 - coordBits
			at := pack(u+weigh(ku, &s.diff[0])>>fromWeight, v+weigh(kv, &s.diff[0])>>fromWeight)
			d1 := pack(int64(ax)<<(coordBits-16)+weigh(ku, &s.diff[1])>>fromWeight, int64(ay)<<(coordBits-16)+weigh(kv, &s.diff[1])>>fromWeight)
			d2 := pack(weigh(ku, &s.diff[2])>>fromWeight, weigh(kv, &s.diff[2])>>fromWeight)
			d3 := pack(weigh(ku, &s.diff[3])>>fromWeight, weigh(kv, &s.diff[3])>>fromWeight)
			for x := range pixels {
				pixels[x] = 0
				if iu, iv := uint8(at>>(32+coordBits)), uint8(at>>coordBits); iu < gridSize-1 && iv < gridSize-1 {
					i := int(iv)*gridSize + int(iu)
					if c := int32(field[i]); c > sh.black {
						pixels[x] = sh.level(i, c, int32(at>>(24+coordBits)&255), int32(at>>(coordBits-8)&255))
					}
				}
				at += d1
				d1 += d2
				d2 += d3
			}
		}
	}
	return label
}

// coordBits is the number of fraction bits of a coordinate in a packed pair.
const coordBits = 24

// pack makes one number u·2^32 + v of two coordinates with coordBits fraction bits, so that
// one addition adds both. Where v is negative the upper half reads 2^-24 of a cell low.
// As the upper and lower 8 bits are read modulo 256, u and v must stay in [-193, 256)
// for what is outside the grid to read as outside.
func pack(u, v int64) uint64 { return uint64(u<<32 + v) }

// far reports whether a coordinate is so far outside the grid that a segment that begins
// there does not reach the grid. A segment is at most 48 cells long (see segments), and the
// distortion moves it by at most 3.2·6.34 cells: one that is not far stays in the range
// of pack, and one that is stays outside.
func far(u int64) bool {
	const middle = int64(gridSize-1) << (coordBits - 1)
	return u < middle-100<<coordBits || u > middle+100<<coordBits
}

// A shader turns distances into grey levels: 128 + (distance+offset)·gain/256.
type shader struct {
	field        *[gridSize * gridSize]int16
	offset, gain int32
	black, white int32
}

func newShader(field *[gridSize * gridSize]int16, offset, gain int32) shader {
	// Within a cell the distance is at most a diagonal away from that of its corner.
	const diagonal = distUnit*3/2 + 1
	return shader{
		field: field, offset: offset, gain: gain,
		black: -offset - diagonal - 129*256/gain, white: -offset + diagonal + 128*256/gain,
	}
}

// level samples the distance field bilinearly in cell i, whose corner has the distance
// corner, at fu/256 and fv/256 from that corner.
func (s *shader) level(i int, corner, fu, fv int32) float32 {
	if corner >= s.white {
		return 1
	}
	f := s.field[i : i+gridSize+2]
	a := corner<<8 + (int32(f[1])-corner)*fu
	b := int32(f[gridSize])<<8 + (int32(f[gridSize+1])-int32(f[gridSize]))*fu
	dist := (a + (b-a)>>8*fv) >> 8
	return byteLevels[min(255, max(0, 128+(dist+s.offset)*s.gain>>8))]
}
