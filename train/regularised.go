package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/onnx"
)

// s0 is no value.
const s0 = graph.None

// errorOf returns the squared error of each image, summed over its pixels.
func (c *calc) errorOf() id {
	x, err := c.b.reconstruction()
	if c.keep(s0, err); err != nil {
		return s0
	}
	return c.keep(c.b.squared(x, c.b.target, 1, 0, false))
}

// latents returns the value that the decoder starts from.
func (c *calc) latents() id {
	z, err := c.b.decoderStart()
	if c.keep(s0, err); err != nil {
		return s0
	}
	return z
}

// finish records reconstruction + weight·regulariser, both scalars.
func (c *calc) finish(reconstruction, regulariser id, weight float64) error {
	if c.err != nil {
		return c.err
	}
	c.b.add(c.op("Add", reconstruction, c.times(regulariser, weight)), reconstruction, regulariser)
	return c.err
}

func positive(what string, v ...float64) error {
	for _, x := range v {
		if !(x >= 0) || math.IsInf(x, 0) {
			return fmt.Errorf("train: %s with %g", what, v)
		}
	}
	return nil
}

func orElse(v, def float64) float64 {
	if v == 0 {
		return def
	}
	return v
}

// Sparse is the squared error, summed over pixels, plus Beta·Σⱼ KL(Rho ‖ ρⱼ), where ρⱼ is
// the mean of latent j over the batch: latents, which must be in (0, 1), are to be active
// for a share Rho of the images (Ng 2011, "Sparse autoencoder", lecture notes; Olshausen and
// Field 1996).
type Sparse struct {
	Beta float64 // 0 means 1
	Rho  float64 // 0 means 0.05
}

// Parts implements [Objective].
func (Sparse) Parts() []string { return []string{"loss", "reconstruction", "sparsity"} }

// Unit implements [Objective].
func (Sparse) Unit() string     { return "squared error/image" }
func (o Sparse) String() string { return fmt.Sprintf("sparse(ρ=%g)", orElse(o.Rho, 0.05)) }

func (o Sparse) check() error {
	if o.Rho >= 1 {
		return fmt.Errorf("train: sparsity %g", o.Rho)
	}
	return positive("sparse autoencoder", o.Beta, o.Rho)
}

func (o Sparse) phases() []phase {
	return only(func(b *lossBuilder) error {
		c := &calc{b: b}
		rho := orElse(o.Rho, 0.05)
		p := c.attrs("Clip", nil, c.reduce("ReduceMean", c.rows(c.latents()), 0), c.num(1e-6), c.num(1-1e-6))
		q := c.plus(c.negative(p), 1)
		kl := c.sum(c.times(c.op("Log", p), -rho), c.times(c.op("Log", q), rho-1))
		n := rho*math.Log(rho) + (1-rho)*math.Log(1-rho)
		return c.finish(c.mean(c.errorOf()), c.reduce("ReduceSum", c.plus(kl, n)), orOne(o.Beta))
	})
}

// Contractive is the squared error, summed over pixels, plus Beta·‖∂z/∂x‖², the squared
// Frobenius norm of the encoder's Jacobian (Rifai et al. 2011). For an encoder of one dense
// layer with Sigmoid, z = σ(x·W + b), that is Σⱼ (zⱼ(1-zⱼ))² Σᵢ Wᵢⱼ². For other encoders it is
// estimated by a difference, which needs no second derivatives: E‖z(x+δ·u) - z(x)‖²/δ² with
// standard normal u, one draw for each image.
type Contractive struct {
	Beta  float64 // 0 means 0.1
	Delta float64 // 0 means 0.01
}

// Parts implements [Objective].
func (Contractive) Parts() []string { return []string{"loss", "reconstruction", "jacobian"} }

// Unit implements [Objective].
func (Contractive) Unit() string     { return "squared error/image" }
func (o Contractive) String() string { return fmt.Sprintf("contractive(%g)", orElse(o.Beta, 0.1)) }
func (o Contractive) check() error   { return positive("contractive autoencoder", o.Beta, o.Delta) }

