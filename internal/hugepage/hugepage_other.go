//go:build !linux

package hugepage

func advise(from, n uintptr) {}

func mapped(n uintptr) []byte { return nil }

func unmap([]byte) {}
