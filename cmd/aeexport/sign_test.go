package main

import (
	"bytes"
	"context"
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

func TestSign(t *testing.T) {
	dir := t.TempDir()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	aeexport := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		status := run(context.Background(), args, &out, &errs)
		return status, errs.String()
	}
	model := filepath.Join(dir, "m.onnx")
	if status, errs := aeexport("--quiet", "--no-picture", "--images", "128", "--steps", "2", "--split", "--quantize", "int8-weights", "--sign", private, model); status != cli.OK {
		t.Fatalf("status %d: %s", status, errs)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(files) != 4 {
		t.Fatalf("files %q (%v), want the model, its two parts and the quantised one", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Decode(b, onnx.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := sign.Verify(m, key.Public().(ed25519.PublicKey)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	for _, bad := range []string{model, filepath.Join(dir, "none.pem")} {
		if status, errs := aeexport("--sign", bad, model); status != cli.Misuse || !strings.Contains(errs, "--sign") {
			t.Errorf("--sign %s: status %d, %q, want %d and the flag's name", bad, status, errs, cli.Misuse)
		}
	}
}
