package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	goruntime "runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// cost bounds what a hostile model may take before it is refused: CPU time, on the reference
// machine that slowness compares with, bytes by which the heap grows, and bytes allocated in
// sum. The bounds are about three times what is needed. Where the sum has no bound, the heap is
// what the collector finds in use: how far garbage gets ahead of it depends on other work.
type cost struct {
	time        time.Duration
	heap, bytes uint64
}

var (
	usual   = cost{150 * time.Millisecond, 8 << 20, 8 << 20}
	folding = cost{400 * time.Millisecond, 240 << 20, 240 << 20}     // of 256 KiB of constants, to the end of the budget
	looping = cost{150 * time.Millisecond, 24 << 20, math.MaxUint64} // iterations leave garbage for as long as a run may take
)

// hostileRun is the time until the context of a run is done; runs may use it on all cores.
const hostileRun = 500 * time.Millisecond

// slowness is how much longer a fixed piece of work takes here, under the race detector or in
// an emulator perhaps, than on the reference machine (an AMD EPYC of the Zen 3 kind).
var slowness = sync.OnceValue(func() float64 {
	const reference = 11 * time.Millisecond
	best := time.Duration(math.MaxInt64)
	for range 3 {
		start := used()
		b, h := make([]byte, 1<<20), uint32(2166136261)
		for k := range 8 {
			for i := range b {
				h = (h ^ uint32(b[i])) * 16777619
				b[i] = byte(h) + byte(k)
			}
		}
		best = min(best, used()-start)
	}
	return max(1, float64(best)/float64(reference))
})

var began = time.Now()

// used returns the CPU time of the process, which other work on the machine does not change
// much, or else the time that has passed.
func used() time.Duration {
	if d, ok := cpuTime(); ok {
		return d
	}
	return time.Since(began)
}

func allocated() uint64 { return metric("/gc/heap/allocs:bytes") }

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// Metrics of the heap: all objects, and those that the last collection found in use.
const (
	heapObjects = "/memory/classes/heap/objects:bytes"
	heapLive    = "/gc/heap/live:bytes"
)

// watchHeap looks at a metric of the heap every millisecond. The function that it returns
// ends that and returns by how much the heap had grown at most.
func watchHeap(heap string) func() uint64 {
	goruntime.GC()
	from, stop, most := metric(heap), make(chan struct{}), make(chan uint64)
	go func() {
		at := from
		for {
			at = max(at, metric(heap))
			select {
			case <-stop:
				most <- at - from
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-most
	}
}

// attack loads a model and, if it loads, runs it on zeros with open axes of extent 2. It
// returns the first error and fails the test on a panic, on an error of several lines and
// where time or memory are out of proportion.
func attack(t *testing.T, m *onnx.Model, o runtime.Options) (err error) {
	t.Helper()
	return attackWithin(t, usual, m, o)
}

func attackWithin(t *testing.T, c cost, m *onnx.Model, o runtime.Options) (err error) {
	t.Helper()
	return attacked(t, c, func() error {
		s, err := runtime.New(m, o)
		if err != nil {
			return err
		}
		defer s.Close()
		return runZeros(s)
	})
}

func runZeros(s *runtime.Session) error {
	in := inputs{}
	for _, v := range s.Inputs() {
		shape := v.Shape.Clone()
		for i, d := range shape {
			if d < 0 {
				shape[i] = 2
			}
		}
		if n, ok := shape.Elems(); !ok || n > 1<<20 {
			return fmt.Errorf("input %q is too large to try", v.Name)
		}
		d := v.DType
		if d == tensor.Undefined {
			d = tensor.Float32
		}
		x, err := tensor.New(d, shape...)
		if err != nil {
			return err
		}
		in[v.Name] = x
	}
	c, cancel := context.WithTimeout(ctx, hostileRun)
	defer cancel()
	_, err := s.Run(c, in)
	return err
}

func attacked(t *testing.T, c cost, f func() error) (err error) {
	t.Helper()
	allowed := time.Duration(float64(c.time)*slowness()) + hostileRun*time.Duration(goruntime.GOMAXPROCS(0))
	heap := heapObjects
	if c.bytes == math.MaxUint64 {
		heap = heapLive
	}
	grown := watchHeap(heap)
	before, start := allocated(), used()
	defer func() {
		t.Helper()
		if v := recover(); v != nil {
			buf := make([]byte, 4<<10)
			t.Errorf("panic: %v\n%s", v, buf[:goruntime.Stack(buf, false)])
		}
		if d := used() - start; d > allowed {
			t.Errorf("took %v, allowed %v", d, allowed)
		}
		n := allocated() - before
		if h := grown(); h > c.heap {
			t.Errorf("the heap grew by %d bytes, allowed %d", h, c.heap)
		}
		if n > c.bytes {
			t.Errorf("%d bytes were allocated, allowed %d", n, c.bytes)
		}
		// The checker lists every mistake, one to a line.
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") && !strings.HasPrefix(err.Error(), "onnx: invalid model") {
			t.Errorf("the error has several lines: %q", err)
		}
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Errorf("an error of this module: %v", err)
		}
	}()
	return f()
}

