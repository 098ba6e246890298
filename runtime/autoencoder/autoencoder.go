// Package autoencoder runs autoencoders and generators on images: it encodes, decodes,
// reconstructs, generates, interpolates and scores, on any runtime.Session.
//
//	m, err := autoencoder.Open("model.onnx", runtime.Options{}, autoencoder.Options{})
//	defer m.Close()
//	images, err := m.Generate(ctx, 64, autoencoder.Sampling{Seed: 1})
//
// A model file made by this module says which of its values is the image, the latent
// vector and the reconstruction, how pixels become numbers and what latent vectors to draw.
// For other files [Options] says so; what it leaves out is concluded from the graph where
// there is only one possibility.
//
// Images of any size and colour are accepted: they are scaled to the model's size (see
// Options.Fit) and converted to its channels. Images that a model returns are *image.Gray
// or *image.NRGBA.
//
// All methods are safe for concurrent use.
package autoencoder

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// Options says what a model does not say of itself. A field that is not zero overrides the
// model's own metadata.
type Options struct {
	Input  string // name of the value that takes the image
	Latent string // name of the value that decoding starts from
	Output string // name of the value that is the reconstruction
	Label  string // name of the input that takes a class label

	Width, Height int
	Channels      int        // 1 grey, 3 red-green-blue
	Layout        string     // "NCHW", "NHWC" or "flat"
	Range         [2]float32 // numbers for black and for white; without metadata 0 and 1

	// Fit says what happens to images of other proportions than the model's: "stretch" (the
	// default) changes them, "cover" cuts off what is too long, "contain" adds black.
	Fit string
	// Batch is how many samples one run takes at most; 0 means 64. A model with a fixed
	// batch axis is run with that.
	Batch int
}

// Info says how images and latent vectors map to the values of a model. A name is empty
// where the model has no such value.
type Info struct {
	Kind   string `json:"kind,omitempty"` // "ae", "vae", "vq-vae" or "generator"; "" without metadata
	Preset string `json:"preset,omitempty"`

	Input  string `json:"input,omitempty"`
	Label  string `json:"label,omitempty"`
	Mu     string `json:"mu,omitempty"`
	LogVar string `json:"logvar,omitempty"`
	Latent string `json:"latent,omitempty"`
	Codes  string `json:"codes,omitempty"`
	Output string `json:"output,omitempty"`

	Width    int       `json:"width"`
	Height   int       `json:"height"`
	Channels int       `json:"channels"`
	Layout   string    `json:"layout"` // "NCHW", "NHWC" or "flat"
	Mean     []float32 `json:"mean"`   // a pixel p in [0, 1] of channel c becomes (p-Mean[c])/Std[c]
	Std      []float32 `json:"std"`

	// Threshold is the reconstruction error from which an image counts as unusual; negative
	// where the model has none.
	Threshold float64 `json:"threshold"`
}

// Errors that callers can test for with errors.Is.
var (
	// ErrNoEncoder is returned where a model has nothing that takes images.
	ErrNoEncoder = errors.New("the model has no encoder")
	// ErrNoDecoder is returned where a model has nothing that gives images.
	ErrNoDecoder = errors.New("the model has no decoder")
	// ErrNoPrior is returned by Generate for a model that does not say what to draw.
	ErrNoPrior = errors.New("the model has no prior to draw latent vectors from")
	// ErrNoSize is returned by Open and New where neither the model nor Options.Width and
	// Height say how large images are.
	ErrNoSize = errors.New("the model does not say how large its images are")
	// ErrDiscrete is returned by Interpolate where there is nothing between two latents.
	ErrDiscrete = errors.New("the model's latents are discrete: there is nothing between two of them")
)

// Model is an autoencoder, a part of one, or a generator.
type Model struct {
	*core
	label    int
	hasLabel bool
}

// core is what the views of a model with different labels share.
type core struct {
	session *runtime.Session
	owned   bool
	info    Info
	meta    *meta.Model // nil without metadata
	fit     imageio.Fit
	batch   int
	values  map[string]bool // names of the graph's values

	mu     sync.Mutex
	subs   map[string]*runtime.Session
	shape  tensor.Shape // of one latent, once known
	dtype  tensor.DType
	closed bool
}

// Open loads the model in a file.
func Open(path string, ro runtime.Options, o Options) (*Model, error) {
	s, err := runtime.Open(path, ro)
	if err != nil {
		return nil, err
	}
	m, err := New(s, o)
	if err != nil {
		s.Close()
		return nil, errorf("%s: %w", path, err)
	}
	m.owned = true
	return m, nil
}

