package onnx

import (
	"errors"
	"math/bits"
)

// fieldNumber and wireType make up the tag in front of each field of a message.
// See https://protobuf.dev/programming-guides/encoding/.
type (
	fieldNumber int32
	wireType    uint8
)

const (
	varintType     wireType = 0
	fixed64Type    wireType = 1
	bytesType      wireType = 2
	startGroupType wireType = 3
	endGroupType   wireType = 4
	fixed32Type    wireType = 5
)

const maxFieldNumber = 1<<29 - 1

// maxGroups is how deep groups, an old form of nested messages that ONNX does not use, may
// nest in a field that is skipped.
const maxGroups = 100

var (
	errTruncated   = errors.New("the data ends too early")
	errVarint      = errors.New("a variable-length integer has more than 64 bits")
	errFieldNumber = errors.New("the field number is out of range")
	errWireType    = errors.New("the wire type is not defined")
	errEndGroup    = errors.New("the end of a group does not fit its start")
	errGroups      = errors.New("groups are nested too deeply")
)

// consumeVarint reads a variable-length integer at the beginning of b and returns the
// number of its bytes.
func consumeVarint(b []byte) (v uint64, n int, err error) {
	for i, c := range b {
		if i == 9 && c > 1 {
			return 0, 0, errVarint
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1, nil
		}
	}
	return 0, 0, errTruncated
}

func consumeTag(b []byte) (num fieldNumber, typ wireType, n int, err error) {
	v, n, err := consumeVarint(b)
	if err != nil {
		return 0, 0, 0, err
	}
	if v>>3 < 1 || v>>3 > maxFieldNumber {
		return 0, 0, 0, errFieldNumber
	}
	return fieldNumber(v >> 3), wireType(v & 7), n, nil
}

// fieldLen returns the number of bytes of the value at the beginning of b whose tag was num
// and typ. For a group that includes its end tag.
func fieldLen(num fieldNumber, typ wireType, b []byte) (int, error) {
	var open []fieldNumber // the groups around the position
	pos := 0
	for {
		rest := b[pos:]
		n, err := 0, error(nil)
		switch typ {
		case varintType:
			_, n, err = consumeVarint(rest)
		case fixed32Type:
			n = 4
		case fixed64Type:
			n = 8
		case bytesType:
			var size uint64
			if size, n, err = consumeVarint(rest); err == nil {
				if size > uint64(len(rest)-n) {
					return 0, errTruncated
				}
				n += int(size)
			}
		case startGroupType:
			if len(open) == maxGroups {
				return 0, errGroups
			}
			open = append(open, num)
		case endGroupType:
			if len(open) == 0 || open[len(open)-1] != num {
				return 0, errEndGroup
			}
			open = open[:len(open)-1]
		default:
			err = errWireType
		}
		if err == nil && n > len(rest) {
			err = errTruncated
		}
		if err != nil {
			return 0, err
		}
		pos += n
		if len(open) == 0 {
			return pos, nil
		}
		if num, typ, n, err = consumeTag(b[pos:]); err != nil {
			return 0, err
		}
		pos += n
	}
}

func appendVarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// varintLen returns the number of bytes that appendVarint appends.
func varintLen(v uint64) int { return max(1, (bits.Len64(v)+6)/7) }

func tagOf(num fieldNumber, typ wireType) uint64 { return uint64(num)<<3 | uint64(typ) }
