package arch

import (
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Names of the values of a model with two stochastic layers beside those of the first.
const (
	Mu2         = "mu2"
	LogVar2     = "logvar2"
	Z2          = "z2"
	PriorMu     = "prior_mu" // mean of z given z2
	PriorLogVar = "prior_logvar"
)

// layeredWidth is the width of the two dense layers between the stochastic ones, and of z2
// the part of that of z: 784-200-200-100-100-100-50 in Burda et al. 2016.
const layeredWidth = 100

// buildLayered is a VAE with tanh layers, the first weights of buildTanhVAE and two
// stochastic layers: z has c.Latent elements, z2 half of that.
func buildLayered(b *builder, c *Config) error {
	b.glorot = true
	h, width, err := denseEncoder(b, c, "Tanh")
	if err != nil {
		return err
	}
	b.heads(h, width, c)
	top := (c.Latent + 1) / 2
	hidden := []int{layeredWidth, layeredWidth}
	h, width = b.chain("encoder/top", Z, c.Latent, hidden, "Tanh")
	b.dense("encoder/mu2", Mu2, h, width, top, "")
	b.dense("encoder/logvar2", LogVar2, h, width, top, "")
	b.node("latent2", "Identity", Z2, []string{Mu2})
	h, width = b.chain("decoder/top", Z2, top, hidden, "Tanh")
	b.dense("decoder/prior_mu", PriorMu, h, width, c.Latent, "")
	b.dense("decoder/prior_logvar", PriorLogVar, h, width, c.Latent, "")
	denseDecoder(b, c, Z, c.Latent, "Tanh")
	b.meta.Prior = []meta.Stage{
		{Value: Z2, Distribution: meta.DistNormal, DType: "float32", Shape: []int{top}},
		{Value: Z, Distribution: meta.DistGaussian, DType: "float32", Shape: []int{c.Latent}, Given: []string{Z2}, Params: []string{PriorMu, PriorLogVar}},
	}
	for _, name := range []string{Mu2, LogVar2, Z2} {
		b.Value(name, tensor.Float32, onnx.NamedDim(Batch), onnx.FixedDim(int64(top)))
	}
	b.Output(PriorMu, tensor.Float32, onnx.NamedDim(Batch), onnx.FixedDim(int64(c.Latent)))
	b.Output(PriorLogVar, tensor.Float32, onnx.NamedDim(Batch), onnx.FixedDim(int64(c.Latent)))
	return b.outputs(c)
}