// New returns the autoencoder that a session holds. The session must stay open, and stays
// the caller's to close.
func New(s *runtime.Session, o Options) (*Model, error) {
	c := &core{session: s, batch: o.Batch, subs: map[string]*runtime.Session{}, values: map[string]bool{}}
	if c.batch < 0 {
		return nil, errorf("batch of %d samples", c.batch)
	}
	if c.batch == 0 {
		c.batch = 64
	}
	if o.Fit != "" {
		f, err := imageio.ParseFit(o.Fit)
		if err != nil {
			return nil, err
		}
		c.fit = f
	}
	g := s.Model().Graph
	for _, v := range g.Inputs {
		c.values[v.Name] = true
	}
	for _, v := range g.Initializers {
		c.values[v.Name] = true
	}
	for _, n := range g.Nodes {
		for _, name := range n.Outputs {
			c.values[name] = true
		}
	}
	delete(c.values, "")
	if err := c.resolve(o); err != nil {
		return nil, err
	}
	return &Model{core: c}, nil
}

// Info describes the model.
func (m *Model) Info() Info {
	i := m.info
	i.Mean = append([]float32(nil), i.Mean...)
	i.Std = append([]float32(nil), i.Std...)
	return i
}

// Session returns the session that the model runs on.
func (m *Model) Session() *runtime.Session { return m.session }

// WithLabel returns a view of a conditional model that gives this class label with every
// image and latent vector. Closing either closes both.
func (m *Model) WithLabel(label int) *Model {
	return &Model{core: m.core, label: label, hasLabel: true}
}

// Close releases what the model holds. The session is closed if Open made it.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	var errs []error
	for _, s := range m.subs {
		errs = append(errs, s.Close())
	}
	if m.owned {
		errs = append(errs, m.session.Close())
	}
	return errors.Join(errs...)
}

// sub returns the session from some values of the graph to others. It is made once.
func (c *core) sub(ins, outs []string) (*runtime.Session, error) {
	key := strings.Join(ins, "\x00") + "\x01" + strings.Join(outs, "\x00")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, runtime.ErrClosed
	}
	if s := c.subs[key]; s != nil {
		return s, nil
	}
	s, err := c.session.Sub(ins, outs)
	if err != nil {
		return nil, err
	}
	c.subs[key] = s
	return s, nil
}

// part returns the session from one value to others. It takes the label as well where the
// outputs depend on it.
func (m *Model) part(in string, outs ...string) (*runtime.Session, error) {
	s, err := m.sub([]string{in}, outs)
	if err == nil || m.info.Label == "" || in == m.info.Label {
		return s, err
	}
	if s, err2 := m.sub([]string{in, m.info.Label}, outs); err2 == nil {
		return s, nil
	}
	return nil, err
}

// run runs a session on samples, with the label where it wants one.
func (m *Model) run(ctx context.Context, s *runtime.Session, in map[string]*tensor.Tensor, n int) (map[string]*tensor.Tensor, error) {
	for _, v := range s.Inputs() {
		if v.Name != m.info.Label || in[v.Name] != nil {
			continue
		}
		t, err := m.labels(v, n)
		if err != nil {
			return nil, err
		}
		in[v.Name] = t
	}
	return runBatches(ctx, s, m.batch, n, in)
}

// labels returns the label input for n samples: numbers, or one row of zeros and a one for
// each.
func (m *Model) labels(v runtime.ValueInfo, n int) (*tensor.Tensor, error) {
	if !m.hasLabel {
		return nil, errorf("the model wants a label for its input %q", v.Name)
	}
	if m.label < 0 {
		return nil, errorf("label %d is negative", m.label)
	}
	if m.meta != nil && m.meta.Classes > 0 && m.label >= m.meta.Classes {
		return nil, errorf("label %d, the model has %d classes", m.label, m.meta.Classes)
	}
	if v.DType.IsFloat() {
		if len(v.Shape) != 2 || v.Shape[1] < 1 {
			return nil, errorf("the label input is %v: the number of classes is not known", &v)
		}
		if m.label >= v.Shape[1] {
			return nil, errorf("label %d, the model has %d classes", m.label, v.Shape[1])
		}
		row := make([]float32, v.Shape[1])
		row[m.label] = 1
		out := make([]float32, 0, n*len(row))
		for range n {
			out = append(out, row...)
		}
		return fromFloats(v.DType, out, n, len(row))
	}
	shape := tensor.Shape{n}
	for i := 1; i < len(v.Shape); i++ {
		shape = append(shape, 1)
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(m.label)
	}
	return fromFloats(v.DType, out, shape...)
}
