package op

import (
	"errors"
	"math"

	"github.com/aekit/aekit/tensor"
)

// binaryKind names a function of two elements of one type that gives the same type.
type binaryKind uint8

const (
	binAdd binaryKind = iota
	binSub
	binMul
	binDiv
	binMax
	binMin
	binMod  // the sign follows the divisor
	binFmod // the sign follows the dividend
	binPow
	binPRelu
	binAnd
	binOr
	binXor
	binShiftLeft
	binShiftRight
)

// binary is an operator on two inputs of one type, which are broadcast to each other.
type binary struct {
	name  string
	types Types
	kind  binaryKind
	// perChannel is 1 plus the index of an operand of shape [C 1 …] that is read as [C].
	perChannel int
	// floored: Mod of floating-point values is defined without attribute fmod too.
	floored bool
}

//go:noinline
func newBinary(kind binaryKind) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &binary{name: a.OpType(), types: a.Types(), kind: kind}
		if kind == binMod && a.Bool("fmod", false) {
			o.kind = binFmod
		}
		o.floored = a.Opset() >= 28
		legacyBroadcast(a)
		return o, nil
	}
}

// legacyBroadcast reads the attributes of broadcasting before opset 7. Package graph turns
// forms that do not mean the same as today's broadcasting into others that do.
func legacyBroadcast(a *Attrs) {
	if a.Opset() >= 7 {
		return
	}
	a.Bool("broadcast", false)
	if a.Has("axis") && a.Int("axis", -1) != -1 {
		a.Fail("attribute \"axis\" is only supported at opset 7 and later, where it is the alignment of the shapes")
	}
	a.Ignore("consumed_inputs")
}

func newBitShift(a *Attrs) (Op, error) {
	a.Require("direction")
	o := &binary{name: a.OpType(), types: a.Types(), kind: binShiftLeft}
	if a.OneOf("direction", "LEFT", "RIGHT") == "RIGHT" {
		o.kind = binShiftRight
	}
	return o, nil
}

func (o *binary) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 2); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	if o.kind == binMod && in[0].DType.IsFloat() && !o.floored {
		return nil, errors.New("floating-point types need attribute \"fmod\" set to 1")
	}
	a, b := in[0], in[1]
	switch o.perChannel {
	case 1:
		a = channelVector(a)
	case 2:
		b = channelVector(b)
	}
	s, err := tensor.Broadcast(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	if o.kind == binPRelu && !s.Equal(in[0].Shape) {
		return nil, errors.New("the slope does not broadcast to the input's shape")
	}
	return outFact(in[0].DType, s)
}

// InPlace implements [InPlacer].
func (o *binary) InPlace() []int { return []int{0, 1} }

func (o *binary) Run(ctx *Context, out, in []*tensor.Tensor) error {
	a, b := in[0], in[1]
	if typesShort.Has(a.DType()) {
		return viaInt64(ctx, out, in, o.Run)
	}
	if o.perChannel != 0 {
		st := StateOf[binaryState](ctx)
		v := in[o.perChannel-1]
		st.shape = append(st.shape[:0], v.Elems())
		st.vector.Set(v.DType(), v.Bytes(), st.shape)
		if o.perChannel == 1 {
			a = &st.vector
		} else {
			b = &st.vector
		}
	}
	return runBinary(ctx, o.kind, out[0], a, b)
}

// binaryState is the state of binary and variadic operators.
type binaryState struct {
	loop
	task    binaryTask
	a, b, y []float32 // widened half-precision operands and their result
	t       []float32 // a repeated operand
	vector  tensor.Tensor
	shape   tensor.Shape
	fn      any // the function of the node's kind and type: making it takes memory
	fn32    func(a, b float32) float32
}

// errDivideByZero is the failure of an integer division.
var errDivideByZero = errors.New("integer division by zero")

// runBinary computes out = kind(a, b), of one element type that is not in typesShort, with broadcasting. out may be
// the memory of a or b if that has its shape.
func runBinary(ctx *Context, kind binaryKind, out, a, b *tensor.Tensor) error {
	st := StateOf[binaryState](ctx)
	st.init(out.Shape(), a.Shape(), b.Shape(), nil)
	switch out.DType() {
	case tensor.Float32:
		st.float32(ctx, kind, out.Float32s(), a.Float32s(), b.Float32s())
	case tensor.Float16, tensor.BFloat16:
		st.a, st.b, st.y = resize(st.a, a.Elems()), resize(st.b, b.Elems()), resize(st.y, out.Elems())
		widen(st.a, a)
		widen(st.b, b)
		st.float32(ctx, kind, st.y, st.a, st.b)
		narrow(out, st.y)
	case tensor.Float64:
		broadcastRun(&st.loop, tensor.Data[float64](out), tensor.Data[float64](a), tensor.Data[float64](b), kept(&st.fn, kind, floatFunc[float64]))
	case tensor.Int64:
		return intRun[int64](st, kind, out, a, b)
	case tensor.Uint64:
		return intRun[uint64](st, kind, out, a, b)
	case tensor.Bool:
		broadcastRun(&st.loop, words[uint8](out), words[uint8](a), words[uint8](b), boolFunc(kind))
	}
	return nil
}

