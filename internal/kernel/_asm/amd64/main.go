// Command amd64 writes the amd64 assembly of package kernel. Run it through go generate in that package.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

var files = []struct {
	name string
	f    func(g *gen)
}{
	{name: "gemmf32_amd64.s", f: func(g *gen) { g.eachTier(tileF32); g.tier(avx2); narrowF32(g); transposeF32(g) }},
	{name: "gemvf32_amd64.s", f: func(g *gen) { g.eachTier(gemvF32) }},
	{name: "rowsf32_amd64.s", f: func(g *gen) { g.eachTier(indirectF32) }},
	{name: "vec_amd64.s", f: func(g *gen) { g.eachTier(vectors) }},
	{name: "reduce_amd64.s", f: func(g *gen) { g.eachTier(reductions) }},
	{name: "mathf32_amd64.s", f: func(g *gen) { g.eachTier(mathFunctions) }},
	{name: "optim_amd64.s", f: func(g *gen) { g.eachTier(optimisers) }},
	{name: "grad_amd64.s", f: func(g *gen) { g.eachTier(gradients) }},

	{name: "gemmi8_amd64.s", f: func(g *gen) { tileI8AVX2(g); tileI8VNNI(g); widenAndRequant(g) }},
	{name: "tileq8_amd64.s", f: tilesQ8},
	{name: "bytes_amd64.s", f: func(g *gen) { byteVectors(g); byteVectors512(g); g.eachTier(sums) }},
	{name: "move_amd64.s", f: moves},
	{name: "half_amd64.s", f: halves},
	{name: "windows_amd64.s", f: windows},
	{name: "depthf32_amd64.s", f: func(g *gen) { g.eachTier(depthwise) }},
	{name: "depthi16_amd64.s", f: func(g *gen) { g.eachTier(depthwise16); pairs(g) }},
	{name: "depthq8_amd64.s", f: depthQ8},
	{name: "winograd_amd64.s", f: func(g *gen) { g.eachTier(winograd) }},
	{name: "peak_amd64.s", f: func(g *gen) { g.eachTier(peak) }},
}

func main() {
	dir := "../.."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, file := range files {
		g := &gen{Context: build.NewContext(), across: 2}
		g.ConstraintExpr("!noasm,!gccgo")
		file.f(g)
		f, err := g.Result()
		if err == nil {
			err = pass.Compile.Execute(f)
		}
		var src []byte
		if err == nil {
			cfg := printer.Config{Argv: []string{"go", "run", "."}, Pkg: "kernel"}
			src, err = printer.NewGoAsm(cfg).Print(f)
		}
		if err == nil {
			// Argument blocks are typed in the package, which this module does not import.
			for from, to := range g.types {
				src = bytes.ReplaceAll(src, []byte(from), []byte(to))
			}
			err = os.WriteFile(filepath.Join(dir, file.name), src, 0o666)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file.name, err)
			os.Exit(1)
		}
	}
}
