//go:build cgo

package ort

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

var (
	randomSeed  = flag.Uint64("random.seed", 1, "seed of the random models of one operator")
	randomCases = flag.Int("random.cases", 12, "random models of each operator")
)

// maker is a random model of one operator in the making.
type maker struct {
	*rand.Rand
	opset int64
	model *onnx.Model
	given map[string]*tensor.Tensor
	tol   onnxcases.Tolerance
	// quiet: outputs that are not compared, by index.
	quiet []int
}

// A randomOp makes models of an operator.
type randomOp struct {
	name   string
	since  int64 // the first opset of the form that make writes
	domain string
	make   func(m *maker)
}

// opsets that random models are of, as far as both runtimes have them.
var randomOpsets = []int64{7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}

func (op *randomOp) build(seed uint64) *maker {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 99)), given: map[string]*tensor.Tensor{}, tol: onnxcases.Tolerance{Rel: 2e-4, Abs: 2e-5}}
	last := len(randomOpsets) - 1
	first := slices.IndexFunc(randomOpsets, func(v int64) bool { return v >= op.since })
	m.opset = randomOpsets[first+m.IntN(last-first+1)]
	m.model = &onnx.Model{IRVersion: onnx.IRVersionFor(m.opset), Opsets: []onnx.OpsetID{{Version: m.opset}}, Graph: &onnx.Graph{Name: op.name}}
	if op.domain != "" {
		m.model.Opsets = append(m.model.Opsets, onnx.OpsetID{Domain: op.domain, Version: 1})
	}
	op.make(m)
	m.model.Graph.Nodes[0].Domain = op.domain
	return m
}

// describe names the attributes and inputs of the model.
func (m *maker) describe() string {
	var b strings.Builder
	n := m.model.Graph.Nodes[0]
	fmt.Fprintf(&b, "%s at opset %d (", n.OpType, m.opset)
	for _, a := range n.Attrs {
		fmt.Fprintf(&b, "%s=%v%v%v%s%s ", a.Name, a.Int, a.Float, a.Ints, a.String, a.Strings)
	}
	b.WriteString(") of")
	for _, name := range n.Inputs {
		t := m.given[name]
		for _, w := range m.model.Graph.Initializers {
			if w.Name == name {
				t = w.Value
			}
		}
		fmt.Fprintf(&b, " %v", t)
		if t != nil && t.DType() == tensor.Int64 && t.Elems() <= 8 {
			fmt.Fprint(&b, t.Int64s())
		}
	}
	return b.String()
}

