package op

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// attention is Attention: inputs Q, K, V, attn_mask, past_key, past_value and
// nonpad_kv_seqlen; outputs Y, present_key, present_value and qk_matmul_output. Q, K and V
// are [batch heads length size], or [batch length heads·size]. Several heads of Q may share
// one of K and V. At opsets 23 and 24 a mask is added before scores are capped, as ONNX 1.20.1
// defines, later the other way round; what is hidden stays hidden in both.
type attention struct {
	types           Types
	causal          bool
	kvHeads, qHeads int // 0: axis 1 of 4-axis inputs
	mode            int // which step qk_matmul_output shows
	scale, softcap  float32
	hasScale        bool
	padMask         bool // a mask that is shorter than the keys hides the rest of them
	capFirst        bool // the scores are capped before the mask is added
	left, right     int  // how far before and after its own position a query sees; −1: any distance
}

// Steps that qk_matmul_output can show.
const (
	attentionRaw   = iota
	attentionFirst // after the first of mask and softcap
	attentionBoth
	attentionSoftmax
)

func newAttention(a *Attrs) (Op, error) {
	o := &attention{
		types: a.Types(), causal: a.Bool("is_causal", false), kvHeads: a.Int("kv_num_heads", 0), qHeads: a.Int("q_num_heads", 0),
		mode: a.Int("qk_matmul_output_mode", 0), scale: a.Float("scale", 0), softcap: a.Float("softcap", 0), hasScale: a.Has("scale"),
		padMask: a.Opset() >= 24, capFirst: a.Opset() >= 25, left: -1, right: -1,
	}
	if a.Opset() >= 25 {
		o.left, o.right = a.Int("left_window_size", -1), a.Int("right_window_size", -1)
		if o.left < -1 || o.right < -1 {
			a.Fail("left_window_size %d or right_window_size %d is out of range", o.left, o.right)
		}
	}
	// Intermediate results have at least the precision that this asks for.
	a.Int("softmax_precision", int(tensor.Float32))
	if o.kvHeads < 0 || o.qHeads < 0 || o.mode < 0 || o.mode > attentionSoftmax || o.softcap < 0 {
		a.Fail("kv_num_heads %d, q_num_heads %d, qk_matmul_output_mode %d or softcap %g is out of range", o.kvHeads, o.qHeads, o.mode, o.softcap)
	}
	return o, nil
}

// attentionDims are the extents of a problem.
type attentionDims struct {
	batch, heads, kvHeads   int
	q, past, kv, total      int // lengths: of Q, of the past, of K, and past + kv
	size, vSize             int
	flat                    bool // the inputs have three axes
	maskBatch, maskHeads    int  // steps of the mask; 0 where it is broadcast
	maskRows, maskCols      int
	maskLength, maskPresent int
}

// heads splits the shape of Q, K or V.
func (o *attention) heads(s tensor.Shape, n int) (batch, heads, length, size int, err error) {
	if len(s) == 4 {
		return s[0], s[1], s[2], s[3], nil
	}
	if len(s) != 3 || n < 1 || s[2]%n != 0 {
		return 0, 0, 0, 0, fmt.Errorf("shape %v does not have %d heads", s, n)
	}
	return s[0], n, s[1], s[2] / n, nil
}

func (o *attention) dims(shapes []tensor.Shape) (d attentionDims, err error) {
	fail := func(what string) (attentionDims, error) {
		return d, fmt.Errorf("%s do not fit: %v", what, shapes)
	}
	at := func(i int) tensor.Shape {
		if i < len(shapes) {
			return shapes[i]
		}
		return nil
	}
	if len(shapes[0]) != len(shapes[1]) || len(shapes[0]) != len(shapes[2]) {
		return fail("the ranks of Q, K and V")
	}
	d.flat = len(shapes[0]) == 3
	if d.batch, d.heads, d.q, d.size, err = o.heads(shapes[0], o.qHeads); err != nil {
		return d, err
	}
	kb, kh, kl, ks, err := o.heads(shapes[1], o.kvHeads)
	if err != nil {
		return d, err
	}
	vb, vh, vl, vs, err := o.heads(shapes[2], o.kvHeads)
	if err != nil {
		return d, err
	}
	if kb != d.batch || vb != d.batch || kh != vh || kl != vl || ks != d.size || kh == 0 || d.heads%kh != 0 {
		return fail("Q, K and V")
	}
	d.kvHeads, d.kv, d.vSize = kh, kl, vs
	if p, v := at(4), at(5); p != nil || v != nil {
		if len(p) != 4 || len(v) != 4 || p[0] != d.batch || p[1] != kh || p[3] != d.size || v[0] != d.batch || v[1] != kh || v[2] != p[2] || v[3] != vs {
			return fail("past_key and past_value")
		}
		d.past = p[2]
	}
	d.total = d.past + d.kv
	if d.total < 0 {
		return fail("the lengths")
	}
	if m := at(3); m != nil {
		if err := d.mask(m, o.padMask); err != nil {
			return d, err
		}
	}
	if n := at(6); n != nil && (!n.Equal(tensor.Shape{d.batch}) || d.past > 0) {
		return fail("nonpad_kv_seqlen and the other inputs")
	}
	return d, nil
}

