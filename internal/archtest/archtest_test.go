package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/aekit/aekit"

// allowed lists, for each package, the packages of this module (without its path) and the
// other modules that it may import besides the standard library. A name that ends in /...
// covers what is below it. Test files may import anything.
var allowed = map[string][]string{
	"tensor": {"internal/late"}, // constants that are computed when they are read
	// Files that appear whole (WriteFile).
	"onnx": {"tensor", "internal/atomicfile"},

	"internal/archtest":   {},
	"internal/atomicfile": {},
	"internal/cpufeat":    {"golang.org/x/sys/cpu"},
	// Flags and help texts of the programs.
	"internal/cli":       {"internal/atomicfile", "github.com/spf13/pflag"},
	"internal/golden":    {}, // tests only
	"internal/impl":      {},
	"internal/imageio":   {"tensor"},
	"internal/imagefile": {"internal/imageio"},
	"internal/meta":      {},
	"internal/metric":    {},
	"internal/rng":       {},
	"internal/testdata":  {},
	// Event files are protocol buffers.
	"internal/tfevents":  {"google.golang.org/protobuf/encoding/protowire"},
	"internal/onnxcases": {"internal/atomicfile", "onnx", "tensor"},
	"internal/parallel":  {},
	"internal/hugepage":  {},
	"internal/late":      {},
	// Large pages are for packed weights and arenas; what of them Go's heap does not count, runtime's limits do.
	"internal/kernel":   {"internal/cpufeat", "internal/hugepage", "internal/impl"},
	"internal/op":       {"internal/late", "internal/kernel", "internal/parallel", "internal/rng", "tensor", "onnx"},
	"internal/graph":    {"internal/late", "internal/op", "onnx", "tensor"},
	"internal/plan":     {"internal/late", "internal/graph", "internal/op", "internal/kernel", "internal/parallel", "internal/hugepage", "internal/cpufeat", "onnx", "tensor"},
	"internal/simdblas": {"internal/kernel", "gonum.org/v1/gonum/..."},

	// The report looks at a model as its users do, and at its training.
	"internal/report": {"runtime", "runtime/autoencoder", "train", "train/dataset", "internal/atomicfile", "internal/imageio", "internal/meta", "internal/metric", "internal/rng", "internal/simdblas", "tensor", "gonum.org/v1/gonum/..."},

	"runtime":             {"internal/plan", "internal/graph", "internal/op", "internal/parallel", "internal/hugepage", "internal/cpufeat", "onnx", "tensor"},
	"runtime/autoencoder": {"runtime", "internal/meta", "internal/metric", "internal/imageio", "internal/rng", "tensor"},
	"runtime/digest":      {"runtime", "tensor"},
	// A backend takes and gives onnx.Model and tensor.Tensor.
	"runtime/ort": {"runtime", "onnx", "tensor", "github.com/yalue/onnxruntime_go"},
	// The interface of onnx-go is made of gonum's graphs and gorgonia's tensors.
	"runtime/onnxgo": {"runtime", "onnx", "tensor", "github.com/owulveryck/onnx-go/...", "gonum.org/v1/gonum/graph/...", "gorgonia.org/tensor"},

	"train/arch":     {"onnx", "internal/meta", "internal/rng", "tensor"},
	"train/dataset":  {"tensor", "internal/imagefile", "internal/imageio", "internal/rng", "internal/atomicfile", "golang.org/x/image/..."},
	"train/gradop":   {"internal/graph", "internal/op", "internal/kernel", "internal/parallel", "onnx", "tensor"},
	"train/autodiff": {"train/gradop", "internal/graph", "internal/op", "internal/kernel", "internal/parallel", "onnx", "tensor"},
	// Checkpoints are files that appear whole; the optimiser passes are kernels that work in parallel.
	"train": {"train/...", "internal/plan", "internal/graph", "internal/op", "internal/metric", "internal/rng", "internal/meta", "internal/atomicfile", "internal/kernel", "internal/parallel", "onnx", "tensor", "gonum.org/v1/gonum/..."},

	// Weights as files: knows tensors only, so that programs which never export can use it.
	"export/safetensors": {"tensor", "internal/atomicfile"},
	// Constant folding runs plans; test data have the layout of the backend tests.
	"export": {"export/safetensors", "runtime", "internal/graph", "internal/op", "internal/plan", "internal/rng", "internal/meta", "internal/onnxcases", "onnx", "tensor", "gonum.org/v1/gonum/..."},
	// Calibration runs plans of rewritten graphs.
	"quant":     {"runtime", "internal/graph", "internal/op", "internal/plan", "internal/meta", "internal/metric", "internal/rng", "internal/atomicfile", "train/dataset", "onnx", "tensor"},
	"quant/qat": {"quant", "train/...", "internal/graph", "internal/op", "internal/plan", "onnx", "tensor"},

	// Signatures are over the encoded model.
	"sign": {"onnx"},

	"models":   {"models/...", "runtime"},
	"models/*": {"runtime"},

	// Commands: flags, files and printing. The internal packages here are image files, files
	// that appear whole, the reader of test cases, and what the kernels say of themselves.
	"cmd/aerun": {"sign", "runtime", "runtime/autoencoder", "runtime/digest", "runtime/ort", "export/safetensors", "models/...", "onnx", "tensor", "github.com/spf13/pflag",
		"internal/atomicfile", "internal/cli", "internal/cpufeat", "internal/imagefile", "internal/imageio", "internal/kernel", "internal/meta", "internal/metric", "internal/onnxcases", "internal/rng"},
	"cmd/aeexport": {"sign", "runtime", "runtime/autoencoder", "runtime/digest", "train", "train/...", "export", "export/safetensors", "quant", "quant/...", "onnx", "tensor",
		"internal/atomicfile", "internal/cli", "internal/imagefile", "internal/imageio", "internal/meta", "internal/metric", "internal/report", "internal/rng", "internal/tfevents", "github.com/spf13/pflag", "go.yaml.in/yaml/v3", "golang.org/x/term", "golang.org/x/image/...", "gonum.org/v1/..."},
	"examples/*": {"runtime", "runtime/autoencoder", "tensor", "models/...", "train", "train/...", "export", "onnx"},
	"tools/*":    {"internal/op", "internal/onnxcases", "train/autodiff", "onnx", "tensor"},
	"tools/sbom": {},
	// It measures processes that run models, beside ONNX Runtime.
	"tools/footprint":        {"runtime", "train/arch", "onnx", "tensor"},
	"tools/footprint/native": {"runtime", "tensor"},
	"tools/footprint/ort":    {"github.com/yalue/onnxruntime_go"},
}

