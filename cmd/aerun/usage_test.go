package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/tensor"
)

func TestErrors(t *testing.T) {
	dir := workspace(t)
	good, err := os.ReadFile(filepath.Join(dir, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "garbage.onnx"), []byte("this is no model\nat all\x1b[31m"))
	writeFile(t, filepath.Join(dir, "cut.onnx"), good[:len(good)*2/3])
	writeFile(t, filepath.Join(dir, "empty.onnx"), nil)
	writeFile(t, filepath.Join(dir, "bad.png"), []byte("\x89PNG\r\n\x1a\nxxxx"))
	writeFile(t, filepath.Join(dir, "bad.jsonl"), []byte("[1,2]\n[1,2,3]\n"))
	writeFile(t, filepath.Join(dir, "nan.jsonl"), []byte("{\"z\":[1,\"x\"]}\n"))
	writeFile(t, filepath.Join(dir, "empty/readme.txt"), nil)
	tests := []struct {
		args   string
		status int
		want   string
	}{
		{"", 2, "no verb"},
		{"paint model.onnx", 2, `unknown verb "paint"`},
		{"info", 2, "too few arguments"},
		{"info model.onnx plain.onnx", 2, `unexpected argument "plain.onnx"`},
		{"info --bogus model.onnx", 2, "unknown flag: --bogus"},
		{"info --threads x model.onnx", 2, "--threads"},
		{"info --threads -1 model.onnx", 2, "--threads -1"},
		{"info --backend tpu model.onnx", 2, `unknown backend "tpu"`},
		{"info missing.onnx", 1, "missing.onnx"},
		{"info .", 1, "directory"},
		{"info garbage.onnx", 1, "garbage.onnx"},
		{"info cut.onnx", 1, "cut.onnx"},
		{"info empty.onnx", 1, "empty.onnx"},
		{"info --shape image=1xq model.onnx", 2, "--shape"},
		{"info --shape other=1x2 model.onnx", 2, `no input "other"`},
		{"info --latent nothing plain.onnx", 1, `no value "nothing"`},
		{"encode model.onnx", 2, "too few arguments"},
		{"encode model.onnx missing.png", 1, "missing.png"},
		{"encode model.onnx bad.png", 1, "bad.png"},
		{"encode model.onnx model.onnx", 1, "model.onnx"},
		{"encode model.onnx empty", 1, "no images"},
		{"encode model.onnx -", 1, "standard input"},
		{"encode model.onnx - rows.png -", 2, "twice"},
		{"encode -o nowhere/z.npy model.onnx rows.png", 1, "-o nowhere/z.npy"},
		{"encode --label 1 model.onnx rows.png", 1, "takes no label"},
		{"score --threshold -1 model.onnx rows.png", 2, "--threshold -1"},
		{"bench --trace - model.onnx", 2, "name a file"},
		{"bench --trace nowhere/t.json model.onnx", 1, "nowhere"},
		{"completion", 2, "bash|zsh|fish"},
		{"completion tcsh", 2, "tcsh"},
		{"encode --format xml model.onnx rows.png", 2, "--format"},
		{"encode -o z.bin model.onnx rows.png", 2, "--format"},
		{"encode plain.onnx rows.png", 1, "latent"},
		{"encode --size 5x5 model.onnx rows.png", 1, "image"},
		{"encode --size 5 model.onnx rows.png", 2, "--size"},
		{"encode --range 1 model.onnx rows.png", 2, "--range"},
		{"encode --channels 2 model.onnx rows.png", 2, "--channels"},
		{"encode --layout CHW model.onnx rows.png", 2, "--layout"},
		{"encode --fit tight model.onnx rows.png", 2, "--fit"},
		{"encode --batch -1 model.onnx rows.png", 2, "--batch"},
		{"decode -o x.png model.onnx missing.npy", 1, "missing.npy"},
		{"decode -o x.png model.onnx bad.jsonl", 1, "bad.jsonl: latent vector 1 has 3 numbers"},
		{"decode -o x.png model.onnx nan.jsonl", 1, "nan.jsonl: latent vector 0"},
		{"decode -o x.jpg model.onnx bad.jsonl", 2, ".png"},
		{"generate -n 0 -o x.png model.onnx", 2, "-n 0"},
		{"generate --temperature -1 -o x.png model.onnx", 2, "--temperature"},
		{"generate --prior flat -o x.png model.onnx", 2, "--prior"},
		{"generate --zoom 0 -o x.png model.onnx", 2, "--zoom 0"},
		{"generate -o nowhere/x.png model.onnx", 1, "nowhere"},
		{"generate -o rows.png/x.png model.onnx", 1, "rows.png"},
		{"generate -o x.png plain.onnx", 1, "decoder"},
		{"interpolate -o x.png model.onnx rows.png", 2, "too few"},
		{"interpolate -n 1 -o x.png model.onnx rows.png rows.png", 2, "-n 1"},
		{"reconstruct -o - model.onnx rows.png", 2, "name a file"},
		{"verify missing", 1, "missing"},
		{"verify empty", 1, "no test cases"},
		{"verify --rtol -1 empty", 2, "--rtol"},
		{"bench --batch 0 model.onnx", 2, "--batch 0"},
		{"bench --threads 0 model.onnx", 2, "--threads 0"},
		{"bench --backend native,native model.onnx", 2, "twice"},
		{"bench --part middle model.onnx", 2, "--part"},
		{"bench --seconds 0 model.onnx", 2, "--seconds"},
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range tests {
		status, out, errs := aerun(t, dir, strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("aerun %s: status %d, message %q; want %d, %q", c.args, status, errs, c.status, c.want)
		}
		if strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "aerun: ") || strings.ContainsRune(errs, '\x1b') {
			t.Errorf("aerun %s: the message is not one plain line: %q", c.args, errs)
		}
		if out != "" {
			t.Errorf("aerun %s: wrote %q to standard output", c.args, out)
		}
	}
	after, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("failed commands left files: %v, before %v", after, before)
	}
}