// mask finds the steps of a mask that is broadcast to [batch heads q total].
func (d *attentionDims) mask(m tensor.Shape, pad bool) error {
	if len(m) > 4 || len(m) < 1 {
		return fmt.Errorf("a mask of shape %v has the wrong rank", m)
	}
	full := tensor.Shape{1, 1, 1, 1}
	copy(full[4-len(m):], m)
	d.maskPresent, d.maskLength = 1, full[3]
	step := 1
	for i, want := range []int{d.total, d.q, d.heads, d.batch} {
		e := full[3-i]
		to := []*int{&d.maskCols, &d.maskRows, &d.maskHeads, &d.maskBatch}[i]
		switch {
		case e == want || i == 0 && pad && e < want:
			*to = step
		case e != 1:
			return fmt.Errorf("a mask of shape %v does not fit %d×%d×%d×%d scores", m, d.batch, d.heads, d.q, d.total)
		default:
			d.maskLength = max(d.maskLength, want*truthOf(i == 0))
		}
		step *= e
	}
	return nil
}

func truthOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (o *attention) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 3, 7); err != nil {
		return nil, err
	}
	shapes := make([]tensor.Shape, len(in))
	for i, f := range in {
		if !f.Present() {
			continue
		}
		shapes[i] = f.Shape
		set := typesFloat
		switch i {
		case 0, 1, 2:
			set = o.types
		case 3:
			set = typesFloat | typesBool
		case 6:
			set = typesOf(tensor.Int64)
		}
		if err := wantType(in, i, set); err != nil {
			return nil, err
		}
		if _, ok := f.Shape.Elems(); !ok {
			return nil, tooLargef("input %d: shape %v has too many elements", i, f.Shape)
		}
		if shapes[i] == nil {
			shapes[i] = tensor.Shape{}
		}
	}
	if err := wantSame(in, 0, 1); err != nil {
		return nil, err
	}
	d, err := o.dims(shapes)
	if err != nil {
		return nil, err
	}
	y := tensor.Shape{d.batch, d.heads, d.q, d.vSize}
	if d.flat {
		width, ok := tensor.Shape{d.heads, d.vSize}.Elems()
		if !ok {
			return nil, errors.New("the output is too large")
		}
		y = tensor.Shape{d.batch, d.q, width}
	}
	out := []Fact{
		{DType: in[0].DType, Shape: y},
		{DType: in[1].DType, Shape: tensor.Shape{d.batch, d.kvHeads, d.total, d.size}},
		{DType: in[2].DType, Shape: tensor.Shape{d.batch, d.kvHeads, d.total, d.vSize}},
		{DType: in[0].DType, Shape: tensor.Shape{d.batch, d.heads, d.q, d.total}},
	}
	for _, f := range out {
		if _, ok := f.Shape.Elems(); !ok {
			return nil, tooLargef("shape %v has too many elements", f.Shape)
		}
	}
	return out, nil
}

// MACs implements [Coster].
func (o *attention) MACs(in, _ []Fact) int64 {
	shapes := make([]tensor.Shape, len(in))
	for i, f := range in {
		if f.Present() {
			shapes[i] = append(tensor.Shape{}, f.Shape...)
		}
	}
	d, err := o.dims(shapes)
	if err != nil {
		return 0
	}
	return int64(d.batch) * int64(d.heads) * int64(d.q) * int64(d.total) * int64(d.size+d.vSize)
}

func (o *attention) Run(ctx *Context, out, in []*tensor.Tensor) error {
	wide := true
	for _, t := range in[:3] {
		wide = wide && t.DType() == tensor.Float64
	}
	if wide {
		return runAttention[float64](ctx, o, out, in)
	}
	return runAttention[float32](ctx, o, out, in)
}

// Workspace implements [Workspacer]: inputs and outputs of other types than the one that is
// computed in, the joined keys and values, and the scores of a few heads.
func (o *attention) Workspace(in []Fact) int {
	shapes := make([]tensor.Shape, len(in))
	for i, f := range in {
		if f.Present() {
			shapes[i] = append(tensor.Shape{}, f.Shape...)
		}
	}
	d, err := o.dims(shapes)
	if err != nil {
		return 0
	}
	size, wide := 4, tensor.Float32
	if in[0].DType == tensor.Float64 && in[1].DType == tensor.Float64 && in[2].DType == tensor.Float64 {
		size, wide = 8, tensor.Float64
	}
	var parts []int
	for i := range min(len(in), 6) {
		if present(in, i) && in[i].DType != wide {
			parts = append(parts, elemsOf(in, i))
		}
	}
	parts = append(parts, mulSize(d.batch, d.kvHeads, d.total, d.size), mulSize(d.batch, d.kvHeads, d.total, d.vSize), mulSize(d.slots(), d.q, d.total))
	if in[0].DType != wide {
		parts = append(parts, mulSize(d.batch, d.heads, d.q, d.vSize), mulSize(d.batch, d.heads, d.q, d.total))
	}
	return workBytes(size, parts...)
}

// slots is how many heads at a time have memory for their scores.
func (d *attentionDims) slots() int { return min(mulSize(d.batch, d.heads), 16) }

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
