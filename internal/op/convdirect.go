package op

import "github.com/aekit/aekit/internal/parallel"

// directConv computes a convolution or transposed convolution of any rank one result at a
// time. It serves the types and shapes that the tap engine does not.
type directConv[T floating] struct {
	x, w, bias, y         []T // bias may be nil
	ax                    []axisWindow
	transposed            bool
	n, groups, c, o       int // channels are per group
	xLast, yLast          bool
	xPitch, yPitch, wTaps []int // elements per position along each spatial axis
	xChan, wChan          int
}

func (d *directConv[T]) run(pool *parallel.Pool) {
	rank := len(d.ax)
	xPlane, yPlane, taps := 1, 1, 1
	d.xPitch, d.yPitch, d.wTaps = make([]int, rank), make([]int, rank), make([]int, rank)
	for i := rank - 1; i >= 0; i-- {
		a := d.ax[i]
		xn, yn := a.in, a.out
		if d.transposed {
			xn, yn = yn, xn
		}
		d.xPitch[i], d.yPitch[i], d.wTaps[i] = xPlane, yPlane, taps
		xPlane, yPlane, taps = xPlane*xn, yPlane*yn, taps*a.kernel
	}
	cx, co := d.c*d.groups, d.o*d.groups
	xChan, yChan := xPlane, yPlane
	if d.xLast {
		xChan = 1
		for i := range d.xPitch {
			d.xPitch[i] *= cx
		}
	}
	if d.yLast {
		yChan = 1
		for i := range d.yPitch {
			d.yPitch[i] *= co
		}
	}
	d.xChan, d.wChan = xChan, taps
	if d.transposed {
		d.wChan = d.o * taps
	}
	work := mulSize(d.n, co, yPlane, d.c, taps, 4)
	spread(pool, d.n*co, work, func(lo, hi int) {
		pos := make([]int, rank)
		for u := lo; u < hi; u++ {
			n, oc := u/co, u%co
			g, o := oc/d.o, oc%d.o
			xOff := n*cx*xPlane + g*d.c*xChan
			wOff := oc * d.c * taps
			if d.transposed {
				wOff = (g*d.c*d.o + o) * taps
			}
			yOff := n*co*yPlane + oc*yChan
			clear(pos)
			for range yPlane {
				v := d.sum(0, pos, xOff, wOff)
				if d.bias != nil {
					v += d.bias[oc]
				}
				at := yOff
				for i, p := range pos {
					at += p * d.yPitch[i]
				}
				d.y[at] = v
				d.step(pos)
			}
		}
	})
}

// step advances a result position.
func (d *directConv[T]) step(pos []int) {
	for i := len(pos) - 1; i >= 0; i-- {
		n := d.ax[i].out
		if d.transposed {
			n = d.ax[i].in
		}
		if pos[i]++; pos[i] < n {
			return
		}
		pos[i] = 0
	}
}

// sum adds up the products for the result at pos over the axes from axis on.
func (d *directConv[T]) sum(axis int, pos []int, xOff, wOff int) T {
	var s T
	if axis == len(d.ax) {
		for range d.c {
			s += d.x[xOff] * d.w[wOff]
			xOff += d.xChan
			wOff += d.wChan
		}
		return s
	}
	a := d.ax[axis]
	if d.transposed {
		for k := range a.kernel {
			t := pos[axis] + a.begin - k*a.dilation
			if t >= 0 && t%a.stride == 0 && t/a.stride < a.out {
				s += d.sum(axis+1, pos, xOff+t/a.stride*d.xPitch[axis], wOff+k*d.wTaps[axis])
			}
		}
		return s
	}
	from := pos[axis]*a.stride - a.begin
	k := 0
	if from < 0 {
		k = (-from + a.dilation - 1) / a.dilation
	}
	for ; k < a.kernel && from+k*a.dilation < a.in; k++ {
		s += d.sum(axis+1, pos, xOff+(from+k*a.dilation)*d.xPitch[axis], wOff+k*d.wTaps[axis])
	}
	return s
}
