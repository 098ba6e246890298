// Package rng is a counter-based random number generator: every number is a pure
// function of a seed, a list of labels and a position, so work can be split over threads,
// prefetched, or resumed in the middle and still see the same numbers.
//
// The generator is Philox4x32-10 (Salmon et al. 2011). All results, including the
// normally distributed ones, are equal bit for bit on every architecture: floating-point
// code uses single-rounded additions, multiplications and divisions only. It is not
// for cryptography.
//
//	eps := rng.New(seed, epoch, sample) // one stream per sample
//	eps.Normal(noise, 0)                // its first len(noise) normals
package rng

import "math"

// Stream is an infinite sequence of 32-bit words, 2^66 long. It is a small immutable
// value and safe for concurrent use. The zero Stream is valid, and is that of no seed.
//
// All fillers (Words, Uniform, Normal, Bernoulli) use word i for element i. Two draws
// that must be independent therefore take two streams, made with different labels.
type Stream struct {
	key [2]uint32
	hi  [2]uint32
}

// New returns the stream of a seed and labels, for example epoch, sample and draw.
// Different arguments (also in number or order) give streams that are independent for
// all practical purposes: a stream is identified by 128 bits.
func New(seed uint64, labels ...uint64) Stream {
	var s Stream
	return s.mix(seed, 0).Sub(labels...)
}

// Sub returns the stream of s's seed and labels followed by labels.
func (s Stream) Sub(labels ...uint64) Stream {
	for _, l := range labels {
		s = s.mix(l, 1)
	}
	return s
}

// mix hashes a label into the 128 bits that identify the stream. The key is changed
// first, so that these blocks do not occur in the stream itself.
func (s Stream) mix(label uint64, kind uint32) Stream {
	a, b, c, d := philox(uint32(label), uint32(label>>32), s.hi[0], s.hi[1], s.key[0]^0x5bf03635, s.key[1]+kind)
	return Stream{key: [2]uint32{a, b}, hi: [2]uint32{c, d}}
}

func (s Stream) block(i uint64) (uint32, uint32, uint32, uint32) {
	return philox(uint32(i), uint32(i>>32), s.hi[0], s.hi[1], s.key[0], s.key[1])
}

// Word returns the word at position i.
func (s Stream) Word(i uint64) uint32 {
	var w [4]uint32
	w[0], w[1], w[2], w[3] = s.block(i >> 2)
	return w[i&3]
}

// Words sets dst[i] to the word at position offset+i.
func (s Stream) Words(dst []uint32, offset uint64) {
	for len(dst) > 0 && offset&3 != 0 {
		dst[0] = s.Word(offset)
		dst, offset = dst[1:], offset+1
	}
	b := offset >> 2
	for ; len(dst) >= 4; b++ {
		dst[0], dst[1], dst[2], dst[3] = s.block(b)
		dst = dst[4:]
	}
	if len(dst) > 0 {
		var w [4]uint32
		w[0], w[1], w[2], w[3] = s.block(b)
		copy(dst, w[:])
	}
}

// bufWords is how many words the fillers take at a time.
const bufWords = 256

// Uniform sets dst[i] to the uniform variate at position offset+i: a multiple of 2^-24
// in [0, 1).
func (s Stream) Uniform(dst []float32, offset uint64) {
	var buf [bufWords]uint32
	for len(dst) > 0 {
		n := min(len(dst), bufWords)
		w, d := buf[:n], dst[:n]
		s.Words(w, offset)
		for i, v := range w {
			d[i] = float32(int32(v>>8)) * 0x1p-24
		}
		dst, offset = dst[n:], offset+uint64(n)
	}
}

// Bernoulli sets dst[i] to 1 with probability p and else to 0. A p of 0 or less, or NaN,
// gives only zeros, a p of 1 or more only ones; between them p is rounded down to a
// multiple of 2^-32.
func (s Stream) Bernoulli(dst []float32, offset uint64, p float64) {
	t := threshold(p)
	var buf [bufWords]uint32
	for len(dst) > 0 {
		n := min(len(dst), bufWords)
		w, d := buf[:n], dst[:n]
		s.Words(w, offset)
		for i, v := range w {
			d[i] = 0
			if uint64(v) < t {
				d[i] = 1
			}
		}
		dst, offset = dst[n:], offset+uint64(n)
	}
}

