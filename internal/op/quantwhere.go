package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// quantWhere is QLinearWhere of com.microsoft: the condition, X and Y with their scales and
// zero points, and those of the result, broadcast. What is chosen is dequantised and
// quantised again, unless it has the scale and zero point of the result.
type quantWhere struct{}

func newQLinearWhere(*Attrs) (Op, error) { return quantWhere{}, nil }

// Infer implements [Op].
func (quantWhere) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 9, 9); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, typesBool); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, types8); err != nil {
		return nil, err
	}
	if err := wantSame(in, 1, 4); err != nil {
		return nil, err
	}
	for _, i := range []int{2, 5, 7} {
		if err := checkParams(in, i, in[1].DType); err != nil {
			return nil, err
		}
	}
	s, err := tensor.Broadcast(in[0].Shape, in[1].Shape, in[4].Shape)
	if err != nil {
		return nil, fmt.Errorf("condition, X and Y: %w", err)
	}
	return outFact(in[1].DType, s)
}

// quantWhereState is what a quantWhere keeps between runs.
type quantWhereState struct {
	walk    loop
	dtype   tensor.DType // of the tables; 0 before the first run
	x, y, z quantParams
	chosen  [2]table8 // of Y and of X
}

// Run implements [Op].
func (quantWhere) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[quantWhereState](ctx)
	d, x, y, z := out[0].DType(), paramsAt(in, 2), paramsAt(in, 5), paramsAt(in, 7)
	if st.dtype != d || st.x != x || st.y != y || st.z != z {
		same := func(v float32) float32 { return v }
		st.chosen[0].build(d, y, z, same)
		st.chosen[1].build(d, x, z, same)
		st.dtype, st.x, st.y, st.z = d, x, y, z
	}
	w := &st.walk
	w.init(out[0].Shape(), in[0].Shape(), in[1].Shape(), in[4].Shape())
	dst, c, xs, ys := out[0].Bytes(), tensor.Data[bool](in[0]), in[1].Bytes(), in[4].Bytes()
	n, sc, sx, sy := w.inner()
	for w.next() {
		row := dst[w.at:][:n]
		pc, px, py := w.pos[0], w.pos[1], w.pos[2]
		for i := range row {
			if c[pc] {
				row[i] = st.chosen[1][xs[px]]
			} else {
				row[i] = st.chosen[0][ys[py]]
			}
			pc += sc
			px += sx
			py += sy
		}
	}
	return nil
}
