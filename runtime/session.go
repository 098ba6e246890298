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

// Open loads the model in a file.
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

// LoadFS loads the model in a file of fsys, for example an embed.FS.
func LoadFS(fsys fs.FS, name string, o Options) (*Session, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
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
	return nil, wrapLimit(err)
}

// New returns a session for a model. The session shares m's tensors: the caller must not
// change them while it is in use.
func New(m *onnx.Model, o Options) (_ *Session, err error) {
	o.Limits = o.Limits.withDefaults()
	sh := &shared{}
	s, err := newSession(m, o, sh)
	if err != nil {
		sh.drop()
		return nil, wrapLimit(err)
	}
	return s, nil
}

// detach copies tensors of attributes and of sub-graphs that lie in a mapped file or are not
// aligned. They are rarely large, and operators keep them. Initializers of the graph itself
// are copied later, where they are not packed.
func detach(m *onnx.Model, file *mapping) {
	top := map[*onnx.Tensor]bool{}
	if m.Graph != nil {
		for _, t := range m.Graph.Initializers {
			top[t] = true
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
	if m.Graph == nil {
		return errors.New("the model has no graph")
	}
	for _, t := range m.Graph.Initializers {
		if len(t.External) == 0 || t.Value != nil {
			continue
		}
		if o.ExternalData == nil {
			return fmt.Errorf("initializer %q: its data is in another file, and none may be opened (Options.ExternalData)", t.Name)
		}
		return onnx.LoadExternal(m, o.ExternalData, o.Limits.decode())
	}
	return nil
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
	return sub, wrapLimit(err)
}

// Run computes all outputs of the model. Every input must be given, by name.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	out := make(map[string]*tensor.Tensor, len(s.outs))
	return out, s.run(ctx, out, inputs, false)
}

// RunInto computes the outputs in buffers of the caller, which outputs names. Every output
// of the model must be there, with the type and shape that the inputs lead to; the buffers
// must not overlap each other or the inputs. RunInto allocates nothing if the input shapes
// have been seen before, unless the model has values whose size depends on data.
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
				return &InputError{s.outs[i].Name, fmt.Sprintf("no buffer for output %q", s.outs[i].Name)}
			}
			c.outs[i] = t
		}
		if len(outputs) > len(s.outs) {
			return s.unknownName("output", outputs, s.outs)
		}
	}
	if err := s.exec.Run(ctx, c.outs, c.ins); err != nil {
		return wrapLimit(err)
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
	ok := v.DType == tensor.Undefined || v.DType == t.DType()
	if v.Shape != nil {
		ok = ok && len(v.Shape) == t.Rank()
		for i := 0; ok && i < len(v.Shape); i++ {
			ok = v.Shape[i] < 0 || v.Shape[i] == t.Shape()[i]
		}
	}
	if !ok {
		return &InputError{v.Name, fmt.Sprintf("input %q is %v, want %v", v.Name, t, v)}
	}
	return nil
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

// Inputs describes the inputs that Run wants, in the order of the model.
func (s *Session) Inputs() []ValueInfo { return slices.Clone(s.ins) }

// Outputs describes the outputs, in the order of the model.
func (s *Session) Outputs() []ValueInfo { return slices.Clone(s.outs) }

// Metadata returns the model's metadata_props.
func (s *Session) Metadata() map[string]string {
	m := make(map[string]string, len(s.model.Metadata))
	for _, p := range s.model.Metadata {
		m[p.Key] = p.Value
	}
	return m
}

// Model returns the model that the session executes. The caller must not change it.
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
