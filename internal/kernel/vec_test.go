package kernel

import (
	"math"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

// maxLanes is the number of elements of the widest vector; loops may be unrolled over several.
const maxLanes = 16

// special are inputs whose handling the elementwise routines promise.
var special = []float32{0, float32(math.Copysign(0, -1)), 1, -1, inf32, ninf32, nan32, math.MaxFloat32, -math.MaxFloat32,
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, 0.5, -0.25, 88.7, -87.5, 100, -100, 3, -3}

// mixed returns n values that hold the special ones among random ones of several magnitudes.
func mixed(seed uint64, n int) []float32 {
	s := randF32(seed, n)
	for i := range s {
		switch (uint64(i) + seed) % 5 {
		case 0:
			s[i] = special[(i/5+int(seed))%len(special)]
		case 1:
			s[i] *= 20
		}
	}
	return s
}

// elementwise lists the routines with one, two or no further inputs, each with its reference loop.
var elementwise = []struct {
	name      string
	call, ref func(dst, a, b []float32)
	ulps      float64 // largest distance from ref that rounding explains
}{
	{"add", AddF32, addF32Generic, 0},
	{"sub", SubF32, subF32Generic, 0},
	{"mul", MulF32, mulF32Generic, 0},
	{"div", DivF32, divF32Generic, 0},
	{"maximum", MaximumF32, maximumF32Generic, 0},
	{"minimum", MinimumF32, minimumF32Generic, 0},
	{"addScalar", func(d, a, _ []float32) { AddScalarF32(d, a, 1.7) }, func(d, a, _ []float32) { addScalarF32Generic(d, a, 1.7) }, 0},
	{"mulScalar", func(d, a, _ []float32) { MulScalarF32(d, a, -1.7) }, func(d, a, _ []float32) { mulScalarF32Generic(d, a, -1.7) }, 0},
	{"relu", func(d, a, _ []float32) { ReluF32(d, a) }, func(d, a, _ []float32) { reluF32Generic(d, a) }, 0},
	{"leakyRelu", func(d, a, _ []float32) { LeakyReluF32(d, a, 0.3) }, func(d, a, _ []float32) { leakyReluF32Generic(d, a, 0.3) }, 0},
	{"leakyReluNeg", func(d, a, _ []float32) { LeakyReluF32(d, a, -3) }, func(d, a, _ []float32) { leakyReluF32Generic(d, a, -3) }, 0},
	{"clip", func(d, a, _ []float32) { ClipF32(d, a, -0.5, 2) }, func(d, a, _ []float32) { clipF32Generic(d, a, -0.5, 2) }, 0},
	{"clipCrossed", func(d, a, _ []float32) { ClipF32(d, a, 2, -1) }, func(d, a, _ []float32) { clipF32Generic(d, a, 2, -1) }, 0},
	{"sqrt", func(d, a, _ []float32) { SqrtF32(d, a) }, func(d, a, _ []float32) { sqrtF32Generic(d, a) }, 0},
	{"exp", func(d, a, _ []float32) { ExpF32(d, a) }, refUnary(math.Exp), expULP},
	{"log", func(d, a, _ []float32) { LogF32(d, a) }, refUnary(math.Log), logULP},
	{"sigmoid", func(d, a, _ []float32) { SigmoidF32(d, a) }, refUnary(sigmoid64), sigmoidULP},
	{"tanh", func(d, a, _ []float32) { TanhF32(d, a) }, refUnary(math.Tanh), tanhULP},
	{"softplus", func(d, a, _ []float32) { SoftplusF32(d, a) }, refUnary(softplus64), softplusULP},
	{"erf", func(d, a, _ []float32) { ErfF32(d, a) }, refUnary(math.Erf), erfULP},
	{"elu", func(d, a, _ []float32) { EluF32(d, a, 0.5) }, refUnary(func(x float64) float64 { return elu64(x, 0.5) }), eluULP},
	{"selu", func(d, a, _ []float32) { SeluF32(d, a, 1.5, 0.5) }, refUnary(func(x float64) float64 { return 0.5 * elu64(x, 1.5) }), seluULP},
	{"celu", func(d, a, _ []float32) { CeluF32(d, a, 3) }, refUnary(func(x float64) float64 { return 3 * elu64(x/3, 1) }), celuULP},
	{"swish", func(d, a, _ []float32) { SwishF32(d, a, 1.702) }, nil, 0},
	{"mish", func(d, a, _ []float32) { MishF32(d, a) }, nil, 0},
	{"gelu", func(d, a, _ []float32) { GeluF32(d, a) }, nil, 0},
	{"geluTanh", func(d, a, _ []float32) { GeluTanhF32(d, a) }, nil, 0},
	{"hardSwish", func(d, a, _ []float32) { HardSwishF32(d, a) }, nil, 0},
	{"abs", func(d, a, _ []float32) { AbsF32(d, a) }, refGeneric(absF32Generic), 0},
	{"neg", func(d, a, _ []float32) { NegF32(d, a) }, refGeneric(negF32Generic), 0},
	{"reciprocal", func(d, a, _ []float32) { ReciprocalF32(d, a) }, refGeneric(reciprocalF32Generic), 0},
	{"floor", func(d, a, _ []float32) { FloorF32(d, a) }, refGeneric(floorF32Generic), 0},
	{"ceil", func(d, a, _ []float32) { CeilF32(d, a) }, refGeneric(ceilF32Generic), 0},
	{"round", func(d, a, _ []float32) { RoundF32(d, a) }, refGeneric(roundF32Generic), 0},
	{"softsign", func(d, a, _ []float32) { SoftsignF32(d, a) }, refGeneric(softsignF32Generic), 0},
	{"prelu", PReluF32, preluF32Generic, 0},
	{"threshold", func(d, a, _ []float32) { ThresholdF32(d, a, 0.5) }, func(d, a, _ []float32) { thresholdF32Generic(d, a, 0.5) }, 0},
	{"divScalar", func(d, a, _ []float32) { DivScalarF32(d, a, -1.7) }, func(d, a, _ []float32) { divScalarF32Generic(d, a, -1.7) }, 0},
	{"scalarDiv", func(d, a, _ []float32) { ScalarDivF32(d, a, -1.7) }, func(d, a, _ []float32) { scalarDivF32Generic(d, a, -1.7) }, 0},
}

func refGeneric(f func(dst, x []float32)) func(dst, a, b []float32) {
	return func(dst, a, _ []float32) { f(dst, a) }
}

func elu64(x, alpha float64) float64 {
	if x < 0 {
		return alpha * math.Expm1(x)
	}
	return x
}

func refUnary(f func(float64) float64) func(dst, a, b []float32) {
	return func(dst, a, _ []float32) {
		for i := range dst {
			dst[i] = float32(f(float64(a[i])))
		}
	}
}

func TestElementwise(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for _, op := range elementwise {
			t.Run(op.name, func(t *testing.T) {
				lengths := []int{100, 257, 300}
				for n := range 3*maxLanes + 2 {
					lengths = append(lengths, n)
				}
				for _, n := range lengths {
					for off := range 4 {
						a, b := mixed(1, n+off)[off:], mixed(2, n+off)[off:]
						dst, check := withCanaries(t, n, off)
						op.call(dst, a, b)
						check(op.name)
						checkElements(t, n, a, b, dst, op.ref, op.ulps)
						for i := range dst {
							var one [1]float32
							op.call(one[:], a[i:][:1], b[i:][:1])
							if !sameF32(one[0], dst[i]) {
								t.Fatalf("n=%d: element %d is %v, computed alone %v (a=%v b=%v)", n, i, dst[i], one[0], a[i], b[i])
							}
						}
						alias := append([]float32(nil), a...)
						op.call(alias, alias, b)
						for i := range alias {
							if !sameF32(alias[i], dst[i]) {
								t.Fatalf("n=%d: in place, element %d is %v, want %v", n, i, alias[i], dst[i])
							}
						}
					}
				}
			})
		}
	})
}

