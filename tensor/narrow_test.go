package tensor

import (
	"math"
	"testing"
)

// TestNarrowValues holds values of the formats' tables.
func TestNarrowValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		d    DType
		code uint8
		want float64
	}{
		{Float8E4M3FN, 0x01, 0x1p-9}, {Float8E4M3FN, 0x07, 7 * 0x1p-9}, {Float8E4M3FN, 0x08, 0x1p-6}, {Float8E4M3FN, 0x7e, 448},
		{Float8E4M3FN, 0x7f, nan}, {Float8E4M3FN, 0xff, nan}, {Float8E4M3FN, 0xb8, -1},
		{Float8E4M3FNUZ, 0x01, 0x1p-10}, {Float8E4M3FNUZ, 0x7f, 240}, {Float8E4M3FNUZ, 0xff, -240}, {Float8E4M3FNUZ, 0x80, nan},
		{Float8E5M2, 0x01, 0x1p-16}, {Float8E5M2, 0x04, 0x1p-14}, {Float8E5M2, 0x7b, 57344}, {Float8E5M2, 0x7c, inf}, {Float8E5M2, 0xfc, -inf},
		{Float8E5M2, 0x7d, nan}, {Float8E5M2, 0xff, nan},
		{Float8E5M2FNUZ, 0x01, 0x1p-17}, {Float8E5M2FNUZ, 0x7f, 57344}, {Float8E5M2FNUZ, 0x80, nan},
		{Float4E2M1, 0x1, 0.5}, {Float4E2M1, 0x2, 1}, {Float4E2M1, 0x7, 6}, {Float4E2M1, 0xf, -6}, {Float4E2M1, 0x5, 3},
		{Float8E8M0, 0, 0x1p-127}, {Float8E8M0, 127, 1}, {Float8E8M0, 254, 0x1p127}, {Float8E8M0, 255, nan},
		{Int4, 0xf8, -8}, {Int4, 7, 7}, {Uint4, 15, 15}, {Int2, 0xfe, -2}, {Uint2, 3, 3},
	}
	for _, c := range tests {
		got := float64(NarrowFloat32(c.d, c.code))
		if got != c.want && !(got != got && c.want != c.want) {
			t.Errorf("%v %#x is %v, want %v", c.d, c.code, got, c.want)
		}
	}
}

var narrowTypes = []DType{Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ, Float4E2M1, Float8E8M0, Int4, Uint4, Int2, Uint2}

// codes returns the codes of a narrow type.
func codes(d DType) []uint8 {
	n := 256
	switch d {
	case Float4E2M1, Int4, Uint4:
		n = 16
	case Int2, Uint2:
		n = 4
	}
	var out []uint8
	for i := range n {
		switch d {
		case Int4:
			i -= 8
		case Int2:
			i -= 2
		}
		out = append(out, uint8(i))
	}
	return out
}

func TestNarrowRoundTrip(t *testing.T) {
	for _, d := range narrowTypes {
		for _, code := range codes(d) {
			v := NarrowFloat32(d, code)
			for _, saturate := range []bool{true, false} {
				got := NarrowOf(d, v, saturate, RoundUp)
				want := v
				if saturate && math.IsInf(float64(v), 0) {
					want = float32(math.Copysign(57344, float64(v)))
				}
				w := NarrowFloat32(d, got)
				if v == v && got != code && want == v || w != want && (w == w || v == v) {
					t.Errorf("%v %#x = %v, saturate %v: back to %#x = %v", d, code, v, saturate, got, w)
				}
			}
		}
	}
}

