package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/tensor"
)

// DivergedError says that the loss became infinite or NaN, and where that came from. The
// weights are those before the step that failed; a checkpoint, if there is one, is older.
type DivergedError struct {
	Loss float64
	// Node and OpType are the first node of the loss graph with such an output; empty if
	// none was found when the step was run again.
	Node, OpType string
	// Parameter is the first parameter that was not finite before the step; empty if all
	// were finite.
	Parameter string
	// Images says that the images themselves have such values.
	Images bool
}

func (e *DivergedError) Error() string {
	where := ""
	switch {
	case e.Images:
		return fmt.Sprintf("the loss is %v: the images of the batch are not finite", e.Loss)
	case e.Parameter != "":
		where = fmt.Sprintf(": the step before left %q not finite", e.Parameter)
	case e.Node != "":
		where = fmt.Sprintf(": the first value that is not finite comes from node %q (%s)", e.Node, e.OpType)
	}
	return fmt.Sprintf("the loss is %v%s; a lower learning rate or gradient clipping may help", e.Loss, where)
}

// divergence finds out where a loss that is not finite came from, by running the step once
// more and looking at every node's outputs.
func (t *Trainer) divergence(ph *trainedPhase, b *batch, epochs, loss float64) error {
	e := &DivergedError{Loss: loss}
	for i := range t.params {
		if p := &t.params[i]; !finite(t.p[p.off : p.off+p.n]) {
			e.Parameter = p.name
			return e
		}
	}
	if !finite(b.images) || !finite(b.target) {
		e.Images = true
		return e
	}
	found := errors.New("found")
	c, err := ph.program.compile(b.n)
	if err != nil {
		return e
	}
	c.state.Inspect(func(n *graph.Node, outs []*tensor.Tensor) error {
		for _, out := range outs {
			if out != nil && out.DType() == tensor.Float32 && !finite(out.Float32s()) {
				e.Node, e.OpType = n.Name, n.OpType
				return found
			}
		}
		return nil
	})
	defer c.state.Inspect(nil)
	// The error is found, or the failure does not repeat, which e says by its empty fields.
	_, _ = ph.program.run(context.Background(), b, epochs)
	return e
}

// finite reports whether no element is infinite or NaN.
func finite(v []float32) bool {
	for _, x := range v {
		if x-x != 0 {
			return false
		}
	}
	return true
}
