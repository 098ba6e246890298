package op

import (
	"fmt"
	"math"
	"strings"

	"github.com/aekit/aekit/tensor"
)

// cellKind tells the recurrent operators apart.
type cellKind uint8

const (
	cellRNN cellKind = iota
	cellGRU
	cellLSTM
)

// gates returns the number of matrices that a cell's weights are stacks of.
func (k cellKind) gates() int { return [...]int{1, 3, 4}[k] }

// recurrent is RNN, GRU and LSTM: inputs X, W, R, B, sequence_lens, initial_h and, of
// LSTM, initial_c and the peephole weights P; outputs Y, Y_h and, of LSTM, Y_c.
type recurrent struct {
	types       Types
	kind        cellKind
	hidden      int
	dirs        int
	reverse     bool // the only direction is backwards
	batchFirst  bool
	clip        float64
	hasClip     bool
	coupled     bool // LSTM: the forget gate is 1 − the input gate
	linearReset bool // GRU: the reset gate acts after the product with R
	acts        []cellAct
	rounds      bool // the state is rounded to 8 bits before its product with R; float32 only
}

// cellAct is an activation function with its parameters.
type cellAct struct {
	name        string
	alpha, beta float64
}

// cellDefaults are the parameters of activation functions that have some.
var cellDefaults = map[string][]float64{
	"affine": {1, 0}, "leakyrelu": {0.01}, "thresholdedrelu": {1}, "scaledtanh": {1, 1}, "hardsigmoid": {0.2, 0.5}, "elu": {1},
	"relu": nil, "tanh": nil, "sigmoid": nil, "softsign": nil, "softplus": nil,
}

//go:noinline
func newRecurrent(kind cellKind) func(*Attrs) (Op, error) {
	return func(a *Attrs) (Op, error) {
		o := &recurrent{
			types: a.Types(), kind: kind, hidden: a.Int("hidden_size", 0), dirs: 1, batchFirst: a.Bool("layout", false),
			clip: float64(a.Float("clip", 0)), hasClip: a.Has("clip"),
		}
		switch a.OneOf("direction", "forward", "reverse", "bidirectional") {
		case "reverse":
			o.reverse = true
		case "bidirectional":
			o.dirs = 2
		}
		names := []string{"tanh"}
		switch kind {
		case cellGRU:
			names = []string{"sigmoid", "tanh"}
			o.linearReset = a.Int64("linear_before_reset", 0) != 0
		case cellLSTM:
			names = []string{"sigmoid", "tanh", "tanh"}
			o.coupled = a.Int64("input_forget", 0) != 0
		}
		if a.Opset() < 7 {
			a.Ignore("output_sequence")
		}
		if o.hidden < 0 || o.hidden > maxExtent || o.hasClip && !(o.clip >= 0) {
			a.Fail("hidden_size %d or clip %g is out of range", o.hidden, o.clip)
		}
		if given := a.Strings("activations"); given != nil {
			if len(given) != o.dirs*len(names) {
				a.Fail("%d activations for %d directions", len(given), o.dirs)
			}
			names = given
		} else if o.dirs == 2 {
			names = append(names, names...)
		}
		alphas, betas := a.Floats("activation_alpha"), a.Floats("activation_beta")
		next := func(list *[]float32, to *float64) {
			if len(*list) > 0 {
				*to = float64((*list)[0])
				*list = (*list)[1:]
			}
		}
		for _, n := range names {
			n = strings.ToLower(n)
			def, ok := cellDefaults[n]
			if !ok {
				a.Fail("attribute \"activations\": %q is not supported", n)
			}
			f := cellAct{name: n}
			if len(def) > 0 {
				f.alpha = def[0]
				next(&alphas, &f.alpha)
			}
			if len(def) > 1 {
				f.beta = def[1]
				next(&betas, &f.beta)
			}
			o.acts = append(o.acts, f)
		}
		return o, nil
	}
}