// TestNarrowNearest compares the rounding with a search for the nearest value, ties to the
// code that is even.
func TestNarrowNearest(t *testing.T) {
	for _, d := range []DType{Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ, Float4E2M1} {
		most := float64(NarrowFloat32(d, minifloats[d-Float8E4M3FN].most))
		var finite []uint8 // positive, ascending
		for code := range minifloats[d-Float8E4M3FN].most + 1 {
			finite = append(finite, code)
		}
		for i := range finite {
			lo := float64(NarrowFloat32(d, finite[i]))
			hi := 2*most - lo
			if i+1 < len(finite) {
				hi = float64(NarrowFloat32(d, finite[i+1]))
			}
			middle := (lo + hi) / 2
			for _, x := range []float64{lo, math.Nextafter(middle, lo), middle, math.Nextafter(middle, hi)} {
				want := finite[i]
				if i+1 < len(finite) && (x > middle || x == middle && want&1 == 1) {
					want++
				}
				f := float32(x)
				if float64(f) != x { // next to the middle in float32, on the same side
					f = math.Nextafter32(float32(middle), float32(math.Copysign(math.Inf(1), x-middle)))
				}
				got := NarrowOf(d, f, true, RoundUp)
				if got != want {
					t.Errorf("%v: %v became %#x = %v, want %#x = %v", d, f, got, NarrowFloat32(d, got), want, NarrowFloat32(d, want))
				}
				if neg := NarrowOf(d, -f, true, RoundUp); want != 0 && neg != want|minifloats[d-Float8E4M3FN].sign {
					t.Errorf("%v: %v became %#x", d, -f, neg)
				}
			}
		}
	}
}

// TestNarrowLimits holds the tables of ONNX's Cast (opset 25).
func TestNarrowLimits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	negzero := float32(math.Copysign(0, -1))
	tests := []struct {
		d        DType
		x        float32
		saturate bool
		round    Rounding
		want     uint8
	}{
		{Float8E4M3FN, inf, true, 0, 0x7e}, {Float8E4M3FN, -1e9, true, 0, 0xfe}, {Float8E4M3FN, inf, false, 0, 0x7f}, {Float8E4M3FN, -1e9, false, 0, 0xff},
		{Float8E4M3FN, nan, true, 0, 0x7f}, {Float8E4M3FN, negzero, true, 0, 0x80}, {Float8E4M3FN, 464, false, 0, 0x7e}, {Float8E4M3FN, 465, false, 0, 0x7f},
		{Float8E4M3FNUZ, negzero, true, 0, 0}, {Float8E4M3FNUZ, -inf, true, 0, 0xff}, {Float8E4M3FNUZ, inf, false, 0, 0x80}, {Float8E4M3FNUZ, nan, true, 0, 0x80},
		{Float8E4M3FNUZ, -1e-9, true, 0, 0},
		{Float8E5M2, inf, true, 0, 0x7b}, {Float8E5M2, inf, false, 0, 0x7c}, {Float8E5M2, -inf, false, 0, 0xfc}, {Float8E5M2, 1e9, false, 0, 0x7c},
		{Float8E5M2FNUZ, 1e9, false, 0, 0x80}, {Float8E5M2FNUZ, -1e9, true, 0, 0xff},
		{Float4E2M1, inf, false, 0, 7}, {Float4E2M1, -1e6, true, 0, 0xf}, {Float4E2M1, nan, true, 0, 8}, {Float4E2M1, 0.25, true, 0, 0}, {Float4E2M1, 0.75, true, 0, 2},
		{Float8E8M0, 0, true, RoundUp, 0}, {Float8E8M0, 0, false, RoundNearest, 255}, {Float8E8M0, inf, true, RoundUp, 254}, {Float8E8M0, inf, false, RoundNearest, 255},
		{Float8E8M0, 1.1, true, RoundUp, 128}, {Float8E8M0, 1.1, true, RoundDown, 127}, {Float8E8M0, 1.5, true, RoundNearest, 128}, {Float8E8M0, 1.4, true, RoundNearest, 127},
		{Float8E8M0, 3e38, true, RoundUp, 254}, {Float8E8M0, 3e38, false, RoundUp, 255}, {Float8E8M0, 1e-45, true, RoundUp, 0}, {Float8E8M0, nan, true, RoundUp, 255},
		{Int4, -9, true, 0, 7}, {Int4, 7.9, true, 0, 7}, {Int4, -8.9, true, 0, 0xf8}, {Uint4, 17, true, 0, 1}, {Int2, 2, true, 0, 0xfe}, {Uint2, -1, true, 0, 3},
	}
	for _, c := range tests {
		if got := NarrowOf(c.d, c.x, c.saturate, c.round); got != c.want {
			t.Errorf("%v of %v, saturate %v, rounding %v: %#x, want %#x", c.d, c.x, c.saturate, c.round, got, c.want)
		}
	}
}
