//go:build aekit_core

package op

// Complete reports whether the program has all operators and the integer forms of QDQ models:
// it was not built with the tag aekit_core.
const Complete = false

var moreTable []row
