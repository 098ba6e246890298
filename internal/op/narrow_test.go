package op

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestCastNarrow compares Cast with the conversion of single elements, from and to every type.
func TestCastNarrow(t *testing.T) {
	values := []float64{0, 1, 2, 3, 1.75, 100, 0.0625, 448, 1e4}
	for len(values) < 600 {
		values = append(values, float64(len(values)%7))
	}
	for _, to := range typesIn(typesNarrow) {
		for _, from := range typesIn(typesAll) {
			x := tensor.Must(tensor.New(from, 2, len(values)/2))
			convert(x, tensor.Must(tensor.Of(values, 2, len(values)/2)))
			for _, saturate := range []int64{0, 1} {
				attrs := []*onnx.Attribute{attrInt("to", int64(to)), attrInt("saturate", saturate)}
				got := node{typ: "Cast", opset: 24, attrs: attrs}.eval(t, x)[0]
				for i, v := range floats(x) {
					if want := tensor.NarrowOf(to, float32(v), saturate == 1, tensor.RoundUp); got.Bytes()[i] != want {
						t.Fatalf("Cast of %v (%v) to %v, saturate %d: %#x, want %#x", v, from, to, saturate, got.Bytes()[i], want)
					}
				}
				like := node{typ: "CastLike", opset: 24, attrs: attrs[1:]}.eval(t, x, tensor.Must(tensor.New(to, 1)))[0]
				if string(like.Bytes()) != string(got.Bytes()) {
					t.Errorf("CastLike and Cast from %v to %v differ", from, to)
				}
				back := node{typ: "Cast", opset: 24, attrs: []*onnx.Attribute{attrInt("to", int64(from))}}.eval(t, got)[0]
				wide := tensor.Must(tensor.New(tensor.Float32, got.Shape()...))
				widenNarrow(wide.Float32s(), got)
				want := tensor.Must(tensor.New(from, got.Shape()...))
				convert(want, wide)
				if string(back.Bytes()) != string(want.Bytes()) {
					t.Errorf("Cast from %v to %v: %v, want %v", to, from, floats(back)[:9], floats(want)[:9])
				}
			}
		}
	}
	// One rounding, not two: just above the middle of two values.
	x := tensor.Must(tensor.Of([]float64{1.0625 + 0x1p-40, -(1.0625 + 0x1p-40)}, 2))
	got := node{typ: "Cast", opset: 24, attrs: []*onnx.Attribute{attrInt("to", int64(tensor.Float8E4M3FN))}}.eval(t, x)[0]
	if b := got.Bytes(); b[0] != 0x39 || b[1] != 0xb9 {
		t.Errorf("Cast of %v to float8e4m3fn: %x, want 39b9", floats(x), b)
	}
}

// TestQuantizeNarrow compares QuantizeLinear and DequantizeLinear with their formulas, per
// tensor, per axis and in blocks.
func TestQuantizeNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := randomOf(r, tensor.Float32, 6, 5)
	for i := range x.Float32s() {
		x.Float32s()[i] *= 4
	}
	for _, d := range typesIn(typesFloat8 | typesNarrowInt) {
		for _, c := range []struct {
			shape []int
			attrs []*onnx.Attribute
			index func(i, j int) int
		}{
			{nil, nil, func(i, j int) int { return 0 }},
			{[]int{5}, []*onnx.Attribute{attrInt("axis", 1)}, func(i, j int) int { return j }},
			{[]int{6}, []*onnx.Attribute{attrInt("axis", -2)}, func(i, j int) int { return i }},
			{[]int{3, 5}, []*onnx.Attribute{attrInt("axis", 0), attrInt("block_size", 2)}, func(i, j int) int { return i/2*5 + j }},
		} {
			scale := tensor.Must(tensor.New(tensor.Float32, c.shape...))
			zero := tensor.Must(tensor.New(d, c.shape...))
			for i := range scale.Float32s() {
				scale.Float32s()[i] = 0.25 + r.Float32()
				if typesNarrowInt.Has(d) {
					zero.Bytes()[i] = uint8(r.IntN(2))
				}
			}
			q := node{typ: "QuantizeLinear", opset: 25, attrs: c.attrs}.eval(t, x, scale, zero)[0]
			y := node{typ: "DequantizeLinear", opset: 25, attrs: c.attrs}.eval(t, q, scale, zero)[0]
			for k, v := range x.Float32s() {
				p := c.index(k/5, k%5)
				s, z := scale.Float32s()[p], tensor.NarrowFloat32(d, zero.Bytes()[p])
				want := tensor.NarrowOf(d, v/s, true, tensor.RoundUp)
				if typesNarrowInt.Has(d) {
					lo, hi := rangeOf(d)
					f := math.RoundToEven(float64(v/s)) + float64(z)
					want = uint8(int8(min(max(f, float64(lo)), float64(hi))))
				}
				if got := q.Bytes()[k]; got != want {
					t.Fatalf("%v, scale %v: %v / %v + %v gave %#x, want %#x", d, scale, v, s, z, got, want)
				}
				if got, want := y.Float32s()[k], (tensor.NarrowFloat32(d, want)-z)*s; got != want {
					t.Fatalf("%v, scale %v: %#x - %v * %v gave %v, want %v", d, scale, q.Bytes()[k], z, s, got, want)
				}
			}
		}
	}
}

// TestMoveNarrow moves elements of narrow types.
func TestMoveNarrow(t *testing.T) {
	for _, d := range typesIn(typesNarrow) {
		x := tensor.Must(tensor.FromBytes(d, []byte{0, 1, 1, 0, 1, 1}, 2, 3))
		y := node{typ: "Transpose", opset: 24}.eval(t, x)[0]
		if y.DType() != d || string(y.Bytes()) != "\x00\x00\x01\x01\x01\x01" {
			t.Errorf("Transpose of %v: %v %x", d, y, y.Bytes())
		}
		p := node{typ: "Pad", opset: 25}.eval(t, x, tensor.Must(tensor.Of([]int64{0, 1, 0, 0}, 4)))[0]
		if string(p.Bytes()) != "\x00\x00\x01\x01\x00\x00\x01\x01" {
			t.Errorf("Pad of %v: %x", d, p.Bytes())
		}
	}
}
