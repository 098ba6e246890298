package op

import (
	"errors"
	"fmt"

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
