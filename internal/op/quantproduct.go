package op

import (
	"fmt"
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// packed8 is an 8-bit matrix in the form of the kernels. Unsigned values are stored less
// 128, which the zero point then follows.
type packed8 struct {
	w     []*kernel.PackedI8 // one for each group of a convolution
	shape tensor.Shape       // of the tensor that was packed
	dtype tensor.DType
}

// Bytes implements [Packed].
func (p *packed8) Bytes() int {
	n := 0
	for _, w := range p.w {
		n += w.Bytes()
	}
	return n
}

// signed8 returns the elements of an 8-bit tensor as int8: of an unsigned one, a copy less
// 128.
func signed8(t *tensor.Tensor) []int8 {
	if t.DType() == tensor.Int8 {
		return tensor.Data[int8](t)
	}
	src := tensor.Data[uint8](t)
	out := make([]int8, len(src))
	for i, v := range src {
		out[i] = int8(v ^ 0x80)
	}
	return out
}

// asInt8 views bytes as signed.
func asInt8(b []uint8) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

// signedZeros appends the zero points of a tensor in the packed form of packed8; none means
// that all are 0.
func signedZeros(dst []int32, z *tensor.Tensor, d tensor.DType) []int32 {
	if z == nil {
		if d == tensor.Uint8 {
			return append(dst, -128)
		}
		return dst
	}
	dst = ints32(dst, z)
	any := false
	for i := range dst {
		if d == tensor.Uint8 {
			dst[i] -= 128
		}
		any = any || dst[i] != 0
	}
	if !any {
		return dst[:0]
	}
	return dst
}

// product8 is one product of 8-bit matrices, c = (a − aZero)·(w − wZero), exact in int32,
// and what is made of it. It is cut into rectangles of c.
type product8 struct {
	m, n, k int
	a       []uint8
	lda     int
	signed  bool    // a is int8
	aZero   []int32 // one value, or one for each row
	w       *kernel.PackedI8
	wZero   []int32 // none, one value, or one for each column
	c       []int32 // m×n
	finish8
	rows, panels, colChunks int
}

// finish8 says what is made of the sums: nothing; 8-bit values; or float32 values.
type finish8 struct {
	bias     []int32 // added to the sums: one for each column, or nil
	rowBias  []int32 // added to the sums of row i: rowBiasN values (1 or all columns) from i·rowBiasN on
	rowBiasN int
	y        *tensor.Tensor // 8-bit or float32; nil: the sums are the result
	ldy      int
	offset   int       // of column 0 of row 0 in y
	scale    []float32 // the factor of each column
	rowScale []float32 // nil, or each row's own scale of a, for which scale lacks it
	yScale   float32
	yZero    int32
	add      []float32 // added to float32 values: one for each column, or nil
}

// multiplier returns the factor between sums and 8-bit results, in single-rounded float32
// operations from left to right.
func multiplier(x, w, y float32) float32 { return float32(float32(x*w) / y) }

const product8Rows = 48

// product8Work is the work of a product in multiply-adds, or what takes as long: few rows wait for the weights.
func product8Work(m, n, k int) int { return mulSize(max(m, 4), n, k) }

// run computes the product on a pool.
func (t *product8) run(pool *parallel.Pool) {
	if t.m == 0 || t.n == 0 {
		return
	}
	t.rows = min(t.m, product8Rows)
	rowChunks := (t.m + t.rows - 1) / t.rows
	work := product8Work(t.m, t.n, t.k)
	t.panels = t.w.Panels()
	if want := min(work/chunkWork, maxChunks); want > rowChunks {
		t.panels = max(1, t.panels*rowChunks/want)
	} else if work < 2*chunkWork {
		t.rows = t.m
	}
	t.colChunks = (t.w.Panels() + t.panels - 1) / t.panels
	pool.Run(t.colChunks*((t.m+t.rows-1)/t.rows), t)
}

// Do implements [parallel.Task].
func (t *product8) Do(chunk, _ int) {
	r0, p0 := chunk/t.colChunks*t.rows, chunk%t.colChunks*t.panels
	t.rectangle(r0, min(t.m, r0+t.rows), p0, min(p0+t.panels, t.w.Panels()))
}

// rectangle computes rows [r0, r1) of the columns of panels [p0, p1).
func (t *product8) rectangle(r0, r1, p0, p1 int) {
	m, zero := r1-r0, int32(0)
	if len(t.aZero) == 1 {
		zero = t.aZero[0]
	}
	a, c := t.a[r0*t.lda:], t.c[r0*t.n:]
	if t.signed {
		kernel.GemmS8(m, asInt8(a), t.lda, int8(zero), t.w, p0, p1, c, t.n, false)
	} else {
		kernel.GemmU8(m, a, t.lda, uint8(zero), t.w, p0, p1, c, t.n, false)
	}
	j0, j1 := p0*t.w.NR, min(p1*t.w.NR, t.n)
	for i := r0; i < r1; i++ {
		row := t.c[i*t.n:][j0:j1]
		if len(t.aZero) > 1 {
			zero = t.aZero[i]
			for j := range row {
				row[j] -= zero * t.w.ColSum[j0+j]
			}
		}
		if len(t.wZero) > 0 {
			t.centre(row, i, j0, zero)
		}
		if t.rowBias != nil {
			b := t.rowBias[i*t.rowBiasN:][:t.rowBiasN]
			for j := range row {
				row[j] += b[(j0+j)%t.rowBiasN]
			}
		}
	}
	t.finish(r0, r1, j0, j1)
}

// centre takes the part of the weights' zero points off the sums of row i.
func (t *product8) centre(row []int32, i, j0 int, zero int32) {
	sum := int32(0)
	for _, v := range t.a[i*t.lda:][:t.k] {
		if t.signed {
			sum += int32(int8(v))
		} else {
			sum += int32(v)
		}
	}
	sum -= zero * int32(t.k)
	for j := range row {
		z := t.wZero[0]
		if len(t.wZero) > 1 {
			z = t.wZero[j0+j]
		}
		row[j] -= z * sum
	}
}

// finish turns sums of rows [r0, r1) and columns [j0, j1) into results.
func (t *product8) finish(r0, r1, j0, j1 int) {
	if t.y == nil || j0 == j1 {
		return
	}
	n, m := j1-j0, r1-r0
	at := t.offset + r0*t.ldy + j0
	c := t.c[r0*t.n+j0:]
	var bias []int32
	if t.bias != nil {
		bias = t.bias[j0:j1]
	}
	if t.y.DType() == tensor.Float32 {
		y, scale, add := t.y.Float32s()[at:], t.scale[j0:j1], t.add
		if add != nil {
			add = add[j0:j1]
		}
		if t.rowScale != nil {
			scale = make([]float32, n)
		}
		for i := range m {
			sums := c[i*t.n:][:n]
			for j, v := range bias {
				sums[j] += v
			}
			if t.rowScale != nil {
				kernel.MulScalarF32(scale, t.scale[j0:j1], t.rowScale[r0+i])
			}
			kernel.ScaleI32(y[i*t.ldy:][:n], sums, scale, add)
		}
		return
	}
	if t.rowScale == nil {
		requantize(m, n, t.y, at, t.ldy, c, t.n, bias, t.scale[j0:j1], t.yZero)
		return
	}
	scale := make([]float32, n)
	for i := range m {
		for j := range scale {
			scale[j] = multiplier(t.rowScale[r0+i], t.scale[j0+j], t.yScale)
		}
		requantize(1, n, t.y, at+i*t.ldy, t.ldy, c[i*t.n:], t.n, bias, scale, t.yZero)
	}
}

// requantize converts sums to the 8-bit type of y, from element at on.
func requantize(m, n int, y *tensor.Tensor, at, ldy int, c []int32, ldc int, bias []int32, scale []float32, zero int32) {
	if y.DType() == tensor.Int8 {
		kernel.RequantI8(m, n, tensor.Data[int8](y)[at:], ldy, c, ldc, bias, scale, zero, -128, 127)
		return
	}
	kernel.RequantU8(m, n, tensor.Data[uint8](y)[at:], ldy, c, ldc, bias, scale, zero, 0, 255)
}

// intsIn views scratch memory as int32.
func intsIn(f []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(f))), len(f))
}

// bytes8 returns the elements of an 8-bit tensor as they are in memory.
func bytes8(t *tensor.Tensor) []uint8 { return t.Bytes() }

// checkScale checks that input i is a floating-point scale of one value or, where n > 0, of n.
func checkScale(in []Fact, i, n int) error {
	if err := wantType(in, i, typesOf(tensor.Float32, tensor.Float16, tensor.BFloat16)); err != nil {
		return err
	}
	return checkCount(in, i, n)
}

// checkZero checks that input i, if given, is a zero point of type d.
func checkZero(in []Fact, i, n int, d tensor.DType) error {
	if !present(in, i) {
		return nil
	}
	if in[i].DType != d {
		return fmt.Errorf("input %d: zero point of type %v, want %v", i, in[i].DType, d)
	}
	return checkCount(in, i, n)
}

func checkCount(in []Fact, i, n int) error {
	e, ok := in[i].Shape.Elems()
	if !ok || e != 1 && (n == 0 || e != n) {
		if n > 1 {
			return fmt.Errorf("input %d: shape %v, want one value or %d", i, in[i].Shape, n)
		}
		return fmt.Errorf("input %d: shape %v, want one value", i, in[i].Shape)
	}
	return nil
}
