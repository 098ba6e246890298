//go:build !noasm && !gccgo

package kernel

import (
	"github.com/aekit/aekit/internal/cpufeat"
	"github.com/aekit/aekit/internal/impl"
)

// The tiers in force.
var (
	useDotProd = cpufeat.Has(cpufeat.DotProd)
	useNEON    = cpufeat.Has(cpufeat.NEON)
)

func init() {
	impl.Register("kernel", "neon", &useNEON)
	impl.Register("kernel/i8", "dotprod", &useDotProd)
	impl.Register("kernel/i8", "neon", &useNEON)
}

func vectorTier() string {
	if useNEON {
		return "neon"
	}
	return "generic"
}