func TestHelpAndVersion(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("AEKIT_ORT_LIB", strings.Repeat("/long", 20)) // help is the same whatever it is
	if out := want(t, dir, "--version"); !strings.HasPrefix(out, "aerun ") || strings.Count(out, "\n") != 1 {
		t.Errorf("--version prints %q", out)
	}
	help := want(t, dir, "--help")
	for _, v := range verbs {
		if !strings.Contains(help, "\n  "+v.name+" ") {
			t.Errorf("--help does not list %s", v.name)
		}
		out := want(t, dir, v.name, "--help")
		if !strings.HasPrefix(out, "Usage: aerun "+v.name+" [flags] "+v.args+"\n") || !strings.Contains(out, "--backend") {
			t.Errorf("%s --help prints %q", v.name, out)
		}
		if !strings.Contains(out, "\n  aerun "+v.name+" ") {
			t.Errorf("%s --help has no example", v.name)
		}
		for line := range strings.Lines(out) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%s --help has a line of more than 80 characters: %q", v.name, line)
			}
		}
		if out2 := want(t, dir, "help", v.name); out2 != out {
			t.Errorf("help %s differs from %s --help", v.name, v.name)
		}
		if out := want(t, dir, v.name, "--version"); !strings.HasPrefix(out, "aerun ") {
			t.Errorf("%s --version prints %q", v.name, out)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range cli.Shells {
		script := want(t, t.TempDir(), "completion", shell)
		for _, v := range verbs {
			if !strings.Contains(script, v.name) {
				t.Errorf("%s: the script does not know %s", shell, v.name)
			}
		}
		for _, word := range []string{"slerp", "safetensors", "threshold"} {
			if !strings.Contains(script, word) {
				t.Errorf("%s: the script does not know %q", shell, word)
			}
		}
	}
}

// TestImagesOfFolders: a folder stands for the images in it and below it, and - for standard
// input.
func TestImagesOfFolders(t *testing.T) {
	dir := workspace(t)
	rows, err := os.ReadFile(filepath.Join(dir, "rows.png"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "album/a/rows.PNG"), rows)
	writeFile(t, filepath.Join(dir, "album/b/c/rows.png"), rows)
	writeFile(t, filepath.Join(dir, "album/notes.txt"), nil)
	writeFile(t, filepath.Join(dir, "album/b/bad.png"), []byte("x"))
	const note = "aerun: 1 files skipped, the first: "
	status, out, errs := aerunIn(t, dir, string(rows), "score", "model.onnx", "album", "-", "rows.png")
	if status != 0 || !strings.HasPrefix(errs, note) || !strings.Contains(errs, "bad.png") || strings.Count(errs, "\n") != 1 {
		t.Fatalf("status %d, %s", status, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	names := []string{filepath.Join("album", "a", "rows.PNG"), filepath.Join("album", "b", "c", "rows.png"), "-", "rows.png"}
	if len(lines) != len(names) {
		t.Fatalf("%d lines, want %d: %s", len(lines), len(names), out)
	}
	_, score, _ := strings.Cut(lines[3], ": ")
	for i, name := range names {
		if lines[i] != name+": "+score {
			t.Errorf("line %d is %q, want %q", i, lines[i], name+": "+score)
		}
	}
	for _, args := range [][]string{{"reconstruct", "model.onnx", "album"}, {"encode", "-o", "z.npy", "model.onnx", "album"}, {"compare", "model.onnx", "model.onnx", "album"}} {
		status, out, errs := aerun(t, dir, args...)
		if status != 0 || !strings.HasPrefix(errs, note) || args[0] == "reconstruct" && !strings.Contains(out, "mean of 2: mse 0 ") {
			t.Errorf("%s: status %d, %q, %q", args[0], status, out, errs)
		}
	}
	f, err := os.Open(filepath.Join(dir, "z.npy"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := tensor.ReadNPY(f, 0)
	if err != nil || z.Shape()[0] != 2 {
		t.Errorf("latent vectors of a folder with two good images: %v, %v", z, err)
	}
	if status, _, errs := aerun(t, dir, "score", "model.onnx", "album/b/bad.png"); status != cli.Failed || !strings.Contains(errs, "bad.png") {
		t.Errorf("a damaged file that is named: status %d, %q", status, errs)
	}
	writeFile(t, filepath.Join(dir, "broken/1.png"), []byte("x"))
	if status, _, errs := aerun(t, dir, "score", "model.onnx", "broken"); status != cli.Failed || !strings.Contains(errs, "1.png") {
		t.Errorf("a folder without good images: status %d, %q", status, errs)
	}
}