// apply returns the function's value.
func (f *cellAct) apply(x float64) float64 {
	switch f.name {
	case "relu":
		return max(x, 0)
	case "tanh":
		return math.Tanh(x)
	case "sigmoid":
		return sigmoid(x)
	case "softsign":
		return x / (1 + math.Abs(x))
	case "softplus":
		return softplus(x)
	case "affine":
		return f.alpha*x + f.beta
	case "scaledtanh":
		return f.alpha * math.Tanh(f.beta*x)
	case "hardsigmoid":
		return hardSigmoid(x, f.alpha, f.beta)
	case "elu":
		return elu(x, f.alpha)
	case "leakyrelu":
		if x < 0 {
			return f.alpha * x
		}
		return x
	}
	// thresholdedrelu
	if x <= f.alpha {
		return 0
	}
	return x
}

// extents returns the sequence length, the batch and the number of features of X.
func (o *recurrent) extents(x tensor.Shape) (seq, batch, features int) {
	if o.batchFirst {
		return x[1], x[0], x[2]
	}
	return x[0], x[1], x[2]
}

// stateShape is the shape of the initial and final states.
func (o *recurrent) stateShape(batch, hidden int) tensor.Shape {
	if o.batchFirst {
		return tensor.Shape{batch, o.dirs, hidden}
	}
	return tensor.Shape{o.dirs, batch, hidden}
}

func (o *recurrent) Infer(in []Fact) ([]Fact, error) {
	most := 6
	if o.kind == cellLSTM {
		most = 8
	}
	if err := arity(in, 3, most); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	for i := range in {
		switch {
		case !in[i].Present():
		case i == 4:
			if err := wantType(in, 4, typesOf(tensor.Int32)); err != nil {
				return nil, err
			}
		default:
			if err := wantSame(in, 0, i); err != nil {
				return nil, err
			}
		}
	}
	x, r := in[0].Shape, in[2].Shape
	if len(x) != 3 || len(r) != 3 {
		return nil, fmt.Errorf("X has shape %v and R has shape %v, want rank 3", x, r)
	}
	seq, batch, features := o.extents(x)
	hidden := o.hidden
	if hidden == 0 {
		hidden = r[2]
	}
	stacked, ok := tensor.Shape{8, hidden, o.kind.gates()}.Elems()
	if !ok {
		return nil, tooLargef("hidden size %d is out of range", hidden)
	}
	stacked /= 8
	want := []tensor.Shape{
		x, {o.dirs, stacked, features}, {o.dirs, stacked, hidden}, {o.dirs, 2 * stacked}, {batch},
		o.stateShape(batch, hidden), o.stateShape(batch, hidden), {o.dirs, 3 * hidden},
	}
	for i, f := range in {
		if f.Present() && !f.Shape.Equal(want[i]) {
			return nil, fmt.Errorf("input %d has shape %v, want %v", i, f.Shape, want[i])
		}
	}
	y := tensor.Shape{seq, o.dirs, batch, hidden}
	if o.batchFirst {
		y = tensor.Shape{batch, seq, o.dirs, hidden}
	}
	out, err := outFact(in[0].DType, y)
	if err != nil {
		return nil, err
	}
	if _, ok := (tensor.Shape{seq, batch, stacked}).Elems(); !ok {
		return nil, tooLargef("X of shape %v has too many elements", x)
	}
	state := Fact{DType: in[0].DType, Shape: o.stateShape(batch, hidden)}
	out = append(out, state)
	if o.kind == cellLSTM {
		out = append(out, state)
	}
	return out, nil
}

// MACs implements [Coster]: every step multiplies with W and R.
func (o *recurrent) MACs(in, _ []Fact) int64 {
	seq, batch, _ := o.extents(in[0].Shape)
	weights := 0
	for _, f := range in[1:3] {
		n, _ := f.Shape.Elems()
		weights += n
	}
	return int64(seq) * int64(batch) * int64(weights)
}

// Workspace implements [Workspacer]: the products with W and R, and the states.
func (o *recurrent) Workspace(in []Fact) int {
	seq, batch, _ := o.extents(in[0].Shape)
	size := in[2].Shape[2]
	stacked, state := mulSize(o.kind.gates(), size), mulSize(batch, size)
	reset := 0
	if o.kind == cellGRU {
		reset = mulSize(2, size)
	}
	rounded := 0
	if o.rounds {
		rounded = state
	}
	return workBytes(wideSize(in[0].DType), mulSize(seq, batch, stacked), mulSize(batch, stacked), state, state, reset, rounded)
}

