// Package digitsvae embeds a small variational autoencoder that was trained on the built-in digits;
// README.md says how. A program that imports this package carries the model, and no other.
package digitsvae

import (
	_ "embed"

	"github.com/aekit/aekit/runtime"
)

//go:embed digitsvae.onnx
var model []byte

// Open returns a session for the model: input "image", float32 [batch, 1, 28, 28] with
// pixels in [0, 1]; outputs "reconstruction" of the same shape, "mu" and "logvar". A part
// from "z" to "reconstruction" (see runtime.Session.Sub) is the decoder.
func Open(o runtime.Options) (*runtime.Session, error) { return runtime.Load(model, o) }

// ONNX returns a copy of the model file.
func ONNX() []byte { return append([]byte(nil), model...) }
