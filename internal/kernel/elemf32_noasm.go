//go:build noasm || gccgo || !(amd64 || arm64)

package kernel

func absF32(dst, x []float32)                    { absF32Generic(dst, x) }
func negF32(dst, x []float32)                    { negF32Generic(dst, x) }
func reciprocalF32(dst, x []float32)             { reciprocalF32Generic(dst, x) }
func floorF32(dst, x []float32)                  { floorF32Generic(dst, x) }
func ceilF32(dst, x []float32)                   { ceilF32Generic(dst, x) }
func roundF32(dst, x []float32)                  { roundF32Generic(dst, x) }
func softsignF32(dst, x []float32)               { softsignF32Generic(dst, x) }
func preluF32(dst, x, slope []float32)           { preluF32Generic(dst, x, slope) }
func thresholdF32(dst, x []float32, t float32)   { thresholdF32Generic(dst, x, t) }
func divScalarF32(dst, x []float32, s float32)   { divScalarF32Generic(dst, x, s) }
func scalarDivF32(dst, x []float32, s float32)   { scalarDivF32Generic(dst, x, s) }
func mixF32(dst, a, b []float32, wa, wb float32) { mixF32Generic(dst, a, b, wa, wb) }
func centerF32(dst, x []float32, ref, scale, shift float32) {
	centerF32Generic(dst, x, ref, scale, shift)
}
