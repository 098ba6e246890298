package main

import (
	"crypto/ed25519"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/sign"
)

// signOptions say how written models are signed.
type signOptions struct {
	path string
	key  ed25519.PrivateKey // nil: not at all
}

func (s *signOptions) add(fs *pflag.FlagSet) {
	fs.StringVar(&s.path, "sign", "", "sign the models with this ed25519 private key (a PEM `FILE`, as openssl genpkey writes it)")
}

// check reads the key, so that a bad one is found before the work is done.
func (s *signOptions) check() error {
	if s.path == "" {
		return nil
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return usagef("--sign: %v", err)
	}
	if s.key, err = sign.PrivateKey(text); err != nil {
		return usagef("--sign %s: %v", s.path, err)
	}
	return nil
}

// file signs the model in a file that has just been written.
func (s *signOptions) file(path string) error {
	if s.key == nil {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m, err := onnx.Decode(data, onnx.DecodeOptions{Copy: true})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := sign.Sign(m, s.key); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return onnx.WriteFile(path, m)
}
