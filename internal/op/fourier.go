package op

import (
	"fmt"
	"math"
	"math/bits"
	"math/cmplx"

	"github.com/aekit/aekit/tensor"
)

// fourier computes discrete Fourier transforms of one length, X[k] = Σ x[j]·exp(∓2πi·jk/n):
// by radix 2 for powers of two, otherwise as a convolution of such a length (Bluestein
// 1970).
type fourier struct {
	n, size int // size is the power of two that is transformed
	sign    float64
	roots   []complex128 // exp(−2πi·j/size), j < size/2
	chirp   []complex128 // exp(∓πi·j²/n); nil for powers of two
	kernel  []complex128 // transform of the conjugate chirp
	work    []complex128
}

func newFourier(n int, inverse bool) *fourier {
	f := &fourier{n: n, size: n, sign: -1}
	if inverse {
		f.sign = 1
	}
	if n&(n-1) != 0 {
		f.size = 1 << bits.Len(uint(2*n-2))
	}
	f.roots = make([]complex128, f.size/2)
	for j := range f.roots {
		f.roots[j] = cmplx.Rect(1, -2*math.Pi*float64(j)/float64(f.size))
	}
	if f.size == n {
		return f
	}
	f.chirp, f.kernel, f.work = make([]complex128, n), make([]complex128, f.size), make([]complex128, f.size)
	for j := range f.chirp {
		// j² modulo 2n keeps the angle small, and so exact.
		q := uint64(j) * uint64(j) % uint64(2*n)
		f.chirp[j] = cmplx.Rect(1, f.sign*math.Pi*float64(q)/float64(n))
		c := cmplx.Conj(f.chirp[j])
		f.kernel[j] = c
		if j > 0 {
			f.kernel[f.size-j] = c
		}
	}
	f.radix2(f.kernel, false)
	return f
}

// transform replaces x, of n elements, by its transform, not scaled.
func (f *fourier) transform(x []complex128) {
	if f.chirp == nil {
		f.radix2(x, f.sign > 0)
		return
	}
	clear(f.work)
	for j, v := range x {
		f.work[j] = v * f.chirp[j]
	}
	f.radix2(f.work, false)
	for j, v := range f.kernel {
		f.work[j] *= v
	}
	f.radix2(f.work, true)
	for j := range x {
		x[j] = f.work[j] * f.chirp[j] / complex(float64(f.size), 0)
	}
}

