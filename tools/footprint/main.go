// Command footprint measures what it costs to start with a model: the time of a whole
// process that opens a file and runs batch 1 once, and the largest resident set of that
// process. It runs this module and ONNX Runtime in turn, so that both see the same machine.
//
//	go run ./tools/footprint [--ort LIBRARY] [--runs N] [MODEL…]
//
// Without models it makes a dense VAE of 4 MB, a convolutional one, a model that is one large
// layer, and one of four large convolutions. The programs that it
// starts are built from the folders native (without cgo) and ort (with cgo; left out where
// there is no library). Model files are in the page cache: every file is read once before.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/arch"
)

func main() {
	lib := flag.String("ort", os.Getenv("AEKIT_ORT_LIB"), "shared library of ONNX Runtime")
	runs := flag.Int("runs", 21, "processes of each kind")
	flag.Parse()
	if err := measure(*lib, *runs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "footprint:", err)
		os.Exit(1)
	}
}

// program is a way to run a model once in a process of its own.
type program struct {
	name string
	args []string // the model's path follows, and then its inputs and outputs
}

func measure(lib string, runs int, models []string) error {
	dir, err := os.MkdirTemp("", "footprint")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := build(dir, lib)
	if err != nil {
		return err
	}
	if len(models) == 0 {
		if models, err = examples(dir); err != nil {
			return err
		}
	}
	fmt.Printf("%-28s %-14s %10s %10s %10s %10s\n", "model", "program", "time ms", "fastest", "peak MB", "weights MB")
	for _, m := range models {
		values, weights, err := describe(m)
		if err != nil {
			return err
		}
		times := make([][]time.Duration, len(programs))
		peaks := make([][]int64, len(programs))
		for i := range runs + 1 { // the first round brings the files into the page cache
			for k, p := range programs {
				d, peak, err := p.run(m, values)
				if err != nil {
					return fmt.Errorf("%s of %s: %w", p.name, m, err)
				}
				if i > 0 {
					times[k] = append(times[k], d)
					peaks[k] = append(peaks[k], peak)
				}
			}
		}
		for k, p := range programs {
			slices.Sort(times[k])
			slices.Sort(peaks[k])
			ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
			fmt.Printf("%-28s %-14s %10.2f %10.2f %10.2f %10.2f\n", filepath.Base(m), p.name,
				ms(times[k][runs/2]), ms(times[k][0]), float64(peaks[k][runs/2])/1e6, float64(weights)/1e6)
		}
	}
	return nil
}

// build compiles the programs to measure.
func build(dir, lib string) ([]program, error) {
	compile := func(folder, cgo string) (string, error) {
		out := filepath.Join(dir, folder)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "github.com/aekit/aekit/tools/footprint/"+folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if b, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", folder, err, b)
		}
		return out, nil
	}
	native, err := compile("native", "0")
	if err != nil {
		return nil, err
	}
	programs := []program{
		{"nothing", []string{native, "nothing"}},
		{"aekit file", []string{native, "file"}},
		{"aekit bytes", []string{native, "bytes"}},
	}
	if lib == "" {
		fmt.Fprintln(os.Stderr, "footprint: no library of ONNX Runtime (--ort): only this module is measured")
		return programs, nil
	}
	ort, err := compile("ort", "1")
	if err != nil {
		return nil, err
	}
	return append(programs, program{"ONNX Runtime", []string{ort, lib}}), nil
}

// run starts a program and returns how long it was there and the peak of its resident set
// in bytes. The program writes the peak itself, since what the system reports for a
// terminated process includes the memory of the one that started it.
func (p program) run(model string, values []string) (time.Duration, int64, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	start := time.Now()
	proc, err := os.StartProcess(p.args[0], slices.Concat(p.args, []string{model}, values), &os.ProcAttr{Files: []*os.File{nil, w, os.Stderr}})
	w.Close()
	if err != nil {
		return 0, 0, err
	}
	st, err := proc.Wait()
	d := time.Since(start)
	if err != nil {
		return 0, 0, err
	}
	if !st.Success() {
		return 0, 0, errors.New(st.String())
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		return 0, 0, err
	}
	peak, err := peakOf(out.String())
	return d, peak, err
}

