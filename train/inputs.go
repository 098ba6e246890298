package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Names of the inputs that a loss graph has beside the model's.
const (
	inputTarget  = "aekit:target"
	inputEpsilon = "aekit:epsilon"
	inputWeight  = "aekit:weight"
	// inputTopWeight is the weight of the second KL term of two stochastic layers.
	inputTopWeight = "aekit:weight2"
)

// noise is an input of random numbers.
type noise struct {
	name    string
	shape   tensor.Shape // for one image
	uniform bool         // in [0, 1); else standard normal
}

// noises are the random inputs of all programs of a Trainer. Inputs of one name get the
// same numbers in every phase.
type noises struct{ list []noise }

func (n *noises) find(name string) int {
	return slices.IndexFunc(n.list, func(x noise) bool { return x.name == name })
}

// fill draws noise k for the images that index lists.
func (n *noises) fill(dst []float32, k int, seed, stream, epoch uint64, index []int) []float32 {
	x := &n.list[k]
	w, _ := x.shape.Elems()
	dst = resize(dst, len(index)*w)
	base := rng.New(seed, stream, epoch)
	if k > 0 {
		base = rng.New(seed, stream, epoch, uint64(k))
	}
	for j, i := range index {
		if s := base.Sub(uint64(i)); x.uniform {
			s.Uniform(dst[j*w:(j+1)*w], 0)
		} else {
			s.Normal(dst[j*w:(j+1)*w], 0)
		}
	}
	return dst
}

// scalar is an input of one number that depends on the moment of training.
type scalar struct {
	name  string
	at    func(epochs float64) float64
	eval  float64 // its value in evaluation
	value *tensor.Tensor
}

func (s *scalar) set(epochs float64) {
	v := s.eval
	if epochs != evaluating {
		v = s.at(epochs)
	}
	s.value.Float32s()[0] = float32(v)
}

// noise returns the random input of that name and shape for one image.
func (b *lossBuilder) noise(name string, uniform bool, shape ...int) (graph.ValueID, error) {
	if id := b.g.Lookup(name); id != graph.None {
		return id, nil
	}
	w := noise{name: name, shape: slices.Clone(shape), uniform: uniform}
	if _, ok := w.shape.Elems(); !ok {
		return graph.None, fmt.Errorf("train: noise of shape %v is too large", w.shape)
	}
	if k := b.noises.find(name); k < 0 {
		b.noises.list = append(b.noises.list, w)
	} else if !b.noises.list[k].shape.Equal(w.shape) {
		return graph.None, fmt.Errorf("train: noise %q of shapes %v and %v", name, b.noises.list[k].shape, w.shape)
	}
	dims := []onnx.Dim{onnx.NamedDim("batch")}
	for _, d := range shape {
		dims = append(dims, onnx.FixedDim(int64(d)))
	}
	return b.g.AddInput(name, tensor.Float32, dims...), nil
}

// scalar returns the input of that name, whose value is at(epochs) in training and eval in
// evaluation.
func (b *lossBuilder) scalar(name string, at func(epochs float64) float64, eval float64) graph.ValueID {
	if id := b.g.Lookup(name); id != graph.None {
		return id
	}
	b.scalars = append(b.scalars, scalar{name: name, at: at, eval: eval, value: tensor.Scalar[float32](0)})
	return b.g.AddInput(name, tensor.Float32)
}

// shapeOf returns the shape of a value of the model for one image.
func (b *lossBuilder) shapeOf(id graph.ValueID) (tensor.Shape, error) {
	v := b.g.Value(id)
	if len(v.Type.Shape) < 2 {
		return nil, fmt.Errorf("train: the model does not declare the shape of %q", v.Name)
	}
	var s tensor.Shape
	for _, d := range v.Type.Shape[1:] {
		if d.Value < 1 || d.Value > math.MaxInt32 {
			return nil, fmt.Errorf("train: the shape of %q is not fixed but for the batch", v.Name)
		}
		s = append(s, int(d.Value))
	}
	return s, nil
}
