package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aekit/aekit/internal/cli"
)

// FuzzConfig: a configuration file is refused or sets flags; what is written of them sets
// the same again.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("# a comment\nimages: 300\nhidden: [16, 8]\naugment: [flip, rotate=5]\nseed: 6\n"))
	f.Add([]byte("arch: conv-vae\nlr: 1e-3\nsplit: true\ntime-limit: 90s\nobjective: elbo\nbeta: 0.5\n"))
	f.Add([]byte("size: &s 32x32\nfit: *s\nquantize: int8\nformat: qoperator\nexclude: ['a b', \"c,d\"]\n"))
	f.Add([]byte("hidden: &h [1, 2]\nlatent: *h\n---\n"))
	f.Add([]byte("null\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		read := func(text []byte) ([]byte, error) {
			if err := os.WriteFile(path, text, 0o666); err != nil {
				t.Fatal(err)
			}
			o, err := parse([]string{"--config", path, "m.onnx"})
			if err != nil {
				return nil, err
			}
			out, err := configOf(o.flags.FlagSet, nil)
			if err != nil {
				t.Fatalf("read, but not written: %v", err)
			}
			return out, nil
		}
		once, err := read(text)
		if err != nil {
			return
		}
		twice, err := read(once)
		// What is about one run only is not written, and other flags may need it.
		if _, usage := err.(cli.UsageError); err != nil && !usage {
			t.Fatalf("%q was written and is not read: %v", once, err)
		}
		if err == nil && string(once) != string(twice) {
			t.Fatalf("written again, %q became %q", once, twice)
		}
	})
}
