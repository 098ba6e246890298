package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tier is one width of vector code. The same generator functions serve both.
type tier struct {
	suffix string
	lanes  int // float32 values of a vector
	regs   int // vector registers
	wide   bool
}

var (
	avx2   = tier{suffix: "AVX2", lanes: 8, regs: 16}
	avx512 = tier{suffix: "AVX512", lanes: 16, regs: 32, wide: true}
)

// gen emits one file.
type gen struct {
	*build.Context
	t      tier
	consts map[uint32]Mem
	held   map[uint32]VecVirtual // constants that the current function keeps in registers
	mask8  *Mem
	types  map[string]string
	labels int
	across int // vectors in a row of a float32 tile
	// rowsOfC are the addresses of a tile's rows of results; nil where they are a stride apart.
	rowsOfC []Register
}

func (g *gen) tier(t tier) { g.t = t }

func (g *gen) eachTier(f func(g *gen)) {
	for _, t := range []tier{avx2, avx512} {
		g.t = t
		f(g)
	}
}

// text starts a function. In sig, *byte stands for a pointer to the type set by typeName.
func (g *gen) text(name, sig string) {
	g.held = nil
	g.Function(name)
	g.Attributes(attr.NOSPLIT)
	g.SignatureExpr(sig)
}

func (g *gen) label(name string) string {
	g.labels++
	return fmt.Sprintf("%s%d", name, g.labels)
}

// phys is vector register i.
func (g *gen) phys(i int) VecPhysical {
	if g.t.wide {
		return []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
			Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}[i]
	}
	return []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}[i]
}

// vec allocates a vector register.
func (g *gen) vec() VecVirtual {
	if g.t.wide {
		return g.ZMM()
	}
	return g.YMM()
}

func (g *gen) bytes() int { return 4 * g.t.lanes }

// bits is an operand with value b in every lane, in a register if hold was told so, else in memory.
func (g *gen) bits(b uint32) Op {
	if v, ok := g.held[b]; ok {
		return v
	}
	return g.constant(b)
}

// hold loads constants into registers for the rest of the function: a loop that reads one per operation is bound by
// its loads.
func (g *gen) hold(values ...uint32) {
	for _, b := range values {
		if _, ok := g.held[b]; ok {
			continue
		}
		v := g.load(g.constant(b))
		if g.held == nil {
			g.held = map[uint32]VecVirtual{}
		}
		g.held[b] = v
	}
}

// holdF32 is hold for values of float32.
func (g *gen) holdF32(values ...float64) {
	for _, v := range values {
		g.hold(math.Float32bits(float32(v)))
	}
}

// constant is a vector in memory with value b in every lane.
func (g *gen) constant(b uint32) Mem {
	if m, ok := g.consts[b]; ok {
		return m
	}
	m := g.StaticGlobal(fmt.Sprintf("const%08x", b))
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		g.AddDatum(4*i, U32(b))
	}
	if g.consts == nil {
		g.consts = map[uint32]Mem{}
	}
	g.consts[b] = m
	return m
}

func (g *gen) f32(v float64) Op { return g.bits(math.Float32bits(float32(v))) }

// load returns a register that holds m.
func (g *gen) load(m Op) VecVirtual {
	v := g.vec()
	g.VMOVUPS(m, v)
	return v
}

// reg returns a register that holds m, which must not be changed.
func (g *gen) reg(m Op) Op {
	if _, ok := m.(Mem); ok {
		return g.load(m)
	}
	return m
}

// maskTable is eight lanes of ones followed by eight of zeros.
func (g *gen) maskTable() Mem {
	if g.mask8 == nil {
		m := g.StaticGlobal("lanes")
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 16 {
			v := uint32(0xffffffff)
			if i >= 8 {
				v = 0
			}
			g.AddDatum(4*i, U32(v))
		}
		g.mask8 = &m
	}
	return *g.mask8
}

// tailMask returns a mask of the first n lanes, for n below the number of lanes.
func (g *gen) tailMask(n Register) Op {
	if g.t.wide {
		ones := g.GP32()
		g.MOVL(I32(-1), ones)
		g.BZHIL(n.(GP).As32(), ones, ones)
		k := g.K()
		g.KMOVW(ones, k)
		return k
	}
	p, minus := g.GP64(), g.GP64()
	g.LEAQ(g.maskTable().Offset(32), p)
	g.MOVQ(n, minus)
	g.NEGQ(minus)
	v := g.vec()
	g.VMOVDQU(Mem{Base: p, Index: minus, Scale: 4}, v)
	return v
}

// loadMasked reads the lanes that mask selects and sets the others to zero.
func (g *gen) loadMasked(m Mem, mask Op) VecVirtual {
	v := g.vec()
	if g.t.wide {
		g.VMOVUPS_Z(m, mask, v)
	} else {
		g.VMASKMOVPS(m, mask, v)
	}
	return v
}

func (g *gen) storeMasked(v Op, mask Op, m Mem) {
	if g.t.wide {
		g.VMOVUPS(v, mask, m)
	} else {
		g.VMASKMOVPS(v, mask, m)
	}
}

// Predicates of VCMPPS.
const (
	cmpEQ    = 0x00
	cmpLT    = 0x11
	cmpUNORD = 0x03
	cmpNLT   = 0x15 // not less than, or unordered
	cmpGE    = 0x1d
	cmpGT    = 0x1e
)

