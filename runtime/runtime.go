// Package runtime executes ONNX graphs. It is not Go's runtime package.
//
// A [Session] holds a loaded model. [Open] loads a file, [Load] bytes, [New] an onnx.Model:
//
//	s, err := runtime.Open("model.onnx", runtime.Options{})
//	out, err := s.Run(ctx, map[string]*tensor.Tensor{"image": x})
//
// Inputs and outputs go by the names that the model gives them. [Session.RunInto] writes
// to the caller's buffers and allocates nothing once a shape has been seen.
// [Session.Sub] gives a session over part of the model, from any named values to any
// others, for example the decoder of an autoencoder; it shares the packed weights.
//
// All methods of a Session may be called from several goroutines at once. Each concurrent
// call has its own block of memory for activations, taken from a pool. Results do not
// depend on the number of threads. After a call the worker threads poll for at most 50 µs
// and then sleep: an idle Session uses no CPU.
//
// # Untrusted models
//
// A model file is untrusted input. Loading and running one neither panics nor reads
// outside its bytes; what it may ask for is bounded by [Limits]; files that it refers to
// are opened only through [Options.ExternalData].
package runtime

import (
	"context"
	"io/fs"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Options configures a Session. The zero value is good for most uses.
type Options struct {
	// Threads is the number of threads of one run, the caller's included; 0 or less means
	// GOMAXPROCS, which follows CPU affinity and container quotas. Sessions do not share
	// threads, except those made by Sub.
	Threads int
	// Limits bounds what a model may ask for; zero fields have generous defaults.
	Limits Limits
	// ExternalData is where the files are that hold a model's weights outside the model
	// file; names are relative to it. Nil refuses models with such weights. Use os.Root.FS or
	// os.DirFS of a directory that holds nothing else. It is read while the model is loaded.
	ExternalData fs.FS
	// Backend executes the model; nil means this module's own kernels.
	Backend Backend
	// MaxPlans is how many combinations of input shapes stay prepared; 0 or less means 8. The
	// one that has not been used for longest is dropped first. Weights are packed once for
	// all of them.
	MaxPlans int
	// Logger receives what may interest an operator of the program: models being loaded,
	// plans being built, and their memory. Nil logs nothing.
	Logger Logger
}

// Logger takes log records, with attributes as alternating keys and values. A *slog.Logger
// is one; this interface keeps package log/slog out of programs that do not log. It is
// called from any goroutine that loads or runs a model.
type Logger interface {
	DebugContext(ctx context.Context, msg string, args ...any)
}

// Limits bounds what a model may ask for. A zero field means its default. What exceeds a
// limit is refused with an error that matches [ErrLimit], before memory is allocated. A model
// may use as much as a limit says.
type Limits struct {
	FileBytes int64 // of the model file, and again of all external data; default 2 GiB
	Nodes     int   // also those of sub-graphs, and of functions each time they are called; default 1<<20
	Tensors   int   // initializers and attribute tensors; default 1<<20
	Elements  int   // of one tensor; default 1<<30 (1<<27 where int has 32 bits)
	Arena     int   // bytes of activations and scratch of one run; default 4 GiB (1 GiB)
	MACs      int64 // multiply-accumulate operations of one run; default 1e13
}

const is64 = ^uint(0)>>32 != 0

func (l Limits) withDefaults() Limits {
	def := func(v *int, d32, d64 int64) {
		if *v == 0 {
			*v = int(d32)
			if is64 {
				*v = int(d64)
			}
		}
	}
	if l.FileBytes == 0 {
		l.FileBytes = 2 << 30
	}
	def(&l.Nodes, 1<<20, 1<<20)
	def(&l.Tensors, 1<<20, 1<<20)
	def(&l.Elements, 1<<27, 1<<30)
	def(&l.Arena, 1<<30, 4<<30)
	if l.MACs == 0 {
		l.MACs = 1e13
	}
	return l
}

func (l Limits) decode() onnx.Limits {
	return onnx.Limits{Bytes: l.FileBytes, Nodes: l.Nodes, Tensors: l.Tensors, Elements: int64(l.Elements)}
}

// ValueInfo describes an input or output of a session.
type ValueInfo struct {
	Name  string
	DType tensor.DType // Undefined if the model does not say
	// Shape has -1 where an extent is not fixed. It is nil if the rank is not known.
	Shape tensor.Shape
	// Dims has, for each axis, the name that the model gives it, or "".
	Dims []string
}

// Backend turns models into something that runs. Implementations are safe for concurrent
// use.
type Backend interface {
	// Name is a short name for messages and tables, for example "ort".
	Name() string
	// Compile prepares a model. The backend does not change m, and may keep it.
	Compile(m *onnx.Model, o Options) (Executor, error)
}

// Executor runs a model that a Backend has compiled. It is safe for concurrent use.
type Executor interface {
	// Run computes the outputs in the order of the model's graph. ins are in the order of
	// [Executor.Inputs]. An element of outs that is nil is allocated; others are written to
	// and must have the output's type and shape.
	Run(ctx context.Context, outs, ins []*tensor.Tensor) error
	Inputs() []ValueInfo
	Outputs() []ValueInfo
	Close() error
}
