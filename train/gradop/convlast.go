package gradop

import (
	"math"
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// The weights' gradient of a channels-last convolution is smallᵀ·windows, where row p of
// windows is what position p of small sees. The windows are gathered block by block, in
// runs of whole kernel rows, and never exist as a whole.

// channelsLast returns the shape [N, spatial…, C] of a logical [N, C, spatial…],
// channelsFirst the logical shape of a channels-last one.
func channelsLast(s tensor.Shape) tensor.Shape {
	if len(s) < 3 {
		return s.Clone()
	}
	out := append(tensor.Shape{s[0]}, s[2:]...)
	return append(out, s[1])
}

func channelsFirst(s tensor.Shape) tensor.Shape {
	if len(s) < 3 {
		return s.Clone()
	}
	out := tensor.Shape{s[0], s[len(s)-1]}
	return append(out, s[1:len(s)-1]...)
}

// windowBytes is how much memory a block of windows has: with its rows of small it stays
// in the second-level cache.
const windowBytes = 192 << 10

// minTasks is the number of tasks that a product is cut into if it is large.
const minTasks = 8

// convLast is the state of a channels-last convWeightGrad. A task is a range of kernel rows
// of a group and a range of positions; partial sums over positions are added up in order.
type convLast struct {
	conv       conv
	ready      bool
	small, big []float32
	dst        []float32
	runs       int // kernel rows of a task
	runTasks   int
	parts      int // ranges of positions
	positions  int
	block      int       // positions of a block of windows
	sums       []float32 // [parts, groups, s, taps·b], the last in the order of windows
	sumsLen    int
	windows    [][]float32 // by worker
	add        spans
	halves     convHalving // in place of all that
}

// lay divides the work by shape alone.
func (st *convLast) lay(c conv) {
	st.conv, st.ready = c, true
	st.positions = c.n * c.smallPlane()
	rows := c.cube[0].kernel * c.cube[1].kernel
	width := c.cube[2].kernel * c.b // columns of a kernel row
	// Enough columns for whole panels of the product, few enough for the cache.
	const columns = 96
	st.runs = max(1, min(rows, (columns+width-1)/width))
	st.runTasks = (rows + st.runs - 1) / st.runs
	st.block = max(32, min(512, windowBytes/(4*st.runs*width)))
	st.parts = 1
	if tasks := st.runTasks * c.groups; tasks < minTasks {
		st.parts = max(1, min((minTasks+tasks-1)/tasks, st.positions/(4*st.block)))
	}
	st.sumsLen = st.parts * c.groups * c.s * rows * width
	st.add.f = st.addRows
}

// Workspace implements [op.Workspacer].
func (o *convWeightGrad) Workspace(in []op.Fact) int {
	if !o.last {
		return 0
	}
	c, err := o.conv(in[0].Shape, in[1].Shape, in[2].Shape)
	if err != nil {
		return 0
	}
	if c.usesHalving() {
		var st convHalving
		st.lay(c)
		return 4 * st.sumsLen
	}
	var st convLast
	st.lay(c)
	if st.sumsLen > math.MaxInt/4 {
		return math.MaxInt
	}
	return 4 * st.sumsLen
}

func (o *convWeightGrad) runLast(ctx *op.Context, out, in []*tensor.Tensor) error {
	st := op.StateOf[convLast](ctx)
	small, big := in[0].Float32s(), in[1].Float32s()
	if o.transposed {
		small, big = big, small
	}
	if !st.ready {
		c, err := o.conv(in[0].Shape(), in[1].Shape(), in[2].Shape())
		if err != nil {
			return err
		}
		if st.ready = c.usesHalving(); st.ready {
			st.halves.lay(c)
		} else {
			st.lay(c)
		}
	}
	if st.halves.ready {
		st.halves.run(ctx, out[0].Float32s(), small, big)
		return nil
	}
	if st.positions == 0 || st.sumsLen == 0 {
		clear(out[0].Float32s())
		return nil
	}
	st.sums = unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(ctx.Scratch))), len(ctx.Scratch)/4)[:st.sumsLen]
	for len(st.windows) < ctx.Pool.Threads() {
		st.windows = append(st.windows, nil)
	}
	st.small, st.big, st.dst = small, big, out[0].Float32s()
	ctx.Pool.Run(st.conv.groups*st.runTasks*st.parts, st)
	rows := st.conv.groups * st.conv.s
	st.add.run(ctx.Pool, rows, max(1, grain/max(1, len(st.dst)/rows)))
	st.small, st.big, st.dst, st.sums = nil, nil, nil, nil
	return nil
}

