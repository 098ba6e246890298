package train

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
)

// build makes the graphs and programs of all phases and of evaluation.
func (t *Trainer) build() error {
	model, err := graph.New(t.cfg.Model, graph.Config{Set: operators})
	if err != nil {
		return err
	}
	if e, ok := t.cfg.Objective.(equipper); ok {
		if err := e.equip(&t.kit, model, t.meta, t.cfg.Seed); err != nil {
			return err
		}
	}
	if err := t.collect(model); err != nil {
		return err
	}
	weights := t.weights()
	t.plain = model.Clone()
	t.bind(t.plain, weights)
	loss := func(weights []float32, training, commit bool, builds ...func(*lossBuilder) error) (*lossBuilder, []graph.ValueID, error) {
		g := model.Clone()
		ids := t.bind(g, weights)
		if training {
			if err := trainStatistics(g, commit); err != nil {
				return nil, nil, err
			}
		}
		b, err := newLossBuilder(g, t.meta, &t.kit, &t.noises, t.cfg.Noise.Kind != "")
		if err != nil {
			return nil, nil, err
		}
		b.images, b.training = t.cfg.Data.Len(), training
		for _, f := range builds {
			if err := f(b); err != nil {
				return nil, nil, err
			}
		}
		g.Outputs = append([]graph.ValueID{}, b.parts...)
		return b, ids, nil
	}
	terms := 0
	var all []func(*lossBuilder) error
	for _, ph := range t.cfg.Objective.phases() {
		b, ids, err := loss(t.p, true, !ph.keepsStatistics, ph.build)
		if err != nil {
			return err
		}
		tp, err := t.compilePhase(ph, b, ids)
		if err != nil {
			return err
		}
		tp.at = terms
		terms += tp.program.parts
		t.phases = append(t.phases, tp)
		all = append(all, ph.build)
	}
	b, _, err := loss(weights, false, false, all...)
	if err != nil {
		return err
	}
	if n := len(t.cfg.Objective.Parts()); terms != n || len(b.parts) != n {
		return fmt.Errorf("train: objective %v has %d terms, and computes %d and %d", t.cfg.Objective, n, terms, len(b.parts))
	}
	b.g.Commits = nil
	t.eval = newProgram(b, t.image, t.pool)
	return nil
}

// collect lists the parameters and states of the model and of the kit, and copies their
// values.
func (t *Trainer) collect(model *graph.Graph) error {
	own := map[string]bool{}
	for _, s := range t.kit.states {
		own[s.name] = true
	}
	held := func(name string) bool { return own[name] || t.cfg.Freeze != nil && t.cfg.Freeze(name) }
	var size int
	var err error
	if t.params, size, err = findParameters(model, held); err != nil {
		return err
	}
	type source struct {
		g      *graph.Graph
		prefix string
		from   int
	}
	sources := []source{{model, "", 0}}
	for _, n := range t.kit.networks {
		sources = append(sources, source{n.g, n.name + "/", len(t.params)})
		ps, more, err := findParameters(n.g, nil)
		if err != nil {
			return err
		}
		for _, p := range ps {
			p.name, p.off, p.aside = n.name+"/"+p.name, p.off+size, true
			t.params = append(t.params, p)
		}
		if size += more; size < 0 {
			return fmt.Errorf("train: the model has too many parameters")
		}
	}
	t.p = vector(size)
	for k, s := range sources {
		to := len(t.params)
		if k+1 < len(sources) {
			to = sources[k+1].from
		}
		for i := s.from; i < to; i++ {
			p := &t.params[i]
			copy(t.p[p.off:], s.g.Value(s.g.Lookup(p.name[len(s.prefix):])).Data.Float32s())
		}
	}
	if t.cfg.EMA > 0 {
		t.ema = &average{of: t.p, ema: vector(size), decay: float32(t.cfg.EMA)}
		copy(t.ema.ema, t.p)
	}
	return t.collectStates(model)
}

func (t *Trainer) collectStates(model *graph.Graph) error {
	var size int
	t.states, size = findStates(model, t.cfg.Freeze)
	for i := range t.kit.states {
		s := &t.kit.states[i]
		if s.initial == nil {
			v := model.Lookup(s.name)
			if v == graph.None || model.Value(v).Data == nil {
				return fmt.Errorf("train: the model has no initializer %q", s.name)
			}
			s.initial = model.Value(v).Data
		}
		n := s.initial.Elems()
		t.states = append(t.states, parameter{name: s.name, shape: s.initial.Shape(), off: size, n: n})
		size += n
	}
	t.stats = vector(size)
	own := map[string]*state{}
	for i := range t.kit.states {
		own[t.kit.states[i].name] = &t.kit.states[i]
	}
	for i := range t.states {
		p := &t.states[i]
		if s := own[p.name]; s != nil {
			copy(t.stats[p.off:], s.initial.Float32s())
		} else {
			copy(t.stats[p.off:], model.Value(model.Lookup(p.name)).Data.Float32s())
		}
	}
	return nil
}

// bind makes the parameters variables of g whose data are in the vector weights, and the
// states states. What g lacks is added to it. It returns the parameters.
func (t *Trainer) bind(g *graph.Graph, weights []float32) []graph.ValueID {
	bindStates(g, t.states, t.stats)
	return bind(g, t.params, weights)
}
