package dataset

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gobolditalic"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/gofont/gomediumitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/gomonobolditalic"
	"golang.org/x/image/font/gofont/gomonoitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// The Go fonts whose digits differ (the small-caps fonts have those of the regular and
// italic ones).
var digitFonts = [...][]byte{
	goregular.TTF, goitalic.TTF, gomedium.TTF, gomediumitalic.TTF, gobold.TTF, gobolditalic.TTF,
	gomono.TTF, gomonoitalic.TTF, gomonobold.TTF, gomonobolditalic.TTF,
}

// A glyph is a digit's signed distance field, positive inside, sampled on a grid whose
// middle is the middle of the digit's bounding box. Distances are in units of
// 1/distUnit grid cells and saturate at ±distMax.
type glyph struct {
	dist [gridSize * gridSize]int16
}

const (
	gridSize   = 64
	gridHeight = 40 // a digit's height, in cells
	distUnit   = 512
	distBand   = 6 // cells
	distMax    = distBand * distUnit
)

// glyphs holds the distance fields of every font and digit, and half the width of each
// font's vertical stroke, in cells.
type glyphs struct {
	field [len(digitFonts)][10]glyph
	half  [len(digitFonts)]float64
}

var digitGlyphs = sync.OnceValues(func() (*glyphs, error) {
	g := new(glyphs)
	for f, ttf := range digitFonts {
		fnt, err := sfnt.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("dataset: built-in font %d: %w", f, err)
		}
		for d := range 10 {
			contours, err := loadDigit(fnt, rune('0'+d))
			if err != nil {
				return nil, fmt.Errorf("dataset: built-in font %d: digit %d: %w", f, d, err)
			}
			if d == 0 {
				contours = unslash(contours)
			}
			g.field[f][d].render(normalise(contours))
		}
		g.half[f] = float64(slices.Max(g.field[f][1].dist[:])) / distUnit
	}
	return g, nil
})

type point struct{ x, y float64 }

// loadDigit returns the closed contours of a character as polygons, in font units. All
// coordinates are exact.
func loadDigit(f *sfnt.Font, r rune) ([][]point, error) {
	var buf sfnt.Buffer
	i, err := f.GlyphIndex(&buf, r)
	if err != nil {
		return nil, err
	}
	segs, err := f.LoadGlyph(&buf, i, fixed.I(int(f.UnitsPerEm())), &sfnt.LoadGlyphOptions{})
	if err != nil {
		return nil, err
	}
	pt := func(p fixed.Point26_6) point { return point{float64(p.X), float64(p.Y)} }
	const steps = 8
	var out [][]point
	for _, s := range segs {
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			out = append(out, []point{pt(s.Args[0])})
			continue
		case sfnt.SegmentOpCubeTo:
			return nil, fmt.Errorf("cubic outline")
		}
		c := &out[len(out)-1]
		if s.Op == sfnt.SegmentOpLineTo {
			*c = append(*c, pt(s.Args[0]))
			continue
		}
		a, b, e := (*c)[len(*c)-1], pt(s.Args[0]), pt(s.Args[1])
		for k := 1; k <= steps; k++ {
			wa, wb, we := float64((steps-k)*(steps-k)), float64(2*k*(steps-k)), float64(k*k)
			*c = append(*c, point{
				(float64(wa*a.x) + float64(wb*b.x) + float64(we*e.x)) / (steps * steps),
				(float64(wa*a.y) + float64(wb*b.y) + float64(we*e.y)) / (steps * steps),
			})
		}
	}
	return out, nil
}

// unslash replaces the counters of the Go fonts' slashed zero by their convex hull, so
// that a zero is a ring, as people write it.
func unslash(contours [][]point) [][]point {
	outer := 0
	for i, c := range contours {
		if math.Abs(area(c)) > math.Abs(area(contours[outer])) {
			outer = i
		}
	}
	var inner []point
	for i, c := range contours {
		if i != outer {
			inner = append(inner, c...)
		}
	}
	hull := convexHull(inner)
	if (area(hull) > 0) == (area(contours[outer]) > 0) {
		slices.Reverse(hull)
	}
	return [][]point{contours[outer], hull}
}

// area is twice the signed area of a polygon.
func area(p []point) float64 {
	var s float64
	for i, a := range p {
		b := p[(i+1)%len(p)]
		s += float64(a.x*b.y) - float64(a.y*b.x)
	}
	return s
}

