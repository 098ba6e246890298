package onnx_test

import (
	"bytes"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// fuzzLimits keeps the fuzzer from spending its time on large inputs.
var fuzzLimits = onnx.Limits{Nodes: 1 << 12, Tensors: 1 << 12, Elements: 1 << 20}

// FuzzDecode: no panic, decode∘encode stable, and what passes Check can be cut and inlined
// without losing that.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, small(f)))
	f.Add(encode(f, all(f)))
	f.Add([]byte(model(msg(initField, num(1, 2), num(2, 3), packed(5, -128, 127)))))
	f.Add([]byte(model(msg(nodeField, blob(2, "y"), blob(4, "If"), msg(5, blob(1, "then_branch"), num(20, 5), msg(6, msg(12, blob(1, "x"))))))))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := onnx.Decode(b, onnx.DecodeOptions{Limits: fuzzLimits})
		if err != nil {
			return
		}
		e, err := onnx.Encode(m)
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		again, err := onnx.Decode(e, onnx.DecodeOptions{Limits: fuzzLimits, Copy: true})
		if err != nil {
			t.Fatalf("encoded, but not decoded: %v", err)
		}
		if e2, err := onnx.Encode(again); err != nil || !bytes.Equal(e, e2) {
			t.Fatalf("encoding is not stable: %v\n%x\n%x", err, e, e2)
		}
		if onnx.Check(m) != nil {
			return
		}
		if in, err := onnx.Inline(m, 1<<12); err == nil {
			if _, err := onnx.Encode(in); err != nil {
				t.Fatalf("inlined, but not encoded: %v", err)
			}
		}
		var inputs, outputs []string
		for _, v := range m.Graph.Inputs {
			inputs = append(inputs, v.Name)
		}
		for _, v := range m.Graph.Outputs {
			outputs = append(outputs, v.Name)
		}
		if len(outputs) == 0 {
			return
		}
		sub, err := onnx.Extract(m, inputs, outputs)
		if err != nil {
			t.Fatalf("all inputs and outputs: %v", err)
		}
		if err := onnx.Check(sub); err != nil {
			t.Fatalf("the sub-model is invalid: %v", err)
		}
		_, _ = onnx.Extract(m, nil, outputs[:1])
	})
}

// FuzzDecodeTensor: no panic, decode∘encode stable.
func FuzzDecodeTensor(f *testing.F) {
	for _, d := range []tensor.DType{tensor.Float32, tensor.Int8, tensor.Bool, tensor.Float16, tensor.Int64} {
		f.Add(encodeTensor(f, onnx.NewTensor("x", tensor.Must(tensor.New(d, 2, 3)))))
	}
	f.Add([]byte(cat(num(1, 3), num(2, 22), packed(5, 0x21, 0xf3))))
	f.Add([]byte(cat(num(1, 2), num(2, 1), f32(4, 1), f32(4, -2))))
	f.Add([]byte(cat(num(1, 2), num(2, 8), blob(6, "a"), blob(6, ""))))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := onnx.DecodeTensor(b, onnx.DecodeOptions{Limits: fuzzLimits})
		if err != nil {
			return
		}
		e, err := onnx.EncodeTensor(w)
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		again, err := onnx.DecodeTensor(e, onnx.DecodeOptions{Limits: fuzzLimits, Copy: true})
		if err != nil || !again.Equal(w) {
			t.Fatalf("encoded and decoded: %v\n%+v\n%+v", err, w, again)
		}
	})
}
