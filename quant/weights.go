package quant

import (
	"math"
	"slices"

	"github.com/aekit/aekit/tensor"
)

// Bounds of quantised weights: symmetric, and with reduced range such that two products
// with 8-bit activations fit 16 bits.
const (
	weightLimit  = 127
	reducedLimit = 64
)

func (o Options) weightLimit() int {
	if o.ReduceRange {
		return reducedLimit
	}
	return weightLimit
}

// weightScales returns the scale of each channel of weights along axis, or one scale for
// all, with which the largest of them is at the limit. least, unless nil, holds lower bounds
// of the scales of channels.
func weightScales(w *tensor.Tensor, axis int, o Options, least []float32) []float32 {
	channels, at := channelIndex(w.Shape(), axis)
	top := make([]float32, channels)
	for i, v := range w.Float32s() {
		c := at(i)
		top[c] = max(top[c], float32(math.Abs(float64(v))))
	}
	lim := float32(o.weightLimit())
	for c := range top {
		top[c] /= lim
		if least != nil {
			top[c] = max(top[c], least[c])
		}
	}
	if o.PerTensor {
		top = []float32{slices.Max(top)}
	}
	for c := range top {
		if !(top[c] > 0x1p-126) {
			top[c] = 1
		}
	}
	return top
}

// quantizeWeights returns int8 weights with zero point 0 and their scales; see
// [weightScales].
func quantizeWeights(w *tensor.Tensor, axis int, o Options, least []float32) (*tensor.Tensor, []float32) {
	scales := weightScales(w, axis, o, least)
	lim := float64(o.weightLimit())
	_, at := channelIndex(w.Shape(), axis)
	q := tensor.Must(tensor.New(tensor.Int8, w.Shape()...))
	dst := tensor.Data[int8](q)
	for i, v := range w.Float32s() {
		c := 0
		if len(scales) > 1 {
			c = at(i)
		}
		r := math.RoundToEven(float64(v) / float64(scales[c]))
		dst[i] = int8(min(lim, max(-lim, r)))
	}
	return q, scales
}

// channelIndex returns the number of channels along an axis, and the channel of an element.
func channelIndex(s tensor.Shape, axis int) (int, func(i int) int) {
	inner := 1
	for _, d := range s[axis+1:] {
		inner *= d
	}
	n := s[axis]
	return n, func(i int) int { return i / inner % n }
}

// weightSQNR returns 10·log10(Σw² / Σ(w - s·q)²) in dB.
func weightSQNR(w, q *tensor.Tensor, scales []float32, axis int) float64 {
	_, at := channelIndex(w.Shape(), axis)
	qd := tensor.Data[int8](q)
	signal, noise := 0.0, 0.0
	for i, v := range w.Float32s() {
		c := 0
		if len(scales) > 1 {
			c = at(i)
		}
		d := float64(v) - float64(scales[c])*float64(qd[i])
		signal += float64(v) * float64(v)
		noise += d * d
	}
	if noise == 0 {
		return noNoise
	}
	return 10 * math.Log10(signal/noise)
}
