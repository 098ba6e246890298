package onnx

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/aekit/aekit/tensor"
)

// LoadExternal reads the data of tensors that lie in other files (data_location EXTERNAL):
// initializers and the tensors of attributes, in sub-graphs and functions too. Locations are
// relative to fsys, the folder of the model; os.Root.FS gives one that nothing leads out of.
// A loaded tensor's External is nil afterwards, so that [Encode] writes its data into the
// model. An error leaves the remaining tensors as they were.
//
// Absolute locations, those with "." or ".." and those that pass through a symbolic link are
// refused, and so is whatever is not a regular file with one name (a device, a pipe, a hard
// link). Limits.Bytes bounds the data of all tensors together, Limits.Elements each one.
// The checksum that an entry may carry is not verified.
func LoadExternal(m *Model, fsys fs.FS, limits Limits) error {
	l := &externalLoader{fsys: fsys, limits: limits.withDefaults(), files: map[string]fs.File{}}
	defer func() {
		for _, f := range l.files {
			f.Close()
		}
	}()
	l.left = l.limits.Bytes
	return visitTensors(m, func(t *Tensor) error {
		if t.External == nil || t.Value != nil {
			return nil
		}
		if err := l.load(t); err != nil {
			return errorf("onnx: external data of tensor %q: %w", t.Name, err)
		}
		return nil
	})
}

// HasExternal reports whether a tensor of the model has its data in another file that is
// not loaded.
func HasExternal(m *Model) bool {
	return visitTensors(m, func(t *Tensor) error {
		if t.External != nil && t.Value == nil {
			return io.EOF
		}
		return nil
	}) != nil
}

type externalLoader struct {
	fsys   fs.FS
	limits Limits
	left   int64
	files  map[string]fs.File
}

// maxOpenFiles bounds the files that are open at once.
const maxOpenFiles = 64

