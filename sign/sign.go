// Package sign puts an ed25519 signature (RFC 8032) into a model and checks it.
//
// What is signed is the model, not the file: the SHA-256 sum of the canonical bytes, which
// are those of onnx.Encode for the model without the metadata property [Property]. A file
// that another program has written anew with the same content is still signed; any other
// change of what package onnx reads breaks the signature. What it skips is neither run nor
// covered: training information, annotations, unknown fields. Weights in other files
// are not covered, and models that have them are refused.
//
// A signature says who made a model, not that it is harmless: limits hold for signed models
// too.
package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aekit/aekit/onnx"
)

// Property is the metadata property that holds the signature: "ed25519:" and 64 bytes in
// base 64.
const Property = "aekit.signature"

const (
	scheme = "ed25519:"
	// context is signed in front of the sum, so that no signature made for something else
	// holds for a model.
	context = "aekit model signature 1\x00"
)

// Errors of [Verify], for errors.Is.
var (
	ErrUnsigned = errors.New("the model is not signed")
	ErrInvalid  = errors.New("the signature does not hold: the model was changed, or signed with another key")
)

// Sign puts a signature into m's metadata, in place of earlier ones. It fails if the model
// cannot be encoded or has weights in other files.
func Sign(m *onnx.Model, key ed25519.PrivateKey) error {
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("sign: private key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	plain, _ := without(m)
	msg, err := message(plain)
	if err != nil {
		return err
	}
	sig := base64.StdEncoding.EncodeToString(ed25519.Sign(key, msg))
	m.Metadata = append(plain.Metadata, onnx.StringPair{Key: Property, Value: scheme + sig})
	return nil
}

// Verify checks that m has exactly one signature, and that it was made with the private key
// that belongs to key. It does not change m.
func Verify(m *onnx.Model, key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("sign: public key of %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	plain, found := without(m)
	switch len(found) {
	case 0:
		return ErrUnsigned
	case 1:
	default:
		return fmt.Errorf("%w: there are %d signatures", ErrInvalid, len(found))
	}
	text, ok := strings.CutPrefix(found[0], scheme)
	sig, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(sig) != ed25519.SignatureSize {
		return fmt.Errorf("%w: property %q is malformed", ErrInvalid, Property)
	}
	msg, err := message(plain)
	if err != nil {
		return err
	}
	if !ed25519.Verify(key, msg, sig) {
		return ErrInvalid
	}
	return nil
}

// without returns a copy of m without signatures, and those.
func without(m *onnx.Model) (*onnx.Model, []string) {
	c, found := *m, []string(nil)
	c.Metadata = slices.DeleteFunc(slices.Clone(m.Metadata), func(p onnx.StringPair) bool {
		if p.Key == Property {
			found = append(found, p.Value)
		}
		return p.Key == Property
	})
	return &c, found
}

// message returns what is signed of a model without signatures.
func message(m *onnx.Model) ([]byte, error) {
	outside := ""
	onnx.Tensors(m, func(t *onnx.Tensor) {
		if t.External != nil {
			outside = t.Name
		}
	})
	if outside != "" {
		return nil, fmt.Errorf("sign: tensor %q is in another file, which a signature does not cover", outside)
	}
	h := sha256.New()
	if err := onnx.Write(h, m); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return h.Sum([]byte(context)), nil
}

// The DER forms of ed25519 keys have one length, and everything before the key is constant
// (RFC 8410): no parser of certificates is needed.
var (
	privatePrefix = []byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20")
	publicPrefix  = []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00")
)

// PrivateKey reads a key as `openssl genpkey -algorithm ed25519` writes it: PEM with the
// block "PRIVATE KEY" (PKCS #8).
func PrivateKey(text []byte) (ed25519.PrivateKey, error) {
	seed, err := key(text, "PRIVATE KEY", privatePrefix)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// PublicKey reads a key as `openssl pkey -pubout` writes it: PEM with the block "PUBLIC KEY".
func PublicKey(text []byte) (ed25519.PublicKey, error) {
	return key(text, "PUBLIC KEY", publicPrefix)
}

func key(text []byte, kind string, prefix []byte) ([]byte, error) {
	b, _ := pem.Decode(text)
	if b == nil || b.Type != kind {
		return nil, fmt.Errorf("not a PEM file with a block %q", kind)
	}
	k, ok := bytes.CutPrefix(b.Bytes, prefix)
	if !ok || len(k) != 32 {
		return nil, fmt.Errorf("the %s is not one of ed25519", strings.ToLower(kind))
	}
	return k, nil
}
