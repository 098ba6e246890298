// Command arm64 counts the instructions that an inference executes on arm64, under QEMU's
// user-mode emulation, and prints them beside those of ONNX Runtime. Counts are exact to
// about 0.1 % and need no ARM hardware; they are not times. A second table has the cycles that a
// core needs at least to issue the instructions.
//
// It needs qemu-aarch64 with plugins (Debian's package qemu-user; the static one has none)
// and a C compiler for the plugin.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/bench/models"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "arm64:", err)
		os.Exit(1)
	}
}

// theirs are the instructions of one Run of ONNX Runtime 1.24.3 for arm64 on one thread, on
// models of the same layers, counted in the same way.
var theirs = []row{
	{"seed-ae", 1, counts(86824, 187180, 86646, 170244)},
	{"seed-ae", 16, counts(697919, 778758, 697732, 474063)},
	{"mlp-vae-dec", 1, counts(163948, 239132, 164235, 191901)},
	{"mlp-vae-dec", 16, counts(1750344, 1610544, 1750636, 748284)},
	{"mlp-vae-enc", 1, counts(164293, 189588, 164548, 145152)},
	{"mlp-vae-enc", 16, counts(1691341, 1466918, 1691578, 639467)},
	{"big-vae-dec", 1, counts(1885080, 1864153, 1884890, 1292096)},
	{"big-vae-dec", 16, counts(21616158, 17790557, 21616023, 7193206)},
	{"conv-ae", 1, counts(1664478, 2017688, 1664774, 1803526)},
	{"conv-vae-enc", 1, counts(11595897, 9390562, 11595712, 3987834)},
	{"conv-vae-dec", 1, counts(12089712, 17214691, 12089299, 17135570)},
}

// row is a model with a batch, and what ONNX Runtime executes, by CPU and form; nil where that was not counted.
type row struct {
	model  string
	batch  int
	counts map[string]float64
}

// rows are those of the named models, or all that ONNX Runtime was counted on.
func rows(names []string) []row {
	if len(names) == 0 {
		return theirs
	}
	var all []row
	for _, name := range names {
		n := len(all)
		for _, r := range theirs {
			if r.model == name {
				all = append(all, r)
			}
		}
		if n == len(all) {
			all = append(all, row{model: name, batch: 1})
		}
	}
	return all
}

func counts(f72, q72, f76, q76 float64) map[string]float64 {
	return map[string]float64{"cortex-a72 float32": f72, "cortex-a72 qdq": q72, "cortex-a76 float32": f76, "cortex-a76 qdq": q76}
}

var columns = []string{"cortex-a72 float32", "cortex-a72 qdq", "cortex-a76 float32", "cortex-a76 qdq"}

type counter struct {
	qemu, plugin, runner string
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var c counter
	var names []string
	var cc string
	fs := pflag.NewFlagSet("arm64", pflag.ContinueOnError)
	fs.StringVar(&c.qemu, "qemu", "qemu-aarch64", "the emulator, with plugins")
	fs.StringVar(&cc, "cc", "cc", "the C compiler of this machine")
	fs.StringSliceVar(&names, "models", nil, "reference models, also others (default: all that ONNX Runtime was counted on)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "aekit-arm64-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c.plugin, c.runner = filepath.Join(dir, "count.so"), filepath.Join(dir, "runner")
	if err := command(ctx, nil, cc, "-O2", "-shared", "-fPIC", "-o", c.plugin, "arm64/plugin/count.c"); err != nil {
		return err
	}
	if err := command(ctx, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}, "go", "build", "-o", c.runner, "./arm64/runner"); err != nil {
		return err
	}
	files := map[string]string{}
	fmt.Fprintln(stdout, "| model | batch | a72 float32: ours / ONNX Runtime | ratio | a72 int8 | ratio | a76 float32 | ratio | a76 int8 | ratio |")
	fmt.Fprintln(stdout, "|---|---|---|---|---|---|---|---|---|---|")
	logs := map[int]map[string][]float64{1: {}, 16: {}}
	var bounds []string
	for _, row := range rows(names) {
		if files[row.model] == "" {
			if err := write(ctx, dir, row.model); err != nil {
				return err
			}
			files[row.model] = filepath.Join(dir, row.model)
		}
		fmt.Fprintf(stdout, "| %s | %d |", row.model, row.batch)
		bound, float32s := fmt.Sprintf("| %s | %d |", row.model, row.batch), [2]float64{}
		for i, col := range columns {
			var cpu, form string
			if _, err := fmt.Sscan(col, &cpu, &form); err != nil {
				return err
			}
			n, cycles, err := c.count(ctx, cpu, files[row.model]+"."+form+".onnx", row.batch)
			if err != nil {
				return err
			}
			if row.counts == nil {
				fmt.Fprintf(stdout, " %.0f | |", n)
			} else {
				ratio := n / row.counts[col]
				logs[row.batch][col] = append(logs[row.batch][col], math.Log(ratio))
				fmt.Fprintf(stdout, " %.0f / %.0f | %.2f |", n, row.counts[col], ratio)
			}
			bound += fmt.Sprintf(" %.0f |", cycles)
			if i%2 == 0 {
				float32s = [2]float64{n, cycles}
			} else {
				bound += fmt.Sprintf(" %.2f, %.2f |", float32s[0]/n, float32s[1]/cycles)
			}
		}
		fmt.Fprintln(stdout)
		bounds = append(bounds, bound)
	}
	for _, batch := range []int{1, 16} {
		if len(logs[batch]) == 0 {
			continue
		}
		fmt.Fprintf(stdout, "| geometric mean | %d |", batch)
		for _, col := range columns {
			sum := 0.0
			for _, v := range logs[batch][col] {
				sum += v
			}
			fmt.Fprintf(stdout, " | %.2f |", math.Exp(sum/float64(len(logs[batch][col]))))
		}
		fmt.Fprintln(stdout)
	}
	fmt.Fprintln(stdout, "\nCycles at least, by the model of cycles.go, and how many times as many instructions and cycles float32 takes:\n\n"+
		"| model | batch | a72 float32 | a72 int8 | float32 to int8 | a76 float32 | a76 int8 | float32 to int8 |\n|---|---|---|---|---|---|---|---|")
	for _, b := range bounds {
		fmt.Fprintln(stdout, b)
	}
	return nil
}

