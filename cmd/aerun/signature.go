package main

import (
	"crypto/ed25519"
	"fmt"
	"io"
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
	key, err := f.key()
	if err != nil {
		return nil, err
	}
	m, err := onnx.ReadFile(path, onnx.DecodeOptions{Limits: decodeLimits(o.Limits)})
	if err != nil {
		return nil, err
	}
	s, err := verified(m, key, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// decodeLimits are those of o that hold before the signature is known to be good.
func decodeLimits(l runtime.Limits) onnx.Limits {
	return onnx.Limits{Bytes: l.FileBytes, Nodes: l.Nodes, Tensors: l.Tensors, Elements: int64(l.Elements)}
}

// key reads the key of --verify-key.
func (f *sessionFlags) key() (ed25519.PublicKey, error) {
	file, err := os.Open(f.verifyKey)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	const most = 1 << 16
	text, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return nil, err
	}
	key, err := sign.PublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.verifyKey, err)
	}
	return key, nil
}

func verified(m *onnx.Model, key ed25519.PublicKey, o runtime.Options) (*runtime.Session, error) {
	if err := sign.Verify(m, key); err != nil {
		return nil, err
	}
	return runtime.New(m, o)
}

// loadSession loads a model that has been read, and with --verify-key verifies it before.
func (f *sessionFlags) loadSession(data []byte, o runtime.Options) (*runtime.Session, error) {
	if f.verifyKey == "" {
		return runtime.Load(data, o)
	}
	key, err := f.key()
	if err != nil {
		return nil, err
	}
	m, err := onnx.Decode(data, onnx.DecodeOptions{Limits: decodeLimits(o.Limits)})
	if err != nil {
		return nil, err
	}
	return verified(m, key, o)
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
