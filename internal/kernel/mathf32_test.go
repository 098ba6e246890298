package kernel

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/aekit/aekit/internal/impl"
)

// Largest error, in units of the last place of the exact result, over all float32 arguments and tiers. AEKIT_SLOW=1
// checks every argument.
const (
	expULP      = 1.1
	logULP      = 1.0
	sigmoidULP  = 2.5
	tanhULP     = 2.0
	softplusULP = 2.5
	erfULP      = 2.0
	eluULP      = 2.5
	seluULP     = 3.0
	celuULP     = 4.0
	siluULP     = 3.5
	mishULP     = 5.0
)

func sigmoid64(x float64) float64 {
	if x < 0 {
		return math.Exp(x) / (1 + math.Exp(x))
	}
	return 1 / (1 + math.Exp(-x))
}

func softplus64(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// TestMathAccuracy walks the float32 arguments in steps of a prime, or all of them with AEKIT_SLOW=1.
func TestMathAccuracy(t *testing.T) {
	step := uint64(30011)
	if os.Getenv("AEKIT_SLOW") == "1" {
		step = 1
	} else if testing.Short() {
		step = 1000003
	}
	funcs := []struct {
		name string
		call func(dst, x []float32)
		ref  func(float64) float64
		ulps float64
		part float64 // of the argument, by which the result may be off beside that
	}{
		{"exp", ExpF32, math.Exp, expULP, 0},
		{"log", LogF32, math.Log, logULP, 0},
		{"sigmoid", SigmoidF32, sigmoid64, sigmoidULP, 0},
		{"tanh", TanhF32, math.Tanh, tanhULP, 0},
		{"softplus", SoftplusF32, softplus64, softplusULP, 0},
		{"erf", ErfF32, math.Erf, erfULP, 0},
		{"elu", func(d, x []float32) { EluF32(d, x, 0.7) }, func(x float64) float64 { return elu64(x, float64(float32(0.7))) }, eluULP, 0},
		{"selu", func(d, x []float32) { SeluF32(d, x, 1.6732632, 1.050701) }, func(x float64) float64 {
			return float64(float32(1.050701)) * elu64(x, float64(float32(1.6732632)))
		}, seluULP, 0},
		{"celu", func(d, x []float32) { CeluF32(d, x, 1.7) }, func(x float64) float64 {
			alpha := float64(float32(1.7))
			return alpha * elu64(x/alpha, 1)
		}, celuULP, 0},
		{"silu", func(d, x []float32) { SwishF32(d, x, 1) }, func(x float64) float64 { return x * sigmoid64(x) }, siluULP, 0x1p-149},
		{"mish", MishF32, func(x float64) float64 { return x * math.Tanh(softplus64(x)) }, mishULP, 0x1p-149},
		{"gelu", GeluF32, func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }, 0.5, 0x1p-22},
		{"geluTanh", GeluTanhF32, func(x float64) float64 {
			return x * sigmoid64(2*math.Sqrt(2/math.Pi)*(x+float64(0.044715)*x*x*x))
		}, 0.5, 0x1p-22},
		{"softsign", SoftsignF32, func(x float64) float64 { return x / (1 + math.Abs(x)) }, 1.5, 0},
	}
	impl.All(t, "kernel", func(t *testing.T) {
		for _, f := range funcs {
			t.Run(f.name, func(t *testing.T) {
				const block = 4096
				x, y := make([]float32, 0, block), make([]float32, block)
				worst, at := 0.0, float32(0)
				for bits := uint64(0); bits < 1<<32; {
					x = x[:0]
					for ; bits < 1<<32 && len(x) < block; bits += step {
						x = append(x, math.Float32frombits(uint32(bits)))
					}
					f.call(y[:len(x)], x)
					for i, v := range x {
						want := f.ref(float64(v))
						if math.Abs(float64(y[i])-want) <= f.part*math.Abs(float64(v)) {
							continue
						}
						if u := ulps(y[i], want); u > worst {
							worst, at = u, v
						}
					}
				}
				t.Logf("largest error %.3f ULP at %v; parts of %g of the argument do not count", worst, at, f.part)
				if worst > f.ulps {
					var got [1]float32
					f.call(got[:], []float32{at})
					t.Errorf("%s(%v) = %v, want %v: %.3f ULP, limit %v", f.name, at, got[0], f.ref(float64(at)), worst, f.ulps)
				}
			})
		}
	})
}

