package op

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// attentionReference computes one row of attention at a time, by definition, for inputs
// with four axes.
func attentionReference(q, k, v *tensor.Tensor, mask func(b, h, i, j int) float64, scale, softcap float64) []float64 {
	qs, ks, vs := q.Shape(), k.Shape(), v.Shape()
	fq, fk, fv := floats(q), floats(k), floats(v)
	var out []float64
	for b := range qs[0] {
		for h := range qs[1] {
			kh := h / (qs[1] / ks[1])
			for i := range qs[2] {
				scores := make([]float64, ks[2])
				sum := 0.0
				for j := range scores {
					for d := range qs[3] {
						scores[j] += scale * fq[indexOf(qs, []int{b, h, i, d})] * fk[indexOf(ks, []int{b, kh, j, d})]
					}
					scores[j] += mask(b, h, i, j)
					if softcap > 0 {
						scores[j] = softcap * math.Tanh(scores[j]/softcap)
					}
					scores[j] = math.Exp(scores[j])
					sum += scores[j]
				}
				for d := range vs[3] {
					y := 0.0
					for j, s := range scores {
						y += s / sum * fv[indexOf(vs, []int{b, kh, j, d})]
					}
					out = append(out, y)
				}
			}
		}
	}
	return out
}

// testAttentionHidden hides keys by windows, by the causal order after a cache of known length,
// and by masks, each of which holds for scores that are capped too.
func testAttentionHidden(t *testing.T, r *rand.Rand) {
	t.Helper()
	d := tensor.Float32
	q, k, v := randomOf(r, d, 2, 4, 3, 8), randomOf(r, d, 2, 2, 6, 8), randomOf(r, d, 2, 2, 6, 5)
	scale, hidden := 1/math.Sqrt(8), math.Inf(-1)
	valid := []int64{6, 4}
	window := node{typ: "Attention", opset: 25, attrs: []*onnx.Attribute{attrInt("left_window_size", 1), attrInt("right_window_size", 2)}}
	wantNear(t, "Attention in a window", window.eval(t, q, k, v)[0], attentionReference(q, k, v, func(_, _, i, j int) float64 {
		if j < i-1 || j > i+2 {
			return hidden
		}
		return 0
	}, scale, 0), 1e-5)
	cached := node{typ: "Attention", opset: 25, attrs: []*onnx.Attribute{attrInt("is_causal", 1), attrInt("left_window_size", 2)}}
	wantNear(t, "Attention, causal, to a cache", cached.eval(t, q, k, v, nil, nil, nil, ints(valid...))[0],
		attentionReference(q, k, v, func(b, _, i, j int) float64 {
			if p := i + int(valid[b]) - 3; j > p || j < p-2 {
				return hidden
			}
			return 0
		}, scale, 0), 1e-5)
	// More queries than keys: the first see none of them.
	few := node{typ: "Attention", opset: 24, attrs: []*onnx.Attribute{attrInt("is_causal", 1)}}
	y := few.eval(t, q, k, v, nil, nil, nil, ints(2, 0))[0]
	want := attentionReference(q, k, v, func(_, _, i, j int) float64 {
		if j > i-1 {
			return hidden
		}
		return 0
	}, scale, 0)
	for i, w := range want {
		if row := i / 5 % 3; row == 0 || i >= len(want)/2 {
			w = 0
		}
		if math.Abs(float64(y.Float32s()[i])-w) > 1e-5 {
			t.Fatalf("Attention with more queries than keys: element %d is %v, want %v", i, y.Float32s()[i], w)
		}
	}
	seen := tensor.Must(tensor.Of([]bool{true, false, true, true, false, true}, 6))
	for _, opset := range []int{23, 25} {
		capped := node{typ: "Attention", opset: opset, attrs: []*onnx.Attribute{attrFloat("softcap", 0.5)}}
		some := func(x *tensor.Tensor) *tensor.Tensor {
			return node{typ: "Gather", attrs: []*onnx.Attribute{attrInt("axis", 2)}}.eval(t, x, ints(0, 2, 3, 5))[0]
		}
		wantNear(t, "Attention with softcap and a mask", capped.eval(t, q, k, v, seen)[0],
			attentionReference(q, some(k), some(v), func(_, _, _, _ int) float64 { return 0 }, scale, 0.5), 1e-5, opset)
	}
}

func TestAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	none := func(b, h, i, j int) float64 { return 0 }
	for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
		tol := map[tensor.DType]float64{tensor.Float32: 1e-5, tensor.Float64: 1e-12}[d]
		q, k, v := randomOf(r, d, 2, 6, 4, 8), randomOf(r, d, 2, 3, 5, 8), randomOf(r, d, 2, 3, 5, 7)
		scale := 1 / math.Sqrt(8)
		plain := node{typ: "Attention", opset: 23, outputs: 1}
		want := attentionReference(q, k, v, none, scale, 0)
		wantNear(t, "Attention", plain.eval(t, q, k, v)[0], want, tol, d)

		// The same with the heads in the last axis.
		flat := func(x *tensor.Tensor) *tensor.Tensor {
			y := permuted(x, 0, 2, 1, 3)
			s := y.Shape()
			return tensor.Must(y.Reshape(s[0], s[1], s[2]*s[3]))
		}
		three := node{typ: "Attention", opset: 23, attrs: []*onnx.Attribute{attrInt("q_num_heads", 6), attrInt("kv_num_heads", 3)}}
		y := three.eval(t, flat(q), flat(k), flat(v))[0]
		wantShape(t, "Attention", y, d, 2, 4, 42)
		wantNear(t, "Attention with three axes", permuted(tensor.Must(y.Reshape(2, 4, 6, 7)), 0, 2, 1, 3), want, tol, d)

		mask := randomOf(r, d, 2, 1, 4, 5)
		masked := node{typ: "Attention", opset: 23, attrs: []*onnx.Attribute{attrFloat("softcap", 2), attrFloat("scale", 0.5), attrInt("is_causal", 1)}}
		want = attentionReference(q, k, v, func(b, h, i, j int) float64 {
			if j > i {
				return math.Inf(-1)
			}
			return floats(mask)[broadcastIndex(mask.Shape(), []int{b, h, i, j})]
		}, 0.5, 0)
		uncapped := node{typ: "Attention", opset: 23, attrs: []*onnx.Attribute{attrFloat("scale", 0.5), attrInt("is_causal", 1)}}
		wantNear(t, "Attention, causal and masked", uncapped.eval(t, q, k, v, mask)[0], want, tol, d)
		out, err := masked.try(t, q, k, v, mask)
		if err != nil || len(out) == 0 {
			t.Errorf("Attention with softcap: %v", err)
		}
		want = attentionReference(q, k, v, none, scale, 2)
		capped := node{typ: "Attention", opset: 23, attrs: []*onnx.Attribute{attrFloat("softcap", 2)}}
		wantNear(t, "Attention with softcap", capped.eval(t, q, k, v)[0], want, tol, d)

		// With a past, the new keys come after the old ones.
		pk, pv := randomOf(r, d, 2, 3, 2, 8), randomOf(r, d, 2, 3, 2, 7)
		axis := []*onnx.Attribute{attrInt("axis", 2)}
		allK, allV := node{typ: "Concat", attrs: axis}.eval(t, pk, k)[0], node{typ: "Concat", attrs: axis}.eval(t, pv, v)[0]
		got := node{typ: "Attention", opset: 23, outputs: 3}.eval(t, q, k, v, nil, pk, pv)
		wantNear(t, "Attention with a past", got[0], attentionReference(q, allK, allV, none, scale, 0), tol, d)
		wantNear(t, "present_key", got[1], floats(allK), 0)
		wantNear(t, "present_value", got[2], floats(allV), 0)
	}
	testAttentionHidden(t, r)
	q := randomOf(r, tensor.Float32, 1, 2, 3, 4)
	for _, bad := range [][]*tensor.Tensor{
		{q, q, randomOf(r, tensor.Float32, 1, 3, 3, 4)}, {q, randomOf(r, tensor.Float32, 1, 2, 3, 5), q}, {q, q, q, randomOf(r, tensor.Float32, 3, 4)},
		{randomOf(r, tensor.Float32, 1, 3, 8), randomOf(r, tensor.Float32, 1, 3, 8), randomOf(r, tensor.Float32, 1, 3, 8)},
	} {
		if _, err := (node{typ: "Attention", opset: 23}).try(t, bad...); err == nil {
			t.Errorf("Attention(%v) gave no error", bad)
		}
	}
}

