package runtime_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/internal/testdata"
)

// TestConformanceTable checks the table of docs/results.md against the manifest and the
// table that comes with the cases, and that the goals hold: every core case where ONNX
// Runtime agrees, and 95 % of the extended ones.
func TestConformanceTable(t *testing.T) {
	f, err := os.Open(testdata.Path(t, "onnx-conformance/node-cases.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := onnxcases.ReadTable(f)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/results.md")
	if err != nil {
		t.Fatal(err)
	}
	type counts struct{ all, ours, theirs, both int }
	tiers := map[string]*counts{"core": {}, "extended": {}, "exotic-dtype": {}}
	passes := readManifest(t)
	for _, r := range rows {
		c := tiers[r.Tier]
		if c == nil {
			t.Fatalf("%s/%s is of tier %q", r.Suite, r.Case, r.Tier)
		}
		ours, theirs := passes[r.Suite+"/"+r.Case] == "pass", r.ONNXRuntime == "agrees"
		c.all++
		if ours {
			c.ours++
		}
		if theirs {
			c.theirs++
		}
		if ours && theirs {
			c.both++
		}
		if r.Tier == "core" && theirs && !ours {
			t.Errorf("%s/%s: ONNX Runtime agrees and we do not", r.Suite, r.Case)
		}
	}
	for tier, c := range tiers {
		line := fmt.Sprintf("| %s | %d | %d | %d | %d |", tier, c.all, c.ours, c.theirs, c.both)
		if !strings.Contains(string(doc), line) {
			t.Errorf("docs/results.md does not have the line %s", line)
		}
	}
	if c := tiers["extended"]; 100*c.ours < 95*c.all {
		t.Errorf("%d of %d extended cases pass, fewer than 95 %%", c.ours, c.all)
	}
}
