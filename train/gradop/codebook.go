package gradop

import (
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

var codebookTable = map[string]constructor{
	"StraightThrough": func(*op.Attrs) (op.Op, error) { return straightThrough{}, nil },
	"CodebookUpdate": func(a *op.Attrs) (op.Op, error) {
		return &codebookUpdate{decay: float64(a.Float("decay", 0.99)), threshold: float64(a.Float("threshold", 0.5))}, nil
	},
}

// straightThrough gives its second input; gradients go to the first, of the same shape
// (Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons").
type straightThrough struct{}

func (straightThrough) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 2, 2, 0, 1); err != nil {
		return nil, err
	}
	if !in[0].Shape.Equal(in[1].Shape) {
		return nil, errShapes
	}
	return []op.Fact{like(in[1])}, nil
}

func (straightThrough) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	copy(out[0].Bytes(), in[1].Bytes())
	return nil
}

// codebookUpdate moves the vectors of a codebook towards the vectors that were coded by
// them: exponential moving averages of the number of such vectors and of their sum, whose
// ratio is the new vector (van den Oord et al. 2017, "Neural discrete representation
// learning", appendix A.1). A code whose average number falls below the threshold starts
// again from one of the batch's vectors (Dhariwal et al. 2020, "Jukebox", §3.1).
//
// Inputs: x [n, d]; codes, n int64; codebook [k, d]; counts [k]; sums [k, d]. Outputs: the
// new codebook, counts and sums. Everything is summed in order, on one thread.
type codebookUpdate struct{ decay, threshold float64 }

func (*codebookUpdate) Infer(in []op.Fact) ([]op.Fact, error) {
	if err := want(in, 5, 5, 0, 2, 3, 4); err != nil {
		return nil, err
	}
	x, book := in[0].Shape, in[2].Shape
	if len(x) != 2 || len(book) != 2 || x[1] != book[1] || product(in[1].Shape) != x[0] || in[1].DType != tensor.Int64 ||
		product(in[3].Shape) != book[0] || !in[4].Shape.Equal(book) || in[0].DType != tensor.Float32 {
		return nil, errShapes
	}
	return []op.Fact{like(in[2]), like(in[3]), like(in[4])}, nil
}

func (o *codebookUpdate) Run(_ *op.Context, out, in []*tensor.Tensor) error {
	x, codes := in[0].Float32s(), in[1].Int64s()
	d := in[2].Shape()[1]
	k := in[2].Shape()[0]
	book, counts, sums := out[0].Float32s(), out[1].Float32s(), out[2].Float32s()
	decay, gain := float32(o.decay), float32(1-o.decay)
	for i, v := range in[3].Float32s() {
		counts[i] = float32(decay * v)
	}
	for i, v := range in[4].Float32s() {
		sums[i] = float32(decay * v)
	}
	for i, c := range codes {
		counts[c] += gain
		s := sums[int(c)*d:][:d]
		for j, v := range x[i*d:][:d] {
			s[j] += float32(gain * v)
		}
	}
	dead := 0
	for _, c := range counts[:k] {
		if float64(c) < o.threshold {
			dead++
		}
	}
	seen := 0
	for c := range k {
		s := sums[c*d:][:d]
		if float64(counts[c]) < o.threshold && len(codes) > 0 {
			// Spread over the batch; a start of twice the threshold gives it time to be used.
			row := x[int(int64(seen)*int64(len(codes))/int64(dead))*d:][:d]
			seen++
			counts[c] = float32(2 * o.threshold)
			for j, v := range row {
				s[j] = float32(counts[c] * v)
			}
		}
		for j, v := range s {
			book[c*d+j] = v / counts[c]
		}
	}
	return nil
}
