package graph

import (
	"errors"
	"slices"

	"github.com/aekit/aekit/internal/late"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// foldGrowth is how many bytes more than its inputs the outputs of a folded node may have.
const foldGrowth = 1 << 16

// FoldConstants computes nodes whose inputs are all constants. It never expands small
// weights: DequantizeLinear and Cast stay, as does whatever would make much data from
// little.
func FoldConstants(g *Graph) (bool, error) {
	changed := false
	kept := g.Nodes[:0:0]
	for _, n := range g.Nodes {
		done, err := g.fold(n)
		if err != nil {
			return changed, err
		}
		if done {
			changed = true
			continue
		}
		kept = append(kept, n)
	}
	g.Nodes = kept
	return changed, nil
}

// FoldBudget returns what folding may still use. A clone goes on with what the graph had
// left.
func (g *Graph) FoldBudget() *op.FoldBudget {
	if g.folding == nil {
		g.folding = op.NewFoldBudget(g.constBytes())
	}
	return g.folding
}

// constBytes returns the bytes of all constants.
func (g *Graph) constBytes() int64 {
	var n int64
	for _, v := range g.Values {
		if v.Kind == Constant && v.Data != nil {
			n += int64(op.SizeOf(v.Data))
		}
	}
	return n
}

func (g *Graph) fold(n *Node) (bool, error) {
	if len(n.Bodies) > 0 || slices.Contains([]string{"DequantizeLinear", "Cast", "CastLike"}, n.OpType) {
		return false, nil
	}
	if _, ok := n.Op.(op.Impure); ok {
		return false, nil
	}
	for _, id := range n.Out {
		if id != None && slices.Contains(g.Outputs, id) {
			return false, nil
		}
	}
	in := make([]op.Fact, len(n.In))
	have := 0
	origin, single := "", true
	for i, id := range n.In {
		if id == None {
			continue
		}
		v := g.Values[id]
		if v.Kind != Constant || v.Data == nil {
			return false, nil
		}
		in[i] = op.FactOf(v.Data)
		have += op.SizeOf(v.Data)
		if v.Origin != "" {
			single = single && origin == ""
			origin = v.Origin
		}
	}
	out, err := n.Op.Infer(in)
	if err != nil || len(out) < len(n.Out) {
		if errors.Is(err, op.ErrDeferred) {
			return false, nil
		}
		// The planner reports what is wrong with the node, with its name and shapes.
		return false, nil
	}
	need := 0
	for i := range n.Out {
		size, err := tensor.ByteSize(out[i].DType, out[i].Shape)
		if err != nil || size > have+foldGrowth-need {
			return false, nil
		}
		need += size
	}
	if !g.FoldBudget().Take(n.Op, in, out[:len(n.Out)]) {
		return false, nil
	}
	var ts []*tensor.Tensor
	if op.Complete && g.late {
		ts = lateTranspose(n, in, out)
	}
	if ts == nil {
		ts, err = g.FoldBudget().Eval(n.Op, in, out[:len(n.Out)])
	}
	if errors.Is(err, op.ErrFoldBudget) {
		return false, nil
	}
	if err != nil {
		return false, errorf("node %q (%s): %w", n.Name, n.OpType, err)
	}
	for i, id := range n.Out {
		if id == None {
			continue
		}
		v := g.Values[id]
		v.Kind, v.Data, v.Type = Constant, ts[i], TypeOf(ts[i])
		if single {
			v.Origin = origin
		}
	}
	return true, nil
}

// lateTranspose returns the output of a Transpose of a large matrix, which is computed when it is
// read, or nil: products are packed from the matrix itself.
func lateTranspose(n *Node, in, out []op.Fact) []*tensor.Tensor {
	if !isTranspose(n) || in[0].DType != tensor.Float32 || len(in[0].Shape) != 2 || in[0].Const.Elems() < lateFrom {
		return nil
	}
	if perm, ok := permOf(n, 2); !ok || perm[0] != 1 {
		return nil
	}
	shape, src := out[0].Shape, in[0].Const
	t, err := tensor.NewLate(&late.Values{Src: src, Transpose: func(dst []float32) {
		to := tensor.Must(tensor.Of(dst, shape...))
		if err := n.Op.Run(&op.Context{}, []*tensor.Tensor{to}, []*tensor.Tensor{src}); err != nil {
			panic(err)
		}
	}}, shape...)
	if err != nil {
		return nil
	}
	return []*tensor.Tensor{t}
}
