package models

import (
	"github.com/aekit/aekit/onnx"
)

func seedAE(b *builder, x string) string {
	sizes := []int{784, 64, 32, 32, 32, 64, 784}
	for i := 1; i < len(sizes); i++ {
		act := "Relu"
		if i == len(sizes)-1 {
			act = "Sigmoid"
		}
		x = b.dense(x, sizes[i-1], sizes[i], act)
	}
	b.out = []int{784}
	return x
}

// mlpEncoder gives mu and logvar side by side, from two heads.
func mlpEncoder(b *builder, x string) string {
	h := b.dense(x, 784, 400, "Relu")
	mu, logvar := b.dense(h, 400, 20, ""), b.dense(h, 400, 20, "")
	b.out = []int{40}
	return b.Op("Concat", "", []string{mu, logvar}, onnx.AttrI("axis", 1))
}

func mlpDecoder(b *builder, x string) string {
	b.out = []int{784}
	return b.dense(b.dense(x, 20, 400, "Relu"), 400, 784, "Sigmoid")
}

func bigDecoder(b *builder, x string) string {
	x = b.dense(x, 64, 1024, "Relu")
	x = b.dense(x, 1024, 1024, "Relu")
	b.out = []int{3072}
	return b.dense(x, 1024, 3072, "Sigmoid")
}

// ad01 is the anomaly detector of MLPerf Tiny (Banbury et al. 2021).
func ad01(b *builder, x string) string {
	in := 640
	for _, out := range []int{128, 128, 128, 128, 8, 128, 128, 128, 128} {
		x = b.act(b.norm(b.dense(x, in, out, ""), out), "Relu")
		in = out
	}
	b.out = []int{640}
	return b.dense(x, in, 640, "")
}

func convAE(b *builder, x string) string {
	x = b.act(b.conv(x, 1, 32, 3, 2, 1), "Relu")
	x = b.act(b.conv(x, 32, 64, 3, 2, 1), "Relu")
	x = b.dense(b.reshape(x, 3136), 3136, 32, "")
	x = b.reshape(b.dense(x, 32, 3136, "Relu"), 64, 7, 7)
	x = b.act(b.deconv(x, 64, 32, 4, 2, 1), "Relu")
	b.out = []int{1, 28, 28}
	return b.act(b.deconv(x, 32, 1, 4, 2, 1), "Sigmoid")
}

func convEncoder(b *builder, x string) string {
	channels := []int{3, 32, 64, 128, 256}
	for i := 1; i < len(channels); i++ {
		x = b.conv(x, channels[i-1], channels[i], 4, 2, 1)
		x = b.act(b.norm(x, channels[i]), "LeakyRelu")
	}
	b.out = []int{128}
	return b.dense(b.reshape(x, 4096), 4096, 128, "")
}

func convDecoder(b *builder, x string) string {
	x = b.reshape(b.dense(x, 128, 4096, ""), 256, 4, 4)
	channels := []int{256, 128, 64, 32}
	for i := 1; i < len(channels); i++ {
		x = b.deconv(x, channels[i-1], channels[i], 4, 2, 1)
		x = b.act(b.norm(x, channels[i]), "LeakyRelu")
	}
	b.out = []int{3, 64, 64}
	return b.act(b.deconv(x, 32, 3, 4, 2, 1), "Sigmoid")
}

// separable is an autoencoder of depthwise separable convolutions (Howard et al. 2017, MobileNets): a 3×3 convolution of
// each channel, then a 1×1 convolution.
func separable(b *builder, x string) string {
	block := func(x string, in, out, stride int) string {
		x = b.act(b.norm(b.depthwise(x, in, 3, stride, 1), in), "Relu")
		return b.act(b.norm(b.conv(x, in, out, 1, 1, 0), out), "Relu")
	}
	x = b.act(b.conv(x, 3, 32, 3, 2, 1), "Relu")
	x = block(x, 32, 64, 1)
	x = block(x, 64, 128, 2)
	x = block(x, 128, 128, 1)
	x = b.conv(x, 128, 16, 1, 1, 0)
	x = b.act(b.conv(x, 16, 128, 1, 1, 0), "Relu")
	x = block(x, 128, 128, 1)
	x = block(b.twice(x), 128, 64, 1)
	x = block(b.twice(x), 64, 32, 1)
	b.out = []int{3, 64, 64}
	return b.act(b.conv(x, 32, 3, 3, 1, 1), "Sigmoid")
}

// residualDecoder has the shape of the decoder of TAESD (github.com/madebyollin/taesd):
// 4×32×32 to 3×256×256 in three stages of three residual blocks.
func residualDecoder(b *builder, x string) string {
	const c = 64
	x = b.act(b.conv(x, 4, c, 3, 1, 1), "Relu")
	block := func(x string) string {
		h := b.act(b.conv(x, c, c, 3, 1, 1), "Relu")
		h = b.act(b.conv(h, c, c, 3, 1, 1), "Relu")
		h = b.conv(h, c, c, 3, 1, 1)
		return b.act(b.Op("Add", "", []string{h, x}), "Relu")
	}
	for range 3 {
		for range 3 {
			x = block(x)
		}
		x = b.conv(b.twice(x), c, c, 3, 1, 1)
	}
	x = block(x)
	b.out = []int{3, 256, 256}
	return b.conv(x, c, 3, 3, 1, 1)
}
