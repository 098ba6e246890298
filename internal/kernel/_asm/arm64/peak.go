package main

// peaks emits the loops whose speed is the limit of the others.
func peaks(f *file) {
	f.text("peakFMANEON", "(n int)", 8)
	f.op("MOVD n+0(FP), R1")
	for i := range 32 {
		f.v("eor v%d.16b, v%d.16b, v%d.16b", i, i, i)
	}
	fma := f.label("fma")
	f.at(fma)
	for i := range 24 {
		f.v("fmla v%d.4s, v%d.4s, v%d.s[0]", 8+i, i%4, 4+i%4)
	}
	f.op("SUBS $1, R1, R1")
	f.op("BGT %s", fma)
	f.op("RET")

	f.text("peakReadNEON", "(x []float32)", 24)
	loadSlices(f, []string{"x"})
	read := f.label("read")
	f.at(read)
	for i := range 8 {
		f.op("FLDPQ %d(R2), (F%d, F%d)", 32*i, 2*i, 2*i+1)
	}
	f.op("ADD $256, R2, R2")
	f.op("SUBS $64, R1, R1")
	f.op("BGT %s", read)
	f.op("RET")
}
