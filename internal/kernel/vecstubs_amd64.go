//go:build !noasm && !gccgo

package kernel

// The slices of a call have equal lengths. The elementary functions fuse multiplications and additions where the generic
// code rounds twice; reductions keep four vectors of partial results.

// addF32AVX512 is for i := range dst { dst[i] = a[i] + b[i] }.
//
//go:noescape
func addF32AVX512(dst, a, b []float32)

// addF32AVX2 is for i := range dst { dst[i] = a[i] + b[i] }.
//
//go:noescape
func addF32AVX2(dst, a, b []float32)

// subF32AVX512 is for i := range dst { dst[i] = a[i] - b[i] }.
//
//go:noescape
func subF32AVX512(dst, a, b []float32)

// subF32AVX2 is for i := range dst { dst[i] = a[i] - b[i] }.
//
//go:noescape
func subF32AVX2(dst, a, b []float32)

// mulF32AVX512 is for i := range dst { dst[i] = a[i] * b[i] }.
//
//go:noescape
func mulF32AVX512(dst, a, b []float32)

// mulF32AVX2 is for i := range dst { dst[i] = a[i] * b[i] }.
//
//go:noescape
func mulF32AVX2(dst, a, b []float32)

// divF32AVX512 is for i := range dst { dst[i] = a[i] / b[i] }.
//
//go:noescape
func divF32AVX512(dst, a, b []float32)

// divF32AVX2 is for i := range dst { dst[i] = a[i] / b[i] }.
//
//go:noescape
func divF32AVX2(dst, a, b []float32)

// maximumF32AVX512 is for i := range dst { dst[i] = max(a[i], b[i]) }.
//
//go:noescape
func maximumF32AVX512(dst, a, b []float32)

// maximumF32AVX2 is for i := range dst { dst[i] = max(a[i], b[i]) }.
//
//go:noescape
func maximumF32AVX2(dst, a, b []float32)

// minimumF32AVX512 is for i := range dst { dst[i] = min(a[i], b[i]) }.
//
//go:noescape
func minimumF32AVX512(dst, a, b []float32)

// minimumF32AVX2 is for i := range dst { dst[i] = min(a[i], b[i]) }.
//
//go:noescape
func minimumF32AVX2(dst, a, b []float32)

// addScalarF32AVX512 is for i := range dst { dst[i] = a[i] + s }.
//
//go:noescape
func addScalarF32AVX512(dst, a []float32, s float32)

// addScalarF32AVX2 is for i := range dst { dst[i] = a[i] + s }.
//
//go:noescape
func addScalarF32AVX2(dst, a []float32, s float32)

// mulScalarF32AVX512 is for i := range dst { dst[i] = a[i] * s }.
//
//go:noescape
func mulScalarF32AVX512(dst, a []float32, s float32)

// mulScalarF32AVX2 is for i := range dst { dst[i] = a[i] * s }.
//
//go:noescape
func mulScalarF32AVX2(dst, a []float32, s float32)

// affineF32AVX512 is for i := range dst { dst[i] = fma(x[i], scale, shift) }.
//
//go:noescape
func affineF32AVX512(dst, x []float32, scale, shift float32)

// affineF32AVX2 is for i := range dst { dst[i] = fma(x[i], scale, shift) }.
//
//go:noescape
func affineF32AVX2(dst, x []float32, scale, shift float32)

// axpyF32AVX512 is for i := range y { y[i] = fma(alpha, x[i], y[i]) }.
//
//go:noescape
func axpyF32AVX512(alpha float32, x, y []float32)

// axpyF32AVX2 is for i := range y { y[i] = fma(alpha, x[i], y[i]) }.
//
//go:noescape
func axpyF32AVX2(alpha float32, x, y []float32)

// dotF32AVX512 is for i := range x { s += x[i] * y[i] }, starting from 0.
//
//go:noescape
func dotF32AVX512(x, y []float32) float32

// dotF32AVX2 is for i := range x { s += x[i] * y[i] }, starting from 0.
//
//go:noescape
func dotF32AVX2(x, y []float32) float32

// sumF32AVX512 is for i := range x { s += x[i] }, starting from 0.
//
//go:noescape
func sumF32AVX512(x []float32) float32

// sumF32AVX2 is for i := range x { s += x[i] }, starting from 0.
//
//go:noescape
func sumF32AVX2(x []float32) float32

// sumSqF32AVX512 is for i := range x { s += x[i] * x[i] }, starting from 0.
//
//go:noescape
func sumSqF32AVX512(x []float32) float32

// sumSqF32AVX2 is for i := range x { s += x[i] * x[i] }, starting from 0.
//
//go:noescape
func sumSqF32AVX2(x []float32) float32

// sumSqDiffF32AVX512 is for i := range x { s += (x[i]-y[i]) * (x[i]-y[i]) }, starting from 0.
//
//go:noescape
func sumSqDiffF32AVX512(x, y []float32) float32

// sumSqDiffF32AVX2 is for i := range x { s += (x[i]-y[i]) * (x[i]-y[i]) }, starting from 0.
//
//go:noescape
func sumSqDiffF32AVX2(x, y []float32) float32

