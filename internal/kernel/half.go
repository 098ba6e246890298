package kernel

import (
	"encoding/binary"
	"math"
)

// WidenF16 converts float16 values in the byte order of the machine, 2·len(dst) bytes of them
// or more. All are exact; NaNs keep what float32 has room for, signalling ones too.
func WidenF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	done := widenF16(dst, src)
	for i := done; i < len(dst); i++ {
		h := uint32(binary.NativeEndian.Uint16(src[2*i:]))
		// The product moves the exponent from bias 15 to bias 127, also of subnormals.
		v := math.Float32frombits(h&0x7fff<<13) * 0x1p112
		bits := math.Float32bits(v) | h&0x8000<<16
		if h&0x7c00 == 0x7c00 {
			bits = 0x7f800000 | h&0x3ff<<13 | h&0x8000<<16
		}
		dst[i] = math.Float32frombits(bits)
	}
}

// WidenBF16 is WidenF16 for bfloat16.
func WidenBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	done := widenBF16(dst, src)
	for i := done; i < len(dst); i++ {
		dst[i] = math.Float32frombits(uint32(binary.NativeEndian.Uint16(src[2*i:])) << 16)
	}
}