// radix2 transforms size elements in place.
func (f *fourier) radix2(x []complex128, inverse bool) {
	n := len(x)
	shift := bits.UintSize - bits.Len(uint(n-1))
	if n == 1 {
		return
	}
	for i := range x {
		if j := int(bits.Reverse(uint(i)) >> shift); i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for half := 1; half < n; half *= 2 {
		step := n / (2 * half)
		for i := 0; i < n; i += 2 * half {
			for k := range half {
				w := f.roots[k*step]
				if inverse {
					w = cmplx.Conj(w)
				}
				a, b := x[i+k], x[i+half+k]*w
				x[i+k], x[i+half+k] = a+b, a-b
			}
		}
	}
}

// dft is DFT. The last axis holds real values (extent 1) or real and imaginary parts. Input
// 1 is the length to which the axis is cut or padded with zeros, input 2 the axis. One side
// of a spectrum is what a real signal gives, and what the inverse turns into one.
type dft struct {
	axis              int
	inverse, onesided bool
	types             Types
}

func newDFT(a *Attrs) (Op, error) {
	o := &dft{axis: -2, inverse: a.Bool("inverse", false), onesided: a.Bool("onesided", false), types: a.Types()}
	if a.Opset() < 20 {
		o.axis = a.Int("axis", 1)
	}
	return o, nil
}

// plan returns the axis, the length of the transform, and whether it gives real values.
func (o *dft) plan(in []Fact) (axis, n int, toReal bool, err error) {
	x := in[0].Shape
	if len(x) < 2 || x[len(x)-1] != 1 && x[len(x)-1] != 2 {
		return 0, 0, false, fmt.Errorf("input %v: want a last axis of 1 or 2 and another", x)
	}
	toReal = o.onesided && o.inverse && x[len(x)-1] == 2
	if o.onesided && x[len(x)-1] == 2 && !toReal {
		return 0, 0, false, fmt.Errorf("one side of the spectrum of complex values is not defined")
	}
	at := o.axis
	if present(in, 2) {
		v, err := constInt(in, 2)
		if err != nil {
			return 0, 0, false, err
		}
		if at, err = toInt(v); err != nil {
			return 0, 0, false, err
		}
	}
	if axis, err = tensor.Axis(at, len(x)); err != nil {
		return 0, 0, false, err
	}
	if axis == len(x)-1 {
		return 0, 0, false, fmt.Errorf("axis %d holds the parts of complex values", at)
	}
	n = x[axis]
	if toReal {
		n = 2 * (min(n, 1<<28) - 1)
	}
	if present(in, 1) {
		v, err := constInt(in, 1)
		if err != nil {
			return 0, 0, false, err
		}
		if v < 1 || v > 1<<28 {
			return 0, 0, false, fmt.Errorf("length %d is out of range", v)
		}
		n = int(v)
	}
	if n < 1 || n > 1<<28 {
		return 0, 0, false, fmt.Errorf("length %d is out of range", n)
	}
	return axis, n, toReal, nil
}

// Infer implements [Op].
func (o *dft) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 3); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	axis, n, toReal, err := o.plan(in)
	if err != nil {
		return nil, err
	}
	out := in[0].Shape.Clone()
	out[axis], out[len(out)-1] = n, 2
	switch {
	case toReal:
		out[len(out)-1] = 1
	case o.onesided:
		out[axis] = n/2 + 1
	}
	return outFact(in[0].DType, out)
}

// Run implements [Op].
func (o *dft) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if isHalf(in[0].DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	st := StateOf[dftState](ctx)
	st.facts = st.facts[:0]
	for _, t := range in {
		st.facts = append(st.facts, FactOf(t))
	}
	axis, n, _, err := o.plan(st.facts)
	clear(st.facts)
	if err != nil {
		return err
	}
	if st.f == nil || st.f.n != n {
		st.f, st.row = newFourier(n, o.inverse), make([]complex128, n)
	}
	if in[0].DType() == tensor.Float32 {
		runDFT(o, st, out[0].Float32s(), in[0].Float32s(), in[0].Shape(), out[0].Shape(), axis)
	} else {
		runDFT(o, st, tensor.Data[float64](out[0]), tensor.Data[float64](in[0]), in[0].Shape(), out[0].Shape(), axis)
	}
	return nil
}

// dftState is what a DFT keeps between runs.
type dftState struct {
	facts []Fact
	f     *fourier
	row   []complex128
}

func runDFT[T floating](o *dft, st *dftState, y, x []T, in, out tensor.Shape, axis int) {
	if len(y) == 0 {
		return
	}
	f, row, n := st.f, st.row, st.f.n
	parts := in[len(in)-1]
	toReal := out[len(out)-1] == 1
	outer, inner := product(in[:axis]), product(in[axis+1:len(in)-1])
	scale := complex(1, 0)
	if o.inverse {
		scale = complex(1/float64(n), 0)
	}
	for a := range outer {
		for b := range inner {
			clear(row)
			side := n
			if toReal {
				side = n/2 + 1
			}
			for j := range min(side, in[axis]) {
				at := ((a*in[axis]+j)*inner + b) * parts
				re, im := float64(x[at]), 0.0
				if parts == 2 {
					im = float64(x[at+1])
				}
				row[j] = complex(re, im)
				if toReal && j > 0 {
					row[n-j] = complex(re, -im)
				}
			}
			f.transform(row)
			for j := range out[axis] {
				v := row[j] * scale
				at := (a*out[axis]+j)*inner + b
				if toReal {
					y[at] = T(re(v))
					continue
				}
				y[2*at], y[2*at+1] = T(re(v)), T(imag(v))
			}
		}
	}
}

