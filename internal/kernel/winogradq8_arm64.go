//go:build !noasm && !gccgo

package kernel

import "math"

// gemmI16Kernels lists the 16-bit tile of arm64 beside the generic one, for each tier of direct sums. Instructions that multiply 16 or 32 bytes are as
// fast as four times as many products of 16-bit values, so that only where there are none do tiles pay.
var gemmI16Kernels = []gemmI16{
	{name: "neon-4x16", id: tileNEON, use: &useI8MM, mr: 4, nr: 16, kr: 1, lanes: 4, call: 1 << 10, channels: math.MaxInt},
	{name: "neon-4x16", id: tileNEON, use: &useDotProd, mr: 4, nr: 16, kr: 1, lanes: 4, call: 1 << 10, channels: math.MaxInt},
	{name: "neon-4x16", id: tileNEON, use: &useNEON, mr: 4, nr: 16, kr: 1, lanes: 4, call: 1 << 10, channels: 16, results: 64, wanted: 50},
}

func archTileI16(_ tileID, t *tileI16) { tileI16NEON(t) }

func archWinogradInput8(_ tileID, t *winogradIn8, signed bool) {
	if signed {
		winogradInputS8NEON(t)
	} else {
		winogradInputU8NEON(t)
	}
}

func archWinogradOutputQ8(_ tileID, t *winogradOutQ8) { winogradOutputQ8NEON(t) }

// tileI16NEON is tileI16Generic for up to 4 rows, panels of 16 columns and single channels.
//
//go:noescape
func tileI16NEON(t *tileI16)

// winogradInputU8NEON is winogradInput8Generic of unsigned values, for channels rounded up to 8.
//
//go:noescape
func winogradInputU8NEON(t *winogradIn8)

// winogradInputS8NEON is winogradInput8Generic of signed values, for channels rounded up to 8.
//
//go:noescape
func winogradInputS8NEON(t *winogradIn8)

// winogradOutputQ8NEON is winogradOutputQ8Generic for a multiple of 4 channels and factors that [ResultsQ8] prepared.
//
//go:noescape
func winogradOutputQ8NEON(t *winogradOutQ8)
