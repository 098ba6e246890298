// Package ort runs models on ONNX Runtime, Microsoft's engine, which is loaded from a shared
// library when it is first used:
//
//	backend, err := ort.New(ort.Options{Library: "/usr/lib/libonnxruntime.so.1"})
//	s, err := runtime.Open("model.onnx", runtime.Options{Backend: backend})
//
// The package needs cgo. In a build without it (CGO_ENABLED=0) New returns [ErrNoCgo].
package ort

import "errors"

// LibraryEnv is the environment variable that names the shared library where
// Options.Library is empty.
const LibraryEnv = "AEKIT_ORT_LIB"

// ErrNoCgo is returned by New in programs that were built without cgo.
var ErrNoCgo = errors.New("this program was built without cgo, which ONNX Runtime needs: build it with CGO_ENABLED=1 and a C compiler")

// Options configures the backend. The zero value takes the library from the environment.
type Options struct {
	// Library is the path of the shared library: libonnxruntime.so.1, onnxruntime.dll or
	// libonnxruntime.dylib, of a version that knows the API of the Go binding in use. A
	// process loads one library: the first.
	Library string
	// Plain switches graph optimisations off.
	Plain bool
	// Config holds entries of the session's configuration, by their names in ONNX Runtime's
	// onnxruntime_session_options_config_keys.h. "session.x64quantprecision": "1" makes
	// products of 8-bit integers exact on processors where they saturate otherwise.
	Config map[string]string
}
