package op

import (
	"github.com/aekit/aekit/tensor"
)

type where struct{ types Types }

func newWhere(a *Attrs) (Op, error) { return where{a.Types()}, nil }

func (o where) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, typesBool); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 1, 2); err != nil {
		return nil, err
	}
	s, err := tensor.Broadcast(in[0].Shape, in[1].Shape, in[2].Shape)
	if err != nil {
		return nil, err
	}
	return outFact(in[1].DType, s)
}

func (o where) Run(ctx *Context, out, in []*tensor.Tensor) error {
	st := StateOf[loop](ctx)
	st.init(out[0].Shape(), in[0].Shape(), in[1].Shape(), in[2].Shape())
	switch out[0].DType().Size() {
	case 1:
		whereRun[uint8](st, out, in)
	case 2:
		whereRun[uint16](st, out, in)
	case 4:
		whereRun[uint32](st, out, in)
	case 8:
		whereRun[uint64](st, out, in)
	}
	return nil
}

func whereRun[T word](l *loop, out, in []*tensor.Tensor) {
	dst, c, x, y := words[T](out[0]), tensor.Data[bool](in[0]), words[T](in[1]), words[T](in[2])
	n, sc, sx, sy := l.inner()
	for l.next() {
		d := dst[l.at : l.at+n]
		pc, px, py := l.pos[0], l.pos[1], l.pos[2]
		for i := range d {
			if c[pc] {
				d[i] = x[px]
			} else {
				d[i] = y[py]
			}
			pc += sc
			px += sx
			py += sy
		}
	}
}