// edge are the programs and packages for small devices. never is what they do not reach, on
// any path; except are parts of it that they may.
var (
	edge   = []string{"runtime", "runtime/autoencoder", "cmd/aerun", "models", "models/*", "examples/embed", "examples/edge"}
	never  = []string{"train", "export", "quant", "internal/simdblas", "runtime/onnxgo", "gonum.org", "github.com/owulveryck", "gorgonia.org", "std/net/http"}
	except = []string{"export/safetensors"}
)

// imports is what the non-test files of each package import, over all build constraints.
type imports map[string][]imported

type imported struct {
	path, alias, file string
	test              bool
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

// scan reads the imports of all packages of the module. Folders with their own go.mod are
// other modules.
func scan(t *testing.T) imports {
	t.Helper()
	top := root(t)
	all := imports{}
	err := filepath.WalkDir(top, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			_, modErr := os.Stat(filepath.Join(name, "go.mod"))
			base := e.Name()
			if rel != "." && (modErr == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(rel))
		if _, ok := all[pkg]; !ok {
			all[pkg] = nil
		}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			im := imported{path: p, file: filepath.ToSlash(rel), test: strings.HasSuffix(name, "_test.go")}
			if i.Name != nil {
				im.alias = i.Name.Name
			}
			all[pkg] = append(all[pkg], im)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found below %s", len(all), top)
	}
	return all
}

// short returns the path inside the module, "std/" and the path for the standard library,
// and the import path of other packages.
func short(p string) string {
	if standard(p) {
		return "std/" + p
	}
	return strings.TrimPrefix(p, module+"/")
}

// standard reports whether an import path is of the standard library.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

func matches(p, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return p == prefix || strings.HasPrefix(p, prefix+"/")
	}
	return p == pattern
}

// rules returns the entry of the table for a package.
func rules(pkg string) ([]string, bool) {
	if r, ok := allowed[pkg]; ok {
		return r, true
	}
	r, ok := allowed[path.Dir(pkg)+"/*"]
	return r, ok
}

