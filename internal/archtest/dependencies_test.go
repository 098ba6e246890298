package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDependenciesAreNamed: docs/dependencies.md has a reason for each module that this one
// requires, at its version, and a verdict on those that come with them.
func TestDependenciesAreNamed(t *testing.T) {
	top := root(t)
	mod, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(top, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	reasons, advisories, ok := strings.Cut(string(b), "## Advisories")
	if !ok {
		t.Fatal("no section on advisories")
	}
	found := regexp.MustCompile(`(?m)^\t(\S+) (v\S+)( // indirect)?$`).FindAllStringSubmatch(string(mod), -1)
	if len(found) < 10 {
		t.Fatalf("%d modules in go.mod", len(found))
	}
	for _, m := range found {
		name, version := m[1], m[2]
		if m[3] == "" && !strings.Contains(reasons, "\n| "+name+" | "+version+" |") {
			t.Errorf("no line with the reason for %s %s", name, version)
		}
		short := path.Base(name)
		if regexp.MustCompile(`^v\d+$`).MatchString(short) {
			short = path.Base(path.Dir(name))
		}
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(short) + `\b`).MatchString(advisories) {
			t.Errorf("no verdict on %s (%s)", name, short)
		}
	}
}
