package train

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
)

// FuzzCheckpoint: a state that was tampered with is refused or fits, and never panics. The
// checksum is made right, so that what comes after it is reached.
func FuzzCheckpoint(f *testing.F) {
	cfg := small(f)
	cfg.Data = digits(f, 60, false)
	cfg.Epochs = 1
	tr, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(tr.Close)
	if _, err := tr.Run(f.Context()); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "state")
	if err := tr.Save(path); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := tr.load(bytes.NewReader(good)); err != nil {
		f.Fatalf("the state itself: %v", err)
	}
	// The vectors are long and of no interest: inputs are the beginning of the file, and
	// what is missing is filled in.
	const head = 3000
	f.Add(good[:min(head, len(good))])
	f.Add(good[:12])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, fill := range []bool{false, true} {
			data := bytes.Clone(b)
			if fill && len(good)-sha256.Size > len(data) {
				data = append(data, good[len(data):len(good)-sha256.Size]...)
			}
			sum := sha256.Sum256(data)
			if err := tr.load(bytes.NewReader(append(data, sum[:]...))); err != nil {
				continue
			}
			if err := tr.Save(path); err != nil {
				t.Fatalf("loaded, but not saved: %v", err)
			}
			if err := tr.Resume(path); err != nil {
				t.Fatalf("loaded and saved, but not loaded again: %v", err)
			}
		}
	})
}
