#include "textflag.h"

// func fma16(dst, a, b *[16]float32)
TEXT ·fma16(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	VMOVUPS (DI), Z0
	VMOVUPS (SI), Z1
	VFMADD231PS (DX), Z1, Z0
	VMOVUPS Z0, (DI)
	VZEROUPPER
	RET

// func dot64(dst *[16]int32, a *[64]uint8, b *[64]int8)
TEXT ·dot64(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	VMOVDQU32 (DI), Z0
	VMOVDQU32 (SI), Z1
	VPDPBUSD (DX), Z1, Z0
	VMOVDQU32 Z0, (DI)
	VZEROUPPER
	RET

// func store16(dst, src *[16]float32, mask uint16)
TEXT ·store16(SB), NOSPLIT, $0-18
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVWLZX mask+16(FP), AX
	KMOVW AX, K1
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS Z0, K1, (DI)
	VZEROUPPER
	RET
