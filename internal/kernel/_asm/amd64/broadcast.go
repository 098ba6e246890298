package main

import (
	"strings"

	"github.com/mmcloughlin/avo/ir"

	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// broadcasting are the instructions on 32-bit values that AVX-512 has with a value in memory that all lanes share.
var broadcasting = map[string]bool{
	"VADDPS": true, "VSUBPS": true, "VMULPS": true, "VMAXPS": true, "VMINPS": true, "VANDPS": true, "VORPS": true, "VCMPPS": true,
	"VFMADD213PS": true, "VFMADD231PS": true, "VFMSUB213PS": true, "VFNMADD213PS": true, "VFNMADD231PS": true,
	"VPADDD": true, "VPSUBD": true, "VPMULLD": true, "VPMAXSD": true, "VPMINSD": true, "VBLENDMPS": true,
}

// broadcastConstants has vectors of 512 bits read one value of a constant, and leaves of each constant what is read. A constant
// of 64 bytes need not begin with a cache line, and one that lies in two takes as long to read as two.
func broadcastConstants(f *ir.File) {
	bytes := map[string]int{}
	for _, fn := range f.Functions() {
		for _, i := range fn.Instructions() {
			for _, op := range i.Operands {
				m, ok := op.(Mem)
				if !ok || !strings.HasPrefix(m.Symbol.Name, "const") {
					continue
				}
				size := 0
				for _, other := range i.Operands {
					if v, ok := other.(Register); ok && v.Kind() == KindVector {
						size = max(size, int(v.Size()))
					}
				}
				if size == 64 {
					switch {
					case broadcasting[i.Opcode]:
						i.Suffixes = append([]string{"BCST"}, i.Suffixes...)
						size = 4
					case i.Opcode == "VMOVUPS" && len(i.Operands) == 2:
						i.Opcode, size = "VBROADCASTSS", 4
					}
				}
				bytes[m.Symbol.Name] = max(bytes[m.Symbol.Name], size)
			}
		}
	}
	for _, s := range f.Sections {
		if g, ok := s.(*ir.Global); ok && strings.HasPrefix(g.Symbol.Name, "const") {
			g.Data = g.Data[:bytes[g.Symbol.Name]/4]
			g.Size = bytes[g.Symbol.Name]
		}
	}
}