func checkElements(t *testing.T, n int, a, b, dst []float32, ref func(dst, a, b []float32), tol float64) {
	t.Helper()
	if ref == nil {
		return
	}
	want := make([]float32, n)
	ref(want, a, b)
	for i := range want {
		if tol == 0 && dst[i] == want[i] || tol == 0 && sameF32(dst[i], want[i]) {
			continue
		}
		if tol == 0 || ulps(dst[i], float64(want[i])) > tol+0.5 {
			t.Fatalf("n=%d: element %d is %v, want %v (a=%v b=%v)", n, i, dst[i], want[i], a[i], b[i])
		}
	}
}

func TestFusedElementwise(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for n := range 3*maxLanes + 2 {
			x, y := randF32(1, n), randF32(2, n)
			dst, check := withCanaries(t, n, n%4)
			AffineF32(dst, x, 1.3, -0.7)
			check("affine")
			axpy, check2 := withCanaries(t, n, n%4)
			copy(axpy, y)
			AxpyF32(-2.5, x, axpy)
			check2("axpy")
			center, check4 := withCanaries(t, n, n%4)
			CenterF32(center, x, 0.25, 1.5, -0.75)
			check4("center")
			mix, check3 := withCanaries(t, n, n%4)
			MixF32(mix, x, y, 1.5, -0.75)
			check3("mix")
			for i := range n {
				if want := float64(x[i])*float64(float32(1.3)) + float64(float32(-0.7)); math.Abs(float64(dst[i])-want) > 0x1p-23*2 {
					t.Fatalf("affine: element %d of %d is %v, want %v", i, n, dst[i], want)
				}
				if want := 1.5*(float64(x[i])-0.25) - 0.75; math.Abs(float64(center[i])-want) > 0x1p-23*3 {
					t.Fatalf("center: element %d of %d is %v, want %v", i, n, center[i], want)
				}
				if want := 1.5*float64(x[i]) - 0.75*float64(y[i]); math.Abs(float64(mix[i])-want) > 0x1p-23*2 {
					t.Fatalf("mix: element %d of %d is %v, want %v", i, n, mix[i], want)
				}
				if want := float64(y[i]) - 2.5*float64(x[i]); math.Abs(float64(axpy[i])-want) > 0x1p-23*4 {
					t.Fatalf("axpy: element %d of %d is %v, want %v", i, n, axpy[i], want)
				}
			}
		}
		out := make([]float32, len(special))
		MixF32(out, special, make([]float32, len(special)), 1, 2)
		for i, v := range special {
			if out[i] != v && v == v {
				t.Errorf("mix of %v and 0 is %v", v, out[i])
			}
		}
		AffineF32(out, special, 2, 1)
		for i, v := range special {
			if want := float32(2*float64(v) + 1); !sameF32(out[i], want) {
				t.Errorf("affine of %v is %v, want %v", v, out[i], want)
			}
		}
	})
}

