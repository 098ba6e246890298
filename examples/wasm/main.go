//go:build js && wasm

// Command wasm draws digits in a web page: the decoder of a variational autoencoder, compiled
// to WebAssembly with its weights inside, runs in the browser. See the page, index.html.
package main

import (
	"context"
	"image"
	"image/color"
	"strconv"
	"syscall/js"

	"github.com/aekit/aekit/models/digitsvae"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

func main() {
	doc := js.Global().Get("document")
	message := doc.Call("getElementById", "message")
	ae, err := open()
	if err != nil {
		message.Set("textContent", err.Error())
		return
	}
	seed := uint64(0)
	draw := js.FuncOf(func(js.Value, []js.Value) any {
		seed++
		digits, err := ae.Generate(context.Background(), 1, autoencoder.Sampling{Seed: seed})
		if err != nil {
			message.Set("textContent", err.Error())
			return nil
		}
		ink := show(doc.Call("getElementById", "digit"), digits[0])
		message.Set("textContent", "seed "+strconv.FormatUint(seed, 10))
		doc.Get("body").Get("dataset").Set("ink", ink)
		return nil
	})
	doc.Call("getElementById", "next").Call("addEventListener", "click", draw)
	draw.Invoke()
	select {}
}

func open() (*autoencoder.Model, error) {
	s, err := digitsvae.Open(runtime.Options{})
	if err != nil {
		return nil, err
	}
	return autoencoder.New(s, autoencoder.Options{})
}

// show puts an image on a canvas of its size and returns how many pixels are brighter than
// half.
func show(canvas js.Value, img image.Image) (bright int) {
	b := img.Bounds()
	rgba := make([]byte, 0, 4*b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			rgba = append(rgba, c.R, c.G, c.B, 255)
			if c.G > 127 {
				bright++
			}
		}
	}
	canvas.Set("width", b.Dx())
	canvas.Set("height", b.Dy())
	pixels := js.Global().Get("Uint8ClampedArray").New(len(rgba))
	js.CopyBytesToJS(pixels, rgba)
	canvas.Call("getContext", "2d").Call("putImageData", js.Global().Get("ImageData").New(pixels, b.Dx(), b.Dy()), 0, 0)
	return bright
}
