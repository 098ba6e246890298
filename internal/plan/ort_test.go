//go:build cgo

package plan_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/ort"
	"github.com/aekit/aekit/tensor"
)

// onnxRuntime returns ONNX Runtime as a backend, or skips the test where it is not there.
func onnxRuntime(t testing.TB) runtime.Backend {
	t.Helper()
	if os.Getenv(ort.LibraryEnv) == "" {
		t.Skipf("%s does not name the library of ONNX Runtime", ort.LibraryEnv)
	}
	b, err := ort.New(ort.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// againstONNXRuntime runs the random model of a seed, as the bytes of a file, here and in
// ONNX Runtime, for two batch sizes.
func againstONNXRuntime(t *testing.T, backend runtime.Backend, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	file, err := onnx.Encode(randomModel(t, r))
	if err != nil {
		t.Fatal(err)
	}
	var outs [2]map[string]*tensor.Tensor
	for _, batch := range []int{1, 1 + r.IntN(4)} {
		x := tensor.Must(tensor.New(tensor.Float32, batch, 3, 9, 8))
		for i := range x.Float32s() {
			x.Float32s()[i] = r.Float32()*2 - 1
		}
		for i, b := range []runtime.Backend{nil, backend} {
			s, err := runtime.Load(file, runtime.Options{Backend: b, Threads: 1})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			outs[i], err = s.Run(context.Background(), map[string]*tensor.Tensor{"x": x})
			s.Close()
			if err != nil {
				t.Fatalf("seed %d, batch %d: %v", seed, batch, err)
			}
		}
		var got, want []*tensor.Tensor
		for _, name := range slices.Sorted(maps.Keys(outs[1])) {
			got, want = append(got, outs[0][name]), append(want, outs[1][name])
		}
		sameOutputs(t, fmt.Sprintf("seed %d, batch %d, against ONNX Runtime", seed, batch), got, want)
	}
}

// TestAgainstONNXRuntime compares random models.
func TestAgainstONNXRuntime(t *testing.T) {
	b := onnxRuntime(t)
	n := uint64(100)
	if testing.Short() {
		n = 20
	}
	for seed := range n {
		againstONNXRuntime(t, b, seed)
	}
}

// FuzzAgainstONNXRuntime lets the fuzzer look for a model whose results differ.
func FuzzAgainstONNXRuntime(f *testing.F) {
	b := onnxRuntime(f)
	f.Add(uint64(1000))
	f.Fuzz(func(t *testing.T, seed uint64) { againstONNXRuntime(t, b, seed) })
}