func (o Contractive) phases() []phase {
	return only(func(b *lossBuilder) error {
		c := &calc{b: b}
		z := c.latents()
		if c.err != nil {
			return c.err
		}
		norm := c.jacobianNorm(z)
		if norm == s0 && c.err == nil {
			norm = c.jacobianEstimate(z, orElse(o.Delta, 0.01))
		}
		return c.finish(c.mean(c.errorOf()), c.mean(norm), orElse(o.Beta, 0.1))
	})
}

// jacobianNorm returns the squared norm of ∂z/∂image of each image in closed form, or None
// where the encoder is not a single dense layer with Sigmoid.
func (c *calc) jacobianNorm(z id) id {
	prod := c.b.g.Producers()
	if prod[z] < 0 || c.b.g.Nodes[prod[z]].OpType != "Sigmoid" {
		return s0
	}
	h := c.b.g.Nodes[prod[z]].In[0]
	if prod[h] < 0 || c.b.g.Nodes[prod[h]].OpType != "Gemm" {
		return s0
	}
	gemm := c.b.g.Nodes[prod[h]]
	for _, a := range gemm.Attrs {
		if strings.HasPrefix(a.Name, "trans") && a.Int != 0 || a.Name == "alpha" && a.Float != 1 {
			return s0
		}
	}
	x := gemm.In[0]
	for prod[x] >= 0 && (c.b.g.Nodes[prod[x]].OpType == "Flatten" || c.b.g.Nodes[prod[x]].OpType == "Reshape") {
		x = c.b.g.Nodes[prod[x]].In[0]
	}
	if c.b.g.Value(x).Name != c.b.values.Image {
		return s0
	}
	slope := c.op("Mul", z, c.plus(c.negative(z), 1))
	columns := c.reduce("ReduceSum", c.square(gemm.In[1]), 0)
	return c.reduce("ReduceSum", c.op("Mul", c.square(slope), columns), 1)
}

// jacobianEstimate estimates the same by a difference.
func (c *calc) jacobianEstimate(z id, delta float64) id {
	image := c.b.g.Lookup(c.b.values.Image)
	shape, err := c.b.shapeOf(image)
	if c.keep(s0, err); err != nil {
		return s0
	}
	u, err := c.b.noise("aekit:direction", false, shape...)
	if c.keep(s0, err); err != nil {
		return s0
	}
	moved, err := c.b.again(image, c.sum(image, c.times(u, delta)), z)
	if c.keep(s0, err); err != nil {
		return s0
	}
	return c.times(c.reduce("ReduceSum", c.square(c.rows(c.sub(moved, z))), 1), 1/(delta*delta))
}

// WAE is the Wasserstein autoencoder with the maximum mean discrepancy of Tolstikhin et al.
// 2018, "Wasserstein auto-encoders", algorithm 2: the squared error, summed over pixels,
// plus Lambda times the MMD between the latents of the batch and as many draws from N(0, 1),
// with inverse multiquadratic kernels k(a, b) = Σ C/(C + ‖a-b‖²), C = 2·dim·s for s = 0.1, 0.2,
// 0.5, 1, 2, 5 and 10.
type WAE struct {
	Lambda float64 // 0 means 10
}

// Parts implements [Objective].
func (WAE) Parts() []string { return []string{"loss", "reconstruction", "mmd"} }

// Unit implements [Objective].
func (WAE) Unit() string     { return "squared error/image" }
func (o WAE) String() string { return fmt.Sprintf("wae-mmd(%g)", orElse(o.Lambda, 10)) }
func (o WAE) check() error   { return positive("WAE", o.Lambda) }

func (o WAE) phases() []phase {
	return only(func(b *lossBuilder) error {
		c := &calc{b: b}
		z := c.latents()
		if c.err != nil {
			return c.err
		}
		shape, err := b.latentShape()
		if err != nil {
			return err
		}
		dim, ok := shape.Elems()
		if !ok {
			return fmt.Errorf("train: latents of shape %v are too large", shape)
		}
		prior, err := b.drawPrior()
		if err != nil {
			return err
		}
		return c.finish(c.mean(c.errorOf()), c.mmd(c.rows(z), c.rows(prior), dim), orElse(o.Lambda, 10))
	})
}

