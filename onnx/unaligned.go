package onnx

import goruntime "runtime"

// readsUnaligned says whether the processor reads numbers at any address, in scalar and in
// vector registers. Those of 32-bit ARM trap on floating-point ones, and others are slow.
const readsUnaligned = goruntime.GOARCH == "amd64" || goruntime.GOARCH == "386" || goruntime.GOARCH == "arm64" ||
	goruntime.GOARCH == "ppc64le" || goruntime.GOARCH == "wasm"
