package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// randF32 returns n values in [-1, 1) that depend on seed only.
func randF32(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	s := make([]float32, n)
	for i := range s {
		s[i] = r.Float32()*2 - 1
	}
	return s
}

// ulps returns the distance of got from the exact value want in units of the last place of float32 at want.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	switch {
	case got != got || w != w:
		if got != got && w != w {
			return 0
		}
		return math.Inf(1)
	case math.IsInf(float64(got), 0) || math.IsInf(float64(w), 0):
		if got == w {
			return 0
		}
		// The last finite value and infinity are one step apart.
		return math.Abs(float64(ordered(got)) - float64(ordered(w)))
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

// ordered maps floats to integers in the same order.
func ordered(x float32) int32 {
	b := int32(math.Float32bits(x))
	if b < 0 {
		b = math.MinInt32 - b
	}
	return b
}

// sameF32 reports equality in which every NaN equals every other and zeros differ by sign.
func sameF32(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

const canary = 12345.678

// withCanaries returns n values at offset off of an array filled with sentinels, and a check that they still stand.
func withCanaries(t testing.TB, n, off int) ([]float32, func(what string)) {
	t.Helper()
	const pad = 64
	all := make([]float32, off+n+pad)
	for i := range all {
		all[i] = canary
	}
	return all[off:][:n:n], func(what string) {
		t.Helper()
		for i, v := range all {
			if (i < off || i >= off+n) && v != canary {
				t.Fatalf("%s: wrote %v at index %d of a slice of %d", what, v, i-off, n)
			}
		}
	}
}

// guard is memory between inaccessible pages, so that reading or writing outside a slice that touches one faults.
type guard struct{ mem []byte }

func newGuard(t testing.TB, bytes int) guard { return guard{guardedMemory(t, bytes)} }

// place copies s to the start of the memory, or to its end if atEnd, and returns the copy.
func place[T any](g guard, s []T, atEnd bool) []T {
	if len(s) == 0 {
		return nil
	}
	size := len(s) * int(unsafe.Sizeof(s[0]))
	at := 0
	if atEnd {
		at = len(g.mem) - size
	}
	d := unsafe.Slice((*T)(unsafe.Pointer(&g.mem[at])), len(s))
	copy(d, s)
	return d
}
