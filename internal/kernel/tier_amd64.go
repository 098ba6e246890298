//go:build !noasm && !gccgo

package kernel

import (
	"github.com/aekit/aekit/internal/cpufeat"
	"github.com/aekit/aekit/internal/impl"
)

//go:generate go -C _asm/amd64 run .

var (
	useAVX512 = cpufeat.Has(cpufeat.AVX512)
	useAVX2   = cpufeat.Has(cpufeat.AVX2)
)

func init() {
	impl.Register("kernel", "avx512", &useAVX512)
	impl.Register("kernel", "avx2", &useAVX2)
}
