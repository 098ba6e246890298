//go:build !noasm && !gccgo

package kernel

// cpuid executes the instruction of that name.
//
//go:noescape
func cpuid(leaf, subleaf uint32) (a, b, c uint32)

// leastWays is the associativity of the first-level data caches of processors that do not say.
const leastWays = 8

// l1Ways returns the associativity of the first-level data cache: how many lines stay in it whose addresses are the
// same modulo a page.
func l1Ways() int {
	const extended, cachesAMD, cachesIntel = 0x80000000, 0x8000001d, 4
	leaf := uint32(cachesIntel)
	if newest, _, _ := cpuid(extended, 0); newest >= cachesAMD {
		leaf = cachesAMD
	} else if newest, _, _ := cpuid(0, 0); newest < cachesIntel {
		return leastWays
	}
	for i := range uint32(8) {
		a, b, c := cpuid(leaf, i)
		kind, level := a&31, a>>5&7
		if kind == 0 {
			break
		}
		ways, line, sets := int(b>>22)+1, int(b&0xfff)+1, int(c)+1
		if kind != 2 && level == 1 && line*sets <= 4096 { // not of instructions
			return max(ways, leastWays)
		}
	}
	return leastWays
}
