package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// poolReference computes one window from the definition: positions p·stride − begin +
// k·dilation, of which those outside the input are padding up to its end.
func poolReference(o *pool, x *tensor.Tensor, ax []axisWindow) (y []float32, index []int64) {
	s := x.Shape()
	var out, in, kernel []int
	for _, a := range ax {
		out, in, kernel = append(out, a.out), append(in, a.in), append(kernel, a.kernel)
	}
	plane := product(in)
	for nc := range s[0] * s[1] {
		forEach(out, func(p []int, _ int) {
			best, at, sum, pow, inside, padded := math.Inf(-1), 0, 0.0, 0.0, 0, 0
			forEach(kernel, func(k []int, _ int) {
				i, col, pitch, ok, pad := 0, 0, 1, true, true
				for d, a := range ax {
					q := p[d]*a.stride - a.begin + k[d]*a.dilation
					ok = ok && q >= 0 && q < a.in
					pad = pad && q < a.in+a.end
					i = i*a.in + q
					col += q * pitch
					pitch *= a.in
				}
				if pad {
					padded++
				}
				if !ok {
					return
				}
				inside++
				v := float64(x.Float32s()[nc*plane+i])
				if v > best {
					best, at = v, i
					if o.columnMajor {
						at = col
					}
				}
				sum += v
				pow += math.Pow(math.Abs(v), float64(o.p))
			})
			switch o.kind {
			case poolMax:
				y = append(y, float32(best))
				index = append(index, int64(nc*plane+at))
			case poolAverage:
				n := inside
				if o.includePad {
					n = padded
				}
				y = append(y, float32(sum/float64(n)))
			default:
				y = append(y, float32(math.Pow(pow, 1/float64(o.p))))
			}
		})
	}
	return y, index
}

func TestPool(t *testing.T) {
	pool4 := parallel.New(4)
	defer pool4.Close()
	tests := []struct {
		in    []int
		attrs []*onnx.Attribute
		want  []int // spatial extents of the output
	}{
		{[]int{9}, []*onnx.Attribute{attrInts("kernel_shape", 3)}, []int{7}},
		{[]int{9}, []*onnx.Attribute{attrInts("kernel_shape", 4), attrInts("strides", 2), attrInts("pads", 1, 2)}, []int{5}},
		{[]int{8, 9}, []*onnx.Attribute{attrInts("kernel_shape", 2, 2), attrInts("strides", 2, 2)}, []int{4, 4}},
		{[]int{8, 9}, []*onnx.Attribute{attrInts("kernel_shape", 3, 2), attrInts("strides", 2, 2), attrInt("ceil_mode", 1)}, []int{4, 5}},
		{[]int{8, 9}, []*onnx.Attribute{attrInts("kernel_shape", 3, 3), attrInts("strides", 3, 2), attrInts("pads", 1, 1, 1, 1), attrInt("ceil_mode", 1)}, []int{3, 5}},
		{[]int{2, 2}, []*onnx.Attribute{attrInts("kernel_shape", 1, 1), attrInts("strides", 2, 2), attrInt("ceil_mode", 1)}, []int{1, 1}},
		{[]int{12, 11}, []*onnx.Attribute{attrInts("kernel_shape", 3, 3), attrInts("dilations", 2, 3), attrInts("pads", 1, 2, 1, 2)}, []int{10, 9}},
		{[]int{10, 7}, []*onnx.Attribute{attrInts("kernel_shape", 3, 3), attrInts("strides", 2, 2), attrString("auto_pad", "SAME_UPPER")}, []int{5, 4}},
		{[]int{10, 7}, []*onnx.Attribute{attrInts("kernel_shape", 3, 4), attrInts("strides", 2, 2), attrString("auto_pad", "SAME_LOWER")}, []int{5, 4}},
		{[]int{4, 5, 6}, []*onnx.Attribute{attrInts("kernel_shape", 2, 3, 3), attrInts("strides", 2, 1, 2), attrInts("pads", 0, 1, 1, 1, 1, 1)}, []int{2, 5, 3}},
		{[]int{3, 4, 3, 4}, []*onnx.Attribute{attrInts("kernel_shape", 2, 2, 2, 2)}, []int{2, 3, 2, 3}},
	}
	for _, c := range tests {
		for _, kind := range []string{"max", "max column-major", "average", "average with pads", "lp2", "lp3"} {
			t.Run(fmt.Sprintf("%v/%v/%s", c.in, c.attrs[0].Ints, kind), func(t *testing.T) {
				attrs, make := slices.Clone(c.attrs), newMaxPool
				switch kind {
				case "max column-major":
					attrs = append(attrs, attrInt("storage_order", 1))
				case "average":
					make = newAveragePool
				case "average with pads":
					make, attrs = newAveragePool, append(attrs, attrInt("count_include_pad", 1))
				case "lp2":
					make = newLpPool
				case "lp3":
					make, attrs = newLpPool, append(attrs, attrInt("p", 3))
				}
				a := NewAttrs(&onnx.Node{Attrs: attrs}, 19, nil)
				a.types = typesFloat
				p, err := make(a)
				if err == nil {
					err = a.Close()
				}
				if err != nil {
					t.Fatal(err)
				}
				o := p.(*pool)
				channels := 3
				if len(c.in) == 2 {
					channels = 19
				}
				x := randTensor(rand.New(rand.NewPCG(3, 4)), append([]int{2, channels}, c.in...)...)
				ax, err := o.slideOver(x.Shape())
				if err != nil {
					t.Fatal(err)
				}
				want, index := poolReference(o, x, ax)
				for _, pool := range []*parallel.Pool{nil, pool4} {
					out := runOp(t, o, pool, false, x)
					if s := out[0].Shape(); !s[2:].Equal(c.want) {
						t.Fatalf("shape %v, want %v", s, c.want)
					}
					wantClose(t, out[0].Float32s(), want, 1e-6)
					if o.kind == poolMax && !slices.Equal(out[1].Int64s(), index) {
						t.Fatalf("indices %v, want %v", out[1].Int64s(), index)
					}
					if v, _, ok := o.ChannelsLast([]Fact{FactOf(x)}); ok {
						r := newOpRun(t, v, pool, false, channelsLast(x))
						if len(r.out) > 1 {
							r.out[1] = nil
						}
						r.run(t)
						wantClose(t, channelsFirst(r.out[0]).Float32s(), want, 1e-6)
						if n := testing.AllocsPerRun(5, func() { r.run(t) }); n != 0 {
							t.Errorf("%v allocations", n)
						}
					} else if len(c.in) <= 3 {
						t.Error("no channels-last form")
					}
				}
			})
		}
	}
}