// Binarize sets dst[i] to 1 with probability p[i] and else to 0, with the rules of
// [Stream.Bernoulli]. dst may be p. It panics if the lengths differ.
func (s Stream) Binarize(dst, p []float32, offset uint64) {
	if len(dst) != len(p) {
		panic("rng: lengths of dst and p differ")
	}
	var buf [bufWords]uint32
	for len(dst) > 0 {
		n := min(len(dst), bufWords)
		w := buf[:n]
		s.Words(w, offset)
		for i, v := range w {
			b := float32(0)
			if uint64(v) < threshold(float64(p[i])) {
				b = 1
			}
			dst[i] = b
		}
		dst, p, offset = dst[n:], p[n:], offset+uint64(n)
	}
}

// threshold returns the number of words w for which "w < p·2^32" is taken as true.
func threshold(p float64) uint64 {
	switch {
	case p >= 1:
		return 1 << 32
	case p > 0:
		return uint64(p * 0x1p32)
	}
	return 0
}

// Perm returns a uniformly random order of 0 … n-1 (Fisher and Yates). It panics if n is
// negative.
func (s Stream) Perm(n int) []int {
	p := make([]int, n)
	r := s.Rand()
	for i := range p {
		j := r.IntN(i + 1)
		p[i] = p[j]
		p[j] = i
	}
	return p
}

// Rand returns a reader of the stream from its start.
func (s Stream) Rand() *Rand { return &Rand{s: s, have: 4} }

// Rand reads a stream word by word. It is not safe for concurrent use.
type Rand struct {
	s    Stream
	next uint64
	w    [4]uint32
	have int
}

// Uint32 returns 32 random bits.
func (r *Rand) Uint32() uint32 {
	if r.have == 4 {
		r.w[0], r.w[1], r.w[2], r.w[3] = r.s.block(r.next)
		r.next++
		r.have = 0
	}
	v := r.w[r.have&3]
	r.have++
	return v
}

// Uint64 returns 64 random bits.
func (r *Rand) Uint64() uint64 {
	lo := r.Uint32()
	return uint64(r.Uint32())<<32 | uint64(lo)
}

// IntN returns an unbiased integer in [0, n). It panics unless n > 0.
func (r *Rand) IntN(n int) int {
	if n <= 0 {
		panic("rng: IntN of a number below 1")
	}
	// Lemire: "Fast random integer generation in an interval", 2019, with the rejection
	// that removes the bias.
	if uint64(n) <= math.MaxUint32 {
		m := uint32(n)
		p := uint64(r.Uint32()) * uint64(m)
		if uint32(p) < m {
			for t := -m % m; uint32(p) < t; {
				p = uint64(r.Uint32()) * uint64(m)
			}
		}
		return int(p >> 32)
	}
	m := uint64(n)
	limit := math.MaxUint64 - math.MaxUint64%m
	v := r.Uint64()
	for v >= limit {
		v = r.Uint64()
	}
	return int(v % m)
}

// Float64 returns a multiple of 2^-53 in [0, 1).
func (r *Rand) Float64() float64 {
	return float64(int64(r.Uint64()>>11)) * 0x1p-53
}

// Float32 returns a multiple of 2^-24 in [0, 1).
func (r *Rand) Float32() float32 {
	return float32(int32(r.Uint32()>>8)) * 0x1p-24
}

// Range returns a number between lo and hi (hi itself can occur by rounding).
func (r *Rand) Range(lo, hi float64) float64 {
	return lo + float64((hi-lo)*r.Float64())
}

// Normal returns a variate of the standard normal distribution; see [Stream.Normal].
func (r *Rand) Normal() float64 { return normal(normalTable(), r.Uint32()) }
