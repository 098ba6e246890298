package main

import (
	"fmt"
	"strings"
)

// loop describes an elementwise routine: slices come first in its signature, the first one's length counts, and in
// every step element i of the slices in loads is read and element i of those in stores is written back from the same
// register.
type loop struct {
	name   string
	slices []string // names of the slices; slice k's pointer is in Rk+2
	params string   // the parameters after the slices, as declared
	size   int      // bytes of arguments
	loads  []int    // slices that are read
	stores []int    // slices that are written
	regs   int      // vector registers of one instance: 4 or 8; slice k is in the k-th
	setup  func(f *file)
	body   func(f *file, v func(k int) int) // one instance; v(k) is its k-th register
}

// Instances use V0 to V15; constants live above.
const instanceRegs = 16

func (l *loop) emit(f *file) {
	f.text(l.name, signature(l.slices, l.params), l.size)
	loadSlices(f, l.slices)
	if l.setup != nil {
		l.setup(f)
	}
	unroll := instanceRegs / l.regs
	wide, rest, four, tail, one, done := f.label("wide"), f.label("rest"), f.label("four"), f.label("tail"), f.label("one"), f.label("done")
	f.op("SUBS $%d, R1, R1", 4*unroll)
	f.op("BLT %s", rest)
	f.at(wide)
	l.step(f, unroll)
	f.op("SUBS $%d, R1, R1", 4*unroll)
	f.op("BGE %s", wide)
	f.at(rest)
	f.op("ADDS $%d, R1, R1", 4*unroll-4)
	f.op("BLT %s", tail)
	f.at(four)
	l.step(f, 1)
	f.op("SUBS $4, R1, R1")
	f.op("BGE %s", four)
	f.at(tail)
	f.op("ADDS $4, R1, R1")
	f.op("BEQ %s", done)
	f.at(one)
	l.step(f, 0)
	f.op("SUBS $1, R1, R1")
	f.op("BNE %s", one)
	f.at(done)
	f.op("RET")
}

// signature returns the Go parameters of slices of float32 followed by params.
func signature(slices []string, params string) string {
	sig := "(" + strings.Join(slices, ", ") + " []float32"
	if params != "" {
		sig += ", " + params
	}
	return sig + ")"
}

// loadSlices loads the slices' pointers into R2, R3 … and the first one's length into R1.
func loadSlices(f *file, slices []string) {
	for k, name := range slices {
		f.op("MOVD %s_base+%d(FP), R%d", name, 24*k, k+2)
	}
	f.op("MOVD %s_len+8(FP), R1", slices[0])
}

// step emits n vectors of the loop, or a single element for n = 0.
func (l *loop) step(f *file, n int) {
	reg := func(i, k int) int { return i*l.regs + k }
	move := func(slices []int, load bool) {
		for _, k := range slices {
			for i := 0; i < n || i == 0; i += 2 {
				mem, what, regs := fmt.Sprintf("%d(R%d)", 16*i, k+2), "FMOVQ", fmt.Sprintf("F%d", reg(i, k))
				switch {
				case n == 0:
					what = "FMOVS"
				case i+1 < n && load:
					what, regs = "FLDPQ", fmt.Sprintf("(F%d, F%d)", reg(i, k), reg(i+1, k))
				case i+1 < n:
					what, regs = "FSTPQ", fmt.Sprintf("(F%d, F%d)", reg(i, k), reg(i+1, k))
				}
				if load {
					f.op("%s %s, %s", what, mem, regs)
				} else {
					f.op("%s %s, %s", what, regs, mem)
				}
			}
		}
	}
	move(l.loads, true)
	f.interleave(max(n, 1), func(i int) {
		l.body(f, func(k int) int { return reg(i, k) })
	})
	move(l.stores, false)
	bytes := max(4, 16*n)
	for k := range l.slices {
		f.op("ADD $%d, R%d, R%d", bytes, k+2, k+2)
	}
}