// maxF32AVX512 is for i := range x { s = max(s, x[i]) }, starting from -Inf.
//
//go:noescape
func maxF32AVX512(x []float32) float32

// maxF32AVX2 is for i := range x { s = max(s, x[i]) }, starting from -Inf.
//
//go:noescape
func maxF32AVX2(x []float32) float32

// minF32AVX512 is for i := range x { s = min(s, x[i]) }, starting from +Inf.
//
//go:noescape
func minF32AVX512(x []float32) float32

// minF32AVX2 is for i := range x { s = min(s, x[i]) }, starting from +Inf.
//
//go:noescape
func minF32AVX2(x []float32) float32

// reluF32AVX512 is for i := range dst { dst[i] = max(x[i], 0) }.
//
//go:noescape
func reluF32AVX512(dst, x []float32)

// reluF32AVX2 is for i := range dst { dst[i] = max(x[i], 0) }.
//
//go:noescape
func reluF32AVX2(dst, x []float32)

// leakyReluF32AVX512 is for i := range dst { dst[i] = x[i]; if signbit(x[i]) { dst[i] *= alpha } }.
//
//go:noescape
func leakyReluF32AVX512(dst, x []float32, alpha float32)

// leakyReluF32AVX2 is for i := range dst { dst[i] = x[i]; if signbit(x[i]) { dst[i] *= alpha } }.
//
//go:noescape
func leakyReluF32AVX2(dst, x []float32, alpha float32)

// clipF32AVX512 is for i := range dst { dst[i] = min(max(x[i], lo), hi) }.
//
//go:noescape
func clipF32AVX512(dst, x []float32, lo, hi float32)

// clipF32AVX2 is for i := range dst { dst[i] = min(max(x[i], lo), hi) }.
//
//go:noescape
func clipF32AVX2(dst, x []float32, lo, hi float32)

// expF32AVX512 is for i := range dst { dst[i] = exp1(x[i]) }.
//
//go:noescape
func expF32AVX512(dst, x []float32)

// expF32AVX2 is for i := range dst { dst[i] = exp1(x[i]) }.
//
//go:noescape
func expF32AVX2(dst, x []float32)

// logF32AVX512 is for i := range dst { dst[i] = log1(x[i]) }.
//
//go:noescape
func logF32AVX512(dst, x []float32)

// logF32AVX2 is for i := range dst { dst[i] = log1(x[i]) }.
//
//go:noescape
func logF32AVX2(dst, x []float32)

// sigmoidF32AVX512 is for i := range dst { dst[i] = sigmoid1(x[i]) }.
//
//go:noescape
func sigmoidF32AVX512(dst, x []float32)

// sigmoidF32AVX2 is for i := range dst { dst[i] = sigmoid1(x[i]) }.
//
//go:noescape
func sigmoidF32AVX2(dst, x []float32)

// tanhF32AVX512 is for i := range dst { dst[i] = tanh1(x[i]) }.
//
//go:noescape
func tanhF32AVX512(dst, x []float32)

// tanhF32AVX2 is for i := range dst { dst[i] = tanh1(x[i]) }.
//
//go:noescape
func tanhF32AVX2(dst, x []float32)

// softplusF32AVX512 is for i := range dst { dst[i] = softplus1(x[i]) }.
//
//go:noescape
func softplusF32AVX512(dst, x []float32)

// softplusF32AVX2 is for i := range dst { dst[i] = softplus1(x[i]) }.
//
//go:noescape
func softplusF32AVX2(dst, x []float32)

// erfF32AVX512 is for i := range dst { dst[i] = erf1(x[i]) }.
//
//go:noescape
func erfF32AVX512(dst, x []float32)

// erfF32AVX2 is for i := range dst { dst[i] = erf1(x[i]) }.
//
//go:noescape
func erfF32AVX2(dst, x []float32)

// sqrtF32AVX512 is for i := range dst { dst[i] = sqrt(x[i]) }.
//
//go:noescape
func sqrtF32AVX512(dst, x []float32)

// sqrtF32AVX2 is for i := range dst { dst[i] = sqrt(x[i]) }.
//
//go:noescape
func sqrtF32AVX2(dst, x []float32)

// adamF32AVX512 is adamF32Generic with fused multiply-adds.
//
//go:noescape
func adamF32AVX512(p, g, m, v []float32, h *adamArgs)

// adamF32AVX2 is adamF32Generic with fused multiply-adds.
//
//go:noescape
func adamF32AVX2(p, g, m, v []float32, h *adamArgs)

// sumAbsF32AVX512 is sumAbsF32Generic, with four vectors of sums.
//
//go:noescape
func sumAbsF32AVX512(x []float32) float32

// sumAbsF32AVX2 is sumAbsF32Generic, with four vectors of sums.
//
//go:noescape
func sumAbsF32AVX2(x []float32) float32

// deviationsF32AVX512 is deviationsF32Generic, with four vectors of sums and fused multiply-adds.
//
//go:noescape
func deviationsF32AVX512(x []float32, ref float32) (sum, sq float32)

// deviationsF32AVX2 is deviationsF32Generic, with four vectors of sums and fused multiply-adds.
//
//go:noescape
func deviationsF32AVX2(x []float32, ref float32) (sum, sq float32)
