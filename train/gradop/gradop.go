// Package gradop holds the operators that only training needs: losses, sampling, and the
// gradients that standard operators do not express. Their domain is [Domain]; a file that
// uses them cannot be run outside training.
//
// Gradient operators take shapes from the tensors that they are given, not from
// attributes, because batch sizes are not known when a graph is differentiated. All
// operators work on float32 and float64. An operator named XGrad takes the gradient of X's
// output first.
package gradop

import (
	"errors"
	"fmt"
	"maps"

	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// Domain is the operators' domain.
const Domain = "ai.aekit.training"

// Set is the table of these operators; use it as op.Core.With(gradop.Set).
var Set = makeSet()

type constructor = func(*op.Attrs) (op.Op, error)

func makeSet() op.Set {
	s := op.Set{}
	for _, table := range []map[string]constructor{pointwiseTable(), convTable, poolTable, normTable, padTable, binaryTable, shapeTable, reduceTable, lossTable, matmulTable, softmaxTable, logisticTable, codebookTable} {
		for name, f := range table {
			s[op.Key{Domain: Domain, Type: name}] = []op.Version{{Since: 1, New: f}}
		}
	}
	return maps.Clone(s)
}

// floating is the set of element types.
type floating interface{ float32 | float64 }

// want checks the number of inputs and that the listed ones are given, of one type that
// this package works with.
func want(in []op.Fact, least, most int, floats ...int) error {
	if len(in) < least || len(in) > most {
		return fmt.Errorf("%d inputs, want %d to %d", len(in), least, most)
	}
	for i := range least {
		if !in[i].Present() {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	for _, i := range floats {
		if i >= len(in) || !in[i].Present() {
			continue
		}
		if d := in[i].DType; d != tensor.Float32 && d != tensor.Float64 || d != in[floats[0]].DType {
			return fmt.Errorf("input %d: type %v, want float32 or float64, the same for inputs %v", i, d, floats)
		}
	}
	return nil
}

var errShapes = errors.New("shapes do not match")

// like returns the fact of an output of the given input's type and shape.
func like(f op.Fact) op.Fact { return op.Fact{DType: f.DType, Shape: f.Shape.Clone()} }

func product(s []int) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// given returns input i, or nil where it is omitted.
func given(in []*tensor.Tensor, i int) *tensor.Tensor {
	if i < len(in) {
		return in[i]
	}
	return nil
}

// grain is the number of elements of cheap pointwise work that make a chunk.
const grain = 16 << 10

// spans is a task over a range of n elements in chunks of size elements. f is a function
// value that an operator stores in its state, so that a run does not allocate.
type spans struct {
	n, size int
	f       func(lo, hi int)
}

// Do implements [parallel.Task].
func (s *spans) Do(chunk, _ int) {
	lo := chunk * s.size
	s.f(lo, min(lo+s.size, s.n))
}

func (s *spans) run(pool *parallel.Pool, n, size int) {
	s.n, s.size = n, max(1, size)
	pool.Run((n+s.size-1)/s.size, s)
}
