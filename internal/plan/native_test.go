package plan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/impl"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/internal/plan"
	"github.com/aekit/aekit/tensor"
)

// everyKernel runs the random model of a seed under each implementation of the kernels that
// the machine has, and under portable code; the results must agree.
func everyKernel(t *testing.T, seeds ...uint64) {
	results := map[uint64][]*tensor.Tensor{}
	first := ""
	impl.All(t, "kernel", func(t *testing.T) {
		if first == "" {
			first = t.Name()
		}
		for _, seed := range seeds {
			r := rand.New(rand.NewPCG(seed, 2))
			g, err := graph.New(randomModel(t, r), graph.Config{Set: op.Core})
			if err != nil {
				t.Fatal(err)
			}
			if err := graph.Optimize(g); err != nil {
				t.Fatal(err)
			}
			x := tensor.Must(tensor.New(tensor.Float32, 1+r.IntN(3), 3, 9, 8))
			for i := range x.Float32s() {
				x.Float32s()[i] = r.Float32()*2 - 1
			}
			got := execute(t, g, plan.Options{}, x)
			if want := results[seed]; want != nil {
				sameOutputs(t, fmt.Sprintf("seed %d: %s against %s", seed, t.Name(), first), got, want)
			} else {
				results[seed] = got
			}
		}
	})
}

// TestKernelsAgree compares the implementations on random models.
func TestKernelsAgree(t *testing.T) {
	n := 100
	if testing.Short() {
		n = 25
	}
	seeds := make([]uint64, n)
	for i := range seeds {
		seeds[i] = uint64(i)
	}
	everyKernel(t, seeds...)
}

// FuzzKernelsAgree lets the fuzzer look for a model on which they do not.
func FuzzKernelsAgree(f *testing.F) {
	f.Add(uint64(1000))
	f.Fuzz(func(t *testing.T, seed uint64) { everyKernel(t, seed) })
}
