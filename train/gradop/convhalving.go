package gradop

import (
	"unsafe"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
)

// The gradient of the weights of a 4×4 convolution with stride 2 is, for each residue of rows and
// columns, one with 2×2 results, which takes nine products in place of sixteen (see
// [kernel.HalvingInputF32]): tiles of small and of big are transformed block by block, and their
// products add up over all tiles before they are transformed back.

const (
	halvingMinChannels = 16
	halvingMinTiles    = 64
	// halvingSums is up to how many sums the residues are multiplied together: more would not
	// stay in cache.
	halvingSums = 128 << 10
	// halvingFloats is how many values the matrices of a block aim at; the bounds are of its tiles.
	halvingFloats  = 96 << 10
	halvingMinRows = 96
	halvingMaxRows = 256
	residues       = 4
)

// usesHalving reports whether the gradient is better computed in tiles.
func (c *conv) usesHalving() bool {
	if len(c.ax) != 2 || c.s < halvingMinChannels || c.b < halvingMinChannels || !kernel.HalvingIsFast() {
		return false
	}
	for _, a := range c.ax {
		if a.kernel != 4 || a.stride != 2 || a.dilation != 1 {
			return false
		}
	}
	return c.n*((c.ax[0].small+1)/2)*((c.ax[1].small+1)/2) >= halvingMinTiles
}

// convHalving is the state of a channels-last convWeightGrad in tiles. A task is a group, some
// residues and a range of tiles; partial sums over tiles are added up in order.
type convHalving struct {
	conv                conv
	ready               bool
	small, big, dst     []float32
	down, across, tiles int
	together            int // residues of a task
	parts               int // ranges of tiles
	block               int // tiles that are multiplied at once
	lda, ldb            int // rows of the transformed tiles
	sums                []float32
	sumsLen             int         // [parts, groups, positions, s, residues·b]
	work                [][]float32 // by worker
	zeros               []float32
	finish              spans
}

// lay divides the work by shape alone.
func (st *convHalving) lay(c conv) {
	st.conv, st.ready = c, true
	st.down, st.across = (c.ax[0].small+1)/2, (c.ax[1].small+1)/2
	st.tiles = c.n * st.down * st.across
	st.together = 1
	if kernel.HalvingTaps*c.s*residues*c.b <= halvingSums {
		st.together = residues
	}
	tasks := c.groups * residues / st.together
	st.parts = max(1, min((minTasks+tasks-1)/tasks, st.tiles/halvingMinRows))
	st.lda, st.ldb = apart(c.s), apart(st.together*c.b)
	st.block = max(halvingMinRows, min(halvingMaxRows, halvingFloats/(kernel.HalvingTaps*(st.lda+st.ldb))))
	st.sumsLen = st.parts * c.groups * kernel.HalvingTaps * c.s * residues * c.b
	st.finish.f = st.finishRows
}

// apart is a distance of rows of n values that takes them to different sets of the first-level
// cache.
func apart(n int) int {
	if n%64 == 0 {
		n += 16
	}
	return n
}

func (st *convHalving) run(ctx *op.Context, dst, small, big []float32) {
	st.sums = unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(ctx.Scratch))), len(ctx.Scratch)/4)[:st.sumsLen]
	for len(st.work) < ctx.Pool.Threads() {
		st.work = append(st.work, nil)
	}
	c := &st.conv
	if len(st.zeros) < c.b {
		st.zeros = make([]float32, c.b)
	}
	st.dst, st.small, st.big = dst, small, big
	ctx.Pool.Run(c.groups*residues/st.together*st.parts, st)
	rows := c.groups * c.s
	st.finish.run(ctx.Pool, rows, max(1, grain/max(1, len(dst)/rows)))
	st.dst, st.small, st.big, st.sums = nil, nil, nil, nil
}

