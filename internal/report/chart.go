package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"

	"github.com/aekit/aekit/train"
)

// Charts are SVG whose colours are classes of the page's style sheet, so that they follow its
// light and dark themes.

// bar is a value with a name, and perhaps one to compare with.
type bar struct {
	Label string
	Value float64
	Other float64 // shown as an outline; 0: none
}

// curve is a line of a chart.
type curve struct {
	name   string
	x, y   []float64
	dashed bool
	color  int
}

const (
	chartWidth  = 560
	chartHeight = 260
	marginLeft  = 56
	marginRight = 12
	marginTop   = 14
	marginLow   = 40
)

// ticks returns round numbers from lo to hi, about count of them.
func ticks(lo, hi float64, count int) []float64 {
	if !(hi > lo) {
		return []float64{lo}
	}
	raw := (hi - lo) / float64(count)
	p := math.Pow(10, math.Floor(math.Log10(raw)))
	step := p
	for _, f := range []float64{1, 2, 5, 10} {
		if step = f * p; step >= raw {
			break
		}
	}
	var out []float64
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+step*1e-9; i++ {
		out = append(out, i*step+0) // no -0
	}
	return out
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// frame draws axes and grid and returns functions from values to coordinates.
func frame(b *strings.Builder, x0, x1, y0, y1 float64, xName, yName string, logX bool) (fx, fy func(float64) float64) {
	scale := func(v float64) float64 {
		if logX {
			return math.Log(v)
		}
		return v
	}
	a, z := scale(x0), scale(x1)
	fx = func(v float64) float64 {
		return marginLeft + (scale(v)-a)/max(z-a, 1e-12)*(chartWidth-marginLeft-marginRight)
	}
	fy = func(v float64) float64 {
		return chartHeight - marginLow - (v-y0)/max(y1-y0, 1e-12)*(chartHeight-marginLow-marginTop)
	}
	fmt.Fprintf(b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(yName))
	for _, t := range ticks(y0, y1, 5) {
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			marginLeft, chartWidth-marginRight, fy(t), fy(t), marginLeft-6, fy(t)+4, number(t))
	}
	if !math.IsNaN(x0) {
		xs := ticks(x0, x1, 8)
		if xName == "epoch" && x1-x0 < 8 {
			xs = nil
			for v := math.Ceil(x0); v <= x1; v++ {
				xs = append(xs, v)
			}
		}
		if logX {
			xs = nil
			for _, v := range []float64{1, 2, 5, 10, 20, 50, 100} {
				if v >= x0 && v <= x1 {
					xs = append(xs, v)
				}
			}
		}
		for _, t := range xs {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, fx(t), chartHeight-marginLow+16, number(t))
		}
	}
	fmt.Fprintf(b, `<text class="name" x="%d" y="%d" text-anchor="middle">%s</text>`, (marginLeft+chartWidth)/2, chartHeight-6, html.EscapeString(xName))
	fmt.Fprintf(b, `<text class="name" x="0" y="0" text-anchor="middle" transform="translate(12 %d) rotate(-90)">%s</text>`, (chartHeight-marginLow+marginTop)/2, html.EscapeString(yName))
	return fx, fy
}

