package arch

import (
	"errors"
	"fmt"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// Critic describes a discriminator: a network of training alone.
type Critic struct {
	Channels, Height, Width int // of the images that it judges; or
	Latent                  int // the length of the vectors
	Conv                    bool
	Seed                    uint64
}

// Build returns a model that takes images, or vectors, and gives "logits", float32
// [batch, 1], positive for real ones, and "features", float32 [batch, n], of its last hidden
// layer. Layers have LeakyRelu with a slope of 0.2 and no normalisation.
func (a Critic) Build() (*onnx.Model, error) {
	b := &builder{Builder: onnx.NewBuilder(Opset), seed: a.Seed}
	b.Name("critic")
	batch := onnx.NamedDim(Batch)
	const x = "x"
	h, width := x, a.Latent
	if a.Latent > 0 {
		b.Input(x, tensor.Float32, batch, onnx.FixedDim(int64(a.Latent)))
	} else {
		c := &Config{Channels: a.Channels, Height: a.Height, Width: a.Width}
		b.Input(x, tensor.Float32, imageDims(c)...)
		pixels := int64(a.Channels) * int64(a.Height) * int64(a.Width)
		if pixels > maxWidth*8 {
			return nil, errors.New("arch: the images are too large for a discriminator")
		}
		width = int(pixels)
	}
	features := 256
	switch {
	case a.Conv && a.Latent == 0:
		channels, hs, ws := a.Channels, halved(a.Height, 2), halved(a.Width, 2)
		for i, n := range []int{32, 64} {
			h = b.leaky(fmt.Sprintf("conv%d", i+1), b.conv("Conv", fmt.Sprintf("conv%d", i+1), h, channels, n, hs[i], ws[i], ""))
			channels = n
		}
		width = channels * hs[2] * ws[2]
		h = b.node("critic", "Flatten", "", []string{h})
	default:
		h = b.node("critic", "Flatten", "", []string{h})
		h = b.leaky("fc1", b.dense("fc1", "", h, width, 256, ""))
		width = 256
	}
	f := b.dense("fc2", "", h, width, features, "")
	f = b.node("fc2", "LeakyRelu", "features", []string{f}, onnx.AttrF("alpha", 0.2))
	b.dense("fc3", "logits", f, features, 1, "")
	b.Output("logits", tensor.Float32, batch, onnx.FixedDim(1))
	b.Output("features", tensor.Float32, batch, onnx.FixedDim(int64(features)))
	if b.err != nil {
		return nil, fmt.Errorf("arch: discriminator: %w", b.err)
	}
	return b.Model()
}

func (b *builder) leaky(scope, x string) string {
	return b.node(scope, "LeakyRelu", "", []string{x}, onnx.AttrF("alpha", 0.2))
}
