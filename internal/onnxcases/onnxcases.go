// Package onnxcases reads test cases in the layout of the ONNX backend tests and compares
// tensors as those tests do.
//
// A case is a folder with model.onnx and folders test_data_set_0, test_data_set_1 …, each
// with input_K.pb and output_K.pb, encoded TensorProtos in the order of the graph's inputs
// and outputs (https://github.com/onnx/onnx/blob/main/docs/OnnxBackendTest.md). A number
// that is absent is an omitted optional input, or an output that is not compared.
package onnxcases

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/onnx"
)

// Case is one test case.
type Case struct {
	Name  string // the folder's name
	Suite string // the name of the folder round it
	Dir   string // the folder on disk; "" for cases from an archive
	Model []byte // the content of model.onnx
	Sets  []Set
}

// Set is one set of inputs and expected outputs, as encoded TensorProtos; nil where a number
// is absent.
type Set struct {
	Name    string
	Inputs  [][]byte
	Outputs [][]byte
}

// maxFile and maxTotal bound what is read of one file and of an archive.
const (
	maxFile  int64 = 2 << 30
	maxTotal int64 = 4 << 30
)

// DecodeInputs returns the decoded inputs; nil for absent ones.
func (s *Set) DecodeInputs() ([]*onnx.Tensor, error) { return s.decode("input", s.Inputs) }

// DecodeOutputs returns the decoded expected outputs; nil for absent ones.
func (s *Set) DecodeOutputs() ([]*onnx.Tensor, error) { return s.decode("output", s.Outputs) }

func (s *Set) decode(kind string, files [][]byte) ([]*onnx.Tensor, error) {
	ts := make([]*onnx.Tensor, len(files))
	for i, b := range files {
		if b == nil {
			continue
		}
		t, err := onnx.DecodeTensor(b, onnx.DecodeOptions{})
		if err != nil {
			return nil, fmt.Errorf("%s/%s_%d.pb: %w", s.Name, kind, i, err)
		}
		ts[i] = t
	}
	return ts, nil
}

// Find returns the folders with a model.onnx at or below root, sorted. Symbolic links below
// root are not followed.
func Find(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.IsDir() && e.Name() == "model.onnx" {
			dirs = append(dirs, filepath.Dir(p))
		}
		return nil
	})
	slices.Sort(dirs)
	return dirs, err
}

// Load reads the case in a folder.
func Load(dir string) (*Case, error) { return LoadModel(filepath.Join(dir, "model.onnx")) }

// LoadModel reads a case whose model file may have any name; its sets lie beside the file.
func LoadModel(model string) (*Case, error) {
	dir := filepath.Dir(model)
	b, err := readFile(model)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &Case{Name: filepath.Base(abs), Suite: filepath.Base(filepath.Dir(abs)), Dir: dir, Model: b}
	sets, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, set := range sets {
		if _, ok := setNumber(set.Name()); !ok {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(dir, set.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".pb") {
				continue
			}
			b, err := readFile(filepath.Join(dir, set.Name(), e.Name()))
			if err != nil {
				return nil, err
			}
			files[set.Name()+"/"+e.Name()] = b
		}
	}
	if c.Sets, err = newSets(files); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return c, nil
}

