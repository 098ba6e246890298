package main

import (
	. "github.com/mmcloughlin/avo/reg"
)

// sums emits what is made of 32-bit sums in float32.
func sums(g *gen) {
	in := []stream{{"dst", false, true}, {"src", true, false}, {"scale", true, false}, {"add", true, false}}
	for _, f := range []struct {
		name, sig string
		streams   int
	}{
		{"floatsI32", "func(dst []float32, src []int32)", 2},
		{"scaleI32", "func(dst []float32, src []int32, scale []float32)", 3},
		{"scaleAddI32", "func(dst []float32, src []int32, scale, add []float32)", 4},
	} {
		g.text(f.name+g.t.suffix, f.sig)
		g.loop(in[:f.streams], 2, false, func(v []VecVirtual) []VecVirtual {
			g.VCVTDQ2PS(v[0], v[0])
			if f.streams > 2 {
				g.VMULPS(v[1], v[0], v[0])
			}
			if f.streams > 3 {
				g.VADDPS(v[2], v[0], v[0])
			}
			return v[:1]
		})
	}
}
