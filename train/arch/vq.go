package arch

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Names of the values of a quantising model.
const (
	Codes       = "codes"     // int64 [batch, h, w]
	Codebook    = "codebook"  // initializer, [codes, latent]
	Embedding   = "embedding" // what is quantised, [batch, h, w, latent]
	Quantized   = "quantized" // the nearest vectors of the codebook, likewise
	PriorLogits = "prior_logits"
)

// buildVQ is a convolutional autoencoder whose latents, a grid of vectors, are replaced by
// the nearest vectors of a codebook, and an autoregressive prior of the codes.
func buildVQ(b *builder, c *Config) error {
	n := len(c.Hidden)
	if n == 0 || c.Codes < 2 {
		return errors.New("a quantising model needs a hidden layer and two codes")
	}
	hs, ws := halved(c.Height, n), halved(c.Width, n)
	h, w := hs[n], ws[n]
	if int64(h)*int64(w)*int64(max(c.Latent, c.Codes, 4*priorWidth)) > math.MaxInt32/8 {
		return fmt.Errorf("a grid of %dx%d codes is too large", w, h)
	}
	x, channels := Image, c.Channels
	for i, m := range c.Hidden {
		x = b.conv("Conv", fmt.Sprintf("encoder/conv%d", i+1), x, channels, m, hs[i], ws[i], "Relu")
		channels = m
	}
	x = b.pixelwise("encoder/out", x, channels, c.Latent)
	b.node("encoder", "Transpose", Embedding, []string{x}, onnx.AttrIs("perm", 0, 2, 3, 1))
	b.quantize(c, h, w)
	x = b.pixelwise("decoder/in", Z, c.Latent, channels)
	x = b.node("decoder/in", "Relu", "", []string{x})
	widths := slices.Clone(c.Hidden)
	slices.Reverse(widths)
	for i, in := range widths {
		out, act := c.Channels, "Sigmoid"
		if i+1 < n {
			out, act = widths[i+1], "Relu"
		}
		x = b.conv("ConvTranspose", fmt.Sprintf("decoder/conv%d", i+1), x, in, out, hs[n-1-i], ws[n-1-i], act)
	}
	b.node("decoder", "Identity", Reconstruction, []string{x})
	b.codePrior(c, h, w)

	batch := onnx.NamedDim(Batch)
	grid := []onnx.Dim{batch, onnx.FixedDim(int64(h)), onnx.FixedDim(int64(w))}
	latent := onnx.FixedDim(int64(c.Latent))
	b.Output(Reconstruction, tensor.Float32, imageDims(c)...)
	b.Output(Codes, tensor.Int64, grid...)
	b.Output(PriorLogits, tensor.Float32, batch, onnx.FixedDim(int64(h*w)), onnx.FixedDim(int64(c.Codes)))
	b.Value(Z, tensor.Float32, batch, latent, grid[1], grid[2])
	b.Value(Embedding, tensor.Float32, batch, grid[1], grid[2], latent)
	b.meta.Values.Codes = Codes
	b.meta.Prior = []meta.Stage{{Value: Codes, Distribution: meta.DistCategorical, DType: "int64", Shape: []int{h, w},
		Given: []string{Codes}, Params: []string{PriorLogits}, Length: h * w, Classes: c.Codes}}
	return b.err
}

// pixelwise adds a convolution of kernel 1.
func (b *builder) pixelwise(scope, x string, in, out int) string {
	weight, bound := scopeName(scope), 1/math.Sqrt(float64(in))
	inputs := []string{x, b.uniform(weight+".weight", bound, out, in, 1, 1), b.uniform(weight+".bias", bound, out)}
	return b.node(scope, "Conv", "", inputs, onnx.AttrIs("kernel_shape", 1, 1))
}

