package quant

import "math"

// entropyBins is the number of bins in which the Kullback-Leibler divergence is taken, and
// entropyLevels the number of levels that stand for a quantised distribution. Both are what
// TensorRT has (Migacz, "8-bit inference with TensorRT", 2017); ONNX Runtime has the same
// number of levels. Fewer bins are used where they would hold fewer than entropyCount values
// on average: the divergence of sparse counts is that of noise.
const (
	entropyBins   = 2048
	entropyLevels = 128
	entropyCount  = 16
)

// entropy returns the range, symmetric about zero but for its bounds by the values that
// occurred, whose quantised distribution has the smallest Kullback-Leibler divergence from
// the recorded one, by the rules of ONNX Runtime's entropy calibration: see [divergences].
func (h *histogram) entropy() (lo, hi float64) {
	limit := max(-h.Min, h.Max)
	if !(limit > 0) {
		return h.Min, h.Max
	}
	bins := entropyBins
	for bins > 2*entropyLevels && h.N/uint64(bins) < entropyCount {
		bins /= 2
	}
	counts := h.rebinned(bins, limit)
	div := divergences(counts, entropyLevels)
	best := 0
	for i, d := range div {
		if d < div[best] {
			best = i
		}
	}
	width := 2 * limit / float64(len(counts))
	half := entropyLevels/2 + best
	// There is a bin more above zero than below.
	return max(h.Min, -float64(half)*width), min(h.Max, min(limit, float64(half+1)*width))
}

// rebinned returns the counts of n bins that cover [-limit, limit]. Values lie at the centres
// of the histogram's bins.
func (h *histogram) rebinned(n int, limit float64) []uint64 {
	out := make([]uint64, n)
	for i, c := range h.Counts {
		if c == 0 {
			continue
		}
		x := (h.edge(i) + h.edge(i+1)) / 2
		k := int(math.Floor((x + limit) / (2 * limit) * float64(n)))
		out[min(n-1, max(0, k))] += c
	}
	return out
}

// divergences returns, for the ranges of levels/2 … len(counts)/2 bins below the middle bin
// and as many above it, the divergence of the distribution that levels quantisation levels
// can express from the distribution clipped to the range. The outermost bins of the clipped
// distribution take the outliers, those of the quantised one do not; each level spreads its
// count, in whole numbers, over those of its bins that are not empty; bins that are empty in
// one of the two get a small weight from the others.
func divergences(counts []uint64, levels int) []float64 {
	n := len(counts)
	mid, half := n/2, levels/2
	before := make([]uint64, n+1)
	for i, c := range counts {
		before[i+1] = before[i] + c
	}
	out := make([]float64, 0, mid-half+1)
	for i := half; i <= mid; i++ {
		lo, hi := mid-i, min(mid+i+1, n)
		size := hi - lo
		p, q := make([]float64, size), make([]float64, size)
		for k, c := range counts[lo:hi] {
			p[k] = float64(c)
		}
		p[0] += float64(before[lo])
		p[size-1] += float64(before[n] - before[hi])
		merged := size / levels
		for l := range levels {
			from, to := l*merged, (l+1)*merged
			sum := before[lo+to] - before[lo+from]
			if l == levels-1 {
				sum = before[hi] - before[lo+from]
			}
			used := uint64(0)
			for _, v := range p[from:to] {
				if v != 0 {
					used++
				}
			}
			if used == 0 {
				continue
			}
			for k := from; k < to; k++ {
				q[k] = float64(sum / used)
			}
		}
		out = append(out, divergence(p, q))
	}
	return out
}

// emptyBin is the weight that a bin without values gets.
const emptyBin = 1e-4

// smooth gives empty bins a weight and takes it from the others. It returns false where
// there is nothing to take it from.
func smooth(p []float64) bool {
	empty := 0
	for _, v := range p {
		if v == 0 {
			empty++
		}
	}
	if empty == len(p) {
		return false
	}
	less := emptyBin * float64(empty) / float64(len(p)-empty)
	if less >= 1 {
		return false
	}
	for i, v := range p {
		if v == 0 {
			p[i] = emptyBin
		} else {
			p[i] = v - less
		}
	}
	return true
}

// divergence returns Σ p·ln(p/q) of two histograms, each taken as shares, after smoothing.
func divergence(p, q []float64) float64 {
	if !smooth(p) || !smooth(q) {
		return math.Inf(1)
	}
	sp, sq := 0.0, 0.0
	for i := range p {
		sp += p[i]
		sq += q[i]
	}
	d := 0.0
	for i := range p {
		if p[i] > 0 && q[i] > 0 {
			d += p[i] / sp * math.Log(p[i]/sp/(q[i]/sq))
		} else if p[i] > 0 {
			return math.Inf(1)
		}
	}
	return d
}
