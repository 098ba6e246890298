package main

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aekit/aekit/train/arch"
)

// TestModelsPage: docs/models.md has a command for each preset that aeexport takes, which writes
// PRESET.onnx, and perhaps more, which write PRESET-DATA.onnx; below each the picture that it
// makes, and no others.
func TestModelsPage(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	page, err := os.ReadFile(filepath.Join(docs, "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]*options{} // by the model's name
	for _, m := range regexp.MustCompile(`(?m)^    aeexport (.*--picture-rows.*)$`).FindAllSubmatch(page, -1) {
		o, err := parse(strings.Fields(string(m[1])))
		if err != nil {
			t.Errorf("%s: %v", m[0], err)
			continue
		}
		name := strings.TrimSuffix(o.model, ".onnx")
		if commands[name] != nil || name != o.preset && name != o.preset+"-"+o.data {
			t.Errorf("%s: want one command for each of %s.onnx and %[2]s-%s.onnx", m[0], o.preset, o.data)
		}
		commands[name] = o
	}
	for _, p := range arch.List() {
		if commands[p.Name] == nil {
			t.Errorf("%s has no command", p.Name)
		}
	}
	for name, o := range commands {
		at, shown := bytes.Index(page, []byte(" "+name+".onnx\n")), bytes.Index(page, []byte("](img/"+name+".png)"))
		if shown < at || at < 0 {
			t.Errorf("%s: no picture below its command", name)
		}
		b, err := os.ReadFile(filepath.Join(docs, "img", name+".png"))
		if err != nil {
			t.Error(err)
			continue
		}
		limit := 24 << 10
		if o.data != "mnist" && o.data != "fashion-mnist" {
			limit = 80 << 10 // larger or coloured images
		}
		if c, err := png.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width < 200 || c.Height < 100 || len(b) > limit {
			t.Errorf("%s.png: %d bytes, %dx%d (%v), want at most %d bytes", name, len(b), c.Width, c.Height, err, limit)
		}
	}
	files, err := os.ReadDir(filepath.Join(docs, "img"))
	if err != nil || len(files) != len(commands) {
		t.Errorf("%d files in docs/img (%v), want %d", len(files), err, len(commands))
	}
}