func TestRotaryEmbedding(t *testing.T) {
	x := tensor.Must(tensor.Of([]float64{1, 0, 0, 1, 5}, 1, 1, 1, 5))
	cos, sin := tensor.Must(tensor.Of([]float64{9, 9, 0, -1}, 2, 2)), tensor.Must(tensor.Of([]float64{9, 9, 1, 0}, 2, 2))
	at := tensor.Must(tensor.Of([]int64{1}, 1, 1))
	dim := attrInt("rotary_embedding_dim", 4)
	// Pair 0 turns by a right angle, pair 1 by two.
	got := node{typ: "RotaryEmbedding", opset: 23, attrs: []*onnx.Attribute{dim}}.eval(t, x, cos, sin, at)[0]
	wantNear(t, "RotaryEmbedding", got, []float64{0, 0, 1, -1, 5}, 0)
	got = node{typ: "RotaryEmbedding", opset: 23, attrs: []*onnx.Attribute{dim, attrInt("interleaved", 1)}}.eval(t, x, cos, sin, at)[0]
	wantNear(t, "RotaryEmbedding, interleaved", got, []float64{0, 1, 0, -1, 5}, 0)
	if _, err := (node{typ: "RotaryEmbedding", opset: 23, attrs: []*onnx.Attribute{dim}}).try(t, x, cos, sin, tensor.Must(tensor.Of([]int64{2}, 1, 1))); err == nil {
		t.Error("position 2 of 2 gave no error")
	}
}

// TestRecurrent compares the three cells, in both directions and with sequences of
// different lengths, with the equations of the specification written out for one unit.
func TestRecurrent(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const seq, batch, in, hid = 4, 3, 2, 3
	sig := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, c := range []struct {
		typ   string
		gates int
		attrs []*onnx.Attribute
		reset bool // linear_before_reset
	}{
		{"RNN", 1, nil, false}, {"GRU", 3, nil, false}, {"GRU", 3, []*onnx.Attribute{attrInt("linear_before_reset", 1)}, true}, {"LSTM", 4, nil, false},
	} {
		for _, d := range []tensor.DType{tensor.Float32, tensor.Float64} {
			x := randomOf(r, d, seq, batch, in)
			w, rr, b := randomOf(r, d, 2, c.gates*hid, in), randomOf(r, d, 2, c.gates*hid, hid), randomOf(r, d, 2, 2*c.gates*hid)
			for _, p := range []*tensor.Tensor{w, rr, b} {
				half := node{typ: "Mul"}.eval(t, p, func() *tensor.Tensor {
					s := tensor.Must(tensor.New(d))
					convert(s, tensor.Scalar(0.25))
					return s
				}())[0]
				copy(p.Bytes(), half.Bytes())
			}
			h0 := randomOf(r, d, 2, batch, hid)
			lens := tensor.Must(tensor.Of([]int32{4, 2, 0}, batch))
			inputs := []*tensor.Tensor{x, w, rr, b, lens, h0}
			var c0 *tensor.Tensor
			if c.typ == "LSTM" {
				c0 = randomOf(r, d, 2, batch, hid)
				inputs = append(inputs, c0)
			}
			fx, fw, fr, fb, fh := floats(x), floats(w), floats(rr), floats(b), floats(h0)
			want := make([]float64, seq*2*batch*hid)
			last := make([]float64, 2*batch*hid)
			for dir := range 2 {
				for n := range batch {
					h := append([]float64{}, fh[(dir*batch+n)*hid:(dir*batch+n+1)*hid]...)
					cell := make([]float64, hid)
					if c0 != nil {
						copy(cell, floats(c0)[(dir*batch+n)*hid:])
					}
					length := int(tensor.Data[int32](lens)[n])
					for step := range length {
						ts := step
						if dir == 1 {
							ts = length - 1 - step
						}
						wx := func(g, j int) float64 {
							row := dir*c.gates*hid + g*hid + j
							s := fb[dir*2*c.gates*hid+g*hid+j]
							for k := range in {
								s += fw[row*in+k] * fx[(ts*batch+n)*in+k]
							}
							return s
						}
						rh := func(g, j int, h []float64) float64 {
							row := dir*c.gates*hid + g*hid + j
							s := fb[dir*2*c.gates*hid+(c.gates+g)*hid+j]
							for k := range hid {
								s += fr[row*hid+k] * h[k]
							}
							return s
						}
						next := make([]float64, hid)
						for j := range hid {
							switch c.typ {
							case "RNN":
								next[j] = math.Tanh(wx(0, j) + rh(0, j, h))
							case "GRU":
								z := sig(wx(0, j) + rh(0, j, h))
								gated := make([]float64, hid)
								for k := range gated {
									gated[k] = sig(wx(1, k)+rh(1, k, h)) * h[k]
								}
								n := wx(2, j) + rh(2, j, gated)
								if c.reset {
									n = wx(2, j) + sig(wx(1, j)+rh(1, j, h))*rh(2, j, h)
								}
								next[j] = (1-z)*math.Tanh(n) + z*h[j]
							case "LSTM":
								i, o, f := sig(wx(0, j)+rh(0, j, h)), sig(wx(1, j)+rh(1, j, h)), sig(wx(2, j)+rh(2, j, h))
								cell[j] = f*cell[j] + i*math.Tanh(wx(3, j)+rh(3, j, h))
								next[j] = o * math.Tanh(cell[j])
							}
						}
						h = next
						copy(want[((ts*2+dir)*batch+n)*hid:], h)
					}
					copy(last[(dir*batch+n)*hid:], h)
				}
			}
			both := append([]*onnx.Attribute{attrInt("hidden_size", hid), attrString("direction", "bidirectional")}, c.attrs...)
			got := node{typ: c.typ, attrs: both, outputs: 2}.eval(t, inputs...)
			wantShape(t, c.typ, got[0], d, seq, 2, batch, hid)
			tol := map[tensor.DType]float64{tensor.Float32: 1e-5, tensor.Float64: 1e-12}[d]
			wantNear(t, c.typ+" Y", got[0], want, tol, d)
			wantNear(t, c.typ+" Y_h", got[1], last, tol, d)
			// Batch first gives the same numbers in another order.
			first := append([]*onnx.Attribute{attrInt("layout", 1)}, both...)
			swapped := append([]*tensor.Tensor{}, inputs...)
			swapped[0] = permuted(x, 1, 0, 2)
			for i := 5; i < len(swapped); i++ {
				swapped[i] = permuted(swapped[i], 1, 0, 2)
			}
			got = node{typ: c.typ, attrs: first, outputs: 2}.eval(t, swapped...)
			wantNear(t, c.typ+" Y, batch first", permuted(got[0], 1, 2, 0, 3), want, tol, d)
			wantNear(t, c.typ+" Y_h, batch first", permuted(got[1], 1, 0, 2), last, tol, d)
		}
	}
}

