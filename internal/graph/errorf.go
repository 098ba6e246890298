package graph

import "fmt"

// errorf is [fmt.Errorf], which the compiler would put into every function that calls it.
//
//go:noinline
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