// stft is STFT: transforms of frames of a signal (input 0, [batch, length] or [batch, length,
// 1 or 2]), a step (input 1) apart, weighted by a window (input 2), of the length of input 3
// or of the window.
type stft struct {
	onesided bool
	types    Types
}

func newSTFT(a *Attrs) (Op, error) {
	return &stft{onesided: a.Bool("onesided", true), types: a.Types()}, nil
}

// stftPlan holds the extents.
type stftPlan struct{ batch, length, parts, step, frame, frames, bins int }

func (o *stft) plan(in []Fact) (p stftPlan, err error) {
	x := in[0].Shape
	if len(x) == 2 {
		x = append(x.Clone(), 1)
	}
	if len(x) != 3 || x[2] != 1 && x[2] != 2 {
		return p, fmt.Errorf("signal %v: want [batch length 1] or [batch length 2]", in[0].Shape)
	}
	p.batch, p.length, p.parts = x[0], x[1], x[2]
	step, err := constInt(in, 1)
	if err != nil {
		return p, err
	}
	frame := int64(-1)
	if present(in, 3) {
		if frame, err = constInt(in, 3); err != nil {
			return p, err
		}
	}
	if present(in, 2) {
		if err := wantSame(in, 0, 2); err != nil {
			return p, err
		}
		if w := in[2].Shape; len(w) != 1 || frame >= 0 && int64(w[0]) != frame {
			return p, fmt.Errorf("window %v for frames of %d", w, frame)
		}
		frame = int64(in[2].Shape[0])
	}
	if step < 1 || step > maxExtent || frame < 1 || frame > 1<<28 || frame > int64(p.length) {
		return p, fmt.Errorf("frames of %d, %d apart, of a signal of %d", frame, step, p.length)
	}
	p.step, p.frame = int(step), int(frame)
	p.frames = (p.length-p.frame)/p.step + 1
	p.bins = p.frame
	if o.onesided {
		if p.parts == 2 {
			return p, fmt.Errorf("one side of the spectrum of complex values is not defined")
		}
		p.bins = p.frame/2 + 1
	}
	return p, nil
}

// Infer implements [Op].
func (o *stft) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 4); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	p, err := o.plan(in)
	if err != nil {
		return nil, err
	}
	return outFact(in[0].DType, tensor.Shape{p.batch, p.frames, p.bins, 2})
}

// Run implements [Op].
func (o *stft) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if isHalf(in[0].DType()) {
		return viaFloat32(ctx, out, in, o.Run)
	}
	facts := make([]Fact, len(in))
	for i, t := range in {
		facts[i] = FactOf(t)
	}
	p, err := o.plan(facts)
	if err != nil {
		return err
	}
	var window []float64
	if w := given(in, 2); w != nil {
		window = floats64(nil, w)
	}
	x := floats64(nil, in[0])
	y := make([]float64, out[0].Elems())
	f := newFourier(p.frame, false)
	row := make([]complex128, p.frame)
	for b := range p.batch {
		for k := range p.frames {
			for j := range row {
				at := (b*p.length + k*p.step + j) * p.parts
				v := complex(x[at], 0)
				if p.parts == 2 {
					v = complex(x[at], x[at+1])
				}
				if window != nil {
					v *= complex(window[j], 0)
				}
				row[j] = v
			}
			f.transform(row)
			dst := y[(b*p.frames+k)*p.bins*2:]
			for j := range p.bins {
				dst[2*j], dst[2*j+1] = re(row[j]), imag(row[j])
			}
		}
	}
	setFloats(out[0], y)
	return nil
}

// re is the real part; in this package the name real is a constraint.
func re(v complex128) float64 { return imag(v * 1i) }