func TestFourier(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 7, 8, 12} {
		x := randomOf(r, tensor.Float64, 2, n, 2)
		fx := floats(x)
		var want []float64
		for b := range 2 {
			for k := range n {
				sum := complex(0, 0)
				for i := range n {
					sum += complex(fx[(b*n+i)*2], fx[(b*n+i)*2+1]) * cmplx.Rect(1, -2*math.Pi*float64(i*k)/float64(n))
				}
				want = append(want, realPart(sum), imag(sum))
			}
		}
		y := node{typ: "DFT", attrs: nil}.eval(t, x)[0]
		wantNear(t, "DFT", y, want, 1e-12, n)
		back := node{typ: "DFT", attrs: []*onnx.Attribute{attrInt("inverse", 1)}}.eval(t, y)[0]
		wantNear(t, "inverse DFT", back, fx, 1e-12, n)
	}
	// Two frames of four samples, two apart, under a window.
	signal := tensor.Must(tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 1, 6, 1))
	window := tensor.Must(tensor.Of([]float32{0, 1, 1, 0}, 4))
	got := node{typ: "STFT"}.eval(t, signal, tensor.Scalar(int64(2)), window)[0]
	wantShape(t, "STFT", got, tensor.Float32, 1, 2, 3, 2)
	wantNear(t, "STFT", got, []float64{5, 0, -3, -2, 1, 0, 9, 0, -5, -4, 1, 0}, 1e-6)
}

// realPart is the builtin real, whose name this package uses for a constraint.
func realPart(z complex128) float64 { return imag(z * 1i) }
