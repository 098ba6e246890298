package op

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/aekit/aekit/tensor"
)

// nonMaxSuppression is NonMaxSuppression: inputs boxes [batch n 4], scores
// [batch classes n], and the scalars max_output_boxes_per_class, iou_threshold and
// score_threshold; the output lists (batch, class, box) triples.
type nonMaxSuppression struct {
	types  Types
	center bool // a box is centre and size, not two corners
}

func newNonMaxSuppression(a *Attrs) (Op, error) {
	return &nonMaxSuppression{a.Types(), a.Bool("center_point_box", false)}, nil
}

func (o *nonMaxSuppression) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 2, 5); err != nil {
		return nil, err
	}
	f32 := typesOf(tensor.Float32)
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	if err := wantType(in, 1, f32); err != nil {
		return nil, err
	}
	b, s := in[0].Shape, in[1].Shape
	if len(b) != 3 || len(s) != 3 || b[2] != 4 || b[0] != s[0] || b[1] != s[2] {
		return nil, fmt.Errorf("boxes of shape %v do not fit scores of shape %v", b, s)
	}
	known := in[0].Const != nil && in[1].Const != nil
	for i := 2; i < len(in); i++ {
		if !in[i].Present() {
			continue
		}
		want := f32
		if i == 2 {
			want = typesOf(tensor.Int64)
		}
		if err := wantType(in, i, want); err != nil {
			return nil, err
		}
		if n, _ := in[i].Shape.Elems(); n != 1 || len(in[i].Shape) > 1 {
			return nil, fmt.Errorf("input %d: shape %v, want a scalar", i, in[i].Shape)
		}
		known = known && in[i].Const != nil
	}
	if !known {
		return nil, ErrDeferred
	}
	ts := make([]*tensor.Tensor, len(in))
	for i, f := range in {
		ts[i] = f.Const
	}
	return []Fact{{DType: tensor.Int64, Shape: tensor.Shape{len(o.pick(ts)) / 3, 3}}}, nil
}

// RunAlloc implements [Allocator].
func (o *nonMaxSuppression) RunAlloc(ctx *Context, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	p := o.pick(in)
	t, err := ctx.New(tensor.Int64, tensor.Shape{len(p) / 3, 3})
	if err != nil {
		return nil, err
	}
	copy(t.Int64s(), p)
	return []*tensor.Tensor{t}, nil
}

func (o *nonMaxSuppression) Run(_ *Context, out, in []*tensor.Tensor) error {
	copy(out[0].Int64s(), o.pick(in))
	return nil
}

// pick returns the triples.
func (o *nonMaxSuppression) pick(in []*tensor.Tensor) []int64 {
	most, iou, least := int64(0), float32(0), float32(0)
	if t := given(in, 2); t != nil {
		most = t.Int64s()[0]
	}
	if t := given(in, 3); t != nil {
		iou = t.Float32s()[0]
	}
	hasLeast := given(in, 4) != nil
	if hasLeast {
		least = in[4].Float32s()[0]
	}
	s := in[1].Shape()
	n := s[2]
	boxes, scores := in[0].Float32s(), in[1].Float32s()
	var out []int64
	order := make([]int, 0, n)
	for b := range s[0] {
		bx := boxes[b*n*4 : (b+1)*n*4]
		for c := range s[1] {
			sc := scores[(b*s[1]+c)*n:][:n]
			order = order[:0]
			for i, v := range sc {
				if !hasLeast || v > least {
					order = append(order, i)
				}
			}
			slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(sc[y], sc[x]) })
			var kept []int
			for _, i := range order {
				if int64(len(kept)) >= most {
					break
				}
				free := !slices.ContainsFunc(kept, func(k int) bool { return o.overlap(bx[i*4:i*4+4], bx[k*4:k*4+4]) > iou })
				if free {
					kept = append(kept, i)
					out = append(out, int64(b), int64(c), int64(i))
				}
			}
		}
	}
	return out
}

// overlap returns the intersection of two boxes over their union.
func (o *nonMaxSuppression) overlap(p, q []float32) float32 {
	a, b := o.corners(p), o.corners(q)
	h := min(a[2], b[2]) - max(a[0], b[0])
	w := min(a[3], b[3]) - max(a[1], b[1])
	if h <= 0 || w <= 0 {
		return 0
	}
	area := func(r [4]float32) float32 { return (r[2] - r[0]) * (r[3] - r[1]) }
	union := area(a) + area(b) - h*w
	if union <= 0 {
		return 0
	}
	return h * w / union
}

// corners returns the least and greatest coordinates of a box, along both axes.
func (o *nonMaxSuppression) corners(p []float32) [4]float32 {
	if o.center {
		x, y, w, h := p[0], p[1], p[2]/2, p[3]/2
		return [4]float32{y - h, x - w, y + h, x + w}
	}
	return [4]float32{min(p[0], p[2]), min(p[1], p[3]), max(p[0], p[2]), max(p[1], p[3])}
}

var _ Allocator = (*nonMaxSuppression)(nil)
