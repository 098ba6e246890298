//go:build aekit_core

package op

// Complete reports whether the program has all operators, sequences, the integer forms of QDQ
// models, blocks of large batches, joined dense layers, the packing of convolutions by slices, weights that
// are scaled or transposed when they are read, 8-bit convolutions in Winograd tiles, shuffles of pixels that are recognised where they are
// spelled out, shared values of Constant nodes, and counts of what models have that are not decoded: it was not built
// with the tag aekit_core.
const Complete = false

var moreTable []row
