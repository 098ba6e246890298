package kernel

// Matrices of this file are channels-last images: rows of c values, one for each channel. Rows of few channels are taken
// together, so that vectors are long whatever c is.

// stripe is the greatest number of values that are worked on at once; buffers of that length are on the stack.
const stripe = 1024

// ChannelSums are sums over the rows of a matrix, by channel.
type ChannelSums struct {
	Rows int
	Ref  []float32 // near the mean of x
	X    []float64 // Σ (x - Ref)
	XX   []float64 // Σ (x - Ref)²
	Y    []float64 // Σ y
	XY   []float64 // Σ (x - Ref)·y
}

// Reset makes room for c channels, and sets all sums to 0.
func (s *ChannelSums) Reset(c int) {
	if cap(s.Ref) < c || len(s.X) != c {
		s.Ref = make([]float32, c)
		v := make([]float64, 4*c)
		s.X, s.XX, s.Y, s.XY = v[:c:c], v[c:2*c:2*c], v[2*c:3*c:3*c], v[3*c:]
	}
	s.Ref, s.Rows = s.Ref[:c], 0
	clear(s.Ref)
	clear(s.X)
	clear(s.XX)
	clear(s.Y)
	clear(s.XY)
}

// stripes returns how a matrix of c columns is cut: columns (those of several rows if pitch exceeds c) are worked on in
// groups of at most stripe, and pitch is the distance of the vectors of a group.
func stripes(c int) (columns, pitch int) {
	if c > stripe/2 {
		return c, c
	}
	n := stripe / c * c
	return n, n
}

// repeatInto fills dst with copies of the channels of v that begin with channel from.
func repeatInto(dst, v []float32, from int) {
	n := copy(dst, v[from:])
	for n < len(dst) {
		n += copy(dst[n:], dst[:n])
	}
}

// foldInto adds the values of v, the first of which belongs to channel from, to their channels' sums.
func foldInto(sums []float64, v []float32, from int) {
	for len(v) > 0 {
		n := min(len(v), len(sums)-from)
		for i, x := range v[:n] {
			sums[from+i] += float64(x)
		}
		v, from = v[n:], 0
	}
}

// ChannelSumF32 adds to sums, by channel, the rows of x, whose number should be moderate (tens of thousands): within a
// call, sums of up to that many values are float32.
func ChannelSumF32(sums []float64, x []float32) {
	c := len(sums)
	if c == 0 {
		return
	}
	var acc [stripe]float32
	columns, pitch := stripes(c)
	for c0 := 0; c0 < columns; c0 += stripe {
		a := acc[:min(stripe, columns-c0)]
		clear(a)
		for at := c0; at < len(x); at += pitch {
			v := x[at:min(at+len(a), len(x))]
			AddF32(a[:len(v)], a[:len(v)], v)
		}
		foldInto(sums, a, c0%c)
	}
}

// ChannelSumsF32 sets s, which must have been reset, to the sums of a block of rows of x and y (nil: only those of x).
// The block should be so small that it stays in cache: it is read twice.
func ChannelSumsF32(s *ChannelSums, x, y []float32) {
	c := len(s.Ref)
	if c == 0 || len(x) == 0 {
		return
	}
	s.Rows = len(x) / c
	ChannelSumF32(s.X, x)
	for i, v := range s.X {
		s.Ref[i] = float32(v / float64(s.Rows))
		s.X[i] = v - float64(s.Ref[i])*float64(s.Rows)
	}
	var refs, d, xx, sy, xy [stripe]float32
	columns, pitch := stripes(c)
	for c0 := 0; c0 < columns; c0 += stripe {
		n := min(stripe, columns-c0)
		repeatInto(refs[:n], s.Ref, c0%c)
		clear(xx[:n])
		clear(sy[:n])
		clear(xy[:n])
		for at := c0; at < len(x); at += pitch {
			v := x[at:min(at+n, len(x))]
			k := len(v)
			SubF32(d[:k], v, refs[:k])
			if y != nil {
				w := y[at:][:k]
				mulAddF32(xy[:k], d[:k], w)
				AddF32(sy[:k], sy[:k], w)
			}
			mulAddF32(xx[:k], d[:k], d[:k])
		}
		foldInto(s.XX, xx[:n], c0%c)
		if y != nil {
			foldInto(s.Y, sy[:n], c0%c)
			foldInto(s.XY, xy[:n], c0%c)
		}
	}
}

// ChannelMoments combines the sums of the blocks of a matrix (Chan, Golub and LeVeque 1983): the mean and the variance of
// x, which divides by the number of rows, Σ y and Σ (x - mean)·y, by channel. Slices may be nil if not wanted, mean and
// variance excepted.
func ChannelMoments(blocks []ChannelSums, mean, variance, y, xy []float64) {
	rows := 0
	clear(mean)
	clear(variance)
	for i := range blocks {
		b := &blocks[i]
		rows += b.Rows
		for k := range mean {
			mean[k] += b.X[k] + float64(float64(b.Ref[k])*float64(b.Rows))
		}
	}
	m := float64(max(1, rows))
	for k := range mean {
		mean[k] /= m
	}
	clear(y)
	clear(xy)
	for i := range blocks {
		b := &blocks[i]
		for k := range mean {
			// Σ (x-mean)² = Σ (x-ref)² + 2·(ref-mean)·Σ (x-ref) + rows·(ref-mean)²
			d := float64(b.Ref[k]) - mean[k]
			variance[k] += b.XX[k] + float64(d*(float64(2*b.X[k])+float64(d*float64(b.Rows))))
			if xy != nil {
				y[k] += b.Y[k]
				xy[k] += b.XY[k] + float64(d*b.Y[k])
			}
		}
	}
	for k := range variance {
		variance[k] = max(0, variance[k]/m)
	}
}

// ChannelAffineF32 sets dst to x·scale + shift, by channel.
func ChannelAffineF32(dst, x, scale, shift []float32) {
	c := len(scale)
	if c == 0 {
		return
	}
	var a, b [stripe]float32
	columns, pitch := stripes(c)
	for c0 := 0; c0 < columns; c0 += stripe {
		n := min(stripe, columns-c0)
		repeatInto(a[:n], scale, c0%c)
		repeatInto(b[:n], shift, c0%c)
		for at := c0; at < len(x); at += pitch {
			k := min(n, len(x)-at)
			affinesF32(dst[at:][:k], x[at:][:k], a[:k], b[:k])
		}
	}
}

// ChannelMixF32 sets dst to y·a + x·b + shift, by channel. dst may be x or y.
func ChannelMixF32(dst, y, x, a, b, shift []float32) {
	c := len(a)
	if c == 0 {
		return
	}
	var va, vb, vs, t [stripe]float32
	columns, pitch := stripes(c)
	for c0 := 0; c0 < columns; c0 += stripe {
		n := min(stripe, columns-c0)
		repeatInto(va[:n], a, c0%c)
		repeatInto(vb[:n], b, c0%c)
		repeatInto(vs[:n], shift, c0%c)
		for at := c0; at < len(x); at += pitch {
			k := min(n, len(x)-at)
			affinesF32(t[:k], x[at:][:k], vb[:k], vs[:k])
			affinesF32(dst[at:][:k], y[at:][:k], va[:k], t[:k])
		}
	}
}
