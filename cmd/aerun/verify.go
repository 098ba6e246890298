package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// caseResult is what `verify --json` prints for a case.
type caseResult struct {
	Case    string   `json:"case"`
	Pass    bool     `json:"pass"`
	MaxAbs  *float64 `json:"max_abs"` // null: infinite, or nothing was compared
	MaxRel  *float64 `json:"max_rel"`
	Sets    int      `json:"sets"`
	Outputs int      `json:"outputs"` // compared, over all sets
	Error   string   `json:"error,omitempty"`
}

func runVerify(a *app, args []string) error {
	var sf sessionFlags
	tol := onnxcases.Default
	all, fs := a.flags()
	fs.Float64Var(&tol.Rel, "rtol", tol.Rel, "relative tolerance: |got-want| ≤ atol + rtol·|want|")
	fs.Float64Var(&tol.Abs, "atol", tol.Abs, "absolute tolerance")
	asJSON := fs.Bool("json", false, "print a JSON line for each case")
	self := fs.Bool("self", false, "the arguments are fully integer models: check them against the digests that they record")
	sf.add(all)
	rest, err := a.parse(all, args, 1, -1)
	if err != nil {
		return err
	}
	if *self {
		return a.runVerifySelf(&sf, rest, *asJSON)
	}
	if !(tol.Rel >= 0) || !(tol.Abs >= 0) {
		return usagef("--rtol %g --atol %g: want numbers of 0 or more", tol.Rel, tol.Abs)
	}
	if _, done, err := sf.options(sf.backend, ".", sf.threads); err != nil {
		return err
	} else {
		done()
	}
	failed, total := 0, 0
	for _, arg := range rest {
		models, err := findCases(arg)
		if err != nil {
			return err
		}
		for _, model := range models {
			if err := a.ctx.Err(); err != nil {
				return err
			}
			res := a.verify(&sf, model, tol)
			if err := a.ctx.Err(); err != nil {
				return err
			}
			total++
			if !res.Pass {
				failed++
			}
			if err := a.printCase(res, *asJSON); err != nil {
				return err
			}
		}
	}
	if !*asJSON && total > 1 {
		fmt.Fprintf(a.stdout, "%d of %d cases pass\n", total-failed, total)
	}
	if failed > 0 {
		return errReported
	}
	return nil
}

// findCases returns the model files of the cases that an argument names: a case, a folder
// of cases at any depth, or a model file with data sets beside it.
func findCases(arg string) ([]string, error) {
	st, err := os.Stat(arg)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []string{arg}, nil
	}
	dirs, err := onnxcases.Find(arg)
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%s: no test cases (folders with model.onnx) here", arg)
	}
	for i, d := range dirs {
		dirs[i] = filepath.Join(d, "model.onnx")
	}
	return dirs, nil
}

// verify runs all data sets of a case.
func (a *app) verify(sf *sessionFlags, model string, tol onnxcases.Tolerance) caseResult {
	res := caseResult{Case: caseName(model)}
	d, err := a.verifyCase(sf, model, tol, &res)
	if res.Outputs > 0 {
		res.MaxAbs, res.MaxRel = finite(d.MaxAbs), finite(d.MaxRel)
	}
	if err != nil {
		res.Error = cli.OneLine(err.Error())
	}
	res.Pass = err == nil
	return res
}

// caseName is the name of the case's folder, with the file's where that is not model.onnx.
func caseName(model string) string {
	dir := filepath.Dir(model)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	name := filepath.Base(dir)
	if base := filepath.Base(model); base != "model.onnx" {
		name += "/" + base
	}
	return name
}

func (a *app) verifyCase(sf *sessionFlags, model string, tol onnxcases.Tolerance, res *caseResult) (worst onnxcases.Diff, err error) {
	c, err := onnxcases.LoadModel(model)
	if err != nil {
		return worst, err
	}
	if len(c.Sets) == 0 {
		return worst, errors.New("no folders test_data_set_N beside the model")
	}
	o, done, err := sf.options(sf.backend, filepath.Dir(model), sf.threads)
	if err != nil {
		return worst, err
	}
	defer done()
	s, err := sf.loadSession(c.Model, o)
	if err != nil {
		return worst, err
	}
	defer s.Close()
	var bad error
	for i := range c.Sets {
		set := &c.Sets[i]
		out, wants, err := a.runSet(s, set)
		if err != nil {
			return worst, fmt.Errorf("%s: %w", set.Name, err)
		}
		res.Sets++
		for k, info := range s.Outputs() {
			if k >= len(wants) || wants[k] == nil {
				continue
			}
			d, err := onnxcases.Compare(out[info.Name], wants[k], tol)
			if err != nil {
				return worst, fmt.Errorf("%s: output %q: %w", set.Name, info.Name, err)
			}
			res.Outputs++
			worst.MaxAbs, worst.MaxRel = math.Max(worst.MaxAbs, d.MaxAbs), math.Max(worst.MaxRel, d.MaxRel)
			if d.Bad > 0 && bad == nil {
				bad = fmt.Errorf("%s: output %q: %d of %d elements differ, the first at %s", set.Name, info.Name, d.Bad, d.Elems, d.First)
			}
		}
	}
	if res.Outputs == 0 && bad == nil {
		return worst, errors.New("no expected outputs to compare with")
	}
	return worst, bad
}

// runSet returns the results of a data set, by name, and what is expected, by number.
func (a *app) runSet(s *runtime.Session, set *onnxcases.Set) (map[string]*tensor.Tensor, []*onnx.Tensor, error) {
	ins, err := set.DecodeInputs()
	if err != nil {
		return nil, nil, err
	}
	wants, err := set.DecodeOutputs()
	if err != nil {
		return nil, nil, err
	}
	infos := s.Inputs()
	if len(ins) > len(infos) {
		return nil, nil, fmt.Errorf("%d inputs given, the model has %d", len(ins), len(infos))
	}
	if n := len(s.Outputs()); len(wants) > n {
		return nil, nil, fmt.Errorf("%d outputs expected, the model has %d", len(wants), n)
	}
	given := map[string]*tensor.Tensor{}
	for i, in := range ins {
		if in == nil {
			continue
		}
		if in.Value == nil {
			return nil, nil, fmt.Errorf("input_%d.pb: values of type %v are not supported", i, in.DType)
		}
		given[infos[i].Name] = in.Value
	}
	out, err := s.Run(a.ctx, given)
	return out, wants, err
}

func (a *app) printCase(r caseResult, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	word := "ok  "
	if !r.Pass {
		word = "FAIL"
	}
	number := func(v *float64) string {
		if v == nil && r.Outputs > 0 {
			return "inf"
		}
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.3g", *v)
	}
	line := fmt.Sprintf("%s %s: max abs %s, max rel %s", word, cli.OneLine(r.Case), number(r.MaxAbs), number(r.MaxRel))
	if r.Error != "" {
		line += ": " + r.Error
	}
	_, err := fmt.Fprintln(a.stdout, strings.TrimSpace(line))
	return err
}
