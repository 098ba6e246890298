//go:build amd64 || 386 || arm64 || ppc64le || wasm

package onnx

// readsUnaligned says whether the processor reads numbers at any address, in scalar and in
// vector registers. Those of 32-bit ARM trap on floating-point ones, and others are slow.
const readsUnaligned = true
