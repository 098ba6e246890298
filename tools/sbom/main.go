// Command sbom writes down what is in programs that Go has built: a software bill of
// materials in CycloneDX 1.5 JSON, sbom.cdx.json, and the licence texts of all modules,
// LICENSES.txt.
//
//	go run ./tools/sbom FOLDER
//
// FOLDER holds the programs; the two files are written there. Modules and versions are read
// from the programs themselves, licences from the module cache. It fails if a module has no
// licence text or one that is not among those known to fit Apache-2.0. The same programs
// give the same bytes.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sbom FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// The parts of CycloneDX that are used.
type (
	bom struct {
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type     string     `json:"type"`
		Ref      string     `json:"bom-ref"`
		Name     string     `json:"name"`
		Version  string     `json:"version,omitempty"`
		PURL     string     `json:"purl,omitempty"`
		Hashes   []hash     `json:"hashes,omitempty"`
		Licenses []license  `json:"licenses,omitempty"`
		Props    []property `json:"properties,omitempty"`
	}
	hash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	license struct {
		License licenseID `json:"license"`
	}
	licenseID struct {
		ID string `json:"id"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

func run(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	b := bom{Format: "CycloneDX", SpecVersion: "1.5", Version: 1}
	modules := map[string]*debug.Module{}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			continue // not a program of Go, or one whose format has no room for this (wasm)
		}
		sum, err := fileSum(path)
		if err != nil {
			return err
		}
		d := dependency{Ref: e.Name()}
		for _, m := range append(slices.Clone(info.Deps), goModule(info.GoVersion)) {
			if m.Replace != nil {
				m = m.Replace
			}
			modules[ref(m)] = m
			d.DependsOn = append(d.DependsOn, ref(m))
		}
		slices.Sort(d.DependsOn)
		b.Components = append(b.Components, component{Type: "application", Ref: e.Name(), Name: e.Name(), Hashes: []hash{{"SHA-256", sum}}})
		b.Dependencies = append(b.Dependencies, d)
		b.Metadata.Component = component{Type: "application", Ref: info.Main.Path, Name: info.Main.Path, Licenses: []license{{licenseID{"Apache-2.0"}}}}
	}
	if len(b.Components) == 0 {
		return fmt.Errorf("%s: no programs of Go", folder)
	}
	var texts bytes.Buffer
	for _, r := range slices.Sorted(keys(modules)) {
		m := modules[r]
		text, err := licenceText(m)
		if err != nil {
			return err
		}
		id, err := identify(text)
		if err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
		c := component{Type: "library", Ref: r, Name: m.Path, Version: m.Version, PURL: r, Licenses: []license{{licenseID{id}}}}
		if m.Sum != "" {
			c.Props = []property{{"go:sum", m.Sum}}
		}
		b.Components = append(b.Components, c)
		fmt.Fprintf(&texts, "==== %s %s (%s)\n\n%s\n\n", m.Path, m.Version, id, strings.TrimSpace(text))
	}
	out, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "sbom.cdx.json"), append(out, '\n'), 0o666); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "LICENSES.txt"), texts.Bytes(), 0o666)
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// goModule is the standard library, which no list of dependencies names.
func goModule(version string) *debug.Module {
	return &debug.Module{Path: "stdlib", Version: strings.TrimPrefix(strings.Fields(version)[0], "go")}
}

// ref is the package URL of a module (https://github.com/package-url/purl-spec).
func ref(m *debug.Module) string { return "pkg:golang/" + m.Path + "@" + m.Version }

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// licenceText returns the text in a module's folder.
func licenceText(m *debug.Module) (string, error) {
	args := []string{"list", "-m", "-f", "{{.Dir}}", m.Path}
	if m.Path == "stdlib" {
		args = []string{"env", "GOROOT"}
	}
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: go %s: %w", m.Path, strings.Join(args, " "), err)
	}
	dir := strings.TrimSpace(string(out))
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return string(text), nil
		}
	}
	return "", fmt.Errorf("%s %s: no licence text in %q", m.Path, m.Version, dir)
}

// identify returns the SPDX identifier of a licence text.
func identify(text string) (string, error) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	has := func(s string) bool { return strings.Contains(text, s) }
	redistribution := has("redistribution and use in source and binary forms, with or without modification")
	switch {
	case has("your choice of exactly one") && has("the freetype license"):
		return "FTL", nil // the other choice is the GPL
	case has("gnu general public") || has("gnu lesser") || has("gnu affero"):
		return "", errors.New("a licence of the GPL family does not fit Apache-2.0 programs")
	case has("apache license") && has("version 2.0"):
		return "Apache-2.0", nil
	case redistribution && (has("neither the name") || has("may not be used to endorse") || has("names of its contributors")):
		return "BSD-3-Clause", nil
	case redistribution:
		return "BSD-2-Clause", nil
	case has("creative commons attribution 4.0"):
		return "CC-BY-4.0", nil
	case has("permission is hereby granted, free of charge"):
		return "MIT", nil
	case has("permission to use, copy, modify, and/or distribute this software for any purpose"):
		return "ISC", nil
	}
	return "", errors.New("the licence is not a known one")
}