// resize returns a slice of n elements, in s's memory if that is large enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// kept returns the function that make gives for a node's kind, which is the same in each
// run.
func kept[F any, K any](place *any, kind K, make func(K) F) F {
	f, ok := (*place).(F)
	if !ok {
		f = make(kind)
		*place = f
	}
	return f
}

// run1 computes dst[i] = f(a[i*sa], b[i*sb]).
func run1[D, T any](dst []D, a, b []T, sa, sb int, f func(a, b T) D) {
	switch {
	case sa == 1 && sb == 1:
		a, b = a[:len(dst)], b[:len(dst)]
		for i := range dst {
			dst[i] = f(a[i], b[i])
		}
	default:
		for i := range dst {
			dst[i] = f(a[i*sa], b[i*sb])
		}
	}
}

func broadcastRun[D, T any](l *loop, dst []D, a, b []T, f func(a, b T) D) {
	n, sa, sb, _ := l.inner()
	for l.next() {
		run1(dst[l.at:l.at+n], a[l.pos[0]:], b[l.pos[1]:], sa, sb, f)
	}
}

func intRun[T int64 | uint64](st *binaryState, kind binaryKind, out, a, b *tensor.Tensor) error {
	x, y := tensor.Data[T](a), tensor.Data[T](b)
	if kind == binDiv || kind == binMod || kind == binFmod {
		for _, v := range y {
			if v == 0 {
				return errDivideByZero
			}
		}
	}
	broadcastRun(&st.loop, tensor.Data[T](out), x, y, kept(&st.fn, kind, integerFunc[T]))
	return nil
}

// floatFunc returns the function of a kind for a floating-point type.
func floatFunc[T floating](kind binaryKind) func(a, b T) T {
	switch kind {
	case binAdd:
		return func(a, b T) T { return a + b }
	case binSub:
		return func(a, b T) T { return a - b }
	case binMul:
		return func(a, b T) T { return a * b }
	case binDiv:
		return func(a, b T) T { return a / b }
	case binMax:
		return func(a, b T) T { return max(a, b) }
	case binMin:
		return func(a, b T) T { return min(a, b) }
	case binFmod:
		return func(a, b T) T { return T(math.Mod(float64(a), float64(b))) }
	case binMod:
		return func(a, b T) T { return T(floorMod(float64(a), float64(b))) }
	case binPow:
		return func(a, b T) T { return T(math.Pow(float64(a), float64(b))) }
	case binPRelu:
		return func(a, b T) T {
			if a < 0 {
				return a * b
			}
			return a
		}
	}
	return nil
}

// floorMod returns a - floor(a/b)·b, with the sign of b.
func floorMod(a, b float64) float64 {
	r := math.Mod(a, b)
	switch {
	case r == 0:
		return math.Copysign(0, b)
	case (r < 0) != (b < 0):
		// Between finite operands r+b has the magnitude of b at most; b may be infinite.
		return r + b
	}
	return r
}

// integerFunc returns the function of a kind for an integer type. Results wrap around;
// division truncates; divisors are not zero.
func integerFunc[T int64 | uint64](kind binaryKind) func(a, b T) T {
	switch kind {
	case binAdd:
		return func(a, b T) T { return a + b }
	case binSub:
		return func(a, b T) T { return a - b }
	case binMul:
		return func(a, b T) T { return a * b }
	case binDiv:
		return func(a, b T) T { return a / b }
	case binMax:
		return func(a, b T) T { return max(a, b) }
	case binMin:
		return func(a, b T) T { return min(a, b) }
	case binFmod:
		return func(a, b T) T { return a % b }
	case binMod:
		return func(a, b T) T {
			r := a % b
			if r != 0 && (r < 0) != (b < 0) {
				r += b
			}
			return r
		}
	case binPow:
		return powInt[T]
	case binPRelu:
		return func(a, b T) T {
			if a < 0 {
				return a * b
			}
			return a
		}
	case binAnd:
		return func(a, b T) T { return a & b }
	case binOr:
		return func(a, b T) T { return a | b }
	case binXor:
		return func(a, b T) T { return a ^ b }
	case binShiftLeft:
		// As a uint64 a negative shift is one beyond the width.
		return func(a, b T) T { return a << uint64(b) }
	case binShiftRight:
		return func(a, b T) T { return a >> uint64(b) }
	}
	return nil
}

// boolFunc returns a logical function: bools are stored as 0 and 1.
func boolFunc(kind binaryKind) func(a, b uint8) uint8 {
	switch kind {
	case binAnd:
		return func(a, b uint8) uint8 { return a & b }
	case binOr:
		return func(a, b uint8) uint8 { return a | b }
	}
	return func(a, b uint8) uint8 { return a ^ b }
}

// powInt returns a^b, wrapped around. A negative power is the reciprocal truncated, which
// for 0 is taken to be 0.
func powInt[T int64 | uint64](a, b T) T {
	if b < 0 {
		switch {
		case a == 1, a+1 == 0 && b&1 == 0:
			return 1
		case a+1 == 0:
			return a
		}
		return 0
	}
	r := T(1)
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			r *= a
		}
		a *= a
	}
	return r
}
