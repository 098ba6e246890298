package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Session is a loaded model. It is safe for concurrent use.
type Session struct {
	model *onnx.Model
	opts  Options
	exec  Executor
	ins   []ValueInfo
	outs  []ValueInfo
	calls sync.Pool // *call
	share *shared

	mu     sync.RWMutex // held for reading during a run
	closed bool
}

// call holds the slices of one Run, so that RunInto does not allocate.
type call struct{ ins, outs []*tensor.Tensor }

// Open loads the model in a file. Where the system allows, large files are mapped, not read, and
// their pages are dropped once the weights have been packed; the file should not be changed before
// the session is closed, though that does no more harm than errors.
func Open(path string, o Options) (*Session, error) {
	o.Limits = o.Limits.withDefaults()
	if st, err := os.Stat(path); err != nil {
		return nil, err
	} else if st.IsDir() {
		return nil, fmt.Errorf("%s: is a directory, not a model", path)
	} else if st.Size() > o.Limits.FileBytes {
		return nil, limitError{fmt.Errorf("%s: %d bytes, allowed %d", path, st.Size(), o.Limits.FileBytes)}
	}
	file, err := mapFile(path, o.Limits.FileBytes)
	if err != nil {
		return nil, err
	}
	s, err := load(file.data, o, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Load loads a model from bytes. The session keeps views of data: the caller must not
// change it while the session, or one made from it by Sub, is in use.
func Load(data []byte, o Options) (*Session, error) {
	return load(data, o, nil)
}

// LoadFS loads the model in a file of fsys, for example an embed.FS, whose bytes it reads. Weights
// in other files are looked for in o.ExternalData only.
func LoadFS(fsys fs.FS, name string, o Options) (*Session, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := readUpTo(f, o.Limits.withDefaults().FileBytes)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := Load(data, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func load(data []byte, o Options, file *mapping) (_ *Session, err error) {
	o.Limits = o.Limits.withDefaults()
	sh := &shared{file: file}
	defer file.guard(&err)()
	m, err := onnx.Decode(data, onnx.DecodeOptions{Limits: o.Limits.decode(), Unaligned: true})
	if err == nil {
		detach(m, file)
		var s *Session
		if s, err = newSession(m, o, sh); err == nil {
			return s, nil
		}
	}
	sh.drop()
	return nil, public(err)
}

// New returns a session for a model. The session shares m's graph and tensors: the caller must
// not change them while it is in use. Weights in other files become values of m's tensors.
func New(m *onnx.Model, o Options) (*Session, error) {
	o.Limits = o.Limits.withDefaults()
	sh := &shared{}
	s, err := newCounted(m, o, sh)
	if err != nil {
		sh.drop()
		return nil, public(err)
	}
	return s, nil
}

// newCounted is newSession for a model that no decoder has counted.
func newCounted(m *onnx.Model, o Options, sh *shared) (_ *Session, err error) {
	defer sh.file.guard(&err)()
	if m == nil {
		return nil, errors.New("there is no model")
	}
	if err := onnx.Check(m); err != nil {
		return nil, err
	}
	if op.Complete {
		if err := o.Limits.count(m); err != nil {
			return nil, err
		}
	}
	return newSession(m, o, sh)
}

// count compares the nodes and tensors of a model that has passed onnx.Check with the limits.
func (l Limits) count(m *onnx.Model) error {
	nodes, tensors, elements := 0, 0, int64(0)
	var add func(ns []*onnx.Node)
	add = func(ns []*onnx.Node) {
		nodes += len(ns)
		for _, n := range ns {
			for _, a := range n.Attrs {
				if a.Graph != nil {
					add(a.Graph.Nodes)
				}
				for _, g := range a.Graphs {
					add(g.Nodes)
				}
			}
		}
	}
	add(m.Graph.Nodes)
	for _, f := range m.Functions {
		add(f.Nodes)
	}
	onnx.Tensors(m, func(t *onnx.Tensor) {
		tensors++
		n, _ := t.Elems()
		elements = max(elements, n)
	})
	switch {
	case nodes > l.Nodes:
		return &onnx.LimitError{What: "nodes", Limit: int64(l.Nodes)}
	case tensors > l.Tensors:
		return &onnx.LimitError{What: "tensors", Limit: int64(l.Tensors)}
	case elements > int64(l.Elements):
		return &onnx.LimitError{What: "elements in a tensor", Limit: int64(l.Elements)}
	}
	return nil
}

// detach copies tensors of attributes and of sub-graphs that lie in a mapped file or are not
// aligned. They are rarely large, and operators keep them. Initializers of the graph itself and
// the values of its Constant nodes are copied later, where they are not packed.
func detach(m *onnx.Model, file *mapping) {
	top := map[*onnx.Tensor]bool{}
	if m.Graph != nil {
		for _, t := range m.Graph.Initializers {
			top[t] = true
		}
		for _, n := range m.Graph.Nodes {
			if a := n.Attr("value"); a != nil && n.OpType == "Constant" {
				top[a.Tensor] = true
			}
		}
	}
	onnx.Tensors(m, func(t *onnx.Tensor) {
		if t.Value != nil && !top[t] && (file.holds(t.Value.Bytes()) || !aligned(t.Value)) {
			t.Value = t.Value.Clone()
		}
	})
}

// aligned reports whether t has the alignment that package tensor asks for.
func aligned(t *tensor.Tensor) bool {
	return t.DType().Size() == 0 || uintptr(unsafe.Pointer(unsafe.SliceData(t.Bytes())))%uintptr(t.DType().Size()) == 0
}

func newSession(m *onnx.Model, o Options, sh *shared) (*Session, error) {
	if err := loadExternal(m, o); err != nil {
		return nil, err
	}
	if err := onnx.Check(m); err != nil {
		return nil, err
	}
	return compile(m, o, sh)
}

func compile(m *onnx.Model, o Options, sh *shared) (_ *Session, err error) {
	defer sh.file.guard(&err)()
	start := time.Now()
	b := o.Backend
	if b == nil {
		b = nativeBackend{sh}
	}
	exec, err := b.Compile(m, o)
	if err != nil {
		return nil, err
	}
	s := &Session{model: m, opts: o, exec: exec, ins: exec.Inputs(), outs: exec.Outputs(), share: sh}
	sh.use()
	if o.Logger != nil {
		o.Logger.DebugContext(context.Background(), "model loaded", "backend", b.Name(), "nodes", len(m.Graph.Nodes), "initializers", len(m.Graph.Initializers), "time", time.Since(start))
	}
	s.calls.New = func() any {
		return &call{make([]*tensor.Tensor, len(s.ins)), make([]*tensor.Tensor, len(s.outs))}
	}
	return s, nil
}

func loadExternal(m *onnx.Model, o Options) error {
	if o.ExternalData != nil {
		return onnx.LoadExternal(m, o.ExternalData, o.Limits.decode())
	}
	var err error
	onnx.Tensors(m, func(t *onnx.Tensor) {
		if err == nil && len(t.External) > 0 && t.Value == nil {
			err = fmt.Errorf("tensor %q: its data is in another file, and none may be opened (Options.ExternalData)", t.Name)
		}
	})
	return err
}

// Sub returns a session over the part of the model that computes the named outputs from
// the named values, which may be graph inputs or values inside. It runs on the same
// backend and shares packed weights with s. The two are closed separately.
func (s *Session) Sub(inputs, outputs []string) (*Session, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	m, err := onnx.Extract(s.model, inputs, outputs)
	if err != nil {
		return nil, err
	}
	sub, err := compile(m, s.opts, s.share)
	return sub, public(err)
}

// Run computes all outputs of the model, in memory that is the caller's afterwards. Every input
// must be given, by name, with the type and shape that [Session.Inputs] says; what does not fit is
// an *[InputError]. A failure inside the model is a *[NodeError]. Run stops between nodes when ctx is
// done, and returns its cause. The first run with new shapes prepares the model for them.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	out := make(map[string]*tensor.Tensor, len(s.outs))
	return out, s.run(ctx, out, inputs, false)
}

// RunInto computes the outputs in buffers of the caller, which outputs names. Every output
// of the model must be there, with the type and shape that the inputs lead to; the buffers
// must not overlap each other or the inputs. After an error they hold anything. RunInto allocates
// nothing if the input shapes have been seen before, unless the model has values whose size depends
// on data. Otherwise it is [Session.Run].
func (s *Session) RunInto(ctx context.Context, outputs, inputs map[string]*tensor.Tensor) error {
	return s.run(ctx, outputs, inputs, true)
}

func (s *Session) run(ctx context.Context, outputs, inputs map[string]*tensor.Tensor, into bool) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	c := s.calls.Get().(*call)
	defer s.recycle(c)
	for i := range s.ins {
		t := inputs[s.ins[i].Name]
		if err := s.ins[i].check(t); err != nil {
			return err
		}
		c.ins[i] = t
	}
	if len(inputs) > len(s.ins) {
		return s.unknownName("input", inputs, s.ins)
	}
	if into {
		for i := range s.outs {
			t := outputs[s.outs[i].Name]
			if t == nil {
				return &InputError{s.outs[i].Name, fmt.Sprintf("no buffer is given for output %q; want %v", s.outs[i].Name, &s.outs[i])}
			}
			c.outs[i] = t
		}
		if len(outputs) > len(s.outs) {
			return s.unknownName("output", outputs, s.outs)
		}
	}
	if err := s.exec.Run(ctx, c.outs, c.ins); err != nil {
		return public(err)
	}
	if !into {
		for i, t := range c.outs {
			outputs[s.outs[i].Name] = t
		}
	}
	return nil
}

func (s *Session) recycle(c *call) {
	clear(c.ins)
	clear(c.outs)
	s.calls.Put(c)
}

func (s *Session) unknownName(what string, given map[string]*tensor.Tensor, known []ValueInfo) error {
	names := make([]string, len(known))
	for i := range known {
		names[i] = known[i].Name
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			return &InputError{name, fmt.Sprintf("the model has no %s %q; it has %q", what, name, names)}
		}
	}
	return nil
}

// check says what is wrong with t as a value for this input.
func (v *ValueInfo) check(t *tensor.Tensor) error {
	if t == nil {
		return &InputError{v.Name, fmt.Sprintf("input %q is missing; want %v", v.Name, v)}
	}
	if !v.accepts(t.DType(), t.Shape()) {
		return &InputError{v.Name, fmt.Sprintf("input %q is %v, want %v", v.Name, t, v)}
	}
	return nil
}

func (v *ValueInfo) accepts(d tensor.DType, s tensor.Shape) bool {
	ok := v.DType == tensor.Undefined || v.DType == d
	if v.Shape != nil {
		ok = ok && len(v.Shape) == len(s)
		for i := 0; ok && i < len(v.Shape); i++ {
			ok = v.Shape[i] < 0 || v.Shape[i] == s[i]
		}
	}
	return ok
}

// String formats the type with the names of open axes, for example "float32[batch 784]".
func (v *ValueInfo) String() string {
	if v.Shape == nil {
		return v.DType.String() + "[…]"
	}
	s := v.DType.String() + "["
	for i, d := range v.Shape {
		if i > 0 {
			s += " "
		}
		switch {
		case d >= 0:
			s += fmt.Sprint(d)
		case i < len(v.Dims) && v.Dims[i] != "":
			s += v.Dims[i]
		default:
			s += "?"
		}
	}
	return s + "]"
}

// Inputs describes the inputs that Run wants, in the order of the model. The result is the
// caller's.
func (s *Session) Inputs() []ValueInfo { return cloneInfos(s.ins) }

// Outputs describes the outputs, in the order of the model. The result is the caller's.
func (s *Session) Outputs() []ValueInfo { return cloneInfos(s.outs) }

func cloneInfos(infos []ValueInfo) []ValueInfo {
	out := slices.Clone(infos)
	for i := range out {
		out[i].Shape, out[i].Dims = slices.Clone(out[i].Shape), slices.Clone(out[i].Dims)
	}
	return out
}

// Metadata returns the model's metadata_props by key. The map is the caller's.
func (s *Session) Metadata() map[string]string {
	m := make(map[string]string, len(s.model.Metadata))
	for _, p := range s.model.Metadata {
		m[p.Key] = p.Value
	}
	return m
}

// Model returns the model that the session executes. The caller must not change it. The elements
// of its tensors may lie in a mapped file: they must not be read once the session has been closed,
// and reading them faults if the file has been cut short.
func (s *Session) Model() *onnx.Model { return s.model }

// Backend returns the name of the backend that executes the model.
func (s *Session) Backend() string {
	if s.opts.Backend == nil {
		return nativeBackend{}.Name()
	}
	return s.opts.Backend.Name()
}

// Close waits for runs in progress and releases what the session holds. Later calls return
// ErrClosed. Sessions made by Sub stay usable.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.exec.Close()
	s.share.drop()
	return err
}
