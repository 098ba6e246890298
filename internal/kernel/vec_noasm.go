//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func addF32(dst, a, b []float32)                               { addF32Generic(dst, a, b) }
func subF32(dst, a, b []float32)                               { subF32Generic(dst, a, b) }
func mulF32(dst, a, b []float32)                               { mulF32Generic(dst, a, b) }
func divF32(dst, a, b []float32)                               { divF32Generic(dst, a, b) }
func maximumF32(dst, a, b []float32)                           { maximumF32Generic(dst, a, b) }
func minimumF32(dst, a, b []float32)                           { minimumF32Generic(dst, a, b) }
func addScalarF32(dst, a []float32, s float32)                 { addScalarF32Generic(dst, a, s) }
func mulScalarF32(dst, a []float32, s float32)                 { mulScalarF32Generic(dst, a, s) }
func affineF32(dst, x []float32, scale, shift float32)         { affineF32Generic(dst, x, scale, shift) }
func axpyF32(alpha float32, x, y []float32)                    { axpyF32Generic(alpha, x, y) }
func dotF32(x, y []float32) float32                            { return dotF32Generic(x, y) }
func sumF32(x []float32) float32                               { return sumF32Generic(x) }
func sumSqF32(x []float32) float32                             { return sumSqF32Generic(x) }
func sumSqDiffF32(x, y []float32) float32                      { return sumSqDiffF32Generic(x, y) }
func sumAbsF32(x []float32) float32                            { return sumAbsF32Generic(x) }
func deviationsF32(x []float32, ref float32) (sum, sq float32) { return deviationsF32Generic(x, ref) }
func maxF32(x []float32) float32                               { return maxF32Generic(x) }
func minF32(x []float32) float32                               { return minF32Generic(x) }
func reluF32(dst, x []float32)                                 { reluF32Generic(dst, x) }
func leakyReluF32(dst, x []float32, alpha float32)             { leakyReluF32Generic(dst, x, alpha) }
func clipF32(dst, x []float32, lo, hi float32)                 { clipF32Generic(dst, x, lo, hi) }
func expF32(dst, x []float32)                                  { expF32Generic(dst, x) }
func logF32(dst, x []float32)                                  { logF32Generic(dst, x) }
func sigmoidF32(dst, x []float32)                              { sigmoidF32Generic(dst, x) }
func tanhF32(dst, x []float32)                                 { tanhF32Generic(dst, x) }
func softplusF32(dst, x []float32)                             { softplusF32Generic(dst, x) }
func erfF32(dst, x []float32)                                  { erfF32Generic(dst, x) }
func sqrtF32(dst, x []float32)                                 { sqrtF32Generic(dst, x) }
func adamF32(p, g, m, v []float32, h *adamArgs)                { adamF32Generic(p, g, m, v, h) }
func sgdF32(p, g, v []float32, h *SGDParams)                   { sgdF32Generic(p, g, v, h) }

func vectorTier() string { return "generic" }
