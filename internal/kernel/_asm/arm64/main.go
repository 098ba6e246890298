// Command arm64 writes the NEON assembly of package kernel into the directory that its argument names.
//
// Go's assembler lacks most vector arithmetic of arm64, so those instructions are emitted as words, each with its GNU
// mnemonic as comment. A test decodes the words and compares.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

var outputs = []struct {
	name string
	emit func(*file)
}{
	{"gemmf32_arm64.s", gemmF32},
	{"gemmi8_arm64.s", gemmI8},
	{"tileq8_arm64.s", gemmQ8},
	{"bytes_arm64.s", byteLoops},
	{"peak_arm64.s", peaks},
	{"requant_arm64.s", requant},
	{"vec_arm64.s", vectors},
	{"mathf32_arm64.s", maths},
	{"elemf32_arm64.s", elements},
	{"actf32_arm64.s", activations},
	{"optim_arm64.s", optimisers},
	{"grad_arm64.s", gradients},
	{"depthf32_arm64.s", depthwiseF32},
	{"depthi16_arm64.s", depthwiseI16},
	{"depth3x3_arm64.s", depth3x3},
	{"windowf32_arm64.s", windowReductions},
	{"shuffle_arm64.s", shuffles},
	{"half_arm64.s", halves},
	{"winograd_arm64.s", winograd},
	{"winogradq8_arm64.s", winogradQ8},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run . DIRECTORY")
		os.Exit(2)
	}
	for _, o := range outputs {
		f := newFile()
		o.emit(f)
		if err := os.WriteFile(filepath.Join(os.Args[1], o.name), []byte(f.String()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