func (o *recurrent) Run(ctx *Context, out, in []*tensor.Tensor) error {
	switch in[0].DType() {
	case tensor.Float32:
		return recurrentRun[float32](ctx, o, out, in)
	case tensor.Float64:
		return recurrentRun[float64](ctx, o, out, in)
	}
	return viaFloat32(ctx, out, in, o.Run)
}

// layer is one direction of a recurrent operator in the course of a run.
type layer[T floating] struct {
	*recurrent
	seq, batch, features, size int // size is that of the hidden state
	acts                       []cellAct
	xw                         []T // X·Wᵀ with the biases of W, [seq batch gates·size]
	r, rb, p                   []T
	h, c                       []T // the states, [batch size]
	hr                         []T // h·Rᵀ
	reset                      []T // GRU: r∘h and its product with R
	rounded                    []T // h in 8 bits; nil: products are with h itself
}

func recurrentRun[T floating](ctx *Context, o *recurrent, out, in []*tensor.Tensor) error {
	var data [8][]T
	var lens []int32
	for i, t := range in {
		switch {
		case t == nil:
		case i == 4:
			lens = tensor.Data[int32](t)
		default:
			data[i] = tensor.Data[T](t)
		}
	}
	l := StateOf[layer[T]](ctx)
	*l = layer[T]{recurrent: o}
	l.seq, l.batch, l.features = o.extents(in[0].Shape())
	l.size = in[2].Shape()[2]
	for _, n := range lens {
		if n < 0 || int(n) > l.seq {
			return fmt.Errorf("sequence length %d is not in [0, %d]", n, l.seq)
		}
	}
	var res [3][]T
	for i, t := range out {
		if t != nil {
			res[i] = tensor.Data[T](t)
		}
	}
	stacked := o.kind.gates() * l.size
	state := l.batch * l.size
	scratch := ctx.Scratch
	l.xw, l.hr = carve[T](&scratch, l.seq*l.batch*stacked), carve[T](&scratch, l.batch*stacked)
	l.h, l.c = carve[T](&scratch, state), carve[T](&scratch, state)
	if o.kind == cellGRU {
		l.reset = carve[T](&scratch, 2*l.size)
	}
	if o.rounds {
		l.rounded = carve[T](&scratch, state)
	}
	clear(res[0])
	for dir := range o.dirs {
		if ctx.Ctx != nil && ctx.Ctx.Err() != nil {
			return ctx.Ctx.Err()
		}
		n := len(o.acts) / o.dirs
		l.acts = o.acts[dir*n : (dir+1)*n]
		l.r = data[2][dir*stacked*l.size : (dir+1)*stacked*l.size]
		l.rb, l.p = nil, nil
		strideGemm(true, l.seq*l.batch, stacked, l.features, 1, data[0], l.features, data[1][dir*stacked*l.features:], l.features, l.xw, stacked)
		if data[3] != nil {
			b := data[3][dir*2*stacked : (dir+1)*2*stacked]
			for i := range l.xw {
				l.xw[i] += b[i%stacked]
			}
			l.rb = b[stacked:]
		}
		if data[7] != nil {
			l.p = data[7][dir*3*l.size : (dir+1)*3*l.size]
		}
		initialState(o, l.h, data[5], dir, l.batch, l.size)
		if o.kind == cellLSTM {
			initialState(o, l.c, data[6], dir, l.batch, l.size)
		}
		l.run(res[0], lens, dir)
		finalState(o, res[1], l.h, dir, l.batch, l.size)
		finalState(o, res[2], l.c, dir, l.batch, l.size)
	}
	*l = layer[T]{}
	return nil
}

// statePos returns where the state of one batch item and direction is among the states.
func (o *recurrent) statePos(dir, b, batch, size int) int {
	if o.batchFirst {
		return (b*o.dirs + dir) * size
	}
	return (dir*batch + b) * size
}

func initialState[T floating](o *recurrent, dst, src []T, dir, batch, size int) {
	clear(dst)
	if src == nil {
		return
	}
	for b := range batch {
		copy(dst[b*size:(b+1)*size], src[o.statePos(dir, b, batch, size):])
	}
}

