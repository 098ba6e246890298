package op

import (
	"math"

	"github.com/aekit/aekit/internal/kernel"
)

// binaryGrain is how many elements of a flat operation a chunk has.
const binaryGrain = 64 << 10

// binaryTask is one run of elements of float32 operands, in chunks.
type binaryTask struct {
	kind         binaryKind
	f            func(a, b float32) float32 // kind, for what kernels do not have
	dst, a, b    []float32
	aStep, bStep int
	// wrap, unless it is 0, is the length of the operand wrapB names, a or b, which is repeated.
	wrap  int
	wrapB bool
}

// Do implements [parallel.Task].
func (t *binaryTask) Do(chunk, _ int) {
	if t.wrap > 0 {
		grain := t.grain()
		for lo := chunk * grain; lo < min((chunk+1)*grain, len(t.dst)); lo += t.wrap {
			d := t.dst[lo:min(lo+t.wrap, len(t.dst))]
			if t.wrapB {
				runF32(t.kind, t.f, d, t.a[lo:], t.b, 1, 1)
			} else {
				runF32(t.kind, t.f, d, t.a, t.b[lo:], 1, 1)
			}
		}
		return
	}
	lo := chunk * binaryGrain
	hi := min(lo+binaryGrain, len(t.dst))
	runF32(t.kind, t.f, t.dst[lo:hi], t.a[lo*t.aStep:], t.b[lo*t.bStep:], t.aStep, t.bStep)
}

// grain is how many elements a chunk has where an operand is repeated.
func (t *binaryTask) grain() int { return max(1, binaryGrain/t.wrap) * t.wrap }

const (
	// wrapLength is about how many elements a repeated operand is copied to.
	wrapLength = 4096
	// longRow is how many elements make a row long enough to be worked on by itself.
	longRow = 256
)

// wrapped computes dst where one operand is a row that is repeated over all rows of the other, in runs that are longer than
// a row: of images of few channels, rows are short. It reports whether that is the case.
func (st *binaryState) wrapped(ctx *Context, kind binaryKind, dst, a, b []float32) bool {
	n, sa, sb, _ := st.inner()
	if len(st.dims) != 2 || n >= longRow || sa != 1 || sb != 1 || len(dst) < 2*n {
		return false
	}
	row, wrapB := b, true
	switch pa, pb := st.st[0][1], st.st[1][1]; {
	case pa == n && pb == 0:
	case pa == 0 && pb == n:
		row, wrapB = a, false
	default:
		return false
	}
	length := min(wrapLength/n*n, len(dst))
	st.t = resize(st.t, length)
	for at := 0; at < length; {
		if at == 0 {
			at = copy(st.t, row[:n])
			continue
		}
		at += copy(st.t[at:], st.t[:at])
	}
	if wrapB {
		b = st.t
	} else {
		a = st.t
	}
	t := &st.task
	*t = binaryTask{kind: kind, f: st.fn32, dst: dst, a: a, b: b, wrap: length, wrapB: wrapB}
	ctx.Pool.Run((len(dst)+t.grain()-1)/t.grain(), t)
	*t = binaryTask{}
	return true
}

func (st *binaryState) float32(ctx *Context, kind binaryKind, dst, a, b []float32) {
	if st.fn32 == nil {
		st.fn32 = floatFunc[float32](kind)
	}
	n, sa, sb, _ := st.inner()
	if n == 1 {
		sa, sb = 1, 1 // of one element the step does not matter
	}
	if n == len(dst) && n > 0 {
		t := &st.task
		*t = binaryTask{kind: kind, f: st.fn32, dst: dst, a: a, b: b, aStep: sa, bStep: sb}
		ctx.Pool.Run((n+binaryGrain-1)/binaryGrain, t)
		*t = binaryTask{}
		return
	}
	if st.wrapped(ctx, kind, dst, a, b) {
		return
	}
	for st.next() {
		runF32(kind, st.fn32, dst[st.at:st.at+n], a[st.pos[0]:], b[st.pos[1]:], sa, sb)
	}
}

// runF32 computes dst[i] = kind(a[i*sa], b[i*sb]), where sa and sb are 0 or 1. f is kind.
func runF32(kind binaryKind, f func(a, b float32) float32, dst, a, b []float32, sa, sb int) {
	switch {
	case sa == 1 && sb == 1:
		switch kind {
		case binAdd:
			kernel.AddF32(dst, a, b)
			return
		case binSub:
			kernel.SubF32(dst, a, b)
			return
		case binMul:
			kernel.MulF32(dst, a, b)
			return
		case binDiv:
			kernel.DivF32(dst, a, b)
			return
		case binMax:
			kernel.MaximumF32(dst, a, b)
			return
		case binMin:
			kernel.MinimumF32(dst, a, b)
			return
		case binPRelu:
			kernel.PReluF32(dst, a, b)
			return
		}
	case sa == 1 && sb == 0:
		switch s := b[0]; kind {
		case binAdd:
			kernel.AddScalarF32(dst, a, s)
			return
		case binSub:
			kernel.AddScalarF32(dst, a, -s)
			return
		case binMul:
			kernel.MulScalarF32(dst, a, s)
			return
		case binDiv:
			kernel.DivScalarF32(dst, a, s)
			return
		case binMax, binMin:
			if limit(kind, dst, a, s) {
				return
			}
		case binPRelu:
			kernel.LeakyReluF32(dst, a, s)
			return
		case binPow:
			if powScalar(dst, a, s) {
				return
			}
		}
	case sa == 0 && sb == 1:
		switch s := a[0]; kind {
		case binAdd:
			kernel.AddScalarF32(dst, b, s)
			return
		case binMul:
			kernel.MulScalarF32(dst, b, s)
			return
		case binSub:
			kernel.AffineF32(dst, b, -1, s)
			return
		case binDiv:
			kernel.ScalarDivF32(dst, b, s)
			return
		case binMax, binMin:
			if limit(kind, dst, b, s) {
				return
			}
		}
	}
	run1(dst, a, b, sa, sb, f)
}

// limit computes the maximum or minimum of x and a number.
func limit(kind binaryKind, dst, x []float32, s float32) bool {
	switch {
	case s != s:
		return false
	case kind == binMax:
		kernel.ClipF32(dst, x, s, float32(math.Inf(1)))
	default:
		kernel.ClipF32(dst, x, float32(math.Inf(-1)), s)
	}
	return true
}

// powScalar computes dst = a^s for exponents that are a few multiplications.
func powScalar(dst, a []float32, s float32) bool {
	switch s {
	case 1:
		copy(dst, a)
	case 2:
		kernel.MulF32(dst, a, a)
	case 3:
		for i, v := range a[:len(dst)] {
			dst[i] = v * v * v
		}
	case -1:
		kernel.ReciprocalF32(dst, a)
	default:
		return false
	}
	return true
}
