package train

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/autodiff"
)

// A phase is one loss of an objective with the parameters that it fits. A training step
// runs the phases in turn, on the same batch and noise; each sees the weights that those
// before it have left. Gradients pass through the parameters that a phase does not fit.
type phase struct {
	name string // empty for an only phase
	// fits reports whether the phase updates a parameter. Nil: all.
	fits func(parameter string) bool
	// optimizer, unless nil, replaces that of the run.
	optimizer Optimizer
	// rate is a factor on the learning rate; 0 means 1.
	rate float64
	// keepsStatistics says that running statistics do not follow the batches of this phase.
	keepsStatistics bool
	// build appends the loss to a graph and records its terms by add, the total first.
	build func(b *lossBuilder) error
}

// only makes the phase of an objective that has one loss for all parameters.
func only(build func(b *lossBuilder) error) []phase { return []phase{{build: build}} }

// A kit is what an objective needs beside the model: networks that only training uses, and
// values carried from step to step.
type kit struct {
	networks []network
	states   []state
}

// A network is a model of training alone, such as a discriminator. Its parameters are
// called "name/" and the name of the initializer.
type network struct {
	name    string
	g       *graph.Graph
	in, out []graph.ValueID
}

// A state is a value that a loss graph reads and replaces. With initial nil it is the
// initializer of that name in the model.
type state struct {
	name    string
	initial *tensor.Tensor
}

// equipper is an Objective that needs a kit.
type equipper interface {
	equip(k *kit, model *graph.Graph, m *meta.Model, seed uint64) error
}

// add puts a model into the kit.
func (k *kit) add(name string, m *onnx.Model) error {
	g, err := graph.New(m, graph.Config{Set: operators})
	if err != nil {
		return fmt.Errorf("train: %s: %w", name, err)
	}
	k.networks = append(k.networks, network{name: name, g: g, in: g.Inputs, out: g.Outputs})
	return nil
}

// trainedPhase is a phase that has been compiled.
type trainedPhase struct {
	phase
	program *program
	group   *group
	at      int // of its terms among those of the objective
}

// compilePhase differentiates the loss of a phase, which b holds, and plans it.
func (t *Trainer) compilePhase(ph phase, b *lossBuilder, ids []graph.ValueID) (*trainedPhase, error) {
	opt := ph.optimizer
	if opt == nil {
		opt = t.cfg.Optimizer
	}
	if ph.rate == 0 {
		ph.rate = 1
	}
	var members []parameter
	var wanted []graph.ValueID
	for i, p := range t.params {
		if ph.fits == nil || ph.fits(p.name) {
			members, wanted = append(members, p), append(wanted, ids[i])
		}
	}
	tp := &trainedPhase{phase: ph, group: newGroup(opt, t.p, members)}
	grads, err := autodiff.Differentiate(b.g, b.parts[0], wanted)
	if err != nil {
		return nil, err
	}
	tp.program = newProgram(b, t.image, t.pool)
	found := false
	for i, id := range grads {
		if id == graph.None {
			continue
		}
		found = true
		b.g.Outputs = append(b.g.Outputs, id)
		tp.program.fixed = append(tp.program.fixed, tp.group.gradient(i))
	}
	if !found {
		if ph.name != "" {
			return nil, fmt.Errorf("train: the %s loss depends on no parameter of its own", ph.name)
		}
		return nil, fmt.Errorf("train: the loss depends on no parameter")
	}
	return tp, nil
}
