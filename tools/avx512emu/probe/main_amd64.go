// Command probe executes AVX-512 and AVX-512 VNNI instructions and checks
// their results against the same arithmetic in Go. It exits with status 1
// where a result differs and 2 where the CPU lacks the instructions.
package main

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/cpu"
)

//go:noescape
func fma16(dst, a, b *[16]float32)

//go:noescape
func dot64(dst *[16]int32, a *[64]uint8, b *[64]int8)

//go:noescape
func store16(dst, src *[16]float32, mask uint16)

func main() {
	x := &cpu.X86
	fmt.Printf("avx2=%t fma=%t avx512f=%t avx512bw=%t avx512dq=%t avx512vl=%t avx512vnni=%t\n",
		x.HasAVX2, x.HasFMA, x.HasAVX512F, x.HasAVX512BW, x.HasAVX512DQ, x.HasAVX512VL, x.HasAVX512VNNI)
	if !x.HasAVX512F {
		os.Exit(2)
	}
	failed := false
	check := func(name string, ok bool) {
		verdict := "ok"
		if !ok {
			verdict, failed = "WRONG", true
		}
		fmt.Println(name, verdict)
	}

	var f, a, b, want [16]float32
	for i := range f {
		f[i], a[i], b[i] = float32(i)*0.37-2, float32(i)*1.25-7, 3-float32(i)*0.61
		want[i] = float32(math.FMA(float64(a[i]), float64(b[i]), float64(f[i])))
	}
	fma16(&f, &a, &b)
	check("VFMADD231PS zmm", f == want)

	var got [16]float32
	store16(&got, &a, 0xa5c3)
	masked := true
	for i := range got {
		if 0xa5c3>>i&1 == 1 {
			masked = masked && got[i] == a[i]
		} else {
			masked = masked && got[i] == 0
		}
	}
	check("VMOVUPS zmm masked", masked)

	if x.HasAVX512VNNI {
		var d, dw [16]int32
		var u [64]uint8
		var s [64]int8
		for i := range u {
			u[i], s[i] = uint8(255-3*i), int8(5*i-128)
			dw[i/4] += int32(u[i]) * int32(s[i])
		}
		dot64(&d, &u, &s)
		check("VPDPBUSD zmm", d == dw)
	}
	if failed {
		os.Exit(1)
	}
}
