package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/aekit/aekit/train"
)

// reporter tells the user how the work goes: a moving line on a terminal, a line an epoch
// elsewhere, both on standard error; with --json a line of JSON an epoch on standard output.
type reporter struct {
	stdout, stderr io.Writer
	json, quiet    bool
	live           bool // standard error is a terminal
	width          int
	drawn          bool // the moving line is on the screen
	last           time.Time
	began          time.Time
	held           *line // the last epoch, until the test loss is known
	at             train.Progress
}

// line is what --json prints for an epoch.
type line struct {
	Epoch           int                `json:"epoch"`
	TrainLoss       float64            `json:"train_loss"`
	ValLoss         *float64           `json:"val_loss"`
	TestLoss        *float64           `json:"test_loss,omitempty"`
	Parts           map[string]float64 `json:"parts,omitempty"`
	LR              float64            `json:"lr"`
	ImagesPerSecond float64            `json:"images_per_s"`
	Seconds         float64            `json:"seconds"`
}

func newReporter(stdout, stderr io.Writer) *reporter {
	r := &reporter{stdout: stdout, stderr: stderr, began: time.Now()}
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		r.live = true
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			r.width = w
		}
	}
	if r.width <= 0 {
		r.width = 80
	}
	return r
}

// note prints a line for the user.
func (r *reporter) note(format string, args ...any) {
	if r.quiet {
		return
	}
	r.clear()
	fmt.Fprintf(r.stderr, format+"\n", args...)
}

// clear removes the moving line.
func (r *reporter) clear() {
	if r.drawn {
		fmt.Fprint(r.stderr, "\r\x1b[K")
		r.drawn = false
	}
}

// draw replaces the moving line, at most ten times a second.
func (r *reporter) draw(text string) {
	if r.quiet || !r.live || time.Since(r.last) < 100*time.Millisecond {
		return
	}
	r.last, r.drawn = time.Now(), true
	if n := []rune(text); len(n) >= r.width {
		text = string(n[:r.width-1])
	}
	fmt.Fprint(r.stderr, "\r\x1b[K"+text)
}

func (r *reporter) download(name string, done, total int64) {
	switch {
	case total > 0:
		r.draw(fmt.Sprintf("%s %s %3d %%", name, bar(float64(done)/float64(total), 20), done*100/total))
	default:
		r.draw(fmt.Sprintf("%s %d", name, done))
	}
	if done == total {
		r.clear()
	}
}

func (r *reporter) start(j *job, c *train.Config, parameters int) {
	info := c.Data.Info()
	r.note("%s: %d parameters; %d images of %s, %dx%dx%d; %s, %s, batch %d, learning rate %g, %d epochs",
		j.preset.Name, parameters, c.Data.Len(), info.Name, info.Width, info.Height, info.Channels,
		c.Objective, c.Optimizer, c.Batch, c.LR, c.Epochs)
}

func (r *reporter) step(p train.Progress) {
	r.at = p
	if !r.live || r.quiet {
		return
	}
	speed := rate(p)
	left := float64((p.Epochs-p.Epoch)*p.Total+p.Total-p.Images) / max(speed, 1e-9)
	r.draw(fmt.Sprintf("epoch %d/%d %s %s  %.0f images/s  ETA %s", p.Epoch, p.Epochs,
		bar(float64(p.Images)/float64(max(1, p.Total)), 20), losses(p.Loss), speed, time.Duration(left*float64(time.Second)).Round(time.Second)))
}

func (r *reporter) epoch(e train.Epoch) {
	text := fmt.Sprintf("epoch %d/%d  %s", e.Epoch, e.Epochs, losses(e.Train))
	if e.Val != nil {
		text += "  validation " + losses(*e.Val)
	}
	r.note("%s  %.0f images/s  %.1f s", text, e.ImagesPerSecond, e.Seconds)
	if !r.json {
		return
	}
	l := newLine(e.Epoch, e.Train)
	l.LR, l.ImagesPerSecond, l.Seconds = e.LR, e.ImagesPerSecond, e.Seconds
	if e.Val != nil {
		v := e.Val.Total()
		l.ValLoss = &v
	}
	if e.Final {
		r.held = l
		return
	}
	r.printLine(l)
}

// newLine is the line of an epoch's losses.
func newLine(epoch int, l train.Losses) *line {
	out := &line{Epoch: epoch, TrainLoss: l.Total()}
	if len(l.Names) > 1 {
		out.Parts = map[string]float64{}
		for i, n := range l.Names[1:] {
			out.Parts[n] = l.Values[i+1]
		}
	}
	return out
}

func (r *reporter) printLine(l *line) {
	b, err := json.Marshal(l)
	if err != nil {
		b = []byte(fmt.Sprintf(`{"epoch":%d,"error":%q}`, l.Epoch, err))
	}
	fmt.Fprintf(r.stdout, "%s\n", b)
}

// print writes to standard output what the user asked to see.
func (r *reporter) print(text string) error {
	if _, err := io.WriteString(r.stdout, text); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// test ends the lines of --json. Where training ended within an epoch, the last line has what
// there was of that one.
func (r *reporter) test(l train.Losses, unit string) {
	r.note("test  %s  (%s)", losses(l), unit)
	if !r.json {
		return
	}
	if r.held == nil {
		r.held = newLine(r.at.Epoch, r.at.Loss)
		r.held.LR, r.held.Seconds = r.at.LR, r.at.Elapsed.Seconds()
		r.held.ImagesPerSecond = rate(r.at)
	}
	v := l.Total()
	r.held.TestLoss = &v
	r.printLine(r.held)
	r.held = nil
}

func (r *reporter) noTest() {
	if r.held != nil {
		r.printLine(r.held)
		r.held = nil
	}
}

// rate is the speed of an epoch so far, in images a second.
func rate(p train.Progress) float64 { return float64(p.Images) / max(p.Elapsed.Seconds(), 1e-9) }

func (r *reporter) wrote(path, what string) {
	r.note("wrote %s (%s; %.1f s)", path, what, time.Since(r.began).Seconds())
}

func losses(l train.Losses) string {
	var b strings.Builder
	for i, n := range l.Names {
		if i > 0 {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "%s %.5g", n, l.Values[i])
	}
	return b.String()
}

// bar draws a share as a bar of that many characters.
func bar(share float64, width int) string {
	n := int(min(1, max(0, share)) * float64(width))
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", width-n) + "]"
}

// suggest gives the result of --find-lr; with --json on standard output too.
func (r *reporter) suggest(rate float64) {
	r.note("suggested learning rate: --lr %.2g", rate)
	if r.json {
		fmt.Fprintf(r.stdout, "{\"lr\":%.2g}\n", rate)
	}
}
