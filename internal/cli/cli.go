// Package cli is what the command lines of this module's programs have in common: exit
// statuses, errors of usage, help texts in sections, the version, and shell completion.
package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Exit statuses.
const (
	OK     = 0
	Failed = 1 // the work failed, or a check did not hold
	Misuse = 2 // a command line that makes no sense
)

// UsageError is a command line that makes no sense.
type UsageError struct{ Msg string }

func (e UsageError) Error() string { return e.Msg }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error { return UsageError{fmt.Sprintf(format, args...)} }

// Status returns the exit status for an error; nil is success.
func Status(err error) int {
	if err == nil {
		return OK
	}
	if _, ok := errors.AsType[UsageError](err); ok {
		return Misuse
	}
	return Failed
}

// OneLine returns s without line breaks and other control characters, which may come from a
// hostile file, so that a message is one line.
func OneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// maxSide bounds the sides of images on the command line.
const maxSide = 1 << 14

// Size reads WxH, in pixels from 1 to 16384; flag is named in the error, a UsageError.
func Size(flag, s string) (w, h int, err error) {
	a, b, ok := strings.Cut(strings.ToLower(s), "x")
	w, err1 := strconv.Atoi(a)
	h, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil || w < 1 || h < 1 || w > maxSide || h > maxSide {
		return 0, 0, Usagef("%s %q: want WIDTHxHEIGHT, for example 64x64, each at most %d", flag, s, maxSide)
	}
	return w, h, nil
}

// Version names the program, its version, the Go release and the platform. version is what a
// release build was linked with; for "" it is what the build recorded.
func Version(program, version string) string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && (version == "" || version == "(devel)") && len(s.Value) >= 12 {
				version = s.Value[:12]
			}
		}
	}
	if version == "" {
		version = "(devel)"
	}
	return fmt.Sprintf("%s %s %s %s/%s", program, version, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH)
}

// Terminal reports whether f is a character device other than the null device.
func Terminal(f *os.File) bool {
	st, err := f.Stat()
	if err != nil || st.Mode()&fs.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(st, null)
}
