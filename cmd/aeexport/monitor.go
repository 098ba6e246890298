package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/tfevents"
	"github.com/aekit/aekit/train"
)

// monitorOptions are the flags for watching and bounding training.
type monitorOptions struct {
	metrics     string
	tensorboard string
	every       int
	timeLimit   time.Duration
	findLR      bool
}

func (m *monitorOptions) add(all *cli.Flags) {
	fs := all.Section(trainFlags)
	fs.DurationVar(&m.timeLimit, "time-limit", 0, "stop training after this time, for example 90s or 2h, and write the model, of the best epoch where there are validation images; 0: no limit")
	fs.BoolVar(&m.findLR, "find-lr", false, "do not train: try learning rates, suggest one, and draw MODEL.lr.png")
	fs = all.Section(watchFlags)
	fs.StringVar(&m.metrics, "metrics", "", "`FILE` to write losses and rates to, as lines of JSON")
	fs.StringVar(&m.tensorboard, "tensorboard", "", "`DIR` to write the same to, as event files of TensorBoard")
	fs.IntVar(&m.every, "log-every", 20, "steps between the lines of --metrics and --tensorboard")
}

func (m *monitorOptions) check() error {
	switch {
	case m.timeLimit < 0:
		return usagef("--time-limit %v: want a time of 0 or more", m.timeLimit)
	case m.every < 1:
		return usagef("--log-every %d: want at least 1", m.every)
	}
	return nil
}

// monitor writes the course of training to files. The first error of a file ends its writing
// and is kept.
type monitor struct {
	opt   *monitorOptions
	lines *os.File
	board *tfevents.Writer
	begun time.Time
	last  int // step of the last line
	err   error
}

// event is a line of --metrics.
type event struct {
	Event           string             `json:"event"` // "step", "epoch" or "test"
	Step            int                `json:"step"`  // of all epochs
	Epoch           int                `json:"epoch"`
	Seconds         float64            `json:"seconds"` // since training began in this process
	Losses          map[string]float64 `json:"losses"`  // of one step; of an epoch its mean
	Val             map[string]float64 `json:"val,omitempty"`
	LR              float64            `json:"lr,omitempty"`
	ImagesPerSecond float64            `json:"images_per_s,omitempty"`
}

// startMonitor opens the files. step is the number of steps that a resumed run has done:
// lines of later ones, written before it was interrupted, are removed.
func startMonitor(o *monitorOptions, step int) (*monitor, error) {
	m := &monitor{opt: o, begun: time.Now()}
	if o.metrics != "" {
		if err := keepLines(o.metrics, step); err != nil {
			return nil, err
		}
		var err error
		if m.lines, err = os.OpenFile(o.metrics, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666); err != nil {
			return nil, err
		}
	}
	if o.tensorboard != "" {
		var err error
		if m.board, err = tfevents.Create(o.tensorboard, int64(step)); err != nil {
			m.close()
			return nil, err
		}
	}
	return m, nil
}

// keepLines leaves the whole lines of a file that are of the first steps; none for step 0.
func keepLines(path string, step int) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	var kept bytes.Buffer
	if step > 0 {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(b) {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Step > step || !bytes.HasSuffix(line, []byte("\n")) {
				break
			}
			kept.Write(line)
		}
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := kept.WriteTo(w)
		return err
	})
}

func (m *monitor) step(p train.Progress) {
	if m.lines == nil && m.board == nil || p.Step%m.opt.every != 0 {
		return
	}
	m.write(&event{Event: "step", Step: p.Step, Epoch: p.Epoch, Losses: byName(p.Last), LR: p.LR}, "train_step/", p.Last)
	if m.board != nil {
		m.scalars(p.Step, tfevents.Scalar{Tag: "learning_rate", Value: p.LR}, tfevents.Scalar{Tag: "images_per_second", Value: rate(p)})
	}
}

func (m *monitor) epoch(e train.Epoch, step int) {
	ev := &event{Event: "epoch", Step: step, Epoch: e.Epoch, Losses: byName(e.Train), LR: e.LR, ImagesPerSecond: e.ImagesPerSecond}
	if e.Val != nil {
		ev.Val = byName(*e.Val)
	}
	m.write(ev, "train_epoch/", e.Train)
	if e.Val != nil && m.board != nil {
		m.scalars(step, tagged("validation/", *e.Val)...)
	}
}

func (m *monitor) test(l train.Losses, step, epoch int) {
	m.write(&event{Event: "test", Step: step, Epoch: epoch, Losses: byName(l)}, "test/", l)
}

func (m *monitor) write(e *event, prefix string, l train.Losses) {
	m.last = e.Step
	if m.lines != nil {
		e.Seconds = time.Since(m.begun).Seconds()
		b, err := json.Marshal(e)
		if err == nil {
			_, err = m.lines.Write(append(b, '\n'))
		}
		if err != nil {
			m.fail(m.opt.metrics, err)
			m.lines.Close()
			m.lines = nil
		}
	}
	if m.board != nil {
		m.scalars(e.Step, tagged(prefix, l)...)
	}
}

func (m *monitor) scalars(step int, values ...tfevents.Scalar) {
	if err := m.board.Scalars(int64(step), values...); err != nil {
		m.fail(m.opt.tensorboard, err)
		m.board.Close()
		m.board = nil
	}
}

// picture shows a PNG file in TensorBoard.
func (m *monitor) picture(step int, tag, path string) {
	if m.board == nil {
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return
	}
	if err := m.board.Image(int64(step), tag, c.Width, c.Height, 3, b); err != nil {
		m.fail(m.opt.tensorboard, err)
	}
}

func (m *monitor) fail(path string, err error) {
	if m.err == nil {
		m.err = fmt.Errorf("%s: %w", path, err)
	}
}

// close ends the files and returns the first error.
func (m *monitor) close() error {
	if m.lines != nil {
		if err := m.lines.Close(); err != nil {
			m.fail(m.opt.metrics, err)
		}
	}
	if m.board != nil {
		if err := m.board.Close(); err != nil {
			m.fail(m.opt.tensorboard, err)
		}
	}
	m.lines, m.board = nil, nil
	return m.err
}

func byName(l train.Losses) map[string]float64 {
	out := make(map[string]float64, len(l.Names))
	for i, n := range l.Names {
		out[n] = l.Values[i]
	}
	return out
}

func tagged(prefix string, l train.Losses) []tfevents.Scalar {
	var out []tfevents.Scalar
	for i, n := range l.Names {
		out = append(out, tfevents.Scalar{Tag: prefix + n, Value: l.Values[i]})
	}
	return out
}
