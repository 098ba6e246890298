package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun describes the test's own program.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyFile(t, exe, filepath.Join(dir, "program"))
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not a program"), 0o666); err != nil {
		t.Fatal(err)
	}
	var before []byte
	for range 2 {
		if err := run(dir); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "sbom.cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !bytes.Equal(before, text) {
			t.Error("the second run gives other bytes")
		}
		before = text
	}
	var b bom
	if err := json.Unmarshal(before, &b); err != nil {
		t.Fatal(err)
	}
	last := b.Components[len(b.Components)-1]
	if b.Components[0].Name != "program" || len(b.Components[0].Hashes[0].Content) != 64 || last.Name != "stdlib" || last.Licenses[0].License.ID != "BSD-3-Clause" {
		t.Errorf("components: %+v", b.Components)
	}
	licences, err := os.ReadFile(filepath.Join(dir, "LICENSES.txt"))
	if err != nil || !strings.Contains(string(licences), "The Go Authors") {
		t.Errorf("LICENSES.txt without the licence of Go: %.100q (%v)", licences, err)
	}
	if err := run(t.TempDir()); err == nil {
		t.Error("an empty folder was described")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	r, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
}

func TestIdentify(t *testing.T) {
	const bsd = "Redistribution and use in source and binary forms, with or\nwithout modification, are permitted. "
	for _, tt := range []struct{ text, want string }{
		{"Apache License\n Version 2.0, January 2004", "Apache-2.0"},
		{bsd + "Neither the name of Google", "BSD-3-Clause"}, {bsd, "BSD-2-Clause"},
		{"Permission is hereby granted, free of charge, to any person", "MIT"},
		{"licensed under the\nCreative Commons Attribution 4.0 International", "CC-BY-4.0"},
		{"subject to your choice of exactly one of\n* The FreeType License, or\n* The GNU General Public License", "FTL"},
		{"GNU General Public License, version 3", ""}, {"all rights reserved", ""}, {"", ""},
	} {
		if got, err := identify(tt.text); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %q, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}
