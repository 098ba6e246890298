package main

import (
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDraw(t *testing.T) {
	one, err := draw(1)
	if err != nil {
		t.Fatal(err)
	}
	if one.Bounds() != image.Rect(0, 0, 28, 28) {
		t.Fatalf("digit of %v", one.Bounds())
	}
	again, err := draw(1)
	if err != nil {
		t.Fatal(err)
	}
	a, b := text(one), text(again)
	if a != b || len(a) != 28*57 || !strings.ContainsAny(a, "#%@") || !strings.HasPrefix(a, "  ") {
		t.Errorf("digit of seed 1:\n%s", a)
	}
}

// TestSize builds the program for a small computer and holds its size.
func TestSize(t *testing.T) {
	if os.Getenv("AEKIT_SLOW") == "" {
		t.Skip("builds a program for another processor: set AEKIT_SLOW=1")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	out := filepath.Join(t.TempDir(), "edge")
	cmd := exec.Command(tool, "build", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64", "GOFLAGS=-buildvcs=false")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	st, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", st.Size())
	if st.Size() >= 5_100_000 {
		t.Errorf("the program has %d bytes, want less than 5,100,000", st.Size())
	}
}
