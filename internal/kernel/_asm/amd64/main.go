// Command amd64 writes the amd64 assembly of package kernel. Run it through go generate in that package.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

var files = []struct {
	name string
	f    func(g *gen)
}{
	{name: "gemmf32_amd64.s", f: func(g *gen) { g.eachTier(tileF32); g.eachTier(narrowF32); g.tier(avx2); transposeF32(g) }},
	{name: "gemvf32_amd64.s", f: func(g *gen) { g.eachTier(gemvF32) }},
	{name: "rowsf32_amd64.s", f: func(g *gen) { g.eachTier(indirectF32) }},
	{name: "vec_amd64.s", f: func(g *gen) { g.eachTier(vectors) }},
	{name: "reduce_amd64.s", f: func(g *gen) { g.eachTier(reductions) }},
	{name: "mathf32_amd64.s", f: func(g *gen) { g.eachTier(mathFunctions) }},
	{name: "elemf32_amd64.s", f: func(g *gen) { g.eachTier(elements) }},
	{name: "actf32_amd64.s", f: func(g *gen) { g.eachTier(activations) }},
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
	{name: "depth3x3_amd64.s", f: depth3x3},
	{name: "pixelsq8_amd64.s", f: pixels},
	{name: "overlapq8_amd64.s", f: func(g *gen) { overlaps(g); overlapStrips(g) }},
	{name: "windowf32_amd64.s", f: func(g *gen) { g.eachTier(windowReductions) }},
	{name: "shuffle_amd64.s", f: shuffles},
	{name: "winograd_amd64.s", f: func(g *gen) { g.eachTier(winograd) }},
	{name: "winogradq8_amd64.s", f: winogradQ8},
	{name: "halving_amd64.s", f: func(g *gen) { g.eachTier(halvings) }},
	{name: "cache_amd64.s", f: cpuid},
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
			broadcastConstants(f)
			err = pass.Compile.Execute(f)
		}
		var src []byte
		if err == nil {
			cfg := printer.Config{Argv: []string{"go", "run", "."}, Pkg: "kernel"}
			src, err = printer.NewGoAsm(cfg).Print(f)
		}
		if err == nil {
			err = checkRegisters(src)
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

var (
	textLine = regexp.MustCompile(`^TEXT ·(\w+)\(SB\)`)
	vexOnly  = regexp.MustCompile(`AVX(2|VNNI)[_\d]*$`)
	highReg  = regexp.MustCompile(`\b[XY](1[6-9]|2\d|3[01])\b`)
)

// checkRegisters fails if a routine for AVX2 or AVX-VNNI uses a register that only AVX-512 has: the allocator of registers takes
// one where the sixteen of AVX2 do not suffice.
func checkRegisters(src []byte) error {
	name := ""
	for _, line := range strings.Split(string(src), "\n") {
		if m := textLine.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		if vexOnly.MatchString(name) && highReg.MatchString(line) {
			return fmt.Errorf("%s: too few registers: %s", name, strings.TrimSpace(line))
		}
	}
	return nil
}