// hostileModel builds a model with one float32 input "x" of the given extents (-1 is open).
func hostileModel(t *testing.T, opset int64, dims []int64, f func(b *onnx.Builder, x string) string) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(opset)
	ds := make([]onnx.Dim, len(dims))
	for i, d := range dims {
		ds[i] = onnx.FixedDim(d)
		if d < 0 {
			ds[i] = onnx.NamedDim(fmt.Sprintf("d%d", i))
		}
	}
	b.Output(f(b, b.Input("x", tensor.Float32, ds...)), tensor.Float32)
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range m.Graph.Outputs {
		v.Type = onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Undefined}
	}
	return m
}

func int64s(v ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(v, len(v))) }

func float32s(shape ...int) *tensor.Tensor {
	return tensor.Must(tensor.New(tensor.Float32, shape...))
}

// TestTerabytes: operators that make much out of little are stopped by the limits, whether
// what they are asked for is a constant or known only during the run.
func TestTerabytes(t *testing.T) {
	const huge = 1 << 22
	type build = func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string
	tests := []struct {
		name  string
		opset int64
		f     build
	}{
		{"Expand", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("Expand", "", []string{x, v(int64s(huge, huge, 1, 1))})
		}},
		{"Tile", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("Tile", "", []string{x, v(int64s(1, 1, huge, huge))})
		}},
		{"ConstantOfShape", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("ConstantOfShape", "", []string{v(int64s(huge, huge))})
		}},
		{"Range", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			one := func(n int64) string { return v(tensor.Scalar(n)) }
			return b.Op("Range", "", []string{one(0), one(1 << 50), one(1)})
		}},
		{"Pad", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("Pad", "", []string{x, v(int64s(0, 0, huge, huge, 0, 0, huge, huge))})
		}},
		{"Resize sizes", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("Resize", "", []string{x, "", "", v(int64s(1, 1, huge, huge))}, onnx.AttrS("mode", "linear"))
		}},
		{"Resize scales", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("Resize", "", []string{x, "", v(tensor.Must(tensor.Of([]float32{1, 1, 1e6, 1e6}, 4)))})
		}},
		{"Upsample", 9, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("Upsample", "", []string{x, v(tensor.Must(tensor.Of([]float32{1, 1, 1e9, 1e9}, 4)))})
		}},
		{"OneHot", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			i := b.Initializer("i", int64s(make([]int64, 1000)...))
			w := b.Initializer("w", tensor.Must(tensor.Of([]float32{0, 1}, 2)))
			return b.Op("OneHot", "", []string{i, v(tensor.Scalar(int64(1 << 40))), w})
		}},
		{"EyeLike of Expand", 17, func(b *onnx.Builder, x string, v func(*tensor.Tensor) string) string {
			return b.Op("EyeLike", "", []string{b.Op("ConstantOfShape", "", []string{v(int64s(huge, huge))})})
		}},
	}
	for _, c := range tests {
		for _, when := range []string{"constant", "run"} {
			t.Run(c.name+"/"+when, func(t *testing.T) {
				m := hostileModel(t, c.opset, []int64{1, 1, 2, 2}, func(b *onnx.Builder, x string) string {
					n := 0
					return c.f(b, x, func(v *tensor.Tensor) string {
						n++
						name := b.Initializer(fmt.Sprintf("v%d", n), v)
						if when == "constant" {
							return name
						}
						// A sum with zero times the input is not known before the run.
						z := b.Op("ReduceMin", "", []string{x}, onnx.AttrI("keepdims", 0))
						z = b.Op("Cast", "", []string{z}, onnx.AttrI("to", int64(v.DType())))
						return b.Op("Add", "", []string{name, z})
					})
				})
				if err := attack(t, m, runtime.Options{}); !errors.Is(err, runtime.ErrLimit) {
					t.Errorf("%v, want ErrLimit", err)
				}
			})
		}
	}
}