// convexHull is Andrew's monotone chain.
func convexHull(p []point) []point {
	p = slices.Clone(p)
	slices.SortFunc(p, func(a, b point) int {
		if a.x < b.x || a.x == b.x && a.y < b.y {
			return -1
		}
		if a == b {
			return 0
		}
		return 1
	})
	chain := func() []point {
		var h []point
		for _, q := range p {
			for len(h) >= 2 {
				a, b := h[len(h)-2], h[len(h)-1]
				if float64((b.x-a.x)*(q.y-a.y))-float64((b.y-a.y)*(q.x-a.x)) > 0 {
					break
				}
				h = h[:len(h)-1]
			}
			h = append(h, q)
		}
		return h[:max(len(h)-1, 0)]
	}
	lower := chain()
	slices.Reverse(p)
	return append(lower, chain()...)
}

// normalise moves the middle of the contours' bounding box to the middle of the grid and
// scales its height to gridHeight.
func normalise(contours [][]point) [][]point {
	lo, hi := contours[0][0], contours[0][0]
	for _, c := range contours {
		for _, p := range c {
			lo = point{min(lo.x, p.x), min(lo.y, p.y)}
			hi = point{max(hi.x, p.x), max(hi.y, p.y)}
		}
	}
	scale := gridHeight / (hi.y - lo.y)
	mid := point{(lo.x + hi.x) / 2, (lo.y + hi.y) / 2}
	for _, c := range contours {
		for i, p := range c {
			c[i] = point{
				float64((p.x-mid.x)*scale) + (gridSize-1)/2.0,
				float64((p.y-mid.y)*scale) + (gridSize-1)/2.0,
			}
		}
	}
	return contours
}

// render fills g from closed polygons in grid coordinates, with the nonzero winding rule.
func (g *glyph) render(contours [][]point) {
	var d2 [gridSize * gridSize]float64
	for i := range d2 {
		d2[i] = distBand * distBand
	}
	type crossing struct {
		x   float64
		dir int
	}
	var rows [gridSize][]crossing
	for _, c := range contours {
		for i, a := range c {
			b := c[(i+1)%len(c)]
			near(&d2, a, b)
			dir := 1
			if a.y > b.y {
				a, b, dir = b, a, -1
			}
			for y := max(0, int(math.Ceil(a.y))); y < gridSize && float64(y) < b.y; y++ {
				x := a.x + float64((float64(y)-a.y)*((b.x-a.x)/(b.y-a.y)))
				rows[y] = append(rows[y], crossing{x, dir})
			}
		}
	}
	for y, r := range rows {
		slices.SortFunc(r, func(a, b crossing) int {
			if a.x < b.x {
				return -1
			}
			return 1
		})
		winding, k := 0, 0
		for x := range gridSize {
			for ; k < len(r) && r[k].x <= float64(x); k++ {
				winding += r[k].dir
			}
			d := int16(math.Sqrt(d2[y*gridSize+x]) * distUnit)
			if winding == 0 {
				d = -d
			}
			g.dist[y*gridSize+x] = d
		}
	}
}

// near lowers d2 to the squared distance from the segment a–b, within distBand of it.
func near(d2 *[gridSize * gridSize]float64, a, b point) {
	x0 := max(0, int(min(a.x, b.x))-distBand)
	x1 := min(gridSize-1, int(max(a.x, b.x))+distBand+1)
	y0 := max(0, int(min(a.y, b.y))-distBand)
	y1 := min(gridSize-1, int(max(a.y, b.y))+distBand+1)
	ex, ey := b.x-a.x, b.y-a.y
	l2 := float64(ex*ex) + float64(ey*ey)
	for y := y0; y <= y1; y++ {
		for x := x0; x <= x1; x++ {
			px, py := float64(x)-a.x, float64(y)-a.y
			t := 0.0
			if l2 > 0 {
				t = min(1, max(0, (float64(px*ex)+float64(py*ey))/l2))
			}
			dx, dy := px-float64(t*ex), py-float64(t*ey)
			d := float64(dx*dx) + float64(dy*dy)
			if i := y*gridSize + x; d < d2[i] {
				d2[i] = d
			}
		}
	}
}