func TestOptimisers(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		for n := range 3*maxLanes + 2 {
			g := randF32(2, n)
			h := AdamParams{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Correction1: 1 - 0.9*0.9, Correction2: 1 - 0.999*0.999, GradScale: 0.5}
			p, checkP := withCanaries(t, n, n%4)
			copy(p, randF32(1, n))
			m, checkM := withCanaries(t, n, 1)
			copy(m, randF32(3, n))
			v, checkV := withCanaries(t, n, 2)
			for i, x := range randF32(4, n) {
				v[i] = x * x
			}
			p0, m0, v0 := append([]float32(nil), p...), append([]float32(nil), m...), append([]float32(nil), v...)
			AdamF32(p, g, m, v, &h)
			checkP("p")
			checkM("m")
			checkV("v")
			for i := range n {
				d := float64(g[i]) * 0.5
				b1, b2 := float64(h.Beta1), float64(h.Beta2)
				m1 := b1*float64(m0[i]) + (1-b1)*d
				v1 := b2*float64(v0[i]) + (1-b2)*d*d
				p1 := float64(p0[i])*(1-1e-3) - 1e-2/float64(h.Correction1)*m1/(math.Sqrt(v1/float64(h.Correction2))+1e-8)
				if math.Abs(float64(m[i])-m1) > 1e-6 || math.Abs(float64(v[i])-v1) > 1e-6*(v1+1e-3) || math.Abs(float64(p[i])-p1) > 1e-5*(1+math.Abs(p1)) {
					t.Fatalf("adam: element %d of %d: p=%v m=%v v=%v, want %v %v %v", i, n, p[i], m[i], v[i], p1, m1, v1)
				}
			}
			for _, h := range []SGDParams{{LR: 0.1, GradScale: 2}, {LR: 0.1, GradScale: 1, WeightDecay: 0.01}, {LR: 0.1, Momentum: 0.9, GradScale: 1}, {LR: 0.1, Momentum: 0.9, GradScale: 1, Nesterov: true, WeightDecay: 0.1}} {
				copy(p, p0)
				copy(v, v0)
				vel := v
				if h.Momentum == 0 {
					vel = nil
				}
				SGDF32(p, g, vel, &h)
				checkP("p")
				checkV("v")
				for i := range n {
					d := float64(g[i])*float64(h.GradScale) + float64(h.WeightDecay)*float64(p0[i])
					v1 := float64(h.Momentum)*float64(v0[i]) + d
					step := v1
					if h.Momentum == 0 {
						step = d
					} else if h.Nesterov {
						step = d + float64(h.Momentum)*v1
					}
					if want := float64(p0[i]) - float64(h.LR)*step; math.Abs(float64(p[i])-want) > 1e-6 || h.Momentum != 0 && math.Abs(float64(v[i])-v1) > 1e-6 {
						t.Fatalf("sgd %+v: element %d of %d: p=%v v=%v, want %v %v", h, i, n, p[i], v[i], want, v1)
					}
				}
			}
		}
	})
}

func TestOptimiserPositions(t *testing.T) {
	impl.All(t, "kernel", func(t *testing.T) {
		const n = 3*maxLanes + 5
		h := AdamParams{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Correction1: 0.1, Correction2: 0.001, GradScale: 1}
		run := func(cut int) string {
			p, g, m, v := randF32(1, n), randF32(2, n), make([]float32, n), make([]float32, n)
			AdamF32(p[:cut], g, m, v, &h)
			AdamF32(p[cut:], g[cut:], m[cut:], v[cut:], &h)
			SGDF32(p[:cut], g, v, &SGDParams{LR: .1, Momentum: .5, GradScale: 1})
			SGDF32(p[cut:], g[cut:], v[cut:], &SGDParams{LR: .1, Momentum: .5, GradScale: 1})
			return fmt.Sprint(p, m, v)
		}
		for cut := range n {
			if run(cut) != run(0) {
				t.Fatalf("a step split at %d of %d differs from one in one piece", cut, n)
			}
		}
	})
}
