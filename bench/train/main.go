// Command train times training steps of this module and of PyTorch side by side.
//
//	go run ./train --python /usr/bin/python3 --rounds 7 --seconds 0.5
//
// Every model is trained by a process of this program and one of each Python that is named;
// they take turns of some tenths of a second, so that whatever else the machine does hits
// them alike. The table has medians of the turns and the peak memory of each process.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

type options struct {
	pythons []string
	models  []string
	threads []int
	rounds  int
	seconds float64
	script  string
	worker  bool
	batch   int
}

func run(args []string, in io.Reader, out io.Writer) error {
	var o options
	fs := pflag.NewFlagSet("train", pflag.ContinueOnError)
	fs.StringSliceVar(&o.pythons, "python", nil, "Python interpreters that have PyTorch; none: time this module alone")
	fs.StringSliceVar(&o.models, "models", nil, "names of models; default: all")
	fs.IntSliceVar(&o.threads, "threads", []int{1, 2}, "numbers of threads")
	fs.IntVar(&o.rounds, "rounds", 7, "turns that count, after one that does not")
	fs.Float64Var(&o.seconds, "seconds", 0.5, "length of a turn")
	fs.StringVar(&o.script, "script", filepath.Join("train", "steps.py"), "the PyTorch side")
	fs.BoolVar(&o.worker, "worker", false, "train one model as standard input says; used by the program itself")
	fs.IntVar(&o.batch, "batch", 0, "batch size of the worker")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return err
	}
	if o.worker {
		if len(o.models) != 1 || len(o.threads) != 1 {
			return errors.New("a worker has one model and one number of threads")
		}
		s, err := find(o.models[0], o.batch)
		if err != nil {
			return err
		}
		return work(s, o.threads[0], in, out)
	}
	if o.rounds < 1 || !(o.seconds > 0) {
		return fmt.Errorf("%d rounds of %g seconds", o.rounds, o.seconds)
	}
	return compare(&o, out)
}

func compare(o *options, out io.Writer) error {
	var rows []row
	for _, threads := range o.threads {
		for _, s := range subjects {
			if len(o.models) > 0 && !slices.Contains(o.models, s.name) {
				continue
			}
			r, err := measure(o, s, threads)
			if err != nil {
				return fmt.Errorf("%s, batch %d: %w", s.name, s.batch, err)
			}
			rows = append(rows, *r)
			fmt.Fprintln(os.Stderr, r)
		}
	}
	return table(out, rows)
}

// row is one line of the table; index 0 is this module.
type row struct {
	subject subject
	threads int
	names   []string
	rates   []float64 // images per second, medians
	ratios  []float64 // of this module's rate to each, medians of rounds
	peaks   []float64 // MiB
}

func (r *row) String() string {
	return fmt.Sprintf("%s %d, %d threads: %s %.0f images/s, ratios %.2f, peaks %.0f MiB", r.subject.name, r.subject.batch, r.threads, r.names, r.rates, r.ratios, r.peaks)
}

// measure lets the processes train in turn.
func measure(o *options, s subject, threads int) (r *row, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := fmt.Sprint(threads)
	commands := []*exec.Cmd{exec.Command(self, "--worker", "--models", s.name, "--batch", fmt.Sprint(s.batch), "--threads", n)}
	for _, python := range o.pythons {
		commands = append(commands, exec.Command(python, o.script, s.name, fmt.Sprint(s.batch), n))
	}
	r = &row{subject: s, threads: threads}
	var procs []*process
	defer func() {
		for _, p := range procs {
			err = errors.Join(err, p.stop())
		}
	}()
	for _, c := range commands {
		c.Env = append(os.Environ(), "GOMAXPROCS="+n, "OMP_NUM_THREADS="+n)
		p, err := start(c)
		if err != nil {
			return nil, err
		}
		procs = append(procs, p)
		r.names = append(r.names, p.name)
	}
	rates := make([][]float64, len(procs))
	ratios := make([][]float64, len(procs))
	r.peaks = make([]float64, len(procs))
	for round := range o.rounds + 1 {
		own := 0.0
		for i, p := range procs {
			rate, peak, err := p.turn(o.seconds)
			if err != nil {
				return nil, err
			}
			r.peaks[i] = peak
			if i == 0 {
				own = rate
			}
			if round > 0 {
				rates[i] = append(rates[i], rate)
				ratios[i] = append(ratios[i], own/rate)
			}
		}
	}
	for i := range procs {
		r.rates = append(r.rates, median(rates[i]))
		r.ratios = append(r.ratios, median(ratios[i]))
	}
	return r, nil
}

// process is a worker that waits for its turn.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	name string
}

func start(c *exec.Cmd) (*process, error) {
	p := &process{cmd: c}
	var err error
	if p.in, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if !p.out.Scan() {
		return nil, errors.Join(fmt.Errorf("%s says nothing", c.Path), p.stop())
	}
	p.name = p.out.Text()
	return p, nil
}

// turn trains for some seconds and returns images per second and the peak memory in MiB.
func (p *process) turn(seconds float64) (rate, peak float64, err error) {
	if _, err := fmt.Fprintln(p.in, seconds); err != nil {
		return 0, 0, err
	}
	if !p.out.Scan() {
		return 0, 0, fmt.Errorf("%s ended: %w", p.name, cmp.Or(p.out.Err(), io.ErrUnexpectedEOF))
	}
	var images, took float64
	if _, err := fmt.Sscan(p.out.Text(), &images, &took, &peak); err != nil {
		return 0, 0, fmt.Errorf("%s says %q: %w", p.name, p.out.Text(), err)
	}
	return images / took, peak / 1024, nil
}

func (p *process) stop() error {
	p.in.Close()
	return p.cmd.Wait()
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// table writes the rows as Markdown, with the ratio to the fastest of the others.
func table(w io.Writer, rows []row) error {
	if len(rows) == 0 {
		return errors.New("no model of that name")
	}
	names := slices.Clone(rows[0].names)
	for i, n := range names {
		names[i] = strings.Join(strings.Fields(n)[:min(2, len(strings.Fields(n)))], " ")
	}
	names[0] = "aekit"
	head := []string{"model", "batch", "threads"}
	for _, n := range names {
		head = append(head, n+", images/s")
	}
	head = append(head, "ratio")
	for _, n := range names {
		head = append(head, n+", MiB")
	}
	lines := [][]string{head, slices.Repeat([]string{"---"}, len(head))}
	logs, worst := 0.0, math.Inf(1)
	for _, r := range rows {
		l := []string{r.subject.name, fmt.Sprint(r.subject.batch), fmt.Sprint(r.threads)}
		for _, v := range r.rates {
			l = append(l, fmt.Sprintf("%.0f", v))
		}
		ratio := math.NaN()
		if len(r.ratios) > 1 {
			ratio = slices.Min(r.ratios[1:])
		}
		logs += math.Log(ratio)
		worst = min(worst, ratio)
		l = append(l, fmt.Sprintf("%.2f", ratio))
		for _, v := range r.peaks {
			l = append(l, fmt.Sprintf("%.0f", v))
		}
		lines = append(lines, l)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(l, " | ")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\nGeometric mean of the ratios %.2f, worst %.2f.\n", math.Exp(logs/float64(len(rows))), worst)
	return err
}
