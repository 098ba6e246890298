package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/train/arch"
)

// call runs the program in the present folder.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestHelp(t *testing.T) {
	status, help, errs := call(t, "--help")
	if status != cli.OK || errs != "" {
		t.Fatalf("status %d, %s", status, errs)
	}
	for line := range strings.Lines(help) {
		if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("a line of more than 80 characters: %q", line)
		}
	}
	status, list, _ := call(t, "--list")
	_, names, _ := call(t, "--list", "--quiet")
	if lines := strings.Fields(names); len(lines) != len(arch.List()) || lines[0] != arch.List()[0].Name {
		t.Errorf("--list --quiet prints %q", names)
	}
	_, script, _ := call(t, "--completion", "bash")
	for _, p := range arch.List() {
		if status != cli.OK || !strings.Contains(list, "\n"+p.Name+" ") && !strings.HasPrefix(list, p.Name+" ") {
			t.Errorf("--list does not have %s", p.Name)
		}
		if !strings.Contains(script, p.Name) {
			t.Errorf("--completion bash does not know %s", p.Name)
		}
	}
	if status, _, errs := call(t, "--completion", "tcsh"); status != cli.Misuse || !strings.Contains(errs, "tcsh") {
		t.Errorf("--completion tcsh: status %d, %s", status, errs)
	}
}

// TestMisuse: what makes no sense, or cannot end well, is refused in one line before training,
// and nothing is written.
func TestMisuse(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if status, _, errs := call(t, "--quiet", "--no-picture", "--images", "64", "--steps", "1", "base.onnx"); status != cli.OK {
		t.Fatal(errs)
	}
	for _, name := range []string{"file", "broken.onnx"} {
		if err := os.WriteFile(name, []byte("text\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"empty", "images"} {
		if err := os.Mkdir(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("images/1.pgm", []byte("P2 1 1 1 1"), 0o666); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"", cli.Misuse, "want one file"},
		{"--bogus x.onnx", cli.Misuse, "--bogus"},
		{"x.txt", cli.Misuse, ".onnx"},
		{"--arch paint x.onnx", cli.Misuse, "aae, ae, beta-vae"},
		{"--epochs -1 x.onnx", cli.Misuse, "--epochs -1"},
		{"--lr nan x.onnx", cli.Misuse, "--lr NaN"},
		{"--ema 1 x.onnx", cli.Misuse, "--ema 1"},
		{"--clip -1 x.onnx", cli.Misuse, "--clip -1"},
		{"--val-fraction 1 x.onnx", cli.Misuse, "--val-fraction 1"},
		{"--size 0x8 x.onnx", cli.Misuse, "--size"},
		{"--opset 99 x.onnx", cli.Misuse, "7 to 25"},
		{"--ir-version 2 x.onnx", cli.Misuse, "IR version 2"},
		{"--optimizer adam:beta1=5 x.onnx", cli.Misuse, "beta1 5"},
		{"--data-dir empty x.onnx", cli.Misuse, "--data-dir"},
		{"--data nowhere x.onnx", cli.Failed, "nowhere"},
		{"--data empty x.onnx", cli.Failed, "empty"},
		{"nowhere/x.onnx", cli.Failed, "nowhere"},
		{"--plot empty x.onnx", cli.Failed, "empty is a folder"},
		{"--report file x.onnx", cli.Failed, "file is not a folder"},
		{"--report file/r/s x.onnx", cli.Failed, "file"},
		{"--tensorboard file x.onnx", cli.Failed, "file is not a folder"},
		{"--testdata file x.onnx", cli.Failed, "file is not a folder"},
		{"--quantize int8 --calibration empty x.onnx", cli.Failed, "empty"},
		{"--quantize int8 --calibration-cache file x.onnx", cli.Failed, "file"},
		{"--arch gan --quantize int8 --calibration empty x.onnx", cli.Misuse, "draws"},
		{"--from base.onnx --arch ae x.onnx", cli.Misuse, "--arch"},
		{"--from base.onnx base.onnx", cli.Misuse, "over itself"},
		{"--from base.onnx --quantize int8 ./base.onnx", cli.Misuse, "over itself"},
		{"--from broken.onnx --quantize int8 x.onnx", cli.Failed, "broken.onnx"},
		{"--from base.onnx --quantize int8 --report r x.onnx", cli.Misuse, "--report has no effect"},
		{"--from base.onnx --quantize int8 --lr 1 x.onnx", cli.Misuse, "--lr has no effect"},
		{"--from base.onnx --quantize int8 --qat 1 --schedule cosine x.onnx", cli.Misuse, "--schedule has no effect"},
		{"--weights file --epochs 2 x.onnx", cli.Misuse, "--epochs has no effect"},
		{"--arch ae --beta 2 x.onnx", cli.Misuse, "--beta has no effect"},
		{"--arch ae --nll 5 x.onnx", cli.Misuse, "no likelihood"},
		{"--arch cvae --nll 5 x.onnx", cli.Misuse, "conditional"},
		{"--data images --nll 5 x.onnx", cli.Misuse, "--test-fraction"},
		{"--data images --report r --learning-curve x.onnx", cli.Misuse, "--test-fraction"},
	} {
		args := append([]string{"--images", "64"}, strings.Fields(c.args)...)
		if !strings.Contains(c.args, "--from") && !strings.Contains(c.args, "--weights") {
			args = append([]string{"--steps", "1"}, args...)
		}
		status, out, errs := call(t, args...)
		if status != c.status || out != "" || !strings.HasPrefix(errs, "aeexport: ") || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q, %q; want status %d and %q on one line", c.args, status, out, errs, c.status, c.want)
		}
	}
	if after := listing(t, dir); after != before {
		t.Errorf("files before: %s, after: %s", before, after)
	}
}

// TestFolderIsNotTold: a model that is handed on does not tell where the images are.
func TestFolderIsNotTold(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "secret", "cats")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		text := fmt.Sprintf("P2 8 8 9 %s", strings.Repeat(fmt.Sprint(i, " "), 64))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i, ".pgm")), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	model := filepath.Join(dir, "m.onnx")
	if status, _, errs := call(t, "--quiet", "--no-picture", "--data", folder, "--steps", "1", "--hidden", "4", "--latent", "2", model); status != cli.OK {
		t.Fatal(errs)
	}
	b, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("secret")) || !bytes.Contains(b, []byte(`"name":"cats"`)) {
		t.Error("the file does not name the data, or tells their path")
	}
}