func TestPoolSpecialValues(t *testing.T) {
	nan := float32(math.NaN())
	x := tensor.Must(tensor.Of([]float32{1, nan, 3, 4, -5, -6}, 1, 1, 6))
	a := NewAttrs(&onnx.Node{Attrs: []*onnx.Attribute{attrInts("kernel_shape", 2), attrInts("strides", 2)}}, 12, nil)
	a.types = typesFloat
	o, err := newMaxPool(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []Op{o, func() Op { v, _, _ := o.(*pool).ChannelsLast([]Fact{FactOf(x)}); return v }()} {
		in := x
		if v.(*pool).last {
			in = channelsLast(x)
		}
		r := newOpRun(t, v, nil, false, in)
		r.out = r.out[:1]
		r.run(t)
		if y := r.out[0].Float32s(); y[0] == y[0] || y[1] != 4 || y[2] != -5 {
			t.Errorf("channels last %v: %v, want [NaN 4 -5]", v.(*pool).last, y)
		}
	}
}

func TestPoolRejects(t *testing.T) {
	for _, attrs := range [][]*onnx.Attribute{
		{},
		{attrInts("kernel_shape", 2)},
		{attrInts("kernel_shape", 0, 1)},
		{attrInts("kernel_shape", 9, 1)},
		{attrInts("kernel_shape", 2, 2), attrInts("strides", 0, 1)},
		{attrInts("kernel_shape", 2, 2), attrInts("pads", 1, 1, 1)},
		{attrInts("kernel_shape", 2, 2), attrInts("pads", -1, 0, 0, 0)},
		{attrInts("kernel_shape", maxExtent, 2), attrInts("dilations", maxExtent, 1)},
		{attrInts("kernel_shape", 2, 2), attrInt("ceil_mode", 2)},
		{attrInts("kernel_shape", 2, 2), attrInt("count_include_pad", 1)},
	} {
		a := NewAttrs(&onnx.Node{Attrs: attrs}, 12, nil)
		a.types = typesFloat
		o, err := newMaxPool(a)
		if err == nil {
			err = a.Close()
		}
		if err == nil {
			_, err = o.Infer([]Fact{{DType: tensor.Float32, Shape: tensor.Shape{1, 1, 8, 8}}})
		}
		if err == nil {
			t.Errorf("attributes %+v were accepted", attrs)
		}
	}
}