func finalState[T floating](o *recurrent, dst, src []T, dir, batch, size int) {
	if dst == nil {
		return
	}
	for b := range batch {
		copy(dst[o.statePos(dir, b, batch, size):][:size], src[b*size:])
	}
}

// run goes through the sequence and stores every state in y, if that is wanted.
func (l *layer[T]) run(y []T, lens []int32, dir int) {
	back := l.reverse || dir == 1
	stacked := l.kind.gates() * l.size
	for step := range l.seq {
		h := l.h
		if l.rounded != nil {
			h = l.rounded
			roundBytes(any(h).([]float32), any(l.h).([]float32))
		}
		strideGemm(true, l.batch, stacked, l.size, 1, h, l.size, l.r, l.size, l.hr, stacked)
		for b := range l.batch {
			n := l.seq
			if lens != nil {
				n = int(lens[b])
			}
			if step >= n {
				continue
			}
			t := step
			if back {
				t = n - 1 - step
			}
			row := t*l.batch + b
			at := ((t*l.dirs+dir)*l.batch + b) * l.size
			if l.batchFirst {
				row = b*l.seq + t
				at = (row*l.dirs + dir) * l.size
			}
			x := l.xw[row*stacked : (row+1)*stacked]
			hr := l.hr[b*stacked : (b+1)*stacked]
			h, c := l.h[b*l.size:(b+1)*l.size], l.c[b*l.size:(b+1)*l.size]
			switch l.kind {
			case cellRNN:
				for j := range h {
					h[j] = l.act(0, x[j]+hr[j]+l.bias(j))
				}
			case cellGRU:
				l.gru(x, hr, h)
			case cellLSTM:
				l.lstm(x, hr, h, c)
			}
			if y != nil {
				copy(y[at:at+l.size], h)
			}
		}
	}
}

// act applies activation i to a clipped value.
func (l *layer[T]) act(i int, v T) T {
	x := float64(v)
	if l.hasClip {
		x = min(max(x, -l.clip), l.clip)
	}
	return T(l.acts[i].apply(x))
}

// bias returns the bias of R for stacked row i.
func (l *layer[T]) bias(i int) T {
	if l.rb == nil {
		return 0
	}
	return l.rb[i]
}

// peep returns peephole weight i.
func (l *layer[T]) peep(i int) T {
	if l.p == nil {
		return 0
	}
	return l.p[i]
}

// gru updates one state; the gates are stacked in the order update, reset, hidden.
func (l *layer[T]) gru(x, hr, h []T) {
	n := l.size
	rh, prod := l.reset[:n], l.reset[n:2*n]
	for j := range h {
		r := l.act(0, x[n+j]+hr[n+j]+l.bias(n+j))
		if l.linearReset {
			prod[j] = r * (hr[2*n+j] + l.bias(2*n+j))
		} else {
			rh[j] = r * h[j]
		}
	}
	if !l.linearReset {
		strideGemm(true, 1, n, n, 1, rh, n, l.r[2*n*n:], n, prod, n)
		for j := range prod {
			prod[j] += l.bias(2*n + j)
		}
	}
	for j := range h {
		z := l.act(0, x[j]+hr[j]+l.bias(j))
		h[j] = (1-z)*l.act(1, x[2*n+j]+prod[j]) + z*h[j]
	}
}

// lstm updates one state; the gates are stacked in the order input, output, forget, cell,
// the peephole weights input, output, forget.
func (l *layer[T]) lstm(x, hr, h, c []T) {
	n := l.size
	sum := func(gate, j int) T { return x[gate*n+j] + hr[gate*n+j] + l.bias(gate*n+j) }
	for j := range h {
		i := l.act(0, sum(0, j)+l.peep(j)*c[j])
		f := 1 - i
		if !l.coupled {
			f = l.act(0, sum(2, j)+l.peep(2*n+j)*c[j])
		}
		c[j] = f*c[j] + i*l.act(1, sum(3, j))
		out := l.act(0, sum(1, j)+l.peep(n+j)*c[j])
		h[j] = out * T(l.acts[2].apply(float64(c[j])))
	}
}