// TestCommandsPage: the page on what is printed for programs names every field.
func TestCommandsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeOf(line{}).NumField() {
		name, _, _ := strings.Cut(reflect.TypeOf(line{}).Field(i).Tag.Get("json"), ",")
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("the page does not tell of %q", name)
		}
	}
}

// listing is the names of the files in a folder.
func listing(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestLastLine: the last line of --json has the loss of the test images, wherever training
// ended.
func TestLastLine(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args   string
		epochs []int
	}{
		{"--epochs 2", []int{1, 2}},
		{"--steps 3", []int{1, 2}},
		{"--steps 2", []int{1, 1}},
	} {
		args := append([]string{"--json", "--quiet", "--no-picture", "--images", "128", "--batch", "64", "--epochs", "5"}, strings.Fields(c.args)...)
		status, out, errs := call(t, append(args, "x.onnx")...)
		if status != cli.OK {
			t.Fatal(errs)
		}
		var got []int
		var last line
		for text := range strings.Lines(out) {
			last = line{}
			if err := json.Unmarshal([]byte(text), &last); err != nil {
				t.Fatalf("%v in %q", err, text)
			}
			got = append(got, last.Epoch)
			if (last.TestLoss != nil) != (len(got) == len(c.epochs)) || last.TrainLoss <= 0 || len(last.Parts) != 2 {
				t.Errorf("%s: line %s", c.args, text)
			}
		}
		if len(got) != len(c.epochs) || got[0] != c.epochs[0] || got[len(got)-1] != c.epochs[len(got)-1] {
			t.Errorf("%s: lines of the epochs %v, want %v", c.args, got, c.epochs)
		}
	}
}

// TestQuantizeGenerator: a model without an encoder is calibrated by draws from its prior.
func TestQuantizeGenerator(t *testing.T) {
	t.Chdir(t.TempDir())
	status, _, errs := call(t, "--quiet", "--arch", "gan", "--hidden", "16", "--latent", "4", "--images", "128", "--steps", "2", "--quantize", "int8", "--calibration-images", "100", "g.onnx")
	if status != cli.OK {
		t.Fatal(errs)
	}
	var images [2][]byte
	for i, name := range []string{"g.onnx", "g.int8.onnx"} {
		m, err := autoencoder.Open(name, runtime.Options{}, autoencoder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		drawn, err := m.Generate(t.Context(), 4, autoencoder.Sampling{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range drawn {
			b := img.Bounds()
			for y := b.Min.Y; y < b.Max.Y; y++ {
				for x := b.Min.X; x < b.Max.X; x++ {
					v, _, _, _ := img.At(x, y).RGBA()
					images[i] = append(images[i], byte(v>>8))
				}
			}
		}
	}
	worst := 0
	for i, v := range images[0] {
		worst = max(worst, int(v)-int(images[1][i]), int(images[1][i])-int(v))
	}
	if len(images[0]) != 4*28*28 || worst > 8 {
		t.Errorf("%d pixels differ by up to %d levels", len(images[0]), worst)
	}
}
