package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/cli"
)

// TestConfigEqualsFlags: a file of flags gives the bytes that the flags give, the file that
// was written beside a model gives them again, and the command line has precedence.
func TestConfigEqualsFlags(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	do := func(args ...string) {
		t.Helper()
		var out bytes.Buffer
		if status := run(t.Context(), append([]string{"--quiet", "--no-picture"}, args...), &out, &out); status != cli.OK {
			t.Fatalf("%q: status %d: %s", args, status, &out)
		}
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	do("--images", "300", "--epochs", "2", "--hidden", "16,8", "--latent", "3", "--batch", "50", "--augment", "flip,rotate=5", "--seed", "7", "--metrics", path("m.jsonl"), path("flags.onnx"))
	const config = `# a comment
images: 300
epochs: 2
hidden: [16, 8]
latent: 3
batch: 50
augment: [flip, rotate=5]
seed: 6 # the command line says 7
`
	if err := os.WriteFile(path("c.yaml"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	do("--config", path("c.yaml"), "--seed", "7", path("config.onnx"))
	do("--config", path("flags.yaml"), path("again.onnx"))
	if read("config.onnx") != read("flags.onnx") || read("again.onnx") != read("flags.onnx") {
		t.Error("the configuration gives another model than the flags")
	}
	if read("again.yaml") != read("flags.yaml") {
		t.Errorf("written again: %s, want %s", read("again.yaml"), read("flags.yaml"))
	}
	if s := read("flags.yaml"); strings.Contains(s, "metrics") || !strings.Contains(s, "lr: 0.001\n") {
		t.Errorf("written: %s, want the architecture's learning rate and no files of this run", s)
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown", "epochs: 1\nlatnet: 3\n", `line 2: no flag "latnet"`},
		{"twice", "epochs: 1\nepochs: 2\n", "line 2"},
		{"value", "epochs: many\n", "line 1"},
		{"no value", "epochs:\n", `"epochs" has no value`},
		{"mapping", "epochs: {a: 1}\n", "want a value or a list"},
		{"nested list", "hidden: [[1]]\n", "want a list of plain values"},
		{"list", "- epochs\n", "want a mapping"},
		{"syntax", "epochs: [1\n", "yaml"},
		{"documents", "epochs: 1\n---\nepochs: 2\n", "want one document"},
		{"command line only", "resume: true\n", "--resume belongs on the command line"},
		{"of itself", "config: x.yaml\n", "belongs on the command line"},
		{"range", "val-fraction: 2\n", "--val-fraction 2"},
		{"augmentation", "augment: spin\n", `no "spin"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			status := run(t.Context(), []string{"--config", path, filepath.Join(t.TempDir(), "m.onnx")}, &out, &out)
			if status != cli.Misuse || !strings.Contains(out.String(), c.want) || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("%q: status %d: %s, want status %d and %q on one line", c.text, status, &out, cli.Misuse, c.want)
			}
		})
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n"} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if o, err := parse([]string{"--config", path, "m.onnx"}); err != nil || len(o.given) != 1 {
			t.Errorf("%q: %v, want no flags", text, err)
		}
	}
}

// TestConfigIsBounded: a file without end, or deep, is refused in little time and memory.
func TestConfigIsBounded(t *testing.T) {
	dir := t.TempDir()
	names := []string{}
	for i, text := range []string{
		strings.Repeat("[", 1<<20), "images: " + strings.Repeat("[", 1<<19), strings.Repeat("{a: ", 1<<18), strings.Repeat("- ", 1<<19), strings.Repeat("? ", 1<<19),
		"images: " + strings.Repeat("&a ", 1<<18), "images: &a [*a]\nepochs: *a\n", "<<: *a\n", strings.Repeat("a: &a 1\n", 1<<16), strings.Repeat("#", 1<<20+1),
		"a: &a [1]\n" + strings.Repeat("b: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n", 1000), "images: !!binary " + strings.Repeat("A", 1<<19), "images: \"" + strings.Repeat(`\U0010FFFF`, 1<<16) + "\"",
	} {
		name := filepath.Join(dir, fmt.Sprint(i, ".yaml"))
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	const endless = "/dev/zero"
	if _, err := os.Stat(endless); err == nil {
		names = append(names, endless)
	}
	for _, name := range names {
		var out bytes.Buffer
		if status := run(t.Context(), []string{"--config", name, filepath.Join(dir, "m.onnx")}, &out, &out); status != cli.Misuse || out.Len() > 2000 {
			t.Errorf("%s: status %d, %d bytes of messages: %.200q", name, status, out.Len(), &out)
		}
	}
}
