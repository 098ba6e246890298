package op

import (
	"math"
	"slices"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// attentionRun is one computation in the type T. A node keeps it from run to run.
type attentionRun[T floating] struct {
	op *attention
	attentionDims
	shapes                     []tensor.Shape
	query, k, v, y, qk, scores []T // k and v are [batch kvHeads total size]; qk is nil if it is not wanted
	mask                       []T // what is added to the scores
	nonpad                     []int64
	scale                      T
	task                       slotTask
}

func runAttention[T floating](ctx *Context, o *attention, out, in []*tensor.Tensor) error {
	r := StateOf[attentionRun[T]](ctx)
	r.op = o
	if r.task.f == nil {
		r.task.f = r.head
	}
	scratch := ctx.Scratch
	r.shapes = r.shapes[:0]
	var data [6][]T
	for i, t := range in {
		if t == nil {
			r.shapes = append(r.shapes, nil)
			continue
		}
		s := t.Shape()
		if s == nil {
			s = tensor.Shape{}
		}
		r.shapes = append(r.shapes, s)
		switch {
		case i >= len(data):
		case t.DType() == tensor.DTypeOf[T]():
			data[i] = tensor.Data[T](t)
		default:
			data[i] = carve[T](&scratch, t.Elems())
			numbersOf(data[i], t)
		}
	}
	var err error
	if r.attentionDims, err = o.dims(r.shapes); err != nil {
		return err
	}
	r.query, r.mask = data[0], data[3]
	if t := given(in, 3); t != nil && t.DType() == tensor.Bool {
		for i, v := range r.mask {
			r.mask[i] = 0
			if v == 0 {
				r.mask[i] = T(math.Inf(-1))
			}
		}
	}
	r.nonpad = nil
	if t := given(in, 6); t != nil {
		r.nonpad = t.Int64s()
	}
	r.scale = T(o.scale)
	if !o.hasScale {
		r.scale = T(1 / math.Sqrt(float64(r.size)))
	}
	// result returns the elements of an output, or memory for what becomes them.
	result := func(i, n int) []T {
		if i < len(out) && out[i] != nil && out[i].DType() == tensor.DTypeOf[T]() {
			return tensor.Data[T](out[i])
		}
		return carve[T](&scratch, n)
	}
	r.k = result(1, r.batch*r.kvHeads*r.total*r.size)
	r.v = result(2, r.batch*r.kvHeads*r.total*r.vSize)
	r.scores = carve[T](&scratch, r.slots()*r.q*r.total)
	r.y = result(0, r.batch*r.heads*r.q*r.vSize)
	if r.qk = nil; len(out) > 3 && out[3] != nil {
		r.qk = result(3, r.batch*r.heads*r.q*r.total)
	}
	r.present(r.k, data[4], data[1], r.size)
	r.present(r.v, data[5], data[2], r.vSize)
	if n := r.batch * r.heads; n > 0 && r.q > 0 {
		r.task.run(ctx.Pool, n, r.slots(), mulSize(n, r.q, r.total, r.size+r.vSize))
	}
	for i, v := range [4][]T{r.y, r.k, r.v, r.qk} {
		if i < len(out) && out[i] != nil && out[i].DType() != tensor.DTypeOf[T]() {
			fromFloat(out[i], 0, v)
		}
	}
	return nil
}

// numbersOf converts the elements of any numeric type or bools to T.
func numbersOf[T floating](dst []T, t *tensor.Tensor) {
	switch t.DType() {
	case tensor.Float32:
		convertEach(dst, t.Float32s())
	case tensor.Float64:
		convertEach(dst, tensor.Data[float64](t))
	case tensor.Float16, tensor.BFloat16:
		var buf [256]float32
		for at := 0; at < len(dst); at += len(buf) {
			b := buf[:min(len(buf), len(dst)-at)]
			widenFrom(b, t, at)
			convertEach(dst[at:], b)
		}
	default:
		var buf [256]int64
		for at := 0; at < len(dst); at += len(buf) {
			b := buf[:min(len(buf), len(dst)-at)]
			integersOf(b, t, at)
			convertEach(dst[at:], b)
		}
	}
}

// present joins the past and the new keys or values to [batch kvHeads total size].
func (r *attentionRun[T]) present(dst, past, now []T, size int) {
	for b := range r.batch {
		for h := range r.kvHeads {
			copy(dst[:r.past*size], past[min(len(past), (b*r.kvHeads+h)*r.past*size):])
			dst = dst[r.past*size:]
			for i := range r.kv {
				at := ((b*r.kvHeads+h)*r.kv + i) * size
				if r.flat {
					at = ((b*r.kv+i)*r.kvHeads + h) * size
				}
				copy(dst[:size], now[at:])
				dst = dst[size:]
			}
		}
	}
}

// head computes one head of one batch item, with the scores of a slot.
func (r *attentionRun[T]) head(unit, slot int) {
	b, h := unit/r.heads, unit%r.heads
	rows, total := r.q, r.total
	kv := b*r.kvHeads + h/(r.heads/r.kvHeads)
	k, v := r.k[kv*total*r.size:(kv+1)*total*r.size], r.v[kv*total*r.vSize:(kv+1)*total*r.vSize]
	qAt, qStep, yAt, yStep := unit*rows*r.size, r.size, unit*rows*r.vSize, r.vSize
	if r.flat {
		qAt, qStep = (b*rows*r.heads+h)*r.size, r.heads*r.size
		yAt, yStep = (b*rows*r.heads+h)*r.vSize, r.heads*r.vSize
	}
	s := r.scores[slot*rows*total : (slot+1)*rows*total]
	strideGemm(true, rows, total, r.size, r.scale, r.query[min(qAt, len(r.query)):], qStep, k, r.size, s, total)
	r.show(attentionRaw, unit, s)
	if r.op.capFirst {
		r.cap(s)
		r.show(attentionFirst, unit, s)
		r.addMask(s, b, h)
	} else {
		r.addMask(s, b, h)
		r.show(attentionFirst, unit, s)
		r.cap(s)
	}
	r.show(attentionBoth, unit, s)
	for i := range rows {
		attentionRow(s[i*total : (i+1)*total])
	}
	r.show(attentionSoftmax, unit, s)
	strideGemm(false, rows, r.vSize, total, 1, s, total, v, r.vSize, r.y[min(yAt, len(r.y)):], yStep)
}

// show stores the scores of a head if this is the step that is to be seen.
func (r *attentionRun[T]) show(step, unit int, s []T) {
	if r.qk != nil && r.op.mode == step {
		copy(r.qk[unit*len(s):], s)
	}
}

// cap bounds the scores; what is hidden stays so.
func (r *attentionRun[T]) cap(s []T) {
	c := T(r.op.softcap)
	if c == 0 {
		return
	}
	hidden := T(math.Inf(-1))
	for i, x := range s {
		if x != hidden {
			s[i] = c * T(math.Tanh(float64(x/c)))
		}
	}
}

// addMask adds the mask, and puts −∞ where it, the causal order, the window or padding hide a key.
func (r *attentionRun[T]) addMask(s []T, b, h int) {
	hidden := T(math.Inf(-1))
	valid, offset := r.total, r.past
	if r.nonpad != nil {
		valid = int(min(max(r.nonpad[b], 0), int64(r.total)))
		offset = valid - r.q
	}
	for i := range r.q {
		row := s[i*r.total : (i+1)*r.total]
		if r.maskPresent == 1 {
			at := b*r.maskBatch + h*r.maskHeads + i*r.maskRows
			for j := range row {
				switch {
				case j >= r.maskLength || r.mask[at+j*r.maskCols] == hidden:
					row[j] = hidden
				default:
					row[j] += r.mask[at+j*r.maskCols]
				}
			}
		}
		from, to := 0, valid
		if r.op.causal {
			to = min(to, i+offset+1)
		}
		if w := r.op.right; w >= 0 && w < r.total {
			to = min(to, i+offset+w+1)
		}
		if w := r.op.left; w >= 0 && w < r.total+r.q {
			from = max(from, i+offset-w)
		}
		for j := range row {
			if j < from || j >= to {
				row[j] = hidden
			}
		}
	}
}

// attentionRow takes the softmax of a row in place.
func attentionRow[T floating](x []T) {
	if len(x) == 0 {
		return
	}
	// Where everything is hidden, nothing is attended to.
	if !slices.ContainsFunc(x, func(v T) bool { return !math.IsInf(float64(v), -1) }) {
		clear(x)
		return
	}
	if f, ok := any(x).([]float32); ok {
		softmaxRow(softmaxExp, f, f)
		return
	}
	if f, ok := any(x).([]float64); ok {
		softmaxF64(softmaxExp, f, f, 1, len(f), 1)
	}
}

// strideGemm sets c, m×n, to alpha·a·b, where b is k×n, or n×k if transB.
func strideGemm[T floating](transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, c []T, ldc int) {
	if n == 0 {
		return
	}
	if fa, ok := any(a).([]float32); ok {
		kernel.GemmF32(false, transB, m, n, k, float32(alpha), fa, max(lda, 1), any(b).([]float32), max(ldb, 1), 0, any(c).([]float32), ldc)
		return
	}
	for i := range m {
		for j := range n {
			var sum T
			for p := range k {
				if transB {
					sum += a[i*lda+p] * b[j*ldb+p]
				} else {
					sum += a[i*lda+p] * b[p*ldb+j]
				}
			}
			c[i*ldc+j] = alpha * sum
		}
	}
}
