//go:build !noasm && !gccgo

package kernel

import (
	"github.com/aekit/aekit/internal/cpufeat"
	"github.com/aekit/aekit/internal/impl"
)

// The tiers in force.
var (
	useI8MM    = cpufeat.Has(cpufeat.I8MM)
	useDotProd = cpufeat.Has(cpufeat.DotProd)
	useNEON    = cpufeat.Has(cpufeat.NEON)
)

func init() {
	impl.Register("kernel", "neon", &useNEON)
	impl.Register("kernel/i8", "i8mm", &useI8MM)
	impl.Register("kernel/i8", "dotprod", &useDotProd)
	impl.Register("kernel/i8", "neon", &useNEON)
}

func vectorTier() string {
	if useNEON {
		return "neon"
	}
	return "generic"
}
