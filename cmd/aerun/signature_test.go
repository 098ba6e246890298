package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/sign"
)

func TestVerifyKey(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, seed byte) ed25519.PrivateKey {
		key := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o666); err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := write("pub.pem", 1)
	write("other.pem", 2)
	m := quantised(t)
	save := func(name string) {
		if err := onnx.WriteFile(filepath.Join(dir, name), m); err != nil {
			t.Fatal(err)
		}
	}
	save("unsigned.onnx")
	if err := sign.Sign(m, key); err != nil {
		t.Fatal(err)
	}
	save("signed.onnx")
	m.Graph.Initializers[0].Value.Bytes()[0] ^= 1
	save("tampered.onnx")
	want(t, dir, "info", "--verify-key", "pub.pem", "signed.onnx")
	// A file with holes, of a size for which there is no memory.
	huge := filepath.Join(dir, "huge.onnx")
	if err := os.WriteFile(huge, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<38); err != nil {
		t.Log("no huge file: ", err)
	} else if status, _, errs := aerun(t, dir, "info", "--verify-key", "pub.pem", "huge.onnx"); status != cli.Failed || !strings.Contains(errs, "limit") {
		t.Errorf("huge file: status %d, %q, want a message about the limit", status, errs)
	}
	for _, tt := range []struct{ key, model, says string }{
		{"pub.pem", "unsigned.onnx", "not signed"}, {"pub.pem", "tampered.onnx", "signature does not hold"},
		{"other.pem", "signed.onnx", "signature does not hold"}, {"signed.onnx", "signed.onnx", "PEM"}, {"none.pem", "signed.onnx", "none.pem"},
	} {
		for _, verb := range []string{"info", "generate", "bench"} {
			status, _, errs := aerun(t, dir, verb, "--verify-key", tt.key, tt.model)
			if status == cli.OK || !strings.Contains(errs, tt.says) {
				t.Errorf("%s --verify-key %s %s: status %d, %q, want a message that says %q", verb, tt.key, tt.model, status, errs, tt.says)
			}
		}
	}
	if status, _, errs := aerun(t, dir, "generate", "--verify-key", "pub.pem"); status != cli.Misuse || !strings.Contains(errs, "--verify-key") {
		t.Errorf("no model: status %d, %q, want %d and a message about the flag", status, errs, cli.Misuse)
	}
}
