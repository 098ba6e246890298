//go:build !(amd64 || 386 || arm64 || ppc64le || wasm)

package onnx

const readsUnaligned = false
