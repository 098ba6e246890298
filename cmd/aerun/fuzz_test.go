package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzReadLatents: no panic, and what was read reads the same when it is written again.
func FuzzReadLatents(f *testing.F) {
	f.Add([]byte("[1, 2.5, -3e-7]\n[4, 5, 6]\n"), uint8(0))
	f.Add([]byte(`{"file": "a.png", "z": [0.5, 1], "mu": [1, 2]}`+"\n"), uint8(0))
	f.Add([]byte(`{"z": []}`), uint8(0))
	f.Add([]byte("\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n\x00\x00\x00\x00\x00\x00\x00\x00"), uint8(1))
	f.Add([]byte("8\x00\x00\x00\x00\x00\x00\x00{\"z\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}\x00\x00\x00\x00\x00\x00\x00\x00"), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		format := []string{"jsonl", "npy", "safetensors"}[which%3]
		x, err := readLatents(bytes.NewReader(b), format)
		if err != nil {
			return
		}
		if x.Rank() == 0 || x.Elems() == 0 {
			t.Fatalf("%s: %v holds no latent vectors and was accepted", format, x)
		}
		if format != "jsonl" {
			return
		}
		var lines bytes.Buffer
		rows, size := x.Shape()[0], x.Shape()[1]
		for i := range rows {
			if err := json.NewEncoder(&lines).Encode(x.Float32s()[i*size : (i+1)*size]); err != nil {
				t.Fatal(err)
			}
		}
		again, err := readLatents(&lines, format)
		if err != nil || !bytes.Equal(again.Bytes(), x.Bytes()) {
			t.Fatalf("%v read again is %v (%v)", x.Float32s(), again, err)
		}
	})
}
