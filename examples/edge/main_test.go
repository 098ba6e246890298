package main

import (
	"image"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
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

// TestSize builds the program for a small computer and holds its size, with all operators and
// with those of the core.
func TestSize(t *testing.T) {
	if os.Getenv("AEKIT_SLOW") == "" {
		t.Skip("builds programs for another processor: set AEKIT_SLOW=1")
	}
	for _, c := range []struct {
		tags string
		most int64
	}{
		{"", 5_400_000},
		{"aekit_core", 4_000_000},
	} {
		out := filepath.Join(t.TempDir(), "edge")
		build(t, out, c.tags, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
		st, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("tags %q: %d bytes", c.tags, st.Size())
		if st.Size() >= c.most {
			t.Errorf("tags %q: %d bytes, want less than %d", c.tags, st.Size(), c.most)
		}
	}
}

// TestCore runs the program that has the operators of the core only.
func TestCore(t *testing.T) {
	if os.Getenv("AEKIT_SLOW") == "" {
		t.Skip("builds a program: set AEKIT_SLOW=1")
	}
	out := filepath.Join(t.TempDir(), "edge")
	if goruntime.GOOS == "windows" {
		out += ".exe"
	}
	build(t, out, "aekit_core")
	got, err := exec.Command(out, "1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	digit, err := draw(1)
	if err != nil {
		t.Fatal(err)
	}
	if want := text(digit); string(got) != want {
		t.Errorf("with the core:\n%s\nwith all operators:\n%s", got, want)
	}
}

func build(t *testing.T, out, tags string, env ...string) {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	cmd := exec.Command(tool, "build", "-trimpath", "-tags="+tags, "-ldflags=-s -w", "-o", out, ".")
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-buildvcs=false"), env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
}