// offences returns what breaks the table.
func offences(all imports) []string {
	var out []string
	for pkg, ims := range all {
		r, ok := rules(pkg)
		for _, im := range ims {
			if im.test || standard(im.path) {
				continue
			}
			if !ok {
				out = append(out, fmt.Sprintf("package %s is not in the table of imports", pkg))
				break
			}
			p := short(im.path)
			if !slices.ContainsFunc(r, func(pattern string) bool { return matches(p, pattern) }) {
				out = append(out, fmt.Sprintf("%s imports %s: the table does not allow it", im.file, p))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestImports(t *testing.T) {
	for _, o := range offences(scan(t)) {
		t.Error(o)
	}
}

// forbidden returns a path from a package to something that it must never reach, or nil.
func forbidden(all imports, pkg string, never, except []string) []string {
	type step struct {
		pkg  string
		prev *step
	}
	seen := map[string]bool{pkg: true}
	queue := []*step{{pkg, nil}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, im := range all[s.pkg] {
			p := short(im.path)
			if im.test || seen[p] {
				continue
			}
			seen[p] = true
			next := &step{p, s}
			bad := slices.ContainsFunc(never, func(n string) bool { return matches(p, n+"/...") })
			if bad && !slices.ContainsFunc(except, func(e string) bool { return matches(p, e) }) {
				var way []string
				for at := next; at != nil; at = at.prev {
					way = append([]string{at.pkg}, way...)
				}
				return way
			}
			queue = append(queue, next)
		}
	}
	return nil
}

func TestEdgeLinksNoTrainer(t *testing.T) {
	all := scan(t)
	for _, pattern := range edge {
		for pkg := range all {
			if pkg != pattern && path.Dir(pkg)+"/*" != pattern {
				continue
			}
			n := never
			if pkg == "examples/embed" {
				// It serves HTTP; examples/edge is the same without.
				n = slices.DeleteFunc(slices.Clone(never), func(s string) bool { return s == "std/net/http" })
			}
			if way := forbidden(all, pkg, n, except); way != nil {
				t.Errorf("%s", strings.Join(way, " -> "))
			}
		}
	}
}

// TestGoRuntimeAlias holds the rule that lets a reader tell the two packages named runtime
// apart.
func TestGoRuntimeAlias(t *testing.T) {
	for pkg, ims := range scan(t) {
		inside := strings.HasPrefix(pkg, "internal/") || strings.HasPrefix(pkg, "cmd/") || strings.HasPrefix(pkg, "tools/")
		for _, im := range ims {
			switch {
			case im.path == "runtime" && im.alias != "goruntime" && im.alias != "_":
				t.Errorf("%s imports Go's runtime as %q, not as goruntime", im.file, im.alias)
			case im.path == "runtime" && !inside && !im.test:
				t.Errorf("%s imports Go's runtime: only internal packages, commands and tests may", im.file)
			case short(im.path) == "runtime" && im.alias != "" && im.alias != "aert":
				t.Errorf("%s imports %s as %q: it has no alias, or aert", im.file, im.path, im.alias)
			}
		}
	}
}

// TestRulesCanFail feeds the checks with imports that break each rule.
func TestRulesCanFail(t *testing.T) {
	bad := imports{
		"tensor":    {{path: module + "/onnx", file: "tensor/x.go"}},
		"onnx":      {{path: module + "/tensor", file: "onnx/x.go"}, {path: "fmt", file: "onnx/x.go"}},
		"surprise":  {{path: module + "/tensor", file: "surprise/x.go"}},
		"train":     {{path: "gonum.org/v1/gonum/mat", file: "train/x.go"}},
		"models/x":  {{path: module + "/train", file: "models/x/x.go"}},
		"runtime":   {{path: module + "/onnx", file: "runtime/x.go"}, {path: module + "/train", file: "runtime/x_test.go", test: true}},
		"cmd/aerun": {{path: module + "/runtime", file: "cmd/aerun/x.go"}, {path: module + "/models/x", file: "cmd/aerun/x.go"}, {path: module + "/export/safetensors", file: "cmd/aerun/x.go"}},
	}
	want := []string{
		"models/x/x.go imports train: the table does not allow it",
		"package surprise is not in the table of imports",
		"tensor/x.go imports onnx: the table does not allow it",
	}
	if got := offences(bad); !slices.Equal(got, want) {
		t.Errorf("offences: %q, want %q", got, want)
	}
	if way := forbidden(bad, "cmd/aerun", never, except); !slices.Equal(way, []string{"cmd/aerun", "models/x", "train"}) {
		t.Errorf("way from cmd/aerun to a trainer: %q", way)
	}
	if way := forbidden(bad, "runtime", never, except); way != nil {
		t.Errorf("a test's import counts: %q", way)
	}
}
