//go:build !noasm && !gccgo

package kernel

import (
	"github.com/aekit/aekit/internal/cpufeat"
	"github.com/aekit/aekit/internal/impl"
)

// The tiers in force. A better one implies those after it, except while a test switches it off.
var (
	useDotProd = cpufeat.Has(cpufeat.DotProd)
	useNEON    = cpufeat.Has(cpufeat.NEON)
)

func init() {
	impl.Register("kernel", "dotprod", &useDotProd)
	impl.Register("kernel", "neon", &useNEON)
}

func vectorTier() string {
	if useNEON {
		return "neon"
	}
	return "generic"
}
