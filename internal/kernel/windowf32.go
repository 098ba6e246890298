package kernel

// Window says how windows of a channels-last image are reduced, all channels of a pixel at once: of Pixels results, which
// lie side by side, result p has Channels values and is taken over the Rows·Cols pixels that begin p·Step + y·RowPitch +
// x·ColPitch values after the first one.
type Window struct {
	Pixels, Channels, Step int
	Rows, RowPitch         int
	Cols, ColPitch         int
}

// windowArgs are the arguments of one call of a routine: lengths are at least 1, distances are in values.
type windowArgs struct {
	pixels, channels, step int
	rows, rowPitch         int
	cols, colPitch         int
	scale                  float32
}

const (
	windowWork    = 64 << 10 // most values that one call reads, unless they are one row of a window
	windowColumns = 256      // channels that are worked on together where a window has more values than that
)

// SumWindowF32 sets dst to scale times the sum over each window. Terms are added in the order in which they lie in memory;
// of windows of more than 2¹⁶ values, rows are summed in groups whose sums are added.
func SumWindowF32(dst, src []float32, w *Window, scale float32) {
	reduceWindow(dst, src, w, scale, false)
}

// MaxWindowF32 sets dst to the greatest value of each window, NaN if there is one.
func MaxWindowF32(dst, src []float32, w *Window) { reduceWindow(dst, src, w, 1, true) }

func reduceWindow(dst, src []float32, w *Window, scale float32, greatest bool) {
	if w.Pixels <= 0 || w.Channels <= 0 || w.Rows <= 0 || w.Cols <= 0 {
		return
	}
	dst = dst[:w.Pixels*w.Channels]
	src = src[:(w.Pixels-1)*w.Step+(w.Rows-1)*w.RowPitch+(w.Cols-1)*w.ColPitch+w.Channels]
	a := windowArgs{w.Pixels, w.Channels, w.Step, w.Rows, w.RowPitch, w.Cols, w.ColPitch, scale}
	if each := w.Rows * w.Cols * w.Channels; each <= windowWork {
		for p, group := 0, max(1, windowWork/each); p < w.Pixels; p += group {
			a.pixels = min(group, w.Pixels-p)
			a.run(dst[p*w.Channels:], src[p*w.Step:], greatest)
		}
		return
	}
	a.pixels = 1
	for p := range w.Pixels {
		for c := 0; c < w.Channels; c += windowColumns {
			a.channels = min(windowColumns, w.Channels-c)
			a.rowGroups(dst[p*w.Channels+c:][:a.channels], src[p*w.Step+c:], w.Rows, greatest)
		}
	}
}

// rowGroups reduces one window of any number of rows.
func (a windowArgs) rowGroups(dst, src []float32, rows int, greatest bool) {
	var buf [windowColumns]float32
	group := max(1, windowWork/(a.cols*a.channels))
	for y := 0; y < rows; y += group {
		a.rows = min(group, rows-y)
		t := dst
		if y > 0 {
			t = buf[:a.channels]
		}
		a.run(t, src[y*a.rowPitch:], greatest)
		switch {
		case y == 0:
		case greatest:
			MaximumF32(dst, dst, t)
		default:
			AddF32(dst, dst, t)
		}
	}
}

func (a *windowArgs) run(dst, src []float32, greatest bool) {
	if greatest {
		maxWindowF32(dst, src, a)
	} else {
		sumWindowF32(dst, src, a)
	}
}

func sumWindowF32Generic(dst, src []float32, a *windowArgs) {
	for p := range a.pixels {
		d := dst[p*a.channels:][:a.channels]
		clear(d)
		for y := range a.rows {
			for x := range a.cols {
				for i, v := range src[p*a.step+y*a.rowPitch+x*a.colPitch:][:a.channels] {
					d[i] += v
				}
			}
		}
		for i := range d {
			d[i] *= a.scale
		}
	}
}

func maxWindowF32Generic(dst, src []float32, a *windowArgs) {
	for p := range a.pixels {
		d := dst[p*a.channels:][:a.channels]
		for i := range d {
			d[i] = ninf32
		}
		for y := range a.rows {
			for x := range a.cols {
				for i, v := range src[p*a.step+y*a.rowPitch+x*a.colPitch:][:a.channels] {
					if !(v <= d[i]) && d[i] == d[i] {
						d[i] = v
					}
				}
			}
		}
	}
}