func TestReductions(t *testing.T) {
	dot := func(f func(x, y float64) float64) func(x, y []float32) (val, mag float64) {
		return func(x, y []float32) (val, mag float64) {
			for i := range x {
				v := f(float64(x[i]), float64(y[i]))
				val += v
				mag += math.Abs(v)
			}
			return val, mag
		}
	}
	sums := []struct {
		name string
		call func(x, y []float32) float32
		ref  func(x, y []float32) (val, mag float64)
	}{
		{"dot", DotF32, dot(func(x, y float64) float64 { return x * y })},
		{"sum", func(x, _ []float32) float32 { return SumF32(x) }, dot(func(x, _ float64) float64 { return x })},
		{"sumSq", func(x, _ []float32) float32 { return SumSqF32(x) }, dot(func(x, _ float64) float64 { return x * x })},
		{"sumAbs", func(x, _ []float32) float32 { return SumAbsF32(x) }, dot(func(x, _ float64) float64 { return math.Abs(x) })},
		{"deviations", func(x, _ []float32) float32 { s, _ := DeviationsF32(x, 0.375); return s }, dot(func(x, _ float64) float64 { return x - 0.375 })},
		{"squares of deviations", func(x, _ []float32) float32 { _, q := DeviationsF32(x, 0.375); return q }, dot(func(x, _ float64) float64 { return (x - 0.375) * (x - 0.375) })},
		{"sumSqDiff", SumSqDiffF32, dot(func(x, y float64) float64 { return (x - y) * (x - y) })},
	}
	impl.All(t, "kernel", func(t *testing.T) {
		lengths := []int{127, 128, 129, 1000, 4097}
		for n := range 8*maxLanes + 2 {
			lengths = append(lengths, n)
		}
		for _, n := range lengths {
			for off := range 4 {
				x, y := randF32(3, n+off)[off:], randF32(4, n+off)[off:]
				for _, op := range sums {
					got := op.call(x, y)
					want, mag := op.ref(x, y)
					// Differences are rounded before they are squared, which adds two roundings.
					if tol := (float64(n)/16 + 10) * 0x1p-24 * mag; math.Abs(float64(got)-want) > tol {
						t.Fatalf("%s of %d elements at offset %d is %v, want %v ± %v", op.name, n, off, got, want, tol)
					}
					if op.call(x, y) != got {
						t.Fatalf("%s of %d elements differs from call to call", op.name, n)
					}
				}
				if got, want := MaxF32(x), maxF32Generic(x); got != want {
					t.Fatalf("max of %v is %v, want %v", x, got, want)
				}
				if got, want := MinF32(x), minF32Generic(x); got != want {
					t.Fatalf("min of %v is %v, want %v", x, got, want)
				}
			}
			for at := 0; at < n; at += 1 + n/9 {
				x := randF32(5, n)
				x[at] = nan32
				if max, min, sum, dot := MaxF32(x), MinF32(x), SumF32(x), DotF32(x, x); max == max || min == min || sum == sum || dot == dot {
					t.Fatalf("with NaN at %d of %d: max %v min %v sum %v dot %v, want NaN", at, n, max, min, sum, dot)
				}
				x[at] = inf32
				if MaxF32(x) != inf32 || SumF32(x) != inf32 || SumSqF32(x) != inf32 {
					t.Fatalf("with Inf at %d of %d: max %v sum %v sumSq %v", at, n, MaxF32(x), SumF32(x), SumSqF32(x))
				}
			}
		}
	})
}

