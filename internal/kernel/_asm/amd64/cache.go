package main

import (
	. "github.com/mmcloughlin/avo/reg"
)

// cpuid emits the instruction of that name.
func cpuid(g *gen) {
	g.text("cpuid", "func(leaf, subleaf uint32) (a, b, c uint32)")
	g.Load(g.Param("leaf"), EAX)
	g.Load(g.Param("subleaf"), ECX)
	g.CPUID()
	g.Store(EAX, g.ReturnIndex(0))
	g.Store(EBX, g.ReturnIndex(1))
	g.Store(ECX, g.ReturnIndex(2))
	g.RET()
}
