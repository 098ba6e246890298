package ort

import (
	"errors"
	"strings"
	"testing"
)

func TestNewWithoutLibrary(t *testing.T) {
	t.Setenv(LibraryEnv, "")
	_, err := New(Options{})
	if err == nil || !errors.Is(err, ErrNoCgo) && !strings.Contains(err.Error(), LibraryEnv) {
		t.Errorf("New without a library: %v", err)
	}
	if _, err := New(Options{Library: "no/such/library.so"}); err == nil || !errors.Is(err, ErrNoCgo) && !strings.Contains(err.Error(), "library") {
		t.Errorf("New with a library that is not there: %v", err)
	}
}