// Do implements [parallel.Task].
func (st *convLast) Do(chunk, worker int) {
	c := &st.conv
	rt, rest := chunk%st.runTasks, chunk/st.runTasks
	part, g := rest%st.parts, rest/st.parts
	rows := c.cube[0].kernel * c.cube[1].kernel
	r0 := rt * st.runs
	r1 := min(rows, r0+st.runs)
	width := c.cube[2].kernel * c.b
	n := (r1 - r0) * width
	// Padding takes rows to different sets of the first-level cache.
	ld := n
	if ld%64 == 0 {
		ld += 16
	}
	if len(st.windows[worker]) < st.block*ld {
		st.windows[worker] = make([]float32, st.block*ld)
	}
	w := st.windows[worker]
	depth := rows * width
	to := st.sums[((part*c.groups+g)*c.s)*depth+r0*width:]
	lo, hi := st.positions*part/st.parts, st.positions*(part+1)/st.parts
	channels := c.groups * c.s
	for p := lo; p < hi; p += st.block {
		k := min(st.block, hi-p)
		for r := r0; r < r1; r++ {
			st.gather(w[(r-r0)*width:], ld, p, k, g, r)
		}
		beta := float32(1)
		if p == lo {
			beta = 0
		}
		kernel.GemmF32(true, false, c.s, n, k, 1, st.small[p*channels+g*c.s:], channels, w, ld, beta, to, depth)
	}
}

// short is the number of values up to which a loop copies them faster than a call.
const short = 4

// gather copies, for k positions from p on, what kernel row r of group g sees: a row of
// dst, ld apart, has the channels of its taps.
func (st *convLast) gather(dst []float32, ld, p, k, g, r int) {
	c := &st.conv
	z, y, x := c.cube[0], c.cube[1], c.cube[2]
	kz, ky := r/y.kernel, r%y.kernel
	ox := p % x.small
	oy := p / x.small % y.small
	oz := p / (x.small * y.small) % z.small
	image := p / c.smallPlane()
	all, b := c.groups*c.b, c.b
	for i := 0; i < k; {
		iz, iy := oz*z.stride-z.begin+kz*z.dilation, oy*y.stride-y.begin+ky*y.dilation
		n := min(k-i, x.small-ox)
		inside := uint(iz) < uint(z.big) && uint(iy) < uint(y.big)
		var line []float32
		if inside {
			line = st.big[((image*z.big+iz)*y.big+iy)*x.big*all+g*b:]
		}
		for range n {
			row := dst[i*ld:][:x.kernel*b]
			from := ox*x.stride - x.begin
			switch {
			case !inside:
				clear(row)
			case all == b && x.dilation == 1 && from >= 0 && from+x.kernel <= x.big:
				if len(row) > short {
					copy(row, line[from*b:])
					break
				}
				for i, v := range line[from*b:][:len(row)] {
					row[i] = v
				}
			default:
				for kx := range x.kernel {
					ix := from + kx*x.dilation
					if uint(ix) < uint(x.big) {
						copy(row[kx*b:][:b], line[ix*all:])
					} else {
						clear(row[kx*b:][:b])
					}
				}
			}
			ox++
			i++
		}
		ox = 0
		if oy++; oy == y.small {
			oy = 0
			if oz++; oz == z.small {
				oz = 0
				image++
			}
		}
	}
}

// addRows adds the partial sums of rows lo to hi of the weights, and brings them from
// [taps, b] to [b, taps].
func (st *convLast) addRows(lo, hi int) {
	c := &st.conv
	taps, b := c.taps(), c.b
	depth := taps * b
	all := c.groups * c.s * depth
	for r := lo; r < hi; r++ {
		sum := st.sums[r*depth:][:depth]
		for part := 1; part < st.parts; part++ {
			kernel.AddF32(sum, sum, st.sums[part*all+r*depth:])
		}
		dst := st.dst[r*depth:][:depth]
		for t := range taps {
			from := sum[t*b:][:b]
			for k, v := range from {
				dst[k*taps+t] = v
			}
		}
	}
}
