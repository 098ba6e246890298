package main

import (
	"fmt"
	"os"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/sign"
)

// openSession loads the model in a file. With --verify-key it reads the file once, and runs
// what it has verified even if the file is exchanged meanwhile.
func (f *sessionFlags) openSession(path string, o runtime.Options) (*runtime.Session, error) {
	if f.verifyKey == "" {
		return runtime.Open(path, o)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := f.loadSession(data, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// loadSession loads a model that has been read, and with --verify-key verifies it before.
func (f *sessionFlags) loadSession(data []byte, o runtime.Options) (*runtime.Session, error) {
	if f.verifyKey == "" {
		return runtime.Load(data, o)
	}
	text, err := os.ReadFile(f.verifyKey)
	if err != nil {
		return nil, err
	}
	key, err := sign.PublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.verifyKey, err)
	}
	m, err := onnx.Decode(data, onnx.DecodeOptions{})
	if err != nil {
		return nil, err
	}
	if err := sign.Verify(m, key); err != nil {
		return nil, err
	}
	return runtime.New(m, o)
}

// openModel is openSession for autoencoders.
func (f *sessionFlags) openModel(path string, ro runtime.Options, o autoencoder.Options) (*autoencoder.Model, error) {
	if f.verifyKey == "" {
		return autoencoder.Open(path, ro, o)
	}
	s, err := f.openSession(path, ro)
	if err != nil {
		return nil, err
	}
	m, err := autoencoder.New(s, o)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
