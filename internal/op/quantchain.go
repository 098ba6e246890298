package op

import (
	"fmt"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// quantChain is a chain of dense layers on 8-bit values: QuantizeLinear, products of
// matrices with constant weights, each with a table, and DequantizeLinear, of which the
// first and the last may be missing. A block of rows goes through all of them while it is in
// cache. Input 0 is that of the first operator; the other inputs of all operators follow.
type quantChain struct {
	links []chainLink
	count int // inputs
}

// chainLink is one operator of a chain.
type chainLink struct {
	op          Op
	first, more int // its inputs but the first are inputs [first, first+more) of the chain
}

var (
	_ Prepacker = (*quantChain)(nil)
	_ Coster    = (*quantChain)(nil)
)

// ChainStart returns the chain of an operator with the given inputs alone, if one can begin
// with it.
func ChainStart(o Op, in []Fact) (Op, bool) {
	c := &quantChain{count: 1}
	return c.extended(o, in)
}

// ChainMore returns chain extended by next, whose input 0 is the chain's result, if a chain
// can go on with it. The other inputs of next are appended to those of the chain.
func ChainMore(chain, next Op, nextIn []Fact) (Op, bool) {
	c, ok := chain.(*quantChain)
	if !ok {
		return nil, false
	}
	return c.extended(next, nextIn)
}

// ChainWorth reports whether a chain has more than one operator, and a product among them.
func ChainWorth(chain Op) bool {
	c := chain.(*quantChain)
	for _, l := range c.links {
		if _, ok := l.op.(*quantMatMul); ok {
			return len(c.links) > 1
		}
	}
	return false
}

// IsChain reports whether o is a chain of layers on 8-bit values.
func IsChain(o Op) bool {
	_, ok := o.(*quantChain)
	return ok
}

func (c *quantChain) extended(o Op, in []Fact) (Op, bool) {
	var before Op
	if n := len(c.links); n > 0 {
		before = c.links[n-1].op
	}
	if l, ok := before.(*linear); ok && !l.quantize {
		return nil, false
	}
	for _, f := range in[1:] {
		if f.Present() && f.Const == nil {
			return nil, false
		}
	}
	switch o := o.(type) {
	case *linear:
		if o.quantize != (before == nil) || len(in[0].Shape) != 2 || !o.plain(in) {
			return nil, false
		}
	case *byteTable:
		if p, ok := before.(*quantMatMul); !ok || p == nil {
			return nil, false
		}
	case *quantMatMul:
		if o.a != 0 || len(in[0].Shape) != 2 || !o.closed(in) {
			return nil, false
		}
		for _, i := range []int{o.b, o.bScale} {
			if _, ok := o.PackKey(i, in); !ok {
				return nil, false
			}
		}
	default:
		return nil, false
	}
	d := &quantChain{links: append(c.links[:len(c.links):len(c.links)], chainLink{o, c.count, len(in) - 1}), count: c.count + len(in) - 1}
	return d, true
}

// plain reports whether values are float32 and of 8 bits, with one scale for all.
func (o *linear) plain(in []Fact) bool {
	out, err := o.Infer(in)
	if err != nil {
		return false
	}
	x, y := in[0], out[0]
	if !o.quantize {
		x, y = y, x
	}
	return x.DType == tensor.Float32 && types8.Has(y.DType) && in[1].DType == tensor.Float32 && isOne(in[1].Shape) && o.block == 0
}

// facts calls f with each link, its inputs and its output, until f returns false.
func (c *quantChain) facts(in []Fact, f func(i int, in []Fact, out Fact) bool) error {
	if err := arity(in, c.count, c.count); err != nil {
		return err
	}
	x := in[0]
	for i, l := range c.links {
		own := append([]Fact{x}, in[l.first:l.first+l.more]...)
		out, err := l.op.Infer(own)
		if err != nil {
			return err
		}
		if x = out[0]; !f(i, own, x) {
			break
		}
	}
	return nil
}

// Infer implements [Op].
func (c *quantChain) Infer(in []Fact) ([]Fact, error) {
	var y Fact
	err := c.facts(in, func(_ int, _ []Fact, out Fact) bool {
		y = out
		return true
	})
	if err != nil {
		return nil, err
	}
	return []Fact{y}, nil
}

// MACs implements [Coster].
func (c *quantChain) MACs(in, _ []Fact) int64 {
	n := int64(0)
	// The facts have been accepted.
	_ = c.facts(in, func(i int, in []Fact, out Fact) bool {
		if o, ok := c.links[i].op.(Coster); ok {
			n += o.MACs(in, []Fact{out})
		}
		return true
	})
	return n
}

// product returns the product that has input i of the chain, the facts of its inputs, and
// which of them it is.
func (c *quantChain) product(i int, in []Fact) (o *quantMatMul, own []Fact, at int) {
	if c.facts(in, func(k int, facts []Fact, _ Fact) bool {
		l := &c.links[k]
		if i < l.first || i >= l.first+l.more {
			return true
		}
		o, _ = l.op.(*quantMatMul)
		own, at = facts, i-l.first+1
		return false
	}) != nil {
		return nil, nil, 0
	}
	return o, own, at
}

// PackKey implements [Prepacker].
func (c *quantChain) PackKey(i int, in []Fact) (string, bool) {
	o, own, at := c.product(i, in)
	if o == nil {
		return "", false
	}
	return o.PackKey(at, own)
}

// Prepack implements [Prepacker].
func (c *quantChain) Prepack(i int, in []Fact, s Slices) (Packed, error) {
	o, own, at := c.product(i, in)
	if o == nil {
		return nil, fmt.Errorf("input %d has no packed form", i)
	}
	return o.Prepack(at, own, s)
}

// chainLayer is one product of a chain, ready to run.
type chainLayer struct {
	w       *kernel.PackedQ8
	columns *kernel.ColumnsQ8
	table   *kernel.Table8 // or nil
	k       int
	signed  bool
	zero    int32 // of the left values
	inPlace bool
}

// quantChainState is what a chain keeps between runs.
type quantChainState struct {
	ready              bool
	layers             []chainLayer
	consts             []columnsQ8
	quantize           bool
	dequantize         bool
	from, to           quantParams
	lo, hi             int32
	signed             bool     // 8-bit results are
	wide, stride       int      // bytes of a row of values, and of converted ones
	most               int      // rows of a block
	work               int      // multiply-adds of a row
	buffers            [][]byte // by worker
	m, rows            int      // of the run, and of a chunk
	x, y               []float32
	bytesIn, bytesOut  []uint8
	product            closedProduct
	inWidth, lastWidth int
}

const (
	// chainRows is how many rows of a batch a chain takes together, and chainBytes how many
	// bytes of them, as long as that fills a tile.
	chainRows  = 48
	chainBytes = 192 << 10
	chainTile  = 16
	// chainWork is the number of multiply-adds that is worth a thread.
	chainWork = 4 * chunkWork
)

// prepare finds what does not change from run to run.
func (c *quantChain) prepare(ctx *Context, t *quantChainState, in []*tensor.Tensor, out *tensor.Tensor) error {
	t.layers, t.consts, t.work = t.layers[:0], make([]columnsQ8, len(c.links)), 0
	x := in[0].DType()
	t.inWidth = in[0].Shape()[1]
	t.lastWidth = out.Shape()[1]
	t.wide, t.stride = t.inWidth, 0
	width := t.inWidth
	for i, l := range c.links {
		arg := func(k int) *tensor.Tensor {
			if k < 1 || k > l.more {
				return nil
			}
			return in[l.first+k-1]
		}
		switch o := l.op.(type) {
		case *linear:
			p := quantParams{scale: scalarOf(arg(1))}
			if z := arg(2); z != nil {
				p.zero = zeroOf(z)
			}
			if !o.quantize {
				t.dequantize, t.to, t.signed = true, p, x == tensor.Int8
				break
			}
			t.quantize, t.from, x = true, p, tensor.Uint8
			if z := arg(2); z != nil {
				x = z.DType()
			} else if o.output != tensor.Undefined {
				x = o.output
			}
			t.lo, t.hi = rangeOf(x)
		case *byteTable:
			t.layers[len(t.layers)-1].table = &o.table
			x = o.to
		case *quantMatMul:
			w, _ := ctx.PackedInput(l.first + o.b - 1).(*packedQ8)
			factors, _ := ctx.PackedInput(l.first + o.bScale - 1).(*packedFactors)
			if w == nil || factors == nil {
				return fmt.Errorf("weights have not been packed")
			}
			y := chainLayer{w: w.w[0], signed: x == tensor.Int8}
			if z := arg(o.aZero); z != nil {
				y.zero = zeroOf(z)
			}
			var constant *packedInts
			var bias []int32
			if o.bias >= 1 && o.bias <= l.more {
				if constant, _ = ctx.PackedInput(l.first + o.bias - 1).(*packedInts); constant != nil {
					bias = constant.v
				}
			}
			z := arg(o.yZero)
			t.consts[i].set(w, 1, [2]int32{y.zero, zeroOf(z)}, [2]tensor.DType{x, z.DType()}, factors, factors.scale, constant, bias)
			y.columns, y.inPlace, y.k = t.consts[i].list[0], y.w.InPlace(y.signed), width
			t.layers = append(t.layers, y)
			if x = z.DType(); !y.inPlace {
				t.stride = max(t.stride, leftStride(y.k)*y.w.ValueBytes())
			}
			t.work = addSize(t.work, mulSize(width, y.w.N))
			width = y.w.N
			t.wide = max(t.wide, width)
		}
	}
	t.most = min(chainRows, max(chainTile, chainBytes/max(1, 2*t.wide+t.stride)))
	t.ready = true
	return nil
}

// Run implements [Op].
func (c *quantChain) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	t := StateOf[quantChainState](ctx)
	if !t.ready {
		if err := c.prepare(ctx, t, in, out[0]); err != nil {
			return err
		}
	}
	for len(t.buffers) < ctx.Pool.Threads() {
		t.buffers = append(t.buffers, nil)
	}
	t.m = in[0].Shape()[0]
	if t.quantize {
		t.x = in[0].Float32s()
	} else {
		t.bytesIn = bytes8(in[0])
	}
	if t.dequantize {
		t.y = out[0].Float32s()
	} else {
		t.bytesOut = bytes8(out[0])
	}
	work, chunks := product8Work(t.m, t.work, 1), 1
	if work >= chainWork {
		chunks = max(1, min(2*t.m/chainRows, work/(chainWork/2), maxChunks))
	}
	switch {
	case ctx.Pool.Threads() == 1 || chunks == 1 && work < chainWork:
		t.rows = t.m
		t.Do(0, 0)
	case chunks > 3 || t.m > t.most:
		t.rows = (t.m + chunks - 1) / chunks
		ctx.Pool.Run((t.m+t.rows-1)/t.rows, t)
	default:
		t.block(0, t.m, t.buffer(0), ctx.Pool)
	}
	t.x, t.y, t.bytesIn, t.bytesOut = nil, nil, nil, nil
	return nil
}

