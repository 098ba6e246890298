//go:build noasm || gccgo || !amd64

package kernel

func archPixelsQ8() []gemmQ8 { return nil }

func runPixelsQ8(*gemmQ8, *pixelsQ8) { panic("kernel: no such kernel") }

// HasInterleave8 reports whether there are vectors for runs of n planes of 32 bytes and more.
func HasInterleave8(n int) bool { return n == 1 }

func (v *Interleaver8) run(dst, src []uint8, plane, count int) bool { return false }
