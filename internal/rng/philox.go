package rng

// Constants of Philox4x32 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as
// easy as 1, 2, 3", SC11, section 3.3).
const (
	mul0  = 0xD2511F53
	mul1  = 0xCD9E8D57
	weyl0 = 0x9E3779B9
	weyl1 = 0xBB67AE85
)

// Philox is the Philox4x32-10 function: a bijection of the 128-bit counter c, chosen by
// the 64-bit key k. Words are least significant first, as in the Random123 library.
func Philox(c [4]uint32, k [2]uint32) [4]uint32 {
	c0, c1, c2, c3 := philox(c[0], c[1], c[2], c[3], k[0], k[1])
	return [4]uint32{c0, c1, c2, c3}
}

func philox(c0, c1, c2, c3, k0, k1 uint32) (uint32, uint32, uint32, uint32) {
	for range 5 {
		p, q := mul0*uint64(c0), mul1*uint64(c2)
		c0, c1, c2, c3 = uint32(q>>32)^c1^k0, uint32(q), uint32(p>>32)^c3^k1, uint32(p)
		k0 += weyl0
		k1 += weyl1
		p, q = mul0*uint64(c0), mul1*uint64(c2)
		c0, c1, c2, c3 = uint32(q>>32)^c1^k0, uint32(q), uint32(p>>32)^c3^k1, uint32(p)
		k0 += weyl0
		k1 += weyl1
	}
	return c0, c1, c2, c3
}