// quantize turns Embedding into Codes, Quantized and Z. The nearest vector e of x is that of
// the greatest 2·x·e - ‖e‖².
func (b *builder) quantize(c *Config, h, w int) {
	book := b.uniform(Codebook, 1/float64(c.Codes), c.Codes, c.Latent)
	rows := b.node("quantize/rows", "Reshape", "", []string{Embedding, b.ints("quantize.rows", -1, int64(c.Latent))})
	columns := b.node("quantize", "Transpose", "", []string{book}, onnx.AttrIs("perm", 1, 0))
	dot := b.node("quantize", "MatMul", "", []string{rows, columns})
	two := b.Initializer("quantize.two", tensor.Scalar[float32](2))
	dot = b.node("quantize", "Mul", "", []string{dot, two})
	norm := b.node("quantize/norm", "Mul", "", []string{book, book})
	norm = b.node("quantize/norm", "ReduceSum", "", []string{norm, b.ints("quantize.axis", 1)}, onnx.AttrI("keepdims", 0))
	score := b.node("quantize", "Sub", "", []string{dot, norm})
	code := b.node("quantize", "ArgMax", "", []string{score}, onnx.AttrI("axis", 1), onnx.AttrI("keepdims", 0))
	b.node("quantize/codes", "Reshape", Codes, []string{code, b.ints("quantize.grid", -1, int64(h), int64(w))})
	b.node("quantize", "Gather", Quantized, []string{book, Codes}, onnx.AttrI("axis", 0))
	b.node("quantize/z", "Transpose", Z, []string{Quantized}, onnx.AttrIs("perm", 0, 3, 1, 2))
}

// priorWidth is the number of channels of the prior, priorKernel the extent of its kernels.
const (
	priorWidth  = 64
	priorKernel = 7
)

// codePrior adds the logits of each code given those before it in reading order: causal
// convolutions over the sequence of codes, the first of the codes to the left, then of those
// in the rows above, then of both again (van den Oord et al. 2016, "WaveNet", §2.1, with a
// dilation of one row of the grid).
func (b *builder) codePrior(c *Config, h, w int) {
	length := int64(h * w)
	table := b.uniform("prior.embedding", 1, c.Codes, priorWidth)
	x := b.node("prior", "Gather", "", []string{table, Codes}, onnx.AttrI("axis", 0))
	x = b.node("prior/sequence", "Reshape", "", []string{x, b.ints("prior.sequence", -1, 1, length, priorWidth)})
	x = b.node("prior/sequence", "Transpose", "", []string{x}, onnx.AttrIs("perm", 0, 3, 1, 2))
	// Shifted by one: place k sees the codes before k.
	x = b.causal("prior/conv1", x, 1, priorKernel)
	ends := b.ints("prior.end", length)
	x = b.node("prior/conv1", "Slice", "", []string{x, b.ints("prior.start", 0), ends, b.ints("prior.axis", 3)})
	x = b.node("prior/conv1", "Relu", "", []string{x})
	for i, dilation := range []int{w, 1, w} {
		scope := fmt.Sprintf("prior/conv%d", i+2)
		y := b.node(scope, "Relu", "", []string{b.causal(scope, x, dilation, (priorKernel-1)*dilation)})
		x = b.node(scope, "Add", "", []string{x, y})
	}
	x = b.pixelwise("prior/out", x, priorWidth, c.Codes)
	x = b.node("prior/out", "Reshape", "", []string{x, b.ints("prior.flat", -1, int64(c.Codes), length)})
	b.node("prior/out", "Transpose", PriorLogits, []string{x}, onnx.AttrIs("perm", 0, 2, 1))
}

// causal adds a convolution along the last axis with that many zeros on the left.
func (b *builder) causal(scope, x string, dilation, left int) string {
	weight, bound := scopeName(scope), 1/math.Sqrt(float64(priorWidth*priorKernel))
	inputs := []string{x, b.uniform(weight+".weight", bound, priorWidth, priorWidth, 1, priorKernel), b.uniform(weight+".bias", bound, priorWidth)}
	return b.node(scope, "Conv", "", inputs, onnx.AttrIs("kernel_shape", 1, priorKernel),
		onnx.AttrIs("pads", 0, int64(left), 0, 0), onnx.AttrIs("dilations", 1, int64(dilation)))
}
