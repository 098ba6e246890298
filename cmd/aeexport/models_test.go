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

// TestModelsPage: docs/models.md has a command for each preset that aeexport takes, below it
// the picture that the command makes, and no others.
func TestModelsPage(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	page, err := os.ReadFile(filepath.Join(docs, "models.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]*options{}
	for _, m := range regexp.MustCompile(`(?m)^    aeexport (.*--picture-rows.*)$`).FindAllSubmatch(page, -1) {
		o, err := parse(strings.Fields(string(m[1])))
		if err != nil {
			t.Errorf("%s: %v", m[0], err)
			continue
		}
		if commands[o.preset] != nil || o.model != o.preset+".onnx" {
			t.Errorf("%s: want one command for %s, which writes %[2]s.onnx", m[0], o.preset)
		}
		commands[o.preset] = o
	}
	pictures := 0
	for _, p := range arch.List() {
		if commands[p.Name] == nil {
			t.Errorf("%s has no command", p.Name)
		}
		at, shown := bytes.Index(page, []byte(" "+p.Name+".onnx\n")), bytes.Index(page, []byte("]("+"img/"+p.Name+".png)"))
		if shown < at || at < 0 {
			t.Errorf("%s: no picture below its command", p.Name)
		}
		b, err := os.ReadFile(filepath.Join(docs, "img", p.Name+".png"))
		if err != nil {
			t.Error(err)
			continue
		}
		pictures++
		limit := 24 << 10
		if o := commands[p.Name]; o != nil && o.data != "mnist" && o.data != "fashion-mnist" {
			limit = 80 << 10 // larger or coloured images
		}
		if c, err := png.DecodeConfig(bytes.NewReader(b)); err != nil || c.Width < 200 || c.Height < 100 || len(b) > limit {
			t.Errorf("%s.png: %d bytes, %dx%d (%v), want at most %d bytes", p.Name, len(b), c.Width, c.Height, err, limit)
		}
	}
	files, err := os.ReadDir(filepath.Join(docs, "img"))
	if err != nil || len(files) != pictures {
		t.Errorf("%d files in docs/img (%v), want %d", len(files), err, pictures)
	}
}
