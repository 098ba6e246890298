package quant

import (
	"errors"
	"math"
)

// histBins is the number of bins on each side of zero. A histogram takes 32 KiB, whatever
// the number of values.
const histBins = 2048

// histogram counts values in bins of equal width that lie symmetrically about zero. Its
// range doubles when a value lies outside, and pairs of bins merge.
type histogram struct {
	Limit    float64 // bins cover [-Limit, Limit)
	Counts   []uint64
	Min, Max float64
	N        uint64
	// MinSum and MaxSum are the sums, over batches, of the smallest and the largest value.
	MinSum, MaxSum float64
	Batches        uint64
}

var errNotFinite = errors.New("quant: an activation is not finite")

// add counts the values of a batch. A NaN or an infinity is an error.
func (h *histogram) add(xs []float32) error {
	if len(xs) == 0 {
		return nil
	}
	lo, hi := float64(xs[0]), float64(xs[0])
	for _, x := range xs {
		v := float64(x)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errNotFinite
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	if h.Counts == nil {
		h.Counts = make([]uint64, 2*histBins)
		h.Min, h.Max = lo, hi
		h.Limit = 0x1p-20
	}
	h.Min, h.Max = min(h.Min, lo), max(h.Max, hi)
	h.MinSum += lo
	h.MaxSum += hi
	h.Batches++
	for m := max(-lo, hi); h.Limit <= m; {
		h.double()
	}
	scale := histBins / h.Limit
	for _, x := range xs {
		h.Counts[h.bin(float64(x), scale)]++
	}
	h.N += uint64(len(xs))
	return nil
}

func (h *histogram) bin(x, scale float64) int {
	return min(2*histBins-1, max(0, int(math.Floor(x*scale))+histBins))
}

func (h *histogram) double() {
	h.Limit *= 2
	merged := make([]uint64, 2*histBins)
	for i, c := range h.Counts {
		merged[histBins/2+i/2] += c
	}
	h.Counts = merged
}

// edge returns the lower edge of bin i.
func (h *histogram) edge(i int) float64 {
	return (float64(i) - histBins) * h.Limit / histBins
}

// percentile returns the range that leaves out at most (1-p)/2 of the values on each side.
func (h *histogram) percentile(p float64) (lo, hi float64) {
	cut := uint64(float64(h.N) * (1 - p) / 2)
	lo, hi = h.Min, h.Max
	sum := uint64(0)
	for i, c := range h.Counts {
		if sum += c; sum > cut {
			lo = max(lo, h.edge(i))
			break
		}
	}
	sum = 0
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if sum += h.Counts[i]; sum > cut {
			hi = min(hi, h.edge(i+1))
			break
		}
	}
	return lo, hi
}

// candidates calls f with ranges from the full one down to a small part of it, on each side
// that has values, and returns the range with the smallest result.
func (h *histogram) candidates(f func(lo, hi float64) float64) (lo, hi float64) {
	const steps = 64
	best := math.Inf(1)
	lo, hi = h.Min, h.Max
	for i := range steps {
		share := 1 - float64(i)/steps
		l, u := min(0, h.Min*share), max(0, h.Max*share)
		if u-l <= 0 {
			break
		}
		if e := f(l, u); e < best {
			best, lo, hi = e, l, u
		}
	}
	return lo, hi
}

// mse returns the range with the smallest mean squared error of values at the centres of
// their bins.
func (h *histogram) mse(levels int) (lo, hi float64) {
	return h.candidates(func(l, u float64) float64 {
		step := (u - l) / float64(levels)
		sum := 0.0
		for i, c := range h.Counts {
			if c == 0 {
				continue
			}
			x := (h.edge(i) + h.edge(i+1)) / 2
			q := min(u, max(l, l+math.RoundToEven((x-l)/step)*step))
			sum += float64(c) * (x - q) * (x - q)
		}
		return sum
	})
}

// span returns the range that a method chooses; it includes zero.
func (h *histogram) span(m Method, p float64, levels int) (lo, hi float64) {
	switch m {
	case Percentile:
		if p == 0 {
			p = 0.9999
		}
		lo, hi = h.percentile(p)
	case Entropy:
		lo, hi = h.entropy()
	case MSE:
		lo, hi = h.mse(levels)
	case MovingAverage:
		lo, hi = h.MinSum/float64(h.Batches), h.MaxSum/float64(h.Batches)
	default:
		lo, hi = h.Min, h.Max
	}
	return min(lo, 0), max(hi, 0)
}