// cmp returns the mask of the lanes where a compares with b.
func (g *gen) cmp(pred int, a, b Op) Op {
	var m Op
	if g.t.wide {
		m = g.K()
	} else {
		m = g.vec()
	}
	g.VCMPPS(U8(pred), b, a, m)
	return m
}

// blend returns yes where mask is set, else no.
func (g *gen) blend(mask, yes, no Op) VecVirtual {
	v := g.vec()
	if g.t.wide {
		g.VBLENDMPS(yes, no, mask, v)
	} else {
		g.VBLENDVPS(mask, yes, no, v)
	}
	return v
}

// blendSign returns yes where the sign bit of x is set, else no.
func (g *gen) blendSign(x, yes, no Op) VecVirtual {
	if !g.t.wide {
		return g.blend(x, yes, no)
	}
	k := g.K()
	g.VPMOVD2M(x, k)
	return g.blend(k, yes, no)
}

// poly returns the polynomial in x with coefficients c, lowest first, by Horner's rule.
func (g *gen) poly(x Op, c []float64) VecVirtual {
	p := g.load(g.f32(c[len(c)-1]))
	for i := len(c) - 2; i >= 0; i-- {
		g.VFMADD213PS(g.f32(c[i]), x, p)
	}
	return p
}

// clamp limits x to [lo, hi], in registers; NaN stays, because the data is the operand that a comparison with NaN
// returns.
func (g *gen) clamp(x Op, lo, hi Op) VecVirtual {
	v := g.vec()
	g.VMAXPS(x, lo, v)
	g.VMINPS(v, hi, v)
	return v
}

// broadcast returns the float32 parameter name in every lane.
func (g *gen) broadcast(name string) VecVirtual {
	v := g.vec()
	p, err := g.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	g.VBROADCASTSS(p.Addr, v)
	return v
}

// stream is a slice that a loop walks.
type stream struct {
	name    string
	in, out bool
}

// loop emits a loop over streams of equal length: body maps a vector of each input to one of each output. Vectors
// beyond a multiple of the lanes are masked, so that nothing outside the slices is touched. interleaved mixes the
// instructions of unrolled vectors: where one vector's are a long dependent chain, a processor's scheduler does not
// look far enough ahead to find the next vector's.
func (g *gen) loop(streams []stream, unroll int, interleaved bool, body func(in []VecVirtual) []VecVirtual) {
	ptr := make([]Register, len(streams))
	for i, s := range streams {
		ptr[i] = g.Load(g.Param(s.name).Base(), g.GP64())
	}
	n := g.Load(g.Param(streams[0].name).Len(), g.GP64())
	g.walk(ptr, streams, n, unroll, interleaved, body)
	g.VZEROUPPER()
	g.RET()
}

// nodes are the instructions of the current function so far.
func (g *gen) nodes() *[]ir.Node {
	f, err := g.Result()
	if err != nil {
		panic(err)
	}
	functions := f.Functions()
	return &functions[len(functions)-1].Nodes
}

// interleave deals out the instructions from starts[0] on, of one vector per start, in turn.
func (g *gen) interleave(starts []int) {
	all := g.nodes()
	var mixed []ir.Node
	per := starts[1] - starts[0]
	for i := range per {
		for _, s := range starts {
			mixed = append(mixed, (*all)[s+i])
		}
	}
	*all = append((*all)[:starts[0]], mixed...)
}

func (g *gen) walk(ptr []Register, streams []stream, n Register, unroll int, interleaved bool, body func(in []VecVirtual) []VecVirtual) {
	off := g.GP64()
	g.XORL(off.As32(), off.As32())
	step := func(disp int, mask Op) {
		var in []VecVirtual
		at := func(i int) Mem { return Mem{Base: ptr[i], Index: off, Scale: 1, Disp: disp} }
		for i, s := range streams {
			switch {
			case !s.in:
			case mask != nil:
				in = append(in, g.loadMasked(at(i), mask))
			default:
				in = append(in, g.load(at(i)))
			}
		}
		out := body(in)
		for i, s := range streams {
			if !s.out {
				continue
			}
			if mask != nil {
				g.storeMasked(out[0], mask, at(i))
			} else {
				g.VMOVUPS(out[0], at(i))
			}
			out = out[1:]
		}
	}
	if unroll > 1 {
		top, done := g.label("many"), g.label("one")
		g.Label(top)
		g.CMPQ(n, U32(unroll*g.t.lanes))
		g.JLT(LabelRef(done))
		var starts []int
		for u := range unroll {
			starts = append(starts, len(*g.nodes()))
			step(u*g.bytes(), nil)
		}
		if interleaved {
			g.interleave(starts)
		}
		g.ADDQ(U32(unroll*g.bytes()), off)
		g.SUBQ(U32(unroll*g.t.lanes), n)
		g.JMP(LabelRef(top))
		g.Label(done)
	}
	top, tail, end := g.label("vector"), g.label("tail"), g.label("end")
	g.Label(top)
	g.CMPQ(n, U32(g.t.lanes))
	g.JLT(LabelRef(tail))
	step(0, nil)
	g.ADDQ(U32(g.bytes()), off)
	g.SUBQ(U32(g.t.lanes), n)
	g.JMP(LabelRef(top))
	g.Label(tail)
	g.TESTQ(n, n)
	g.JEQ(LabelRef(end))
	step(0, g.tailMask(n))
	g.Label(end)
}
