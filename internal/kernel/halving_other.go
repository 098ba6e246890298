//go:build noasm || gccgo || !amd64

package kernel

// HalvingIsFast reports whether the transforms are vector code: without, they cost more than
// the products that they save.
func HalvingIsFast() bool { return false }

func halvingInputF32(t *halving)  { halvingInputF32Generic(t) }
func halvingFilterF32(t *halving) { halvingFilterF32Generic(t) }
func halvingOutputF32(t *halving) { halvingOutputF32Generic(t) }