func TestVectorGuardPages(t *testing.T) {
	gd, ga, gb := newGuard(t, 4096), newGuard(t, 4096), newGuard(t, 4096)
	impl.All(t, "kernel", func(t *testing.T) {
		for n := range 3*maxLanes + 2 {
			for _, atEnd := range []bool{false, true} {
				a, b := place(ga, mixed(1, n), atEnd), place(gb, mixed(2, n), atEnd)
				for _, op := range elementwise {
					dst := place(gd, make([]float32, n), atEnd)
					op.call(dst, a, b)
				}
				AffineF32(place(gd, b, atEnd), a, 2, 1)
				AxpyF32(2, a, place(gd, b, atEnd))
				MixF32(place(gd, b, atEnd), a, b, 1, 2)
				CenterF32(place(gd, b, atEnd), a, 1, 2, 3)
				sink, _ = DeviationsF32(a, 1)
				sink += DotF32(a, b) + SumF32(a) + SumSqF32(a) + SumSqDiffF32(a, b) + SumAbsF32(a) + MaxF32(a) + MinF32(a)
			}
		}
	})
}

var sink float32

func TestVectorAllocations(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for _, op := range elementwise {
			if n := testing.AllocsPerRun(10, func() {
				var d, a, b [40]float32
				op.call(d[:], a[:], b[:])
			}); n > 3 { // the arrays themselves may escape through op.call, a func value
				t.Errorf("%s allocates %v times", op.name, n)
			}
		}
		if n := testing.AllocsPerRun(10, func() {
			var d, a, b [40]float32
			AddF32(d[:], a[:], b[:])
			ExpF32(d[:], d[:])
			EluF32(d[:], d[:], 1)
			sink = DotF32(d[:], b[:])
		}); n != 0 {
			t.Errorf("direct calls on stack arrays allocate %v times", n)
		}
	})
}

func BenchmarkVector(b *testing.B) {
	x, y, dst := randF32(1, 4096), randF32(2, 4096), make([]float32, 4096)
	impl.All(b, "kernel", func(b *testing.B) {
		run := func(name string, f func()) {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/elem")
			})
		}
		for _, op := range elementwise {
			run(op.name, func() { op.call(dst, x, y) })
		}
		run("axpy", func() { AxpyF32(1e-9, x, dst) })
		run("dot", func() { sink = DotF32(x, y) })
		run("sum", func() { sink = SumF32(x) })
		run("max", func() { sink = MaxF32(x) })
		m, v := make([]float32, 4096), make([]float32, 4096)
		run("adam", func() {
			AdamF32(dst, x, m, v, &AdamParams{LR: 1e-3, Beta1: .9, Beta2: .999, Eps: 1e-8, Correction1: 1, Correction2: 1, GradScale: 1})
		})
	})
}
