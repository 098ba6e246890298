//go:build noasm || gccgo || !amd64

package kernel

func archOverlapQ8() []gemmQ8 { return nil }

func runOverlapQ8(*overlapQ8) { panic("kernel: no such kernel") }

func overlapStripsScratch(int) int { return 0 }

func (p *PackedQ8) runOverlapStrips([]uint8, int, int, int, int, *OverlapQ8, []uint8, int, int, []int32) {
	panic("kernel: no such kernel")
}