// lineChart draws curves with a legend.
func lineChart(curves []curve, xName, yName string, logX bool) template.HTML {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for i := range c.x {
			x0, x1, y0, y1 = min(x0, c.x[i]), max(x1, c.x[i]), min(y0, c.y[i]), max(y1, c.y[i])
		}
	}
	if !(x1 >= x0) {
		return ""
	}
	pad := (y1 - y0) * 0.06
	if pad == 0 {
		pad = math.Abs(y1)*0.05 + 1e-9
	}
	y0, y1 = y0-pad, y1+pad
	var b strings.Builder
	fx, fy := frame(&b, x0, x1, y0, y1, xName, yName, logX)
	for k, c := range curves {
		dash := ""
		if c.dashed {
			dash = ` stroke-dasharray="5 4"`
		}
		fmt.Fprintf(&b, `<polyline class="s%d line"%s points="`, c.color, dash)
		for i := range c.x {
			fmt.Fprintf(&b, "%.1f,%.1f ", fx(c.x[i]), fy(c.y[i]))
		}
		b.WriteString(`"/>`)
		if len(c.x) <= 30 {
			for i := range c.x {
				fmt.Fprintf(&b, `<circle class="s%d dot" cx="%.1f" cy="%.1f" r="3"><title>%s %s: %s</title></circle>`,
					c.color, fx(c.x[i]), fy(c.y[i]), html.EscapeString(c.name), number(c.x[i]), number(c.y[i]))
			}
		}
		if len(curves) > 1 {
			y := marginTop + 12 + 18*k
			if first := curves[0].y; first[len(first)-1] > first[0] {
				// The curves rise: the room is below them.
				y = chartHeight - marginLow - 10 - 18*(len(curves)-1-k)
			}
			fmt.Fprintf(&b, `<line class="s%d line"%s x1="%d" x2="%d" y1="%d" y2="%d"/><text x="%d" y="%d" text-anchor="end">%s</text>`,
				c.color, dash, chartWidth-40, chartWidth-16, y, y, chartWidth-46, y+4, html.EscapeString(c.name))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// barChart draws values as bars, those to compare with as lines across.
func barChart(bars []bar, yName string) template.HTML {
	top, low := 0.0, 0.0
	for _, v := range bars {
		top, low = max(top, v.Value, v.Other), min(low, v.Value)
	}
	if len(bars) == 0 || top == low {
		return ""
	}
	var b strings.Builder
	_, fy := frame(&b, math.NaN(), math.NaN(), low, top*1.05, "", yName, false)
	width := float64(chartWidth-marginLeft-marginRight) / float64(len(bars))
	gap := min(4, width/5)
	// Labels that do not fit are left out, or stand at an angle.
	every := max(1, int(math.Ceil(18/width)))
	longest := 0
	for _, v := range bars {
		longest = max(longest, len([]rune(v.Label)))
	}
	tilt := every == 1 && float64(longest)*7.5 > width
	for i, v := range bars {
		x := marginLeft + float64(i)*width
		title := fmt.Sprintf("%s: %s", v.Label, number(v.Value))
		if v.Other > 0 {
			title += ", data " + number(v.Other)
		}
		fmt.Fprintf(&b, `<rect class="s0 bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1.5"><title>%s</title></rect>`,
			x+gap/2, fy(v.Value), width-gap, max(0.5, fy(0)-fy(v.Value)), html.EscapeString(title))
		if v.Other > 0 {
			fmt.Fprintf(&b, `<line class="s1 line" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x+width, fy(v.Other), fy(v.Other))
		}
		switch label := html.EscapeString(v.Label); {
		case i%every != 0:
		case tilt:
			fmt.Fprintf(&b, `<text transform="translate(%.1f %d) rotate(-28)" text-anchor="end">%s</text>`, x+width/2+4, chartHeight-marginLow+13, label)
		default:
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x+width/2, chartHeight-marginLow+16, label)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// palette is how many colours the style sheet has for classes.
const palette = 10

// scatter draws points in the plane, coloured by label.
func scatter(xy []float64, labels []int, classes []string) template.HTML {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for i := 0; i+1 < len(xy); i += 2 {
		x0, x1, y0, y1 = min(x0, xy[i]), max(x1, xy[i]), min(y0, xy[i+1]), max(y1, xy[i+1])
	}
	if !(x1 > x0) || !(y1 > y0) {
		return ""
	}
	const side, pad = 480, 10
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="map of latent vectors">`, side, side)
	for i := 0; i+1 < len(xy); i += 2 {
		color, name := "none", ""
		if l := labels[i/2]; l >= 0 && l < len(classes) {
			color, name = strconv.Itoa(l%palette), "<title>"+html.EscapeString(classes[l])+"</title>"
		}
		fmt.Fprintf(&b, `<circle class="c%s" cx="%.1f" cy="%.1f" r="3.2">%s</circle>`, color,
			pad+(xy[i]-x0)/(x1-x0)*(side-2*pad), pad+(xy[i+1]-y0)/(y1-y0)*(side-2*pad), name)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// curves draws the course of training and the learning curve.
func (r *result) curves() {
	if e := r.in.Epochs; len(e) > 0 {
		for k, name := range e[0].Train.Names {
			t, v := curve{name: "training"}, curve{name: "validation", dashed: true, color: 1}
			for _, x := range e {
				if k < len(x.Train.Values) && finite(x.Train.Values[k]) {
					t.x, t.y = append(t.x, float64(x.Epoch)), append(t.y, x.Train.Values[k])
				}
				if x.Val != nil && k < len(x.Val.Values) && finite(x.Val.Values[k]) {
					v.x, v.y = append(v.x, float64(x.Epoch)), append(v.y, x.Val.Values[k])
				}
			}
			list := []curve{t}
			if len(v.x) > 0 {
				list = append(list, v)
			}
			r.figures.Losses = append(r.figures.Losses, namedChart{lossName(e[0].Train, k), lineChart(list, "epoch", name, false)})
		}
	}
	if len(r.in.Curve) > 0 {
		plain, augmented := curve{name: "as it is"}, curve{name: "augmented", color: 1}
		for _, p := range r.in.Curve {
			c := &plain
			if p.Augmented {
				c = &augmented
			}
			c.x, c.y = append(c.x, 100*p.Share), append(c.y, p.Loss)
		}
		list := []curve{plain}
		if len(augmented.x) > 0 {
			list = append(list, augmented)
		}
		r.figures.Learning = lineChart(list, "share of the training images in %", "test loss", true)
	}
}

func lossName(l train.Losses, k int) string {
	if k == 0 {
		return "total loss"
	}
	return l.Names[k]
}

func finite(v float64) bool { return v-v == 0 }
