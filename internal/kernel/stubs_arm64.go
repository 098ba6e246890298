//go:build !noasm && !gccgo

package kernel

import "math"

// addF32NEON: for i := range dst { dst[i] = a[i] + b[i] }
//
//go:noescape
func addF32NEON(dst, a, b []float32)

// subF32NEON: for i := range dst { dst[i] = a[i] - b[i] }
//
//go:noescape
func subF32NEON(dst, a, b []float32)

// mulF32NEON: for i := range dst { dst[i] = a[i] * b[i] }
//
//go:noescape
func mulF32NEON(dst, a, b []float32)

// divF32NEON: for i := range dst { dst[i] = a[i] / b[i] }
//
//go:noescape
func divF32NEON(dst, a, b []float32)

// maximumF32NEON: for i := range dst { dst[i] = max(a[i], b[i]) }
//
//go:noescape
func maximumF32NEON(dst, a, b []float32)

// minimumF32NEON: for i := range dst { dst[i] = min(a[i], b[i]) }
//
//go:noescape
func minimumF32NEON(dst, a, b []float32)

// addScalarF32NEON: for i := range dst { dst[i] = x[i] + s }
//
//go:noescape
func addScalarF32NEON(dst, x []float32, s float32)

// mulScalarF32NEON: for i := range dst { dst[i] = x[i] * s }
//
//go:noescape
func mulScalarF32NEON(dst, x []float32, s float32)

// affineF32NEON: for i := range dst { dst[i] = x[i]*s + t }, rounded once
//
//go:noescape
func affineF32NEON(dst, x []float32, s, t float32)

// axpyF32NEON: for i := range y { y[i] += s * x[i] }, rounded once
//
//go:noescape
func axpyF32NEON(y, x []float32, s float32)

// dotF32NEON is dotF32Generic, with fused multiply-adds, whose sixteen sums it keeps; the last 15 elements go to other sums.
//
//go:noescape
func dotF32NEON(x, y []float32) float32

// sumF32NEON is sumF32Generic, whose sixteen sums it keeps; the last 15 elements go to other sums.
//
//go:noescape
func sumF32NEON(x []float32) float32

// sumSqF32NEON is sumSqF32Generic, with fused multiply-adds, whose sixteen sums it keeps; the last 15 elements go to other sums.
//
//go:noescape
func sumSqF32NEON(x []float32) float32

// sumSqDiffF32NEON is sumSqDiffF32Generic, with fused multiply-adds, whose sixteen sums it keeps; the last 15 elements go to other sums.
//
//go:noescape
func sumSqDiffF32NEON(x, y []float32) float32

// sumAbsF32NEON is sumAbsF32Generic, whose sixteen sums it keeps; the last 15 elements go to other sums.
//
//go:noescape
func sumAbsF32NEON(x []float32) float32

// deviationsF32NEON is deviationsF32Generic, with fused multiply-adds, whose sixteen sums it keeps; the last 15 elements go to
// other sums.
//
//go:noescape
func deviationsF32NEON(x []float32, ref float32) (sum, sq float32)

// maxF32NEON: for _, v := range x { init = max(init, v) }; return init
//
//go:noescape
func maxF32NEON(x []float32, init float32) float32

// minF32NEON: for _, v := range x { init = min(init, v) }; return init
//
//go:noescape
func minF32NEON(x []float32, init float32) float32

// reluF32NEON is reluF32Generic.
//
//go:noescape
func reluF32NEON(dst, x []float32)

// leakyReluF32NEON is leakyReluF32Generic.
//
//go:noescape
func leakyReluF32NEON(dst, x []float32, s float32)

// clipF32NEON is clipF32Generic.
//
//go:noescape
func clipF32NEON(dst, x []float32, s, t float32)

// expF32NEON is expF32Generic, with fused multiply-adds.
//
//go:noescape
func expF32NEON(dst, x []float32, c *[mathConstants]float32)

// logF32NEON is logF32Generic, with fused multiply-adds.
//
//go:noescape
func logF32NEON(dst, x []float32, c *[mathConstants]float32)

// sigmoidF32NEON is sigmoidF32Generic, with fused multiply-adds.
//
//go:noescape
func sigmoidF32NEON(dst, x []float32, c *[mathConstants]float32)

// tanhF32NEON is tanhF32Generic, with fused multiply-adds.
//
//go:noescape
func tanhF32NEON(dst, x []float32, c *[mathConstants]float32)

// softplusF32NEON is softplusF32Generic, with fused multiply-adds.
//
//go:noescape
func softplusF32NEON(dst, x []float32, c *[mathConstants]float32)

// erfF32NEON is erfF32Generic, with fused multiply-adds.
//
//go:noescape
func erfF32NEON(dst, x []float32, c *[mathConstants]float32)

// sqrtF32NEON: for i := range dst { dst[i] = sqrt(x[i]) }
//
//go:noescape
func sqrtF32NEON(dst, x []float32)

// adamF32NEON is adamF32Generic, with fused multiply-adds.
//
//go:noescape
func adamF32NEON(p, g, m, v []float32, h *adamArgs)

// sgdF32NEON is sgdF32Generic for a nil v, with fused multiply-adds.
//
//go:noescape
func sgdF32NEON(p, g []float32, h *SGDParams)

// sgdMomentumF32NEON is sgdF32Generic without Nesterov, with fused multiply-adds.
//
//go:noescape
func sgdMomentumF32NEON(p, g, v []float32, h *SGDParams)

// sgdNesterovF32NEON is sgdF32Generic with Nesterov, with fused multiply-adds.
//
//go:noescape
func sgdNesterovF32NEON(p, g, v []float32, h *SGDParams)

// mathConstants is the length of mathTable.
const mathConstants = 60

// mathTable holds the constants of the elementary functions in the order in which _asm/arm64 reads them.
var mathTable = [mathConstants]float32{
	log2e, ln2Hi, ln2Lo, 1,
	expPoly[4], expPoly[3], expPoly[2], expPoly[1],
	expPoly[0], expMin, expMax, math.Float32frombits(127),
	logPoly[8], logPoly[7], logPoly[6], logPoly[5],
	logPoly[4], logPoly[3], logPoly[2], logPoly[1],
	logPoly[0], 0.5, sqrtH, 0.41421356,
	tanhPoly[4], tanhPoly[3], tanhPoly[2], tanhPoly[1],
	tanhPoly[0], tanhMid, 2, math.Float32frombits(1 << 31),
	erfPoly[6], erfPoly[5], erfPoly[4], erfPoly[3],
	erfPoly[2], erfPoly[1], erfPoly[0], erfMax,
	erfcPoly[6], erfcPoly[5], erfcPoly[4], erfcPoly[3],
	erfcPoly[2], erfcPoly[1], erfcPoly[0], nan32,
	inf32, 0x1p-126, 0x1p23, -23,
	eluMin, mishMax, sqrtHalf, geluLinear,
	geluCubic,
}
