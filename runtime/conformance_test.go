package runtime_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/internal/testdata"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var update = flag.Bool("update", false, "rewrite the conformance manifest from what passes; reasons of skipped cases are kept")

const manifest = "../testdata/onnx-node/manifest.txt"

// TestNodeConformance runs every shared ONNX backend-test case as a model through Open's
// whole path, and holds the outcome against the manifest: a case listed as passing that
// fails is an error, and so is a case that passes and is not listed so.
func TestNodeConformance(t *testing.T) {
	cases, err := onnxcases.LoadArchive(testdata.Path(t, "onnx-conformance/node-cases.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	want := readManifest(t)
	got := map[string]string{}
	for _, c := range cases {
		err := runCase(c)
		name := c.Suite + "/" + c.Name
		reason, listed := want[name]
		switch {
		case err == nil:
			got[name] = "pass"
			if !listed && !*update || listed && reason != "pass" && !*update {
				t.Errorf("%s passes; the manifest says %q", name, reason)
			}
		default:
			got[name] = "skip: " + firstLine(err)
			if strings.HasPrefix(reason, "skip: ") {
				got[name] = reason
			}
			if !*update && !strings.HasPrefix(reason, "skip: ") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is in the manifest and not among the cases", name)
		}
	}
	pass := 0
	for _, v := range got {
		if v == "pass" {
			pass++
		}
	}
	t.Logf("%d of %d cases pass", pass, len(cases))
	if *update {
		writeManifest(t, got)
	}
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

// runCase runs all data sets of a case.
func runCase(c *onnxcases.Case) error {
	s, err := runtime.Load(c.Model, runtime.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, set := range c.Sets {
		ins, err := set.DecodeInputs()
		if err != nil {
			return err
		}
		wants, err := set.DecodeOutputs()
		if err != nil {
			return err
		}
		given := map[string]*tensor.Tensor{}
		infos := s.Inputs()
		if len(ins) > len(infos) {
			return fmt.Errorf("%d inputs given, the session has %d", len(ins), len(infos))
		}
		for i, in := range ins {
			if in == nil {
				continue
			}
			if in.Value == nil {
				return fmt.Errorf("input %d: element type %v is not supported", i, in.DType)
			}
			given[infos[i].Name] = in.Value
		}
		out, err := s.Run(context.Background(), given)
		if err != nil {
			return err
		}
		for i, info := range s.Outputs() {
			if i >= len(wants) || wants[i] == nil {
				continue
			}
			tol := onnxcases.Default
			if strings.Contains(c.Name, "dft") || strings.Contains(c.Name, "stft") {
				// Expected values near zero are rounding errors of a float32 transform.
				tol.Abs = 2e-4
			}
			d, err := onnxcases.Compare(out[info.Name], wants[i], tol)
			if err != nil {
				return fmt.Errorf("output %q: %w", info.Name, err)
			}
			if d.Bad > 0 {
				return fmt.Errorf("output %q: %d of %d elements differ, first at %s", info.Name, d.Bad, d.Elems, d.First)
			}
		}
	}
	return nil
}

func readManifest(t *testing.T) map[string]string {
	t.Helper()
	m := map[string]string{}
	f, err := os.Open(manifest)
	if err != nil {
		if *update {
			return m
		}
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, what, _ := strings.Cut(line, " ")
		m[name] = what
	}
	return m
}

func writeManifest(t *testing.T, got map[string]string) {
	t.Helper()
	var names []string
	for n := range got {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("# ONNX backend test cases: suite/case, then pass or skip: reason.\n# go test ./runtime -run TestNodeConformance -update\n")
	for _, n := range names {
		fmt.Fprintf(&b, "%s %s\n", n, got[n])
	}
	if err := os.MkdirAll(filepath.Dir(manifest), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
