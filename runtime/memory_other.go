//go:build !linux

package runtime

func systemBound() (memoryBound, bool) { return memoryBound{}, false }