func command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// write stores both forms of a model in dir. The weights of the integer form have 8 bits.
func write(ctx context.Context, dir, name string) error {
	r, err := models.Find(name)
	if err != nil {
		return err
	}
	m, err := r.Model()
	if err != nil {
		return err
	}
	x, err := r.Input(16, 2)
	if err != nil {
		return err
	}
	c, err := quant.Calibrate(ctx, m, quant.Tensors(map[string]*tensor.Tensor{"x": x}), runtime.Options{})
	if err != nil {
		return err
	}
	q, _, err := quant.Quantize(m, c, quant.Options{})
	if err != nil {
		return err
	}
	if err := onnx.WriteFile(filepath.Join(dir, name+".float32.onnx"), m); err != nil {
		return err
	}
	return onnx.WriteFile(filepath.Join(dir, name+".qdq.onnx"), q)
}

var executed = regexp.MustCompile(`executed (\d+)`)

// count returns the instructions of one run and the cycles that they take at least: those of a process that runs the model several
// times more, by the number of runs. What the runtime of Go executes besides varies by some 100,000 instructions from process to
// process, so that small models are run more often.
func (c *counter) count(ctx context.Context, cpu, file string, batch int) (instructions, cycles float64, err error) {
	one, oneCycles, err := c.execute(ctx, cpu, file, batch, 1)
	if err != nil {
		return 0, 0, err
	}
	const enough = 1e8
	for _, more := range []int{1, 8, 512} {
		all, allCycles, err := c.execute(ctx, cpu, file, batch, 1+more)
		if err != nil {
			return 0, 0, err
		}
		if instructions, cycles = (all-one)/float64(more), (allCycles-oneCycles)/float64(more); all-one > enough {
			break
		}
	}
	return instructions, cycles, nil
}

// execute returns the instructions and the cycles of the first thread of a process.
func (c *counter) execute(ctx context.Context, cpu, file string, batch, runs int) (instructions, cycles float64, err error) {
	blocks := c.plugin + ".blocks"
	cmd := exec.CommandContext(ctx, c.qemu, "-cpu", cpu, "-d", "plugin", "-plugin", "file="+c.plugin+",blocks="+blocks, c.runner, file, strconv.Itoa(batch), strconv.Itoa(runs))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("%s %s: %w: %s", c.qemu, file, err, out)
	}
	m := executed.FindSubmatch(out)
	if m == nil {
		return 0, 0, fmt.Errorf("%s says no count: %s", c.qemu, out)
	}
	if instructions, err = strconv.ParseFloat(string(m[1]), 64); err != nil {
		return 0, 0, err
	}
	core := cores[cpu]
	cycles, err = core.executedCycles(blocks)
	return instructions, cycles, err
}
