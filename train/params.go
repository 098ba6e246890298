package train

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/tensor"
)

// parameterInputs lists, by operator, the inputs at which a constant is a parameter.
var parameterInputs = map[string][]int{
	"Gemm": {1, 2}, "MatMul": {0, 1}, "Conv": {1, 2}, "ConvTranspose": {1, 2},
	"Add": {0, 1}, "Sub": {0, 1}, "Mul": {0, 1}, "Div": {0, 1}, "PRelu": {1}, "Gather": {0}, "Einsum": {0, 1},
	"BatchNormalization": {1, 2}, "InstanceNormalization": {1, 2}, "GroupNormalization": {1, 2},
	"LayerNormalization": {1, 2}, "RMSNormalization": {1}, "Identity": {0}, "Transpose": {0}, "Reshape": {0},
	"FakeQuantWeights": {0}, // of package gradop
}

// A parameter is one trained tensor: a range of the vector of all parameters.
type parameter struct {
	name  string // of the initializer
	shape tensor.Shape
	off   int
	n     int
	aside bool // it is of training alone, not of the model
}

// paramAlign is the alignment of parameters within their vector, in elements.
const paramAlign = tensor.Align / 4

// findParameters lists the float32 constants of g that are parameters and that freeze does
// not hold back, with their places in one vector of size elements.
func findParameters(g *graph.Graph, freeze func(string) bool) (ps []parameter, size int, err error) {
	isParam := make([]bool, len(g.Values))
	for _, n := range g.Nodes {
		if n.Domain != "" && n.OpType != "FakeQuantWeights" {
			continue
		}
		for _, i := range parameterInputs[n.OpType] {
			if i < len(n.In) && n.In[i] != graph.None {
				isParam[n.In[i]] = true
			}
		}
	}
	for id, v := range g.Values {
		if !isParam[id] || v.Kind != graph.Constant || v.Data == nil || v.Data.DType() != tensor.Float32 || v.Origin == "" {
			continue
		}
		// Single numbers are the constants of formulas.
		if v.Data.Elems() == 0 || v.Data.Rank() == 0 || freeze != nil && freeze(v.Origin) {
			continue
		}
		n := v.Data.Elems()
		ps = append(ps, parameter{name: v.Name, shape: v.Data.Shape(), off: size, n: n})
		if size += (n + paramAlign - 1) / paramAlign * paramAlign; size < 0 {
			return nil, 0, fmt.Errorf("train: the model has too many parameters")
		}
	}
	if len(ps) == 0 {
		return nil, 0, fmt.Errorf("train: the model has no parameters that can be trained")
	}
	return ps, size, nil
}

// vector returns n zero values, aligned.
func vector(n int) []float32 {
	return tensor.Must(tensor.New(tensor.Float32, n)).Float32s()
}

// view returns the tensor of a parameter in a vector.
func (p *parameter) view(v []float32) *tensor.Tensor {
	return tensor.Must(tensor.Of(v[p.off:p.off+p.n], p.shape...))
}

// lookupOrAdd returns the value of that name, which is new if there is none.
func lookupOrAdd(g *graph.Graph, name string) graph.ValueID {
	if id := g.Lookup(name); id != graph.None {
		return id
	}
	return g.AddValue(graph.Value{Name: name})
}

// bind makes the parameters variables of g whose data are in the vector v.
func bind(g *graph.Graph, ps []parameter, v []float32) []graph.ValueID {
	ids := make([]graph.ValueID, len(ps))
	for i := range ps {
		ids[i] = lookupOrAdd(g, ps[i].name)
		val := g.Value(ids[i])
		val.Kind, val.Data = graph.Variable, ps[i].view(v)
	}
	return ids
}
