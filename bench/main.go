// Command bench times the reference models on this module's runtime and on ONNX Runtime,
// side by side in one process, and prints a table. See README.md in this folder.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/bench/models"
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime/ort"
)

// report is what --json writes.
type report struct {
	Date    string   `json:"date"`
	GOOS    string   `json:"goos"`
	GOARCH  string   `json:"goarch"`
	Kernels []string `json:"kernels"`
	Results []result `json:"results"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	var names, from []string
	var lib, out, write string
	var turn float64
	fs := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	fs.StringSliceVar(&names, "models", nil, "reference models (default: all)")
	fs.IntSliceVar(&o.batches, "batch", []int{1, 16, 256}, "batch sizes; residual-dec is run with batch 1 unless --models names it alone")
	fs.IntSliceVar(&o.threads, "threads", []int{1, 2}, "numbers of threads")
	fs.StringSliceVar(&o.forms, "forms", []string{"float32", "qdq", "qoperator", "dynamic"}, "forms of the models; this runtime is timed with float32 and qdq")
	fs.Float64Var(&o.seconds, "seconds", 0.2, "least time for each measurement, of at least 5 turns")
	fs.Float64Var(&turn, "turn", 4, "milliseconds of a turn")
	fs.StringVar(&lib, "ort-lib", os.Getenv(ort.LibraryEnv), "ONNX Runtime's shared library; empty times only this runtime")
	fs.StringVar(&out, "json", "", "write the results to a file")
	fs.StringSliceVar(&from, "from", nil, "print the table of these files of --json, and measure nothing")
	fs.StringVar(&write, "write", "", "write the models to a folder as ONNX files, and measure nothing")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if len(from) > 0 {
		return tables(stdout, from)
	}
	if !slices.Contains(o.forms, "float32") {
		return errors.New("--forms: float32 is what rooflines and comparisons refer to, and cannot be left out")
	}
	refs := models.All
	if len(names) > 0 {
		refs = nil
		for _, n := range names {
			r, err := models.Find(n)
			if err != nil {
				return err
			}
			refs = append(refs, r)
		}
	}
	if write != "" {
		return writeModels(ctx, write, refs, o.forms)
	}
	for _, n := range append(append([]int(nil), o.batches...), o.threads...) {
		if n < 1 || n > 1<<16 {
			return fmt.Errorf("%d as a batch size or number of threads", n)
		}
	}
	o.turn = time.Duration(turn * float64(time.Millisecond))
	o.progress = func(f string, a ...any) { fmt.Fprintf(stderr, f+"\n", a...) }
	if lib != "" {
		var err error
		if o.ort, err = ort.New(ort.Options{Library: lib}); err != nil {
			return err
		}
	}
	rep := report{Date: time.Now().UTC().Format(time.DateOnly), GOOS: goruntime.GOOS, GOARCH: goruntime.GOARCH}
	for _, k := range kernel.Kernels() {
		rep.Kernels = append(rep.Kernels, k.Family+": "+k.Kernel)
	}
	for i := range refs {
		mo := o
		if refs[i].Large && len(refs) > 1 {
			mo.batches = []int{1}
		}
		rs, err := measureModel(ctx, &refs[i], &mo)
		if err != nil {
			return err
		}
		rep.Results = append(rep.Results, rs...)
		if out != "" {
			if err := writeJSON(out, &rep); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(stdout, "%s, %s/%s, %s\n\n", rep.Date, rep.GOOS, rep.GOARCH, strings.Join(rep.Kernels, ", "))
	table(stdout, rep.Results)
	return nil
}

// tables prints the results of several runs as one.
func tables(w io.Writer, files []string) error {
	var all []result
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var rep report
		if err := json.Unmarshal(b, &rep); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		all = append(all, rep.Results...)
	}
	table(w, all)
	return nil
}

func writeJSON(path string, rep *report) error {
	b, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o666)
}

func writeModels(ctx context.Context, dir string, refs []models.Reference, forms []string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for i := range refs {
		built, err := formsOf(ctx, &refs[i], forms)
		if err != nil {
			return err
		}
		for form, m := range built {
			name := refs[i].Name
			if form != "float32" {
				name += "." + form
			}
			if err := onnx.WriteFile(filepath.Join(dir, name+".onnx"), m); err != nil {
				return err
			}
		}
	}
	return nil
}
