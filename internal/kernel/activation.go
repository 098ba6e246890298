package kernel

import "math"

// Act is an activation function that a matrix kernel can apply to its result.
type Act uint8

const (
	ActNone      Act = iota // x
	ActRelu                 // max(x, 0)
	ActLeakyRelu            // x where x >= 0, Alpha*x elsewhere
	ActClip                 // min(max(x, Lo), Hi)
	ActSigmoid              // 1 / (1 + exp(-x))
	ActTanh                 // tanh(x)
	ActSoftplus             // log(1 + exp(x))
	ActElu                  // x where x >= 0, Alpha*(exp(x)-1) elsewhere
	ActSwish                // x / (1 + exp(-Alpha*x))
	ActMish                 // x * tanh(log(1 + exp(x)))
	ActGelu                 // x/2 * (1 + erf(x/√2))
	ActGeluTanh             // the approximation of ActGelu by tanh
	ActHardSwish            // x * min(max(x/6 + 1/2, 0), 1)

	numActs
)

// Epilogue is what a matrix kernel does to each element of its finished result: it adds Bias[column] if Bias is not
// nil, then applies Act. The zero value does nothing.
type Epilogue struct {
	Bias   []float32 // one value per column of the whole matrix, or nil
	Act    Act
	Alpha  float32 // slope of ActLeakyRelu, scale of ActElu, factor of ActSwish
	Lo, Hi float32 // bounds of ActClip; where Lo > Hi the result is Hi
}

// ActivateF32 sets dst[i] to the activation of ep applied to x[i]; ep.Bias is not used.
func ActivateF32(dst, x []float32, ep *Epilogue) {
	switch ep.Act {
	case ActNone:
		copy(dst, x[:len(dst)])
	case ActRelu:
		ReluF32(dst, x)
	case ActLeakyRelu:
		LeakyReluF32(dst, x, ep.Alpha)
	case ActClip:
		ClipF32(dst, x, ep.Lo, ep.Hi)
	case ActSigmoid:
		SigmoidF32(dst, x)
	case ActTanh:
		TanhF32(dst, x)
	case ActSoftplus:
		SoftplusF32(dst, x)
	case ActElu:
		EluF32(dst, x, ep.Alpha)
	case ActSwish:
		SwishF32(dst, x, ep.Alpha)
	case ActMish:
		MishF32(dst, x)
	case ActGelu:
		GeluF32(dst, x)
	case ActGeluTanh:
		GeluTanhF32(dst, x)
	case ActHardSwish:
		HardSwishF32(dst, x)
	default:
		panic("kernel: unknown activation")
	}
}

// EpilogueF32 applies ep in place to the m×n matrix c with leading dimension ldc, whose first column is column col of
// the matrix that ep.Bias describes.
func EpilogueF32(m, n int, c []float32, ldc, col int, ep *Epilogue) {
	for i := range m {
		row := c[i*ldc:][:n]
		if ep.Bias != nil {
			AddF32(row, row, ep.Bias[col:][:n])
		}
		if ep.Act != ActNone {
			ActivateF32(row, row, ep)
		}
	}
}

// inRegisters reports whether the tiles apply a themselves; other activations are applied to the finished block while
// it is in cache.
func inRegisters(a Act) bool { return a <= ActClip }

// parameters returns the slope of negative values and the bounds with which tiles apply the activations of inRegisters.
func (e *Epilogue) parameters() (alpha, lo, hi float32) {
	alpha, lo, hi = 1, ninf32, inf32
	switch e.Act {
	case ActRelu:
		lo = 0
	case ActLeakyRelu:
		alpha = e.Alpha
	case ActClip:
		lo, hi = e.Lo, e.Hi
	}
	return alpha, lo, hi
}

// activate1 is the activation of one element for those that inRegisters reports.
func activate1(v float32, act Act, alpha, lo, hi float32) float32 {
	switch act {
	case ActRelu:
		return maxNaN(v, 0)
	case ActLeakyRelu:
		if v < 0 {
			return alpha * v
		}
	case ActClip:
		return minNaN(maxNaN(v, lo), hi)
	}
	return v
}

// maxNaN returns x where x > y or x is NaN, else y.
func maxNaN(x, y float32) float32 {
	if x > y || x != x {
		return x
	}
	return y
}

// minNaN returns x where x < y or x is NaN, else y.
func minNaN(x, y float32) float32 {
	if x < y || x != x {
		return x
	}
	return y
}

var (
	inf32  = float32(math.Inf(1))
	ninf32 = float32(math.Inf(-1))
	nan32  = float32(math.NaN())
)
