package main

// gemmF32 emits the 8×12 tile of float32.
func gemmF32(f *file) {
	f.text("tileF32NEON", "(t *tileF32)", 8)
	f.op("MOVD t+0(FP), R0")
	f.op("MOVD (R0), R8")
	f.op("MOVD 8(R0), R1")
	f.op("MOVD 32(R0), R2")
	f.op("MOVD 40(R0), R6")
	f.op("MOVD 48(R0), R7")
	f.op("MOVD 56(R0), R16")
	f.op("MOVD 64(R0), R3")
	f.op("MOVD 72(R0), R4")
	f.op("LSL $2, R16, R16")
	f.op("LSL $2, R3, R3")
	f.op("LSL $2, R4, R4")
	t := &tile{file: f, mac: "fmla v%d.4s, v%d.4s, v%d.s[%d]", add: "fadd", strided: true}
	t.loops("R16")
	epilogueF32(t)
}

// epilogueF32 emits what follows the loops: add c, add the bias, apply the activation, store.
func epilogueF32(t *tile) {
	f := t.file
	f.op("MOVD 80(R0), R3")
	f.op("LSL $2, R3, R3")
	t.addends(88)
	store, relu, leaky := f.label("store"), f.label("relu"), f.label("leaky")
	f.op("MOVD 96(R0), R7")
	f.op("CBZ R7, %s", store)
	f.op("CMP $1, R7")
	f.op("BEQ %s", relu)
	f.op("CMP $2, R7")
	f.op("BEQ %s", leaky)
	f.op("FMOVS 108(R0), F0")
	f.op("FMOVS 112(R0), F1")
	f.v("dup v0.4s, v0.s[0]")
	f.v("dup v1.4s, v1.s[0]")
	for i := sums; i < 32; i++ {
		f.v("fmax v%d.4s, v%d.4s, v0.4s", i, i)
	}
	for i := sums; i < 32; i++ {
		f.v("fmin v%d.4s, v%d.4s, v1.4s", i, i)
	}
	f.op("B %s", store)
	f.at(relu)
	f.v("eor v0.16b, v0.16b, v0.16b")
	for i := sums; i < 32; i++ {
		f.v("fmax v%d.4s, v%d.4s, v0.4s", i, i)
	}
	f.op("B %s", store)
	f.at(leaky)
	f.op("FMOVS 104(R0), F0")
	for i := sums; i < 32; i++ {
		t := 2 + 2*(i%3)
		f.v("fcmlt v%d.4s, v%d.4s, #0.0", t, i)
		f.v("fmul v%d.4s, v%d.4s, v0.s[0]", t+1, i)
		f.v("bit v%d.16b, v%d.16b, v%d.16b", i, t+1, t)
	}
	f.at(store)
	t.store()
}