func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// LoadArchive reads the cases in a .tar.gz, in the order of their names. Nothing is written
// to disk. The archive may unpack to 4 GiB at most.
func LoadArchive(file string) ([]*Case, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cs, err := readArchive(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cs, nil
}

func readArchive(r io.Reader) ([]*Case, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	models := map[string][]byte{}
	files := map[string]map[string][]byte{} // folder → files of its sets
	total := int64(0)
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		dir, name := path.Split(path.Clean(h.Name))
		isModel := name == "model.onnx"
		if h.Typeflag != tar.TypeReg || !isModel && !strings.HasSuffix(name, ".pb") {
			continue
		}
		if total += h.Size; h.Size > maxFile || total > maxTotal {
			return nil, errors.New("the archive unpacks to too many bytes")
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		dir = strings.TrimSuffix(dir, "/")
		if isModel {
			models[dir] = b
			continue
		}
		top, set := path.Split(dir)
		top = strings.TrimSuffix(top, "/")
		if files[top] == nil {
			files[top] = map[string][]byte{}
		}
		files[top][set+"/"+name] = b
	}
	var cs []*Case
	for dir, m := range models {
		c := &Case{Name: path.Base(dir), Suite: path.Base(path.Dir(dir)), Model: m}
		if c.Sets, err = newSets(files[dir]); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		cs = append(cs, c)
	}
	slices.SortFunc(cs, func(a, b *Case) int {
		return strings.Compare(a.Suite+"/"+a.Name, b.Suite+"/"+b.Name)
	})
	return cs, nil
}

func setNumber(name string) (int, bool) {
	s, ok := strings.CutPrefix(name, "test_data_set_")
	n, err := strconv.Atoi(s)
	return n, ok && err == nil && n >= 0
}

// maxIndex bounds the K of input_K.pb.
const maxIndex = 1 << 16

// newSets sorts files, by "test_data_set_N/input_K.pb", into sets.
func newSets(files map[string][]byte) ([]Set, error) {
	sets := map[int]*Set{}
	for name, b := range files {
		dir, base := path.Split(name)
		dir = strings.TrimSuffix(dir, "/")
		n, ok := setNumber(dir)
		if !ok {
			continue
		}
		if sets[n] == nil {
			sets[n] = &Set{Name: dir}
		}
		kind, num, ok := strings.Cut(strings.TrimSuffix(base, ".pb"), "_")
		k, err := strconv.Atoi(num)
		if !ok || err != nil || k < 0 || k > maxIndex || kind != "input" && kind != "output" {
			return nil, fmt.Errorf("%s: not the name of an input or output", name)
		}
		list := &sets[n].Inputs
		if kind == "output" {
			list = &sets[n].Outputs
		}
		for len(*list) <= k {
			*list = append(*list, nil)
		}
		if b == nil {
			b = []byte{}
		}
		(*list)[k] = b
	}
	var nums []int
	for n := range sets {
		nums = append(nums, n)
	}
	slices.Sort(nums)
	var out []Set
	for _, n := range nums {
		out = append(out, *sets[n])
	}
	return out, nil
}

// WriteSet writes a set of inputs and outputs as dir/test_data_set_N, creating folders. Each
// file appears whole or not at all; a nil tensor writes none. Other inputs and outputs, of a
// set that was there before, are removed.
func WriteSet(dir string, n int, inputs, outputs []*onnx.Tensor) error {
	set := filepath.Join(dir, fmt.Sprintf("test_data_set_%d", n))
	if err := os.MkdirAll(set, 0o777); err != nil {
		return err
	}
	write := func(kind string, ts []*onnx.Tensor) error {
		file := func(i int) string { return filepath.Join(set, fmt.Sprintf("%s_%d.pb", kind, i)) }
		for i, t := range ts {
			if t == nil {
				if err := os.Remove(file(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				continue
			}
			b, err := onnx.EncodeTensor(t)
			if err != nil {
				return err
			}
			err = atomicfile.WriteFile(file(i), func(w io.Writer) error {
				_, err := w.Write(b)
				return err
			})
			if err != nil {
				return err
			}
		}
		for i := len(ts); ; i++ {
			if err := os.Remove(file(i)); errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return errors.Join(write("input", inputs), write("output", outputs))
}

// Row is a line of the table cases.tsv that comes with an archive of cases.
type Row struct {
	Suite, Case string
	Tier        string // core, extended or exotic-dtype
	Opset, IR   int
	Ops, DTypes []string
	ONNXRuntime string // agrees, differs, not-implemented or not-checked
	Note        string
}

// ReadTable reads a tab-separated table with a line of column names.
func ReadTable(r io.Reader) ([]Row, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(string(b), "\r\n"), "\n")
	column := map[string]int{}
	for i, name := range strings.Split(strings.TrimSpace(lines[0]), "\t") {
		column[name] = i
	}
	for _, name := range []string{"suite", "case", "tier", "opset", "ir", "ops", "dtypes", "onnxruntime", "note"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("table of cases: no column %q", name)
		}
	}
	var rows []Row
	for i, line := range lines[1:] {
		f := strings.Split(strings.TrimRight(line, "\r"), "\t")
		if len(f) < len(column) {
			return nil, fmt.Errorf("table of cases: line %d has %d of %d columns", i+2, len(f), len(column))
		}
		get := func(name string) string { return f[column[name]] }
		opset, err1 := strconv.Atoi(get("opset"))
		ir, err2 := strconv.Atoi(get("ir"))
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("table of cases: line %d: %w", i+2, err)
		}
		rows = append(rows, Row{
			Suite: get("suite"), Case: get("case"), Tier: get("tier"), Opset: opset, IR: ir,
			Ops: strings.Split(get("ops"), ","), DTypes: strings.Split(get("dtypes"), ","),
			ONNXRuntime: get("onnxruntime"), Note: get("note"),
		})
	}
	return rows, nil
}
