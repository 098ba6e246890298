package main

import (
	"github.com/aekit/aekit/models/digitsvae"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

// embedded are the models inside the program, the smallest first.
var embedded = []struct {
	name string
	open func(runtime.Options) (*runtime.Session, error)
}{
	{"digitsvae", digitsvae.Open},
}

// loadEmbedded returns the smallest built-in model.
func (f *modelFlags) loadEmbedded(o autoencoder.Options) (*autoencoder.Model, error) {
	if len(embedded) == 0 {
		return nil, usagef("no model file given, and this program has none built in")
	}
	if f.verifyKey != "" {
		return nil, usagef("--verify-key is for model files, and none is given")
	}
	ro, done, err := f.sessionFlags.options(f.backend, ".", f.threads)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := embedded[0].open(ro)
	if err != nil {
		return nil, err
	}
	return autoencoder.New(s, o)
}
