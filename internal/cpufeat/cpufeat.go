// Package cpufeat says which instruction-set features the kernels may use.
//
// A feature is in force when the processor and the operating system offer it and the environment variable AEKIT_CPU
// does not mask it. AEKIT_CPU is a comma-separated list of feature names, each preceded by a minus sign:
//
//	AEKIT_CPU=-avx512,-vnni
//
// Masking a feature also masks every feature that builds on it. The variable is read once, when the package is
// initialised, and can only take features away. All functions are safe for concurrent use.
package cpufeat

import (
	"os"
	"slices"
	"strings"
)

// Feature names a group of instruction-set extensions that the kernels use together.
type Feature string

const (
	AVX2    Feature = "avx2"    // amd64: AVX2, FMA and BMI2, with the operating system saving ymm registers
	AVX512  Feature = "avx512"  // amd64: AVX-512 F, BW, CD, DQ and VL
	VNNI    Feature = "vnni"    // amd64: AVX512_VNNI
	VBMI    Feature = "vbmi"    // amd64: AVX512_VBMI
	AVXVNNI Feature = "avxvnni" // amd64: AVX_VNNI, which processors without AVX-512 may have
	NEON    Feature = "neon"    // arm64: Advanced SIMD
	DotProd Feature = "dotprod" // arm64: SDOT and UDOT
	I8MM    Feature = "i8mm"    // arm64: SMMLA, UMMLA and USMMLA
)

// features lists every feature with the one it builds on ("" for none), a base before what needs it.
var features = []struct{ name, base Feature }{
	{AVX2, ""},
	{AVX512, AVX2},
	{VNNI, AVX512},
	{VBMI, AVX512},
	{AVXVNNI, AVX2},
	{NEON, ""},
	{DotProd, NEON},
	{I8MM, DotProd},
}

var enabled, unknown = parse(os.Getenv("AEKIT_CPU"), detect)

// parse returns the features that has reports and mask leaves, and the entries of mask that name no feature.
func parse(mask string, has func(Feature) bool) (map[Feature]bool, []string) {
	masked := map[Feature]bool{}
	var bad []string
	for entry := range strings.SplitSeq(mask, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		name, minus := strings.CutPrefix(strings.ToLower(entry), "-")
		known := false
		for _, f := range features {
			known = known || string(f.name) == name
		}
		if !minus || !known {
			bad = append(bad, entry)
			continue
		}
		masked[Feature(name)] = true
	}
	on := map[Feature]bool{}
	for _, f := range features {
		on[f.name] = has(f.name) && !masked[f.name] && (f.base == "" || on[f.base])
	}
	return on, bad
}

// Has reports whether f is in force.
func Has(f Feature) bool { return enabled[f] }

// List returns the features in force, a base before what builds on it.
func List() []Feature {
	var l []Feature
	for _, f := range features {
		if enabled[f.name] {
			l = append(l, f.name)
		}
	}
	return l
}

// Unknown returns the entries of AEKIT_CPU that were ignored because they are not a minus sign and a feature name.
func Unknown() []string { return slices.Clone(unknown) }