// TestFoldingIsBounded: loading a small file neither fills the memory nor takes long,
// however many values it makes from constants.
func TestFoldingIsBounded(t *testing.T) {
	n := 1 << 16
	if testing.Short() {
		n = 1 << 13 // for emulators
	}
	w := float32s(n)
	t.Run("many copies", func(t *testing.T) {
		m := hostileModel(t, 17, []int64{int64(n)}, func(b *onnx.Builder, x string) string {
			a := b.Initializer("w", w)
			for range 2000 {
				a = b.Op("Add", "", []string{a, a})
			}
			return b.Op("Add", "", []string{x, a})
		})
		if err := attackWithin(t, folding, m, runtime.Options{}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("transposed convolution", func(t *testing.T) {
		m := hostileModel(t, 17, []int64{1}, func(b *onnx.Builder, x string) string {
			a := b.Initializer("a", float32s(1, 1, 512, 512))
			k := b.Initializer("k", float32s(1, 1, 512, 512))
			y := b.Op("ConvTranspose", "", []string{a, k})
			return b.Op("Add", "", []string{x, y})
		})
		if err := attack(t, m, runtime.Options{Limits: runtime.Limits{MACs: 1e9}}); !errors.Is(err, runtime.ErrLimit) {
			t.Errorf("%v, want ErrLimit", err)
		}
	})
}

// TestFoldingIsBoundedOverBatches: a model that works with no batch is tried with many, and what
// is computed from the batch in advance has one budget for all of them.
func TestFoldingIsBoundedOverBatches(t *testing.T) {
	m := hostileModel(t, 17, []int64{-1, 3}, func(b *onnx.Builder, x string) string {
		s := b.Op("Cast", "", []string{b.Op("Shape", "", []string{x})}, onnx.AttrI("to", int64(tensor.Float32)))
		a := b.Op("Add", "", []string{b.Initializer("w", float32s(1<<14)), b.Op("ReduceSum", "", []string{s}, onnx.AttrI("keepdims", 0))})
		for range 100 {
			a = b.Op("Neg", "", []string{a})
		}
		// More batches to try, beside the small ones.
		dims := make([]int64, 4)
		for k := range 200 {
			for i := range dims {
				dims[i] = int64(1000 + 4*k + i)
			}
			b.Initializer(fmt.Sprint("d", k), int64s(dims...))
		}
		y := b.Op("Add", "", []string{x, b.Op("ReduceMean", "", []string{a}, onnx.AttrI("keepdims", 0))})
		return b.Op("Reshape", "", []string{y, b.Initializer("r", int64s(1000003, 7))})
	})
	_, err := runtime.New(m, runtime.Options{})
	if err == nil || !strings.Contains(err.Error(), "does not reshape") {
		t.Fatalf("%v, want an error of the Reshape", err)
	}
	attackWithin(t, folding, m, runtime.Options{})
}

// TestHostileAttributes: geometry and indices that cannot be served are errors at the node.
func TestHostileAttributes(t *testing.T) {
	conv := func(attrs ...*onnx.Attribute) func(b *onnx.Builder, x string) string {
		return func(b *onnx.Builder, x string) string {
			return b.Op("Conv", "", []string{x, b.Initializer("w", float32s(4, 3, 3, 3))}, attrs...)
		}
	}
	pool := func(attrs ...*onnx.Attribute) func(b *onnx.Builder, x string) string {
		return func(b *onnx.Builder, x string) string { return b.Op("MaxPool", "", []string{x}, attrs...) }
	}
	gather := func(op string, i int64) func(b *onnx.Builder, x string) string {
		return func(b *onnx.Builder, x string) string {
			return b.Op(op, "", []string{x, b.Initializer("i", tensor.Must(tensor.Of([]int64{i}, 1, 1, 1, 1)))}, onnx.AttrI("axis", 3))
		}
	}
	tests := []struct {
		name string
		f    func(b *onnx.Builder, x string) string
	}{
		{"stride 0", conv(onnx.AttrIs("strides", 0, 1))},
		{"stride -1", conv(onnx.AttrIs("strides", -1, 1))},
		{"stride 2^40", conv(onnx.AttrIs("strides", 1<<40, 0))},
		{"stride min", conv(onnx.AttrIs("strides", math.MinInt64, 1))},
		{"dilation 0", conv(onnx.AttrIs("dilations", 0, 1))},
		{"dilation 2^40", conv(onnx.AttrIs("dilations", 1<<40, 1<<40))},
		{"dilation max", conv(onnx.AttrIs("dilations", math.MaxInt64, 1))},
		{"group 0", conv(onnx.AttrI("group", 0))},
		{"group -1", conv(onnx.AttrI("group", -1))},
		{"group 2^40", conv(onnx.AttrI("group", 1<<40))},
		{"kernel 0", conv(onnx.AttrIs("kernel_shape", 0, 0))},
		{"kernel 2^40", conv(onnx.AttrIs("kernel_shape", 1<<40, 1<<40))},
		{"pads max", conv(onnx.AttrIs("pads", math.MaxInt64, 0, math.MaxInt64, 0))},
		{"pads 3", conv(onnx.AttrIs("pads", 1, 1, 1))},
		{"pool kernel 0", pool(onnx.AttrIs("kernel_shape", 0, 0))},
		{"pool kernel 2^40", pool(onnx.AttrIs("kernel_shape", 1<<40, 1<<40))},
		{"pool kernel max", pool(onnx.AttrIs("kernel_shape", math.MaxInt64, math.MaxInt64))},
		{"pool stride 0", pool(onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("strides", 0, 0))},
		{"pool dilation 0", pool(onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("dilations", 0, 1))},
		{"pool dilation max", pool(onnx.AttrIs("kernel_shape", 2, 2), onnx.AttrIs("dilations", math.MaxInt64, 1))},
		{"gather", gather("GatherElements", 99)},
		{"gather below", gather("GatherElements", math.MinInt64)},
		{"gather plain", gather("Gather", 8)},
		{"gatherND", func(b *onnx.Builder, x string) string {
			return b.Op("GatherND", "", []string{x, b.Initializer("i", int64s(0, 1<<40))})
		}},
		{"scatter", func(b *onnx.Builder, x string) string {
			i := b.Initializer("i", tensor.Must(tensor.Of([]int64{-9}, 1, 1, 1, 1)))
			return b.Op("ScatterElements", "", []string{x, i, b.Initializer("u", float32s(1, 1, 1, 1))}, onnx.AttrI("axis", 3))
		}},
		{"scatterND", func(b *onnx.Builder, x string) string {
			i := b.Initializer("i", tensor.Must(tensor.Of([]int64{0, 0, 0, 8}, 1, 4)))
			return b.Op("ScatterND", "", []string{x, i, b.Initializer("u", float32s(1))})
		}},
		{"axis", func(b *onnx.Builder, x string) string {
			return b.Op("Softmax", "", []string{x}, onnx.AttrI("axis", 1<<40))
		}},
		{"reshape overflow", func(b *onnx.Builder, x string) string {
			return b.Op("Reshape", "", []string{x, b.Initializer("s", int64s(1<<32, 1<<32))})
		}},
		{"reshape negative", func(b *onnx.Builder, x string) string {
			return b.Op("Reshape", "", []string{x, b.Initializer("s", int64s(-2, 4))})
		}},
		{"reshape two unknown", func(b *onnx.Builder, x string) string {
			return b.Op("Reshape", "", []string{x, b.Initializer("s", int64s(-1, -1))})
		}},
		{"pad negative", func(b *onnx.Builder, x string) string {
			return b.Op("Pad", "", []string{x, b.Initializer("s", int64s(0, 0, math.MinInt64, 0, 0, 0, 0, 0))})
		}},
		{"range step 0", func(b *onnx.Builder, x string) string {
			s := func(n string, v int64) string { return b.Initializer(n, tensor.Scalar(v)) }
			return b.Op("Range", "", []string{s("a", 0), s("b", 1), s("c", 0)})
		}},
		{"split", func(b *onnx.Builder, x string) string {
			return b.Op("Split", "", []string{x, b.Initializer("s", int64s(math.MaxInt64, math.MaxInt64, 10))})
		}},
		{"topk", func(b *onnx.Builder, x string) string {
			return b.Op("TopK", "", []string{x, b.Initializer("s", int64s(1<<40))})
		}},
		{"attribute of another kind", func(b *onnx.Builder, x string) string {
			return b.Op("Softmax", "", []string{x}, onnx.AttrF("axis", 1))
		}},
		{"list for a number", func(b *onnx.Builder, x string) string {
			return b.Op("Softmax", "", []string{x}, onnx.AttrIs("axis", 1))
		}},
		{"graph for a number", func(b *onnx.Builder, x string) string {
			g := onnx.NewBuilder(17)
			g.Output(g.Input("q", tensor.Float32), tensor.Float32)
			return b.Op("Softmax", "", []string{x}, onnx.AttrG("axis", g.Graph()))
		}},
		{"unknown attribute", func(b *onnx.Builder, x string) string {
			return b.Op("Relu", "", []string{x}, onnx.AttrI("turbo", 1))
		}},
		{"no inputs", func(b *onnx.Builder, x string) string { return b.Op("Relu", "", nil) }},
		{"too many inputs", func(b *onnx.Builder, x string) string { return b.Op("Relu", "", []string{x, x, x}) }},
		{"wrong ranks", func(b *onnx.Builder, x string) string {
			return b.Op("Gemm", "", []string{x, b.Initializer("w", float32s(2, 2))})
		}},
		{"shapes that do not meet", func(b *onnx.Builder, x string) string {
			return b.Op("Add", "", []string{x, b.Initializer("w", float32s(5))})
		}},
		{"types that do not meet", func(b *onnx.Builder, x string) string {
			return b.Op("Add", "", []string{x, b.Initializer("w", int64s(5))})
		}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			err := attack(t, hostileModel(t, 17, []int64{1, 3, 8, 8}, c.f), runtime.Options{})
			if err == nil {
				t.Error("accepted")
			} else if !strings.Contains(err.Error(), "node") {
				t.Errorf("%v: does not name the node", err)
			}
		})
	}
}

// TestHostileExtents: inputs whose declared extents are absurd.
func TestHostileExtents(t *testing.T) {
	for _, dims := range [][]int64{
		{1 << 31}, {1 << 40, 1 << 40}, {math.MaxInt64}, {1 << 16, 1 << 16, 1 << 16, 1 << 16}, {-5}, {math.MinInt64},
	} {
		t.Run(fmt.Sprint(dims), func(t *testing.T) {
			b := onnx.NewBuilder(17)
			b.Output(b.Op("Relu", "", []string{b.Input("x", tensor.Float32)}), tensor.Float32)
			m, err := b.Model()
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range append(m.Graph.Inputs, m.Graph.Outputs...) {
				v.Type.Shape, v.Type.HasShape = nil, true
				for _, d := range dims {
					v.Type.Shape = append(v.Type.Shape, onnx.Dim{Value: d})
				}
			}
			err = attack(t, m, runtime.Options{})
			if dims[0] > 0 && !errors.Is(err, runtime.ErrLimit) {
				t.Errorf("%v, want ErrLimit", err)
			}
			if err == nil {
				t.Error("accepted")
			}
		})
	}
	t.Run("zero", func(t *testing.T) {
		m := hostileModel(t, 17, []int64{0, 3, 8, 8}, func(b *onnx.Builder, x string) string {
			y := b.Op("Conv", "", []string{x, b.Initializer("w", float32s(4, 3, 3, 3))})
			y = b.Op("Flatten", "", []string{b.Op("Relu", "", []string{y})})
			return b.Op("Gemm", "", []string{y, b.Initializer("v", float32s(144, 2))})
		})
		if err := attack(t, m, runtime.Options{}); err != nil {
			t.Error(err)
		}
	})
}
