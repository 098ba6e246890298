package quant

import (
	"math"

	"github.com/aekit/aekit/tensor"
)

// quantizeWeights returns int8 weights with zero point 0 and the scale of each channel
// along axis, or one scale for all. Values lie in -127 … 127, with reduced range in
// -64 … 63.
func quantizeWeights(w *tensor.Tensor, axis int, perTensor, reduce bool) (*tensor.Tensor, []float32) {
	src := w.Float32s()
	channels, at := channelIndex(w.Shape(), axis)
	if perTensor {
		channels = 1
	}
	top := make([]float32, channels)
	for i, v := range src {
		c := at(i)
		if perTensor {
			c = 0
		}
		top[c] = max(top[c], float32(math.Abs(float64(v))))
	}
	lim := float32(127)
	if reduce {
		lim = 63
	}
	scales := make([]float32, channels)
	for c, m := range top {
		scales[c] = m / lim
		if !(scales[c] > 0x1p-126) {
			scales[c] = 1
		}
	}
	q := tensor.Must(tensor.New(tensor.Int8, w.Shape()...))
	dst := tensor.Data[int8](q)
	for i, v := range src {
		c := at(i)
		if perTensor {
			c = 0
		}
		r := math.RoundToEven(float64(v) / float64(scales[c]))
		dst[i] = int8(min(float64(lim), max(-float64(lim), r)))
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
		return 200
	}
	return 10 * math.Log10(signal/noise)
}