// buffer returns the memory of a worker: values before and after a layer, and converted
// ones.
func (t *quantChainState) buffer(worker int) []byte {
	if t.buffers[worker] == nil {
		rows := min(t.most, t.m)
		t.buffers[worker] = tensor.AlignedBytes(rows*(2*t.wide+t.stride) + 3*(tensor.Align+kernel.SlackQ8))
	}
	return t.buffers[worker]
}

// Do implements [parallel.Task].
func (t *quantChainState) Do(chunk, worker int) {
	r0, r1 := chunk*t.rows, min(t.m, (chunk+1)*t.rows)
	b := t.buffer(worker)
	blocks := (r1 - r0 + t.most - 1) / t.most
	for ; blocks > 0; blocks-- {
		n := (r1 - r0 + blocks - 1) / blocks
		t.block(r0, r0+n, b, nil)
		r0 += n
	}
}

// block takes rows [r0, r1) through all layers. With a pool, each product is spread over
// its threads.
func (t *quantChainState) block(r0, r1 int, buffer []byte, pool *parallel.Pool) {
	m := r1 - r0
	take := func(n int) []byte {
		p := buffer[:n+kernel.SlackQ8]
		buffer = buffer[(len(p)+tensor.Align-1)/tensor.Align*tensor.Align:]
		return p
	}
	var fetch kernel.Fetch
	// What fits in one block may be in the cache still.
	if t.dequantize && t.m > t.most {
		fetch.AddF32(t.y[r0*t.lastWidth : r1*t.lastWidth])
	}
	if t.quantize && r1 < t.m {
		fetch.AddF32(t.x[r1*t.inWidth : min(t.m, r1+m)*t.inWidth])
	}
	values := [2][]byte{take(m * t.wide), take(m * t.wide)}
	converted := take(m * t.stride)
	x := values[1]
	if t.quantize {
		kernel.QuantizeF32(x[:m*t.inWidth], t.x[r0*t.inWidth:r1*t.inWidth], t.from.scale, t.from.zero, t.lo, t.hi)
	} else {
		x = t.bytesIn[r0*t.inWidth : r1*t.inWidth]
	}
	for i := range t.layers {
		l := &t.layers[i]
		n := l.w.N
		y := values[i&1][:m*n]
		if i == len(t.layers)-1 && !t.dequantize {
			y = t.bytesOut[r0*n : r1*n]
		}
		if pool != nil {
			p := &t.product
			p.m, p.k, p.a, p.lda, p.signed, p.zero = m, l.k, x, l.k, l.signed, l.zero
			p.w, p.columns, p.y = l.w, l.columns, y
			p.run(pool, converted)
		} else {
			left, stride := x, l.k
			if !l.inPlace {
				left, stride = converted, leftStride(l.k)
				size := l.w.ValueBytes()
				for r := range m {
					l.w.Convert(left[r*stride*size:], x[r*l.k:][:l.k], l.signed, l.zero)
				}
			}
			l.w.RunFetching(m, left, stride, 0, l.columns, 0, l.w.Panels(), y, n, &fetch)
		}
		if l.table != nil {
			l.table.Map(y, y)
		}
		x = y
	}
	if !t.dequantize {
		return
	}
	y := t.y[r0*t.lastWidth : r1*t.lastWidth]
	if t.signed {
		kernel.DequantizeS8(y, x, t.to.scale, t.to.zero)
	} else {
		kernel.DequantizeU8(y, x, t.to.scale, t.to.zero)
	}
}