// Do implements [parallel.Task].
func (st *convHalving) Do(chunk, worker int) {
	c := &st.conv
	splits := residues / st.together
	first, rest := chunk%splits*st.together, chunk/splits
	part, g := rest%st.parts, rest/st.parts
	left, right := kernel.HalvingTaps*st.block*st.lda, kernel.HalvingTaps*st.block*st.ldb
	if need := left + right + kernel.HalvingTaps*max(c.s, c.b); len(st.work[worker]) < need {
		st.work[worker] = make([]float32, need)
	}
	u, v := st.work[worker][:left], st.work[worker][left:][:right]
	border := st.work[worker][left+right:]
	cols := st.together * c.b
	lo, hi := st.tiles*part/st.parts, st.tiles*(part+1)/st.parts
	for t0 := lo; t0 < hi; t0 += st.block {
		k := min(st.block, hi-t0)
		lu, lv := k*st.lda, k*st.ldb
		for i := 0; i < k; {
			tx, r := (t0+i)%st.across, (t0+i)/st.across
			run := min(st.across-tx, k-i)
			st.row(u[i*st.lda:], lu, v[i*st.ldb:], lv, g, first, r/st.down, r%st.down, tx, run, border)
			i += run
		}
		beta := float32(1)
		if t0 == lo {
			beta = 0
		}
		for f := range kernel.HalvingTaps {
			to := st.sums[((part*c.groups+g)*kernel.HalvingTaps+f)*c.s*residues*c.b+first*c.b:]
			kernel.GemmF32(true, false, c.s, cols, k, 1, u[f*lu:], st.lda, v[f*lv:], st.ldb, beta, to, residues*c.b)
		}
	}
}

// row transforms tiles of a row of an image.
func (st *convHalving) row(u []float32, lu int, v []float32, lv int, g, first, image, ty, tx, run int, border []float32) {
	c := &st.conv
	y, x := c.ax[0], c.ax[1]
	s, b := c.groups*c.s, c.groups*c.b
	small := kernel.ImageF32{X: st.small[image*y.small*x.small*s+g*c.s:], H: y.small, W: x.small, Pix: s, C: c.s}
	small.HalvingFilter(u, lu, st.lda, 2*ty, 2*tx, run, border)
	big := kernel.ImageF32{X: st.big[image*y.big*x.big*b+g*c.b:], H: y.big, W: x.big, Pix: b, C: c.b}
	for i := range st.together {
		r := first + i
		big.HalvingInput(v[i*c.b:], lv, st.ldb, 4*ty+r/2-y.begin, 4*tx+r%2-x.begin, 2, run, border)
	}
}

// finishRows adds up the partial sums of rows lo to hi of the weights, transforms them to taps,
// and brings those from [taps, b] to [b, taps].
func (st *convHalving) finishRows(lo, hi int) {
	c := &st.conv
	width := residues * c.b
	position := c.s * width
	part := c.groups * kernel.HalvingTaps * position
	taps := c.taps()
	for r := lo; r < hi; r++ {
		at := r/c.s*kernel.HalvingTaps*position + r%c.s*width
		for f := range kernel.HalvingTaps {
			sum := st.sums[at+f*position:][:width]
			for p := 1; p < st.parts; p++ {
				kernel.AddF32(sum, sum, st.sums[p*part+at+f*position:][:width])
			}
		}
		dst := st.dst[r*taps*c.b:][:taps*c.b]
		var tile [residues * maxTile]float32
		for k0 := 0; k0 < c.b; k0 += maxTile {
			n := min(maxTile, c.b-k0)
			for q := range residues {
				kernel.HalvingOutputF32(tile[:], 2*n, n, st.sums[at+q*c.b+k0:], position, 0, 1, n, st.zeros, &kernel.Epilogue{})
				for t := range residues {
					to := (t/2*2+q/2)*4 + t%2*2 + q%2
					for k, v := range tile[t*n:][:n] {
						dst[(k0+k)*taps+to] = v
					}
				}
			}
		}
	}
}

// maxTile is how many channels are transformed to taps at once.
const maxTile = 64
