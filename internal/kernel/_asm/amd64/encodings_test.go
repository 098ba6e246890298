package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEncodings disassembles the instructions that are written as bytes, each of which follows a comment that names it
// ("{vex} vpdpbusd …"), and compares. It needs objdump of binutils.
func TestEncodings(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("no objdump")
	}
	var src strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join("../..", f.name))
		if err != nil {
			t.Fatal(err)
		}
		src.Write(b)
	}
	value := regexp.MustCompile(`^\s*BYTE +\$0x([0-9a-f]{2})$`)
	var want []string
	var code []byte
	for line := range strings.Lines(src.String()) {
		if _, text, ok := strings.Cut(line, "// {vex} "); ok {
			want = append(want, strings.TrimSpace(text))
		}
		if m := value.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			b, err := strconv.ParseUint(m[1], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			code = append(code, byte(b))
		}
	}
	if len(want) == 0 {
		t.Fatal("no instruction is written as bytes")
	}
	name := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(name, code, 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", name).CombinedOutput()
	if err != nil {
		t.Fatalf("objdump: %v\n%s", err, out)
	}
	space := regexp.MustCompile(`\s+`)
	var got []string
	for line := range strings.Lines(string(out)) {
		// Address, bytes and text are separated by tabs.
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) < 3 {
			continue
		}
		text := strings.TrimPrefix(space.ReplaceAllString(strings.TrimSpace(f[2]), " "), "{vex} ")
		got = append(got, strings.ReplaceAll(text, ",", ", "))
	}
	if !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("instruction %d is %q, its comment says %q", i, got[i], want[i])
			}
		}
		t.Fatalf("%d instructions in %d bytes, %d comments", len(got), len(code), len(want))
	}
}
