package kernel

// AddF32 sets dst[i] = a[i] + b[i].
func AddF32(dst, a, b []float32) { n := len(dst); addF32(dst, a[:n], b[:n]) }

// SubF32 sets dst[i] = a[i] - b[i].
func SubF32(dst, a, b []float32) { n := len(dst); subF32(dst, a[:n], b[:n]) }

// MulF32 sets dst[i] = a[i] * b[i].
func MulF32(dst, a, b []float32) { n := len(dst); mulF32(dst, a[:n], b[:n]) }

// DivF32 sets dst[i] = a[i] / b[i].
func DivF32(dst, a, b []float32) { n := len(dst); divF32(dst, a[:n], b[:n]) }

// MaximumF32 sets dst[i] to the greater of a[i] and b[i], and to NaN where either is NaN.
func MaximumF32(dst, a, b []float32) { n := len(dst); maximumF32(dst, a[:n], b[:n]) }

// MinimumF32 sets dst[i] to the lesser of a[i] and b[i], and to NaN where either is NaN.
func MinimumF32(dst, a, b []float32) { n := len(dst); minimumF32(dst, a[:n], b[:n]) }

// AddScalarF32 sets dst[i] = a[i] + s.
func AddScalarF32(dst, a []float32, s float32) { addScalarF32(dst, a[:len(dst)], s) }

// MulScalarF32 sets dst[i] = a[i] * s.
func MulScalarF32(dst, a []float32, s float32) { mulScalarF32(dst, a[:len(dst)], s) }

// AffineF32 sets dst[i] = x[i]*scale + shift. Some tiers round once, others twice.
func AffineF32(dst, x []float32, scale, shift float32) { affineF32(dst, x[:len(dst)], scale, shift) }

// AxpyF32 adds alpha*x[i] to y[i] for every i < len(y). Some tiers round once, others twice.
func AxpyF32(alpha float32, x, y []float32) { axpyF32(alpha, x[:len(y)], y) }

// DotF32 returns the sum of x[i]*y[i] for i < len(x). Its order of summation depends on len(x) and the tier only; the
// error is at most (len(x)/16+8) times 2⁻²⁴ times the sum of |x[i]*y[i]|.
func DotF32(x, y []float32) float32 { return dotF32(x, y[:len(x)]) }

// SumF32 returns the sum of x, with the order and error bound of DotF32.
func SumF32(x []float32) float32 { return sumF32(x) }

// SumSqF32 returns the sum of x[i]², with the order and error bound of DotF32.
func SumSqF32(x []float32) float32 { return sumSqF32(x) }

// SumSqDiffF32 returns the sum of (x[i]-y[i])² for i < len(x), with the order and error bound of DotF32 for the rounded
// differences.
func SumSqDiffF32(x, y []float32) float32 { return sumSqDiffF32(x, y[:len(x)]) }

// SumAbsF32 returns the sum of |x[i]|, with the order and error bound of DotF32.
func SumAbsF32(x []float32) float32 { return sumAbsF32(x) }

// DeviationsF32 returns the sums of x[i]-ref and of (x[i]-ref)², with the order and error bound of DotF32 for the rounded
// differences.
func DeviationsF32(x []float32, ref float32) (sum, sq float32) { return deviationsF32(x, ref) }

// MaxF32 returns the greatest element of x: -Inf if x is empty, NaN if any element is NaN.
func MaxF32(x []float32) float32 { return maxF32(x) }

// MinF32 returns the least element of x: +Inf if x is empty, NaN if any element is NaN.
func MinF32(x []float32) float32 { return minF32(x) }

// ReluF32 sets dst[i] = max(x[i], 0).
func ReluF32(dst, x []float32) { reluF32(dst, x[:len(dst)]) }

// LeakyReluF32 sets dst[i] to x[i] where x[i] >= 0 and to alpha*x[i] elsewhere.
func LeakyReluF32(dst, x []float32, alpha float32) { leakyReluF32(dst, x[:len(dst)], alpha) }

// ClipF32 sets dst[i] = min(max(x[i], lo), hi); where lo > hi that is hi.
func ClipF32(dst, x []float32, lo, hi float32) { clipF32(dst, x[:len(dst)], lo, hi) }

// ExpF32 sets dst[i] = exp(x[i]), within 1.1 units in the last place.
func ExpF32(dst, x []float32) { expF32(dst, x[:len(dst)]) }

// LogF32 sets dst[i] to the natural logarithm of x[i], within 1 unit in the last place: -Inf at zero, NaN below.
func LogF32(dst, x []float32) { logF32(dst, x[:len(dst)]) }

// SigmoidF32 sets dst[i] = 1/(1+exp(-x[i])), within 2.5 units in the last place, in both tails too.
func SigmoidF32(dst, x []float32) { sigmoidF32(dst, x[:len(dst)]) }

// TanhF32 sets dst[i] = tanh(x[i]), within 2 units in the last place.
func TanhF32(dst, x []float32) { tanhF32(dst, x[:len(dst)]) }

// SoftplusF32 sets dst[i] = log(1+exp(x[i])), within 2.5 units in the last place, in both tails too.
func SoftplusF32(dst, x []float32) { softplusF32(dst, x[:len(dst)]) }

// ErfF32 sets dst[i] = erf(x[i]), within 2 units in the last place.
func ErfF32(dst, x []float32) { erfF32(dst, x[:len(dst)]) }

// SqrtF32 sets dst[i] to the correctly rounded square root of x[i].
func SqrtF32(dst, x []float32) { sqrtF32(dst, x[:len(dst)]) }