// peakOf reads the high-water mark of the resident set from the text of /proc/self/status.
func peakOf(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("the program did not say how much memory it used")
}

// examples writes the models that are measured by default.
func examples(dir string) ([]string, error) {
	var files []string
	for _, m := range []struct {
		name, preset string
		config       arch.Config
	}{
		{"vae-4mb.onnx", "vae", arch.Config{Hidden: []int{610}}},
		{"conv-vae.onnx", "conv-vae", arch.Config{}},
	} {
		p, err := arch.Find(m.preset)
		if err != nil {
			return nil, err
		}
		model, err := p.Build(m.config)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, m.name)
		if err := onnx.WriteFile(file, model); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	large, err := write(dir, []made{
		{"layer.onnx", func() (*onnx.Model, error) { return layer(2048) }},
		{"convs.onnx", func() (*onnx.Model, error) { return convs(4, 512) }},
	})
	return append(files, large...), err
}

// made is a model that a function makes.
type made struct {
	name string
	make func() (*onnx.Model, error)
}

// write makes models and returns their files.
func write(dir string, models []made) ([]string, error) {
	var files []string
	for _, m := range models {
		model, err := m.make()
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, m.name)
		if err := onnx.WriteFile(file, model); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// convs returns a model of n convolutions of 3×3 on pictures of 8×8 with c channels.
func convs(n, c int) (*onnx.Model, error) {
	b := onnx.NewBuilder(17)
	dims := []onnx.Dim{onnx.NamedDim("batch"), onnx.FixedDim(int64(c)), onnx.FixedDim(8), onnx.FixedDim(8)}
	x := b.Input("x", tensor.Float32, dims...)
	for range n {
		w, err := tensor.New(tensor.Float32, c, c, 3, 3)
		if err != nil {
			return nil, err
		}
		x = b.Op("Relu", "", []string{b.Op("Conv", "", []string{x, b.Initializer(b.Fresh("w"), w)}, onnx.AttrIs("pads", 1, 1, 1, 1))})
	}
	b.Output(x, tensor.Float32, dims...)
	return b.Model()
}

// layer returns a model that is one dense layer of n×n weights.
func layer(n int) (*onnx.Model, error) {
	b := onnx.NewBuilder(17)
	w, err := tensor.New(tensor.Float32, n, n)
	if err != nil {
		return nil, err
	}
	dims := []onnx.Dim{onnx.NamedDim("batch"), onnx.FixedDim(int64(n))}
	x := b.Input("x", tensor.Float32, dims...)
	b.Output(b.Op("Gemm", "y", []string{x, b.Initializer("w", w)}, onnx.AttrI("transB", 1)), tensor.Float32, dims...)
	return b.Model()
}

// describe returns a model's inputs with their shapes at batch 1, as "image=1,1,28,28", and
// its outputs, and the size of its tensors.
func describe(file string) (values []string, weights int64, err error) {
	s, err := runtime.Open(file, runtime.Options{})
	if err != nil {
		return nil, 0, err
	}
	defer s.Close()
	for _, v := range s.Inputs() {
		dims := make([]string, len(v.Shape))
		for i, d := range v.Shape {
			dims[i] = strconv.Itoa(max(d, 1))
		}
		values = append(values, v.Name+"="+strings.Join(dims, ","))
	}
	for _, v := range s.Outputs() {
		values = append(values, v.Name)
	}
	onnx.Tensors(s.Model(), func(t *onnx.Tensor) {
		if t.Value != nil {
			weights += int64(len(t.Value.Bytes()))
		}
	})
	return values, weights, nil
}
