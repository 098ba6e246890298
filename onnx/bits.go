package onnx

import "github.com/aekit/aekit/tensor"

// unpackBits returns the n elements of a type of less than 8 bits, which raw_data holds
// several to a byte, low bits first, as package tensor stores them: one to a byte, signed
// integers sign-extended. Data of other types is returned as it is.
func unpackBits(t tensor.DType, data []byte, n int) []byte {
	bits := rawBits(t)
	if bits >= 8 || bits == 0 {
		return data
	}
	out := tensor.AlignedBytes(n)
	per, unused := 8/bits, 8-bits
	signed := t == tensor.Int4 || t == tensor.Int2
	for i := range out {
		v := data[i/per] >> (i % per * bits) << unused
		if signed {
			out[i] = byte(int8(v) >> unused)
		} else {
			out[i] = v >> unused
		}
	}
	return out
}

// packBits is the inverse of unpackBits; bits beyond the last element are 0.
func packBits(t tensor.DType, data []byte) []byte {
	bits := rawBits(t)
	if bits >= 8 || bits == 0 {
		return data
	}
	per := 8 / bits
	out := make([]byte, (len(data)+per-1)/per)
	for i, v := range data {
		out[i/per] |= v & (1<<bits - 1) << (i % per * bits)
	}
	return out
}
