package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// planes is the order of the weights of a product. It says that the weights of a product stand in the order of images channel by channel where its operand or its
// result is channels-last: they are brought into that order as they are packed. 0 means that the order is the same.
type planes struct {
	k, n int // channels of an image that is a row of the operand, or of the result
}

// FromChannelsLast returns the operator for an operand whose rows are images of so many channels that are stored
// channels-last, in place of channel by channel, if o is a product with constant weights that can take it so.
func FromChannelsLast(o Op, in []Fact, channels int) (Op, bool) {
	if g, ok := o.(*gemm); ok {
		f := *g
		f.planes.k = channels
		return &f, g.planes.k == 0 && g.reorders(in) && channels > 0 && in[0].Shape[1]%channels == 0
	}
	m, ok := o.(*quantMatMul)
	if !ok || m.a != 0 || m.transA || m.planes.k != 0 || len(in[0].Shape) != 2 || in[m.b].Const == nil || len(in[m.b].Shape) != 2 ||
		channels < 1 || in[0].Shape[1]%channels != 0 {
		return nil, false
	}
	if _, ok := m.PackKey(m.b, in); !ok {
		return nil, false
	}
	f := *m
	f.planes.k = channels
	return &f, true
}

// ToChannelsLast is FromChannelsLast for the result. The constant that is input row, if that is not 0, has to be reordered by
// [PixelOrder].
func ToChannelsLast(o Op, in []Fact, channels int) (_ Op, row int, ok bool) {
	if g, ok := o.(*gemm); ok {
		f := *g
		f.planes.n = channels
		_, n, _, err := g.extents(in[0].Shape, in[1].Shape)
		if err != nil || g.planes.n != 0 || !g.reorders(in) || channels < 1 || n%channels != 0 {
			return nil, 0, false
		}
		if present(in, 2) {
			c := in[2]
			if row = 2; c.Const == nil || c.DType != tensor.Float32 || !isRow(c.Shape, n) {
				return nil, 0, false
			}
		}
		return &f, row, true
	}
	m, ok := o.(*quantMatMul)
	if !ok || m.planes.n != 0 || len(in[m.a].Shape) != 2 || !m.closed(in) {
		return nil, 0, false
	}
	d, _, ok := m.columns(in)
	if !ok || channels < 1 || d.n%channels != 0 {
		return nil, 0, false
	}
	for _, i := range []int{m.b, m.bScale, m.bias} {
		if i < 0 || !present(in, i) {
			continue
		}
		if _, ok := m.PackKey(i, in); !ok {
			return nil, 0, false
		}
	}
	if m.bias >= 0 && present(in, m.bias) {
		if n, _ := in[m.bias].Shape.Elems(); n != 1 && n != d.n {
			return nil, 0, false
		}
	}
	f := *m
	f.planes.n = channels
	return &f, 0, true
}

// reorderedWeights bounds the float32 weights that are reordered: packing then takes memory for a second copy of them.
const reorderedWeights = 1 << 20

// reorders reports whether the weights of a Gemm can be packed in another order.
func (o *gemm) reorders(in []Fact) bool {
	w := in[1].Const
	if w == nil || o.alpha != 1 || in[0].DType != tensor.Float32 || w.DType() != tensor.Float32 || w.Late() != nil || w.Elems() > reorderedWeights {
		return false
	}
	_, ok := o.PackKey(1, in)
	return ok
}

// PixelOrder returns a row of float32 values, which stand channel by channel, channels-last.
func PixelOrder(t *tensor.Tensor, channels int) (*tensor.Tensor, error) {
	return tensor.Of(pixelOrder(t.Float32s(), channels), t.Shape()...)
}

// key is what packed weights are named by besides.
func (p planes) key() string {
	if p == (planes{}) {
		return ""
	}
	return fmt.Sprintf(" planes=%d,%d", p.k, p.n)
}

func (p planes) columnsKey() string {
	return planes{n: p.n}.key()
}

// weights returns a k×n matrix, or its transpose if trans, in the order of operand and result.
func (p planes) weights(w []int8, d matmulDims, trans bool) []int8 {
	return planesOf(p, w, d.k, d.n, trans)
}

func planesOf[T int8 | float32](p planes, w []T, k, n int, trans bool) []T {
	rows, columns, width := p.k, p.n, n
	if trans {
		rows, columns, width = p.n, p.k, k
	}
	if rows > 1 {
		out, height := make([]T, 0, len(w)), len(w)/width
		for r := range height {
			out = append(out, w[planeOf(r, height, rows)*width:][:width]...)
		}
		w = out
	}
	if columns > 1 {
		out := make([]T, 0, len(w))
		for at := 0; at < len(w); at += width {
			out = append(out, pixelOrder(w[at:][:width], columns)...)
		}
		w = out
	}
	return w
}

// planeOf returns where, in an image of n values stored channel by channel, the value is that has place i channels-last.
func planeOf(i, n, channels int) int { return i%channels*(n/channels) + i/channels }

// pixelOrder returns the values of an image, stored channel by channel, channels-last. One value stands for all. With less
// than two channels it returns v.
func pixelOrder[T any](v []T, channels int) []T {
	if channels < 2 || len(v) < 2 {
		return v
	}
	out := make([]T, len(v))
	for i := range out {
		out[i] = v[planeOf(i, len(v), channels)]
	}
	return out
}

// IsTable reports whether o maps 8-bit values by a table, each on its own.
func IsTable(o Op) bool {
	_, ok := o.(*byteTable)
	return ok
}
