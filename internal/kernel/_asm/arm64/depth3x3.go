package main

import "fmt"

// Offsets of the fields of depth3x3Q8 in package kernel.
const (
	d3Y, d3Rows, d3W, d3Bias, d3Scale, d3N, d3Gap, d3Stride = 0, 8, 32, 40, 48, 56, 64, 72
	d3Groups, d3XZero, d3Lo, d3Hi, d3Zero                   = 80, 88, 92, 96, 100
)

// depth3x3 emits rows of 3×3 depthwise convolutions with 8-bit results, eight channels at a time. Values of three columns
// stay in registers while the window moves along the row.
//
//	R0 arguments    R1 groups left    R2 positions left    R3 w    R4 bias    R5 scale    R6 y    R7 bytes between results
//	R8 to R10 next column of the rows    R11 bytes between columns    R12 bytes of channels done    R13, R14 scratch
//	V0 to V8 values of column V/3    V9 to V17 weights    V18, V19 sums    V20, V21 bias    V22, V23 factors
//	V24 zero point of values    V25 upper bound less the zero point    V26 zero point    V28 to V30 bytes    V31 lower bound
func depth3x3(f *file) {
	for _, typ := range []string{"U8", "S8"} {
		for stride := 1; stride <= 2; stride++ {
			depth3x3Rows(f, typ, stride)
		}
	}
}

func depth3x3Rows(f *file, typ string, stride int) {
	less := map[string]string{"U8": "usubl", "S8": "ssubl"}[typ]
	f.text(fmt.Sprintf("depth3x3%sStride%dNEON", typ, stride), "(t *depth3x3Q8)", 8)
	f.op("MOVD t+0(FP), R0")
	for _, field := range []struct{ at, reg int }{{d3Groups, 1}, {d3W, 3}, {d3Bias, 4}, {d3Scale, 5}, {d3Stride, 7}, {d3Gap, 11}} {
		f.op("MOVD %d(R0), R%d", field.at, field.reg)
	}
	f.op("MOVWU %d(R0), R13", d3XZero)
	f.op("VDUP R13, V24.B8")
	f.op("MOVW %d(R0), R13", d3Hi)
	f.op("VDUP R13, V25.H8")
	f.op("MOVW %d(R0), R13", d3Zero)
	f.op("VDUP R13, V26.H8")
	f.op("FMOVS %d(R0), F31", d3Lo)
	f.v("dup v31.4s, v31.s[0]")
	f.op("MOVD ZR, R12")

	group, next := f.label("group"), f.label("next")
	f.at(group)
	f.op("VLD1.P 64(R3), [V9.H8, V10.H8, V11.H8, V12.H8]")
	f.op("VLD1.P 64(R3), [V13.H8, V14.H8, V15.H8, V16.H8]")
	f.op("FMOVQ.P 16(R3), F17")
	f.op("FLDPQ (R4), (F20, F21)")
	f.op("FLDPQ (R5), (F22, F23)")
	f.op("ADD $32, R4, R4")
	f.op("ADD $32, R5, R5")
	for r := range 3 {
		f.op("MOVD %d(R0), R%d", d3Rows+8*r, 8+r)
		f.op("ADD R12, R%d, R%d", 8+r, 8+r)
	}
	f.op("MOVD %d(R0), R6", d3Y)
	f.op("ADD R12, R6, R6")
	f.op("ADD $8, R12, R12")
	f.op("MOVD %d(R0), R2", d3N)
	column := func(slot int) {
		for r := range 3 {
			f.op("FMOVD (R%d), F%d", 8+r, 28+r)
			f.op("ADD R11, R%d, R%d", 8+r, 8+r)
		}
		for r := range 3 {
			f.v("%s v%d.8h, v%d.8b, v24.8b", less, 3*slot+r, 28+r)
		}
	}
	for slot := range 3 - stride {
		column(slot)
	}
	loop := f.label("window")
	f.at(loop)
	for k := range 3 {
		for i := 3 - stride; i < 3; i++ {
			column((k*stride + i) % 3)
		}
		f.v("orr v18.16b, v20.16b, v20.16b")
		f.v("orr v19.16b, v21.16b, v21.16b")
		for col := range 3 {
			for r := range 3 {
				x, w := 3*((k*stride+col)%3)+r, 9+3*r+col
				f.v("smlal v18.4s, v%d.4h, v%d.4h", x, w)
				f.v("smlal2 v19.4s, v%d.8h, v%d.8h", x, w)
			}
		}
		for _, step := range []func(v, scale int){
			func(v, _ int) { f.v("scvtf v%d.4s, v%d.4s", v, v) },
			func(v, scale int) { f.v("fmul v%d.4s, v%d.4s, v%d.4s", v, v, scale) },
			func(v, _ int) { f.v("fmaxnm v%d.4s, v%d.4s, v31.4s", v, v) },
			func(v, _ int) { f.v("fcvtns v%d.4s, v%d.4s", v, v) },
		} {
			step(18, 22)
			step(19, 23)
		}
		f.v("sqxtn v18.4h, v18.4s")
		f.v("sqxtn2 v18.8h, v19.4s")
		f.v("smin v18.8h, v18.8h, v25.8h")
		f.v("add v18.8h, v18.8h, v26.8h")
		f.v("xtn v18.8b, v18.8h")
		f.op("FMOVD F18, (R6)")
		f.op("ADD R7, R6, R6")
		f.op("SUBS $1, R2, R2")
		f.op("BEQ %s", next)
	}
	f.op("B %s", loop)
	f.at(next)
	f.op("SUBS $1, R1, R1")
	f.op("BNE %s", group)
	f.op("RET")
}
