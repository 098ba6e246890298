// Command embed is a web server with a generator of digits inside: the model is part of the
// binary. Each request for /?seed=7 gives one PNG; the same seed gives the same digit.
//
// Stripped (-trimpath -ldflags="-s -w") it is a file of 8.9 MB for linux/arm64, and of 7.8 MB
// with -tags aekit_core; net/http and what it needs are about 3.8 MB of that. The program of
// examples/edge, which does without, has less than 4 MB.
package main

import (
	"cmp"
	_ "embed"
	"image/png"
	"log"
	"net/http"
	"strconv"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

//go:embed model.onnx
var model []byte

func main() {
	s, err := runtime.Load(model, runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ae, err := autoencoder.New(s, autoencoder.Options{})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", handler(ae)))
}

func handler(ae *autoencoder.Model) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seed, err := strconv.ParseUint(cmp.Or(r.FormValue("seed"), "0"), 10, 64)
		if err != nil {
			http.Error(w, "seed: want a whole number, as in /?seed=7", http.StatusBadRequest)
			return
		}
		digits, err := ae.Generate(r.Context(), 1, autoencoder.Sampling{Seed: seed})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		if err := png.Encode(w, digits[0]); err != nil {
			log.Print(err)
		}
	}
}
