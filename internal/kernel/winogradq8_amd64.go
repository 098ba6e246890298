//go:build !noasm && !gccgo

package kernel

// gemmI16Kernels lists the 16-bit tiles of amd64 but the generic one. Sums wrap in all of them: none uses an instruction that saturates.
var gemmI16Kernels = []gemmI16{
	{name: "vnni-14x32", id: tileVNNI, use: &useVNNI, mr: 14, nr: 32, kr: 2, lanes: 16, call: 16 << 10, channels: 32, results: 64, wanted: 72},
	{name: "avxvnni-6x16", id: tileAVXVNNI, use: &useAVXVNNI, mr: 6, nr: 16, kr: 2, lanes: 8, call: 16 << 10, channels: 16, results: 49, wanted: 65},
	{name: "avx2-6x16", id: tileWide, use: &useAVX2I8, mr: 6, nr: 16, kr: 2, lanes: 8, call: 16 << 10, channels: 16, results: 16, wanted: 45},
}

func archTileI16(id tileID, t *tileI16) {
	switch id {
	case tileVNNI:
		tileI16VNNI(t)
	case tileAVXVNNI:
		tileI16AVXVNNI(t)
	case tileWide:
		tileI16AVX2(t)
	default:
		panic("kernel: no such tile")
	}
}

func archWinogradInput8(id tileID, t *winogradIn8, signed bool) {
	switch {
	case id == tileVNNI && signed:
		winogradInputS8AVX512(t)
	case id == tileVNNI:
		winogradInputU8AVX512(t)
	case signed:
		winogradInputS8AVX2(t)
	default:
		winogradInputU8AVX2(t)
	}
}

func archWinogradOutputQ8(id tileID, t *winogradOutQ8) {
	if id == tileVNNI {
		winogradOutputQ8AVX512(t)
	} else {
		winogradOutputQ8AVX2(t)
	}
}

// tileI16VNNI is tileI16Generic for up to 14 rows and panels of 32 columns.
//
//go:noescape
func tileI16VNNI(t *tileI16)

// tileI16AVXVNNI is tileI16Generic for up to 6 rows and panels of 16 columns.
//
//go:noescape
func tileI16AVXVNNI(t *tileI16)

// tileI16AVX2 is tileI16Generic for up to 6 rows and panels of 16 columns.
//
//go:noescape
func tileI16AVX2(t *tileI16)

// winogradInputU8AVX2 is winogradInput8Generic of unsigned values, for channels rounded up to 16.
//
//go:noescape
func winogradInputU8AVX2(t *winogradIn8)

// winogradInputU8AVX512 is winogradInput8Generic of unsigned values, for channels rounded up to 32.
//
//go:noescape
func winogradInputU8AVX512(t *winogradIn8)

// winogradInputS8AVX2 is winogradInput8Generic of signed values, for channels rounded up to 16.
//
//go:noescape
func winogradInputS8AVX2(t *winogradIn8)

// winogradInputS8AVX512 is winogradInput8Generic of signed values, for channels rounded up to 32.
//
//go:noescape
func winogradInputS8AVX512(t *winogradIn8)

// winogradOutputQ8AVX2 is winogradOutputQ8Generic for a multiple of 8 channels and factors that [ResultsQ8] prepared.
//
//go:noescape
func winogradOutputQ8AVX2(t *winogradOutQ8)

// winogradOutputQ8AVX512 is winogradOutputQ8Generic for a multiple of 16 channels and factors that [ResultsQ8] prepared.
//
//go:noescape
func winogradOutputQ8AVX512(t *winogradOutQ8)
