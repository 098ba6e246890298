package onnx

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// compareWire holds the readers against those of the protobuf module on one input.
func compareWire(t *testing.T, b []byte) {
	t.Helper()
	v, n, err := consumeVarint(b)
	wv, wn := protowire.ConsumeVarint(b)
	if (err == nil) != (wn > 0) || err == nil && (v != wv || n != wn) {
		t.Errorf("varint of %x: %d in %d bytes, %v; want %d in %d", b, v, n, err, wv, wn)
	}
	num, typ, n, err := consumeTag(b)
	wnum, wtyp, wn := protowire.ConsumeTag(b)
	if wn > 0 && wnum > protowire.MaxValidNumber {
		wn = -1 // which the specification does not allow
	}
	if (err == nil) != (wn > 0) || err == nil && (int32(num) != int32(wnum) || int8(typ) != int8(wtyp) || n != wn) {
		t.Errorf("tag of %x: %d %d in %d bytes, %v; want %d %d in %d", b, num, typ, n, err, wnum, wtyp, wn)
	}
	if err != nil {
		return
	}
	got, err := fieldLen(num, typ, b[n:])
	want := protowire.ConsumeFieldValue(wnum, wtyp, b[n:])
	if (err == nil) != (want >= 0) || err == nil && got != want {
		t.Errorf("value of field %d, type %d in %x: %d bytes, %v; want %d", num, typ, b[n:], got, err, want)
	}
}

func TestWireFormat(t *testing.T) {
	for _, b := range [][]byte{
		nil, {0}, {0x80}, {0x80, 0}, {0x08, 0x96, 0x01}, {0x0b, 0x0c}, {0x0b, 0x14}, {0x0c}, {0x0e}, {0x0f},
		{0x0b, 0x13, 0x08, 1, 0x14, 0x0c}, {0x0b, 0x08}, {0x0d, 1, 2, 3}, {0x0d, 1, 2, 3, 4}, {0x09, 1, 2, 3, 4, 5, 6, 7}, {0x0a, 3, 1, 2},
		bytes.Repeat([]byte{0xff}, 9), append(bytes.Repeat([]byte{0xff}, 9), 1), append(bytes.Repeat([]byte{0xff}, 9), 2),
		append(bytes.Repeat([]byte{0xff}, 10), 1), {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		{0xf8, 0xff, 0xff, 0xff, 0x0f, 1}, {0x80, 0x80, 0x80, 0x80, 0x10, 1},
	} {
		compareWire(t, b)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		b := make([]byte, r.IntN(24))
		for i := range b {
			// Small numbers make nested groups and short lengths likely.
			if b[i] = byte(r.IntN(32)); r.IntN(8) == 0 {
				b[i] = byte(r.Uint32())
			}
		}
		compareWire(t, b)
	}
	for _, v := range []uint64{0, 1, 127, 128, 1<<14 - 1, 1 << 14, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1<<64 - 1} {
		got, want := appendVarint(nil, v), protowire.AppendVarint(nil, v)
		if !bytes.Equal(got, want) || varintLen(v) != len(want) {
			t.Errorf("varint %d: %x of length %d, want %x", v, got, varintLen(v), want)
		}
	}
}

func TestGroupsNest(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x0b}, maxGroups+1), bytes.Repeat([]byte{0x0c}, maxGroups+1)...)
	if _, err := fieldLen(1, startGroupType, deep[1:]); err != errGroups {
		t.Errorf("%d nested groups: error %v, want %v", maxGroups+1, err, errGroups)
	}
	if n, err := fieldLen(1, startGroupType, deep[2:2*maxGroups+1]); err != nil || n != 2*maxGroups-1 {
		t.Errorf("%d nested groups: %d bytes, %v, want %d", maxGroups, n, err, 2*maxGroups-1)
	}
}