func (l *externalLoader) open(name string) (fs.File, error) {
	if f := l.files[name]; f != nil {
		return f, nil
	}
	name = strings.ReplaceAll(name, `\`, "/")
	if name == "" || name == "." || !fs.ValidPath(name) || strings.ContainsRune(name, 0) || strings.Contains(name, ":") {
		return nil, errorf("location %q is not a path below the model's folder", name)
	}
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		st, err := fs.Lstat(l.fsys, name[:i])
		if err != nil {
			return nil, err
		}
		if !st.IsDir() {
			return nil, errorf("location %q: %q is not a folder", name, name[:i])
		}
	}
	st, err := fs.Lstat(l.fsys, name)
	if err != nil {
		return nil, err
	}
	if err := regular(st); err != nil {
		return nil, errorf("location %q %w", name, err)
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	// The file may have been replaced between the two looks.
	st, err = f.Stat()
	if err == nil {
		err = regular(st)
	}
	if err != nil {
		f.Close()
		return nil, errorf("location %q: %w", name, err)
	}
	if len(l.files) >= maxOpenFiles {
		for k, old := range l.files {
			old.Close()
			delete(l.files, k)
			break
		}
	}
	l.files[name] = f
	return f, nil
}

func regular(st fs.FileInfo) error {
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		return errors.New("is a symbolic link")
	case !st.Mode().IsRegular():
		return errors.New("is not a regular file")
	case links(st) > 1:
		return errors.New("is a file with several names (hard links)")
	}
	return nil
}

func (l *externalLoader) load(t *Tensor) error {
	n, ok := t.Elems()
	size, ok2 := rawSize(t.DType, n)
	shape, ok3 := intDims(t.Dims)
	switch {
	case t.DType == tensor.Undefined || t.DType > tensor.Int2 || t.DType == tensor.String:
		return errorf("type %v", t.DType)
	case !ok || !ok2 || !ok3 || int64(int(n)) != n:
		return errorf("shape %v is negative or too large", t.Dims)
	case n > l.limits.Elements:
		return &LimitError{"elements in a tensor", l.limits.Elements}
	case int64(size) > l.left:
		return &LimitError{"bytes", l.limits.Bytes}
	}
	var offset int64
	length := int64(size)
	for _, p := range t.External {
		if p.Key != "offset" && p.Key != "length" {
			continue
		}
		v, err := strconv.ParseInt(p.Value, 10, 64)
		if err != nil || v < 0 {
			return errorf("%s is %q", p.Key, p.Value)
		}
		if p.Key == "offset" {
			offset = v
		} else {
			length = v
		}
	}
	if length != int64(size) {
		return errorf("shape %v of %v takes %d bytes, length is %d", t.Dims, t.DType, size, length)
	}
	location := entry(t.External, "location")
	f, err := l.open(location)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if offset > st.Size() || length > st.Size()-offset {
		return errorf("%s has %d bytes, asked for %d from %d on", path.Base(location), st.Size(), length, offset)
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return errors.New("files of this file system cannot be read from the middle")
	}
	data := tensor.AlignedBytes(size)
	if n, err := r.ReadAt(data, offset); n < size {
		return errorf("read %d of %d bytes: %w", n, size, err)
	}
	l.left -= int64(size)
	d := newDecoder(nil, DecodeOptions{Limits: l.limits})
	data = d.rawData(t.DType, data)
	if t.DType.Size() == 0 {
		t.Raw = data
	} else if t.Value, err = tensor.FromBytes(t.DType, unpackBits(t.DType, data, int(n)), shape...); err != nil {
		return err
	}
	t.External = nil
	return nil
}

// Tensors calls f with every tensor of the model: initializers, sparse ones as their values and
// indices, and the tensors of attributes, in sub-graphs and functions too.
func Tensors(m *Model, f func(*Tensor)) {
	_ = visitTensors(m, func(t *Tensor) error {
		f(t)
		return nil
	})
}

// visitTensors calls visit with every tensor of the model until it fails.
func visitTensors(m *Model, visit func(*Tensor) error) error {
	f := func(t *Tensor) error {
		if t == nil {
			return nil
		}
		return visit(t)
	}
	if m.Graph != nil {
		if err := visitGraph(m.Graph, f, 0); err != nil {
			return err
		}
	}
	for _, fn := range m.Functions {
		for _, a := range fn.Defaults {
			if err := visitAttribute(a, f, 0); err != nil {
				return err
			}
		}
		if err := visitNodes(fn.Nodes, f, 0); err != nil {
			return err
		}
	}
	return nil
}

func visitGraph(g *Graph, f func(*Tensor) error, depth int) error {
	if depth > maxDepth {
		return errorf("graphs are nested more than %d deep", maxDepth)
	}
	for _, t := range g.Initializers {
		if err := f(t); err != nil {
			return err
		}
	}
	for _, s := range g.Sparse {
		if err := errors.Join(f(s.Values), f(s.Indices)); err != nil {
			return err
		}
	}
	return visitNodes(g.Nodes, f, depth)
}

func visitNodes(nodes []*Node, f func(*Tensor) error, depth int) error {
	for _, n := range nodes {
		for _, a := range n.Attrs {
			if err := visitAttribute(a, f, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func visitAttribute(a *Attribute, f func(*Tensor) error, depth int) error {
	tensors := a.Tensors[:len(a.Tensors):len(a.Tensors)]
	if a.Tensor != nil {
		tensors = append(tensors, a.Tensor)
	}
	for _, s := range append(a.Sparses[:len(a.Sparses):len(a.Sparses)], a.Sparse) {
		if s != nil {
			tensors = append(tensors, s.Values, s.Indices)
		}
	}
	for _, t := range tensors {
		if err := f(t); err != nil {
			return err
		}
	}
	for _, g := range append(a.Graphs[:len(a.Graphs):len(a.Graphs)], a.Graph) {
		if g != nil {
			if err := visitGraph(g, f, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