// mmd is the unbiased estimate of the squared maximum mean discrepancy between the rows of
// two matrices of the same size.
func (c *calc) mmd(a, b id, dim int) id {
	within := func(x id) id { return c.kernelMean(c.distances(x, x), dim, true) }
	return c.sub(c.sum(within(a), within(b)), c.times(c.kernelMean(c.distances(a, b), dim, false), 2))
}

// distances returns the squared distances between the rows of two matrices.
func (c *calc) distances(a, b id) id {
	norm := func(x id) id {
		return c.attrs("ReduceSum", []*onnx.Attribute{onnx.AttrI("keepdims", 1)}, c.square(x), c.b.ints(1))
	}
	cross := c.op("MatMul", a, c.op("Transpose", b))
	return c.op("Relu", c.sum(norm(a), c.op("Transpose", norm(b)), c.times(cross, -2)))
}

// kernelMean is the mean of the kernel over pairs, those of an element with itself excepted
// where the two sets are one.
func (c *calc) kernelMean(d id, dim int, same bool) id {
	scales := []float64{0.1, 0.2, 0.5, 1, 2, 5, 10}
	total := s0
	for _, s := range scales {
		scale := 2 * float64(dim) * s
		k := c.op("Div", c.num(scale), c.plus(d, scale))
		if total == s0 {
			total = k
		} else {
			total = c.sum(total, k)
		}
	}
	if !same {
		return c.mean(total)
	}
	// The n entries of the diagonal have the value len(scales): (Σ - n·s)/(n·(n-1)).
	n := c.rowCount(d)
	pairs := c.op("Max", c.op("Mul", n, c.plus(n, -1)), c.num(1))
	return c.op("Div", c.sub(c.reduce("ReduceSum", total), c.times(n, float64(len(scales)))), pairs)
}

// rowCount is the extent of the first axis, as a number.
func (c *calc) rowCount(v id) id {
	shape := c.attrs("Shape", []*onnx.Attribute{onnx.AttrI("start", 0), onnx.AttrI("end", 1)}, v)
	n := c.attrs("Cast", []*onnx.Attribute{onnx.AttrI("to", 1)}, shape)
	return c.reduce("ReduceSum", n)
}

// RAE is the regularised autoencoder of Ghosh et al. 2020, "From variational to
// deterministic autoencoders", with the norm of the decoder's weights: the squared error,
// summed over pixels, plus Beta·½‖z‖² + Lambda·‖θ‖², where θ are the parameters whose names
// begin with "decoder".
type RAE struct {
	Beta   float64 // 0 means 0.01
	Lambda float64 // 0 means 1e-5
}

// Parts implements [Objective].
func (RAE) Parts() []string { return []string{"loss", "reconstruction", "latents", "weights"} }

// Unit implements [Objective].
func (RAE) Unit() string      { return "squared error/image" }
func (RAE) String() string    { return "rae-l2" }
func (o RAE) check() error    { return positive("RAE", o.Beta, o.Lambda) }
func (o RAE) phases() []phase { return only(o.build) }

func (o RAE) build(b *lossBuilder) error {
	c := &calc{b: b}
	rec := c.mean(c.errorOf())
	z := c.times(c.mean(c.reduce("ReduceSum", c.square(c.rows(c.latents())), 1)), 0.5)
	norm := s0
	for k, v := range b.g.Values {
		if v.Kind != graph.Variable || !strings.HasPrefix(v.Name, "decoder") {
			continue
		}
		n := c.reduce("ReduceSumSquare", id(k))
		if norm == s0 {
			norm = n
		} else {
			norm = c.sum(norm, n)
		}
	}
	if norm == s0 {
		return fmt.Errorf("train: RAE needs parameters whose names begin with \"decoder\"")
	}
	total := c.sum(rec, c.times(z, orElse(o.Beta, 0.01)), c.times(norm, orElse(o.Lambda, 1e-5)))
	b.add(total, rec, z, norm)
	return c.err
}
