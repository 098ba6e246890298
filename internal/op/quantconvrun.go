package op

import (
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// quantConvState is one run. Kept in the node's state.
type quantConvState struct {
	conv8Plan
	chunkMemory
	convShape
	task      spreader
	x         []uint8
	source    []uint8
	signed    bool
	last      bool
	zero      int32
	w         *packed8
	own       *packed8 // weights that are not constant
	wZero     []int32
	wScale    []float32
	own32     []float32 // factors that are not constant
	scale     []float32
	bias      []int32
	yZero     int32
	y         *tensor.Tensor
	scratch   []byte
	inputs    [2]tensor.Shape
	transpose func(lo, hi int)
	windows   windowRun
	depth     depth8Run
	few       fewRun
	tiles     *winogradQ8State
}

// shapedWeights are packed weights that know the shape of what was packed.
type shapedWeights interface{ weightShape() tensor.Shape }

func (p *packed8) weightShape() tensor.Shape       { return p.shape }
func (p *packedCells) weightShape() tensor.Shape   { return p.shape }
func (p *packedDepth8) weightShape() tensor.Shape  { return p.shape }
func (p *packedFew) weightShape() tensor.Shape     { return p.shape }
func (p *packedOverlap) weightShape() tensor.Shape { return p.shape }
func (p *packedQ8) weightShape() tensor.Shape      { return p.shape }

// weightShape returns the shape of the weights at input i, packed or not.
func weightShape(ctx *Context, i int, in []*tensor.Tensor) tensor.Shape {
	if p, ok := ctx.PackedInput(i).(shapedWeights); ok {
		return p.weightShape()
	}
	return in[i].Shape()
}

// Run implements [Op].
func (o *quantConv) Run(ctx *Context, out, in []*tensor.Tensor) error {
	if out[0].Elems() == 0 {
		return nil
	}
	t := StateOf[quantConvState](ctx)
	w, _ := ctx.PackedInput(o.w).(*packed8)
	closed, _ := ctx.PackedInput(o.w).(*packedQ8)
	depth, _ := ctx.PackedInput(o.w).(*packedDepth8)
	few, _ := ctx.PackedInput(o.w).(*packedFew)
	var tiles *packedWinogradQ8
	if Complete {
		tiles, _ = ctx.PackedInput(o.w).(*packedWinogradQ8)
	}
	wShape := weightShape(ctx, o.w, in)
	if t.transpose == nil || !t.inputs[0].Equal(in[0].Shape()) || !t.inputs[1].Equal(wShape) {
		f, err := o.extents(in[0].Shape(), wShape)
		if err != nil {
			return err
		}
		t.inputs = [2]tensor.Shape{in[0].Shape().Clone(), wShape.Clone()}
		t.convShape, t.conv8Plan, t.transpose, t.last = f.shape, o.plan(&f.shape), t.transposeImages, o.last
		if depth != nil {
			t.depth.lay(&f.shape, depth.form)
		}
		if closed != nil {
			t.windows.prepare(&f.shape, o.last)
		}
		if few != nil {
			t.few.prepare(&f.shape)
		}
		if tiles != nil {
			t.tiles = newWinogradQ8State(&f.shape)
		}
	}
	if tiles != nil {
		o.runTiles(ctx, t.tiles, tiles, out, in)
		return nil
	}
	if few != nil {
		o.runFew(ctx, &t.few, few, out, in)
		return nil
	}
	if closed != nil {
		o.runClosed(ctx, &t.windows, closed, out, in)
		return nil
	}
	if depth != nil {
		o.runDepth8(ctx, t, depth, out, in)
		return nil
	}
	if w == nil {
		t.own = packConv8(&t.convShape, in[o.w])
		w = t.own
	}
	t.w, t.y, t.x, t.signed, t.zero = w, out[0], bytes8(in[0]), in[0].DType() == tensor.Int8, 0
	if z := optional(in, o.xZero); z != nil {
		t.zero = zeroOf(z)
	}
	t.wZero = signedZeros(t.wZero[:0], optional(in, o.wZero), w.dtype)
	t.bias = nil
	if !o.integer {
		t.factors(ctx, o, in)
	}
	t.source, t.scratch = t.x, ctx.Scratch[t.conv8Plan.source:]
	if t.conv8Plan.source > 0 {
		t.source = ctx.Scratch
		t.task.f = t.transpose
		t.task.run(ctx.Pool, t.n*t.src[0]*t.src[1], mulSize(copyCost, len(t.x)))
	}
	// The chunks are those of the plan, each with memory of its own.
	t.share(ctx.Pool, t.chunks)
	ctx.Pool.Run(t.chunks, t)
	o.finish(out[0])
	t.w, t.y, t.x, t.source, t.scratch, t.bias = nil, nil, nil, nil, nil, nil
	return nil
}

// factors sets the multiplier of each output channel, the zero point and the bias.
func (t *quantConvState) factors(ctx *Context, o *quantConv, in []*tensor.Tensor) {
	if p, ok := ctx.PackedInput(o.wScale).(*packedFactors); ok {
		t.scale = p.scale
	} else {
		t.wScale = floats32(t.wScale[:0], in[o.wScale])
		t.own32 = factorsOf(t.own32[:0], scalarOf(in[o.xScale]), t.wScale, in[o.yScale], t.o*t.groups, 1)
		t.scale = t.own32
	}
	t.yZero = zeroOf(in[o.yZero])
	if b := optional(in, o.bias); b != nil {
		t.bias = tensor.Data[int32](b)
	}
}

// transposeImages brings rows of the operand to channels-last order. A unit is one row of
// one image.
func (t *quantConvState) transposeImages(lo, hi int) {
	c, w := t.c*t.groups, t.src[2]
	rows := t.src[0] * t.src[1]
	for u := lo; u < hi; u++ {
		n, r := u/rows, u%rows
		dst := t.source[u*w*c:][:w*c]
		for i := range c {
			src := t.x[((n*c+i)*rows+r)*w:][:w]
			at := i
			for _, v := range src {
				dst[at] = v
				at += c
			}
		}
	}
}

// Do implements [parallel.Task]: one chunk of units.
func (t *quantConvState) Do(chunk, worker int) {
	lo, hi := chunkRange(t.units, t.chunks, chunk)
	mem := t.part(t.scratch, t.rows+t.sums+t.result, chunk, worker)
	rows, mem := mem[:t.rows], mem[t.rows:]
	sums, _ := floatsOf(mem, conv8Rows*t.o)
	p := product8{n: t.o, k: t.k, signed: t.signed, c: intsIn(sums)}
	result := mem[t.sums:]
	positions := t.dst[0] * t.dst[1] * t.dst[2]
	for u := lo; u < hi; u++ {
		n, first := u/t.blocks, u%t.blocks*conv8Rows
		p.m = min(conv8Rows, positions-first)
		for g := range t.groups {
			if t.direct {
				p.a, p.lda = t.source[(n*positions+first)*t.c:], t.c
			} else {
				t.gather(rows, n, g, first, p.m)
				p.a, p.lda = rows, t.k
			}
			t.multiply(&p, g)
			t.store(&p, result, n, g, first, positions)
		}
	}
}

// multiply sets the sums of p, for group g.
func (t *quantConvState) multiply(p *product8, g int) {
	w := t.w.w[g]
	if t.signed {
		kernel.GemmS8(p.m, asInt8(p.a), p.lda, int8(t.zero), w, 0, w.Panels(), p.c, p.n, false)
	} else {
		kernel.GemmU8(p.m, p.a, p.lda, uint8(t.zero), w, 0, w.Panels(), p.c, p.n, false)
	}
	if len(t.wZero) == 0 {
		return
	}
	p.wZero = t.wZero
	if len(t.wZero) > 1 {
		p.wZero = t.wZero[g*t.o:][:t.o]
	}
	for i := range p.m {
		p.centre(p.c[i*p.n:][:p.n], i, 0, t.zero)
	}
}

// store writes the results of group g for p.m positions.
func (t *quantConvState) store(p *product8, result []byte, n, g, first, positions int) {
	all := t.o * t.groups
	size := t.y.DType().Size()
	y, at, ldy := t.y, (n*positions+first)*all+g*t.o, all
	if !t.last {
		at, ldy = 0, t.o
	}
	if size == 4 {
		dst := tensor.Data[int32](y)
		for i := range p.m {
			row := p.c[i*t.o:][:t.o]
			if t.last {
				copy(dst[at+i*ldy:], row)
				continue
			}
			for j, v := range row {
				dst[(n*all+g*t.o+j)*positions+first+i] = v
			}
		}
		return
	}
	var bias []int32
	if t.bias != nil {
		bias = t.bias[g*t.o:][:t.o]
	}
	scale := t.scale[g*t.o:][:t.o]
	dst := y.Bytes()[at:]
	if !t.last {
		dst = result
	}
	if y.DType() == tensor.Int8 {
		kernel.RequantI8(p.m, t.o, asInt8(dst), ldy, p.c, t.o, bias, scale, t.yZero, -128, 127)
	} else {
		kernel.RequantU8(p.m, t.o, dst, ldy, p.c, t.o, bias, scale, t.yZero, 0, 255)
	}
	if t.last {
		return
	}
	for j := range t.o {
		row := y.Bytes()[(n*all+g*t.o+j)*positions+first:][:p.m]
		for i := range row {
			row[i] = result[i*t.o+j]
		}
	}
}
