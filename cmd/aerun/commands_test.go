package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestCommandsPage: the page on what is printed for programs names every field.
func TestCommandsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for s := range strings.SplitSeq(string(page), "\n`aerun ") {
		verb, _, _ := strings.Cut(s, "`")
		sections[verb] += s
	}
	for verb, values := range map[string][]any{
		"encode": {latentLine{}}, "reconstruct --json": {reconstructionLine{}}, "compare --json": {compareJSON{}, modelJSON{}}, "verify --json": {caseResult{}},
		"verify --self --json": {selfResult{}}, "bench --json": {benchResult{}}, "info --json": {infoJSON{}, valueJSON{}, costJSON{}, nodeJSON{}},
	} {
		for _, v := range values {
			for i := range reflect.TypeOf(v).NumField() {
				name, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
				if name == "" || !strings.Contains(sections[verb], "`"+name+"`") {
					t.Errorf("aerun %s: the page does not tell of %q", verb, name)
				}
			}
		}
	}
}
