//go:build noasm || gccgo || !amd64

package kernel

func overlapUse() *bool { return nil }

func runOverlapQ8(*overlapQ8) { panic("kernel: no such kernel") }
