package main

import (
	"math"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		text string
		word uint32
		want use
	}{
		{"fmla v16.4s, v8.4s, v0.s[0]", 0x4f801110, use{vector: true, class: float, times: 1}},
		{"fmul v0.4s, v0.4s, v4.4s", 0x6e24dc00, use{vector: true, class: float, times: 1}},
		{"fdiv v0.4s, v0.4s, v4.4s", 0x6e24fc00, use{vector: true, class: divide, times: 1}},
		{"fcvtns v0.4s, v0.4s", 0x4e21a800, use{vector: true, class: float, times: 1}},
		{"sdot v4.4s, v1.16b, v2.4b[0]", 0x4f82e024, use{vector: true, times: 1}},
		{"usmmla v4.4s, v1.16b, v2.16b", 0x4e82ac24, use{vector: true, times: 1}},
		{"smull v8.8h, v0.8b, v4.8b", 0x0e24c008, use{vector: true, class: multiply, times: 1}},
		{"smlal2 v8.8h, v0.16b, v4.16b", 0x4e248008, use{vector: true, class: multiply, times: 1}},
		{"sadalp v16.4s, v8.8h", 0x4e606910, use{vector: true, class: multiply, times: 1}},
		{"sqxtn v0.4h, v0.4s", 0x0e614800, use{vector: true, class: multiply, times: 1}},
		{"add v0.4s, v0.4s, v2.4s", 0x4ea28400, use{vector: true, times: 1}},
		{"eor v0.16b, v0.16b, v0.16b", 0x6e201c00, use{vector: true, times: 1}},
		{"uzp1 v0.16b, v0.16b, v2.16b", 0x4e021800, use{vector: true, class: permute, times: 1}},
		{"tbl v1.16b, {v16.16b-v19.16b}, v0.16b", 0x4e006201, use{vector: true, class: lookup, times: 4}},
		{"ld1 {v8.4s-v11.4s}, [x1], x4", 0x4cc42828, use{loads: 4}},
		{"ldp q0, q1, [x8], #32", 0xacc10500, use{loads: 2}},
		{"ldr q0, [x8], #16", 0x3cc10500, use{loads: 1}},
		{"str q0, [x6]", 0x3d8000c0, use{stores: 1}},
		{"ldr x0, [x1]", 0xf9400020, use{loads: 1}},
		{"str x0, [x1]", 0xf9000020, use{stores: 1}},
		{"add x0, x1, x2", 0x8b020020, use{}},
		{"subs x2, x2, #8", 0xf1002042, use{}},
		{"b.ne .", 0x54000001, use{}},
	} {
		if got := decode(c.word); got != c.want {
			t.Errorf("%s (%#08x) uses %+v, want %+v", c.text, c.word, got, c.want)
		}
	}
}

func TestCycles(t *testing.T) {
	fmla, load4, add := uint32(0x4f801110), uint32(0x4cc42828), uint32(0x8b020020)
	block := []uint32{load4, load4, add}
	for range 12 {
		block = append(block, fmla)
	}
	// Twelve multiply-adds fill one pipe of the A72 for 12 cycles; on the A76, 21 operations take longer to dispatch than
	// they take two vector pipes and 8 loads two load pipes.
	for name, want := range map[string]float64{"cortex-a72": 12, "cortex-a76": 6} {
		c := cores[name]
		if got := c.cycles(block); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v cycles, want %v", name, got, want)
		}
	}
}