// TestRandomOperators compares the results of random models of one operator with ONNX
// Runtime's: types, shapes and attributes are drawn. Forms that ONNX Runtime does not have
// are passed over, but each operator must have been compared in half of its models.
// AEKIT_ORT_LIB=… go test ./runtime/ort -run RandomOperators -random.seed 7 -random.cases 500
func TestRandomOperators(t *testing.T) {
	open(t)
	plain, err := New(Options{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, op := range slices.Concat(elementwiseOps, movementOps, reductionOps, networkOps, quantisedOps) {
		t.Run(op.name, func(t *testing.T) {
			compared := 0
			var refused error
			for i := range *randomCases {
				m := op.build(*randomSeed*1_000_003 + uint64(i))
				got, failed := m.run(nil)
				for k, out := range m.model.Graph.Outputs {
					// The binding has to be told of outputs of rank 0.
					if failed == nil && got[out.Name].Rank() == 0 {
						m.model.Graph.Outputs[k] = onnx.NewValueInfo(out.Name, out.Type.Elem)
					}
				}
				want, err := m.run(plain)
				if err != nil {
					refused = fmt.Errorf("%s: %w", m.describe(), err)
					continue
				}
				compared++
				if failed != nil {
					t.Errorf("%s: %v", m.describe(), failed)
					continue
				}
				for k, out := range m.model.Graph.Outputs {
					if slices.Contains(m.quiet, k) {
						continue
					}
					d, err := onnxcases.Compare(got[out.Name], onnx.NewTensor(out.Name, want[out.Name]), m.tol)
					if err == nil && d.Bad > 0 {
						err = errors.New(d.First)
					}
					if err != nil {
						t.Errorf("%s: output %d: %v", m.describe(), k, err)
					}
				}
			}
			if 2*compared < *randomCases {
				t.Errorf("ONNX Runtime ran %d of %d models; the last refusal: %v", compared, *randomCases, refused)
			}
			total += compared
		})
	}
	t.Logf("%d models compared", total)
}

// run executes the model on a backend, nil for this project's own.
func (m *maker) run(b runtime.Backend) (map[string]*tensor.Tensor, error) {
	s, err := runtime.New(m.model, runtime.Options{Backend: b, Threads: 1})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Run(ctx, m.given)
}

// node makes the node under test; outs are the types of its outputs.
func (m *maker) node(typ string, in []string, outs []tensor.DType, attrs ...*onnx.Attribute) {
	n := &onnx.Node{Name: "node", OpType: typ, Inputs: in, Attrs: attrs}
	for i, d := range outs {
		name := fmt.Sprintf("y%d", i)
		n.Outputs = append(n.Outputs, name)
		m.model.Graph.Outputs = append(m.model.Graph.Outputs, &onnx.ValueInfo{Name: name, Type: onnx.Type{Kind: onnx.KindTensor, Elem: d}})
	}
	m.model.Graph.Nodes = append(m.model.Graph.Nodes, n)
}

// input adds a graph input with a value.
func (m *maker) input(v *tensor.Tensor) string {
	name := fmt.Sprintf("x%d", len(m.given))
	var dims []onnx.Dim
	for i, d := range v.Shape() {
		if m.IntN(3) == 0 {
			dims = append(dims, onnx.NamedDim(fmt.Sprintf("%s_%d", name, i)))
		} else {
			dims = append(dims, onnx.FixedDim(int64(d)))
		}
	}
	m.given[name] = v
	m.model.Graph.Inputs = append(m.model.Graph.Inputs, onnx.NewValueInfo(name, v.DType(), dims...))
	return name
}

// constant adds an initializer.
func (m *maker) constant(v *tensor.Tensor) string {
	name := fmt.Sprintf("w%d", len(m.model.Graph.Initializers))
	m.model.Graph.Initializers = append(m.model.Graph.Initializers, onnx.NewTensor(name, v))
	return name
}

// either adds an input or an initializer.
func (m *maker) either(v *tensor.Tensor) string {
	if m.coin() {
		return m.constant(v)
	}
	return m.input(v)
}

func (m *maker) coin() bool { return m.IntN(2) == 0 }

// upTo returns a number from lo to hi.
func (m *maker) upTo(lo, hi int) int { return lo + m.IntN(hi-lo+1) }

func pick[T any](m *maker, of ...T) T { return of[m.IntN(len(of))] }

// shape draws extents.
func (m *maker) shape(rank, lo, hi int) []int {
	s := make([]int, rank)
	for i := range s {
		s[i] = m.upTo(lo, hi)
	}
	return s
}

// ints makes an int64 vector.
func ints(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

func ints64(v []int) []int64 {
	out := make([]int64, len(v))
	for i, n := range v {
		out[i] = int64(n)
	}
	return out
}

// values draws the elements of a tensor: of floats about the unit normal distribution, of
// integers the whole range up to 8 bits, else ±20.
func (m *maker) values(d tensor.DType, shape ...int) *tensor.Tensor {
	return m.between(d, math.NaN(), 0, shape...)
}

// between draws elements from lo to hi.
func (m *maker) between(d tensor.DType, lo, hi float64, shape ...int) *tensor.Tensor {
	t := tensor.Must(tensor.New(d, shape...))
	next := func() float64 {
		if lo == lo {
			return lo + (hi-lo)*m.Float64()
		}
		if d.IsFloat() {
			return m.NormFloat64()
		}
		return float64(m.IntN(41) - 20)
	}
	if lo == lo && !d.IsFloat() {
		next = func() float64 { return lo + float64(m.IntN(int(hi-lo)+1)) }
	}
	for i := range t.Elems() {
		v := next()
		switch d {
		case tensor.Float32:
			t.Float32s()[i] = float32(v)
		case tensor.Float64:
			tensor.Data[float64](t)[i] = v
		case tensor.Float16:
			tensor.Data[tensor.F16](t)[i] = tensor.ToF16(float32(v))
		case tensor.Int64:
			t.Int64s()[i] = int64(v)
		case tensor.Int32:
			tensor.Data[int32](t)[i] = int32(v)
		case tensor.Int16:
			tensor.Data[int16](t)[i] = int16(v)
		case tensor.Uint16:
			tensor.Data[uint16](t)[i] = uint16(math.Abs(v))
		case tensor.Uint32:
			tensor.Data[uint32](t)[i] = uint32(math.Abs(v))
		case tensor.Uint64:
			tensor.Data[uint64](t)[i] = uint64(math.Abs(v))
		case tensor.Bool:
			tensor.Data[bool](t)[i] = m.coin()
		default:
			if lo != lo {
				v = float64(m.IntN(256) - 128)
			}
			t.Bytes()[i] = byte(int(v))
		}
	}
	return t
}

// special overwrites some elements of a float32 or float64 tensor with zeros of both signs,
// infinities and NaN.
func (m *maker) special(t *tensor.Tensor) *tensor.Tensor {
	v := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN()}
	for i := range t.Elems() {
		if m.IntN(4) > 0 {
			continue
		}
		switch t.DType() {
		case tensor.Float32:
			t.Float32s()[i] = float32(v[m.IntN(len(v))])
		case tensor.Float64:
			tensor.Data[float64](t)[i] = v[m.IntN(len(v))]
		}
	}
	return t
}

// broadcastTo returns a shape that broadcasts to s.
func (m *maker) broadcastTo(s []int) []int {
	out := slices.Clone(s[m.IntN(len(s)+1):])
	for i := range out {
		if m.IntN(3) == 0 {
			out[i] = 1
		}
	}
	return out
}

// axis draws an axis, counted from either end.
func (m *maker) axis(rank int) int64 {
	a := m.IntN(rank)
	if m.coin() {
		a -= rank
	}
	return int64(a)
}

// axes draws distinct axes.
func (m *maker) axes(rank int) []int64 {
	p := m.Perm(rank)[:m.upTo(1, rank)]
	out := ints64(p)
	for i := range out {
		if m.opset >= 11 && m.coin() {
			out[i] -= int64(rank)
		}
	}
	return out
}

var (
	typeF32    = []tensor.DType{tensor.Float32}
	typesReal  = []tensor.DType{tensor.Float32, tensor.Float64}
	typesSome  = []tensor.DType{tensor.Float32, tensor.Float64, tensor.Int32, tensor.Int64}
	typesBytes = []tensor.DType{tensor.Uint8, tensor.Int8}
	typesMoved = []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Int8, tensor.Bool}
)
