// Command edge draws a digit in the terminal with a model that is part of the binary. It is
// a program for a small device: no network, one argument, the seed. Built with
//
//	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -trimpath -ldflags="-s -w" -tags aekit_core ./examples/edge
//
// it is a file of less than 4 MB, of which 0.06 MB are the model, whose weights are int8
// ([quant.WeightsInt8]). The tag leaves out operators that image autoencoders seldom use,
// sequences, the integer forms of QDQ models, the division of large batches into blocks,
// the joining of dense layers, the fusion of activations that are spelled out, and the packing of large convolutions by slices.
// With all of that, without the tag, the file has less than 5.3 MB.
// A test holds both sizes.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"image"
	"image/color"
	"os"
	"strconv"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

//go:embed model.onnx
var model []byte

func main() {
	seed := uint64(1)
	if len(os.Args) > 1 {
		seed, _ = strconv.ParseUint(os.Args[1], 10, 64)
	}
	digit, err := draw(seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(text(digit))
}

// draw returns the digit of a seed.
func draw(seed uint64) (image.Image, error) {
	s, err := runtime.Load(model, runtime.Options{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	ae, err := autoencoder.New(s, autoencoder.Options{})
	if err != nil {
		return nil, err
	}
	defer ae.Close()
	digits, err := ae.Generate(context.Background(), 1, autoencoder.Sampling{Seed: seed})
	if err != nil {
		return nil, err
	}
	return digits[0], nil
}

// text draws an image with two characters for a pixel.
func text(img image.Image) string {
	const levels = " .:-=+*#%@"
	var out []byte
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			v := int(color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y)
			c := levels[v*(len(levels)-1)/255]
			out = append(out, c, c)
		}
		out = append(out, '\n')
	}
	return string(out)
}
