package op

import (
	"math"
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
)

// What threads read of a task is written by the thread that runs the operator, and is mostly the same in each run. Cache lines
// that are not written stay with all threads: where cores are far apart, each line that is costs a quarter of a microsecond. A
// task therefore keeps what it had in the last run, tensors' memory included, until it is given something else.

// keep sets *p to v unless it is v.
func keep[T comparable](p *T, v T) {
	if *p != v {
		*p = v
	}
}

// keepSlice is keep for slices, which are the same if they are of the same memory.
//
//go:noinline
func keepSlice[E any](p *[]E, v []E) {
	if unsafe.SliceData(*p) != unsafe.SliceData(v) || len(*p) != len(v) || cap(*p) != cap(v) {
		*p = v
	}
}

// keepFloat is keep for values of which 0 and -0 differ.
func keepFloat(p *float32, v float32) {
	if math.Float32bits(*p) != math.Float32bits(v) {
		*p = v
	}
}

// keepEpilogue is keep for epilogues.
//
//go:noinline
func keepEpilogue(p *kernel.Epilogue, v kernel.Epilogue) {
	keepSlice(&p.Bias, v.Bias)
	keep(&p.Act, v.Act)
	keepFloat(&p.Alpha, v.Alpha)
	keepFloat(&p.Lo, v.Lo)
	keepFloat(&p.Hi, v.Hi)
}
