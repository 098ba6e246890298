package onnx

import "bytes"

func (d *decoder) valueInfo(r reader) *ValueInfo {
	v := alloc[ValueInfo](d)
	typed := false
	for r.next() {
		switch r.num {
		case 1:
			v.Name = r.str()
		case 2:
			once(&r, typed, "the value's type")
			typed = true
			v.Type = d.typ(r.message())
		case 3:
			v.DocString = r.str()
		case 4:
			v.Metadata = d.pair(v.Metadata, r.message())
		default:
			r.skip()
		}
	}
	return v
}

func (d *decoder) typ(r reader) Type {
	var t Type
	lo := r.pos
	for r.next() {
		kind := KindNone
		switch r.num {
		case 1:
			kind = KindTensor
		case 4:
			kind = KindSequence
		case 5:
			kind = KindMap
		case 6:
			t.Denotation = r.str()
			continue
		case 7:
			kind = KindOpaque
		case 8:
			kind = KindSparse
		case 9:
			kind = KindOptional
		default:
			r.skip()
			continue
		}
		if t.Kind != KindNone {
			r.fail(r.at, "a type has two alternatives")
		}
		t.Kind = kind
		if kind == KindTensor {
			d.tensorType(&t, r.message())
		} else {
			r.bytes()
		}
	}
	if t.Kind > KindTensor {
		d.charge(r.end - lo)
		if d.err == nil {
			t.Raw = bytes.Clone(d.buf[lo:r.end])
		}
	}
	return t
}

func (d *decoder) tensorType(t *Type, r reader) {
	for r.next() {
		switch r.num {
		case 1:
			t.Elem = d.elemType(r.at, r.enum())
		case 2:
			once(&r, t.HasShape, "the type's shape")
			t.HasShape = true
			s := r.message()
			for s.next() {
				if s.num == 1 {
					d.charge(40)
					t.Shape = append(t.Shape, d.dim(s.message()))
				} else {
					s.skip()
				}
			}
		default:
			r.skip()
		}
	}
}

func (d *decoder) dim(r reader) Dim {
	v := Dim{Value: -1}
	for r.next() {
		switch r.num {
		case 1:
			v.Value, v.Param = max(r.int64(), -1), ""
		case 2:
			v.Value, v.Param = -1, r.str()
		case 3:
			v.Denotation = r.str()
		default:
			r.skip()
		}
	}
	return v
}
