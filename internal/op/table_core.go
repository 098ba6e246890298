//go:build aekit_core

package op

// Complete reports whether the program has all operators, the integer forms of QDQ models and
// blocks of large batches: it was not built with the tag aekit_core.
const Complete = false

var moreTable []row
