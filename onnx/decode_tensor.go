package onnx

import (
	"bytes"
	"math"
	"slices"
	"unsafe"

	"github.com/aekit/aekit/tensor"
)

func float32from(b uint32) float32 { return math.Float32frombits(b) }

// rawBits returns the bits of one element in raw_data, 0 for types that have no raw form.
func rawBits(t tensor.DType) int {
	switch t {
	case tensor.Complex64:
		return 64
	case tensor.Complex128:
		return 128
	case tensor.Uint4, tensor.Int4, tensor.Float4E2M1:
		return 4
	case tensor.Uint2, tensor.Int2:
		return 2
	}
	return 8 * t.Size()
}

// typedField returns the field of TensorProto that holds elements of this type, other than
// raw_data.
func typedField(t tensor.DType) fieldNumber {
	switch t {
	case tensor.Float32, tensor.Complex64:
		return 4
	case tensor.String:
		return 6
	case tensor.Int64:
		return 7
	case tensor.Float64, tensor.Complex128:
		return 10
	case tensor.Uint32, tensor.Uint64:
		return 11
	}
	return 5
}

func (d *decoder) elemType(at int, v int32) tensor.DType {
	if v < 0 || v > math.MaxUint8 {
		d.fail(at, "element type %d does not exist", v)
		return 0
	}
	return tensor.DType(v)
}

// Elems returns the product of t's dimensions, and false if one is negative or the product
// does not fit an int64.
func (t *Tensor) Elems() (int64, bool) { return elems(t.Dims) }

func elems(dims []int64) (int64, bool) {
	n := int64(1)
	for _, v := range dims {
		if v < 0 {
			return 0, false
		}
	}
	for _, v := range dims {
		if v == 0 {
			return 0, true
		}
		if n > math.MaxInt64/v {
			return 0, false
		}
		n *= v
	}
	return n, true
}

// intDims returns dims as ints. It fails where one does not fit, on 32-bit machines.
func intDims(dims []int64) (tensor.Shape, bool) {
	s := make(tensor.Shape, len(dims))
	for i, v := range dims {
		s[i] = int(v)
		if int64(s[i]) != v {
			return nil, false
		}
	}
	return s, true
}

// tensorScan is what the first walk over a TensorProto finds.
type tensorScan struct {
	raw      []byte
	count    [12]int64 // values in each typed field, by field number
	external bool
}

func (d *decoder) tensor(r reader) *Tensor {
	t := alloc[Tensor](d)
	if d.tensors++; d.tensors > d.opts.Limits.Tensors && d.err == nil {
		d.err = &LimitError{"tensors", int64(d.opts.Limits.Tensors)}
	}
	var s tensorScan
	again := r
	for r.next() {
		switch r.num {
		case 1:
			t.Dims = r.varints(t.Dims)
		case 2:
			t.DType = d.elemType(r.at, r.enum())
		case 3:
			d.unsupported("tensors in segments")
			r.skip()
		case 4, 5, 7, 10, 11:
			d.countTyped(&r, &s)
		case 6:
			d.charge(24)
			s.count[6]++
			t.Strings = append(t.Strings, r.blob())
		case 8:
			t.Name = r.str()
		case 9:
			s.raw = r.bytes()
		case 12:
			t.DocString = r.str()
		case 13:
			t.External = d.pair(t.External, r.message())
		case 14:
			loc := r.enum()
			if loc != 0 && loc != 1 {
				r.fail(r.at, "data_location %d does not exist", loc)
			}
			s.external = loc == 1
		case 16:
			t.Metadata = d.pair(t.Metadata, r.message())
		default:
			r.skip()
		}
	}
	if d.err == nil {
		d.tensorData(t, &s, again)
	}
	return t
}

// countTyped counts the values of a typed field and steps over them.
func (d *decoder) countTyped(r *reader, s *tensorScan) {
	field := r.num
	single, size := varintType, 0
	switch field {
	case 4:
		single, size = fixed32Type, 4
	case 10:
		single, size = fixed64Type, 8
	}
	if r.typ == single {
		s.count[field]++
		r.skip()
		return
	}
	b := r.bytes()
	if size == 0 {
		s.count[field] += int64(countVarints(b))
		if len(b) > 0 && b[len(b)-1] >= 0x80 {
			r.fail(r.at, "field %d ends inside a number", field)
		}
		return
	}
	if len(b)%size != 0 {
		r.fail(r.at, "field %d: %d bytes are not whole numbers of %d bytes", field, len(b), size)
	}
	s.count[field] += int64(len(b) / size)
}

// tensorData turns the data that the scan found into t's elements. The reader stands at
// the start of the message.
func (d *decoder) tensorData(t *Tensor, s *tensorScan, r reader) {
	at := r.pos
	n, ok := t.Elems()
	if !ok {
		d.fail(at, "tensor %q: shape %v is negative or overflows", t.Name, t.Dims)
		return
	}
	if n > d.opts.Limits.Elements {
		d.err = &LimitError{"elements in a tensor", d.opts.Limits.Elements}
		return
	}
	if t.DType == tensor.Undefined {
		d.fail(at, "tensor %q has no element type", t.Name)
		return
	}
	if t.DType > tensor.Int2 {
		d.unsupported("element type %d of tensor %q", t.DType, t.Name)
		return
	}
	field := typedField(t.DType)
	for f, c := range s.count {
		if c > 0 && f != int(field) {
			d.fail(at, "tensor %q of type %v has data in field %d, which is for other types", t.Name, t.DType, f)
			return
		}
	}
	if s.external {
		if len(s.raw) > 0 || s.count[field] > 0 {
			d.fail(at, "tensor %q has both external data and data of its own", t.Name)
		}
		if len(t.External) == 0 {
			t.External = []StringPair{}
		}
		return
	}
	t.External = nil
	if t.DType == tensor.String {
		if len(s.raw) > 0 || s.count[6] != n {
			d.fail(at, "tensor %q: shape %v has %d strings, string_data has %d", t.Name, t.Dims, n, s.count[6])
		}
		return
	}
	shape, ok := intDims(t.Dims)
	size, ok2 := rawSize(t.DType, n)
	if !ok || !ok2 || int64(int(n)) != n {
		d.unsupported("tensor %q: shape %v is too large for this machine", t.Name, t.Dims)
		return
	}
	var data []byte
	switch typed := s.count[field]; {
	case typed > 0 && len(s.raw) > 0:
		d.fail(at, "tensor %q has its data twice", t.Name)
	case typed > 0:
		if want := typedCount(t.DType, n); typed != want {
			d.fail(at, "tensor %q: shape %v of %v takes %d values, field %d has %d", t.Name, t.Dims, t.DType, want, field, typed)
			return
		}
		data = d.typedData(t, r, field, size)
	case len(s.raw) != size:
		d.fail(at, "tensor %q: shape %v of %v takes %d bytes, raw_data has %d", t.Name, t.Dims, t.DType, size, len(s.raw))
	default:
		data = d.rawData(t.DType, s.raw)
	}
	if d.err != nil {
		return
	}
	if t.DType.Size() == 0 {
		t.Raw = data
		return
	}
	data = unpackBits(t.DType, data, int(n))
	if d.viewsUnaligned(size) {
		t.Value = new(tensor.Tensor)
		t.Value.Set(t.DType, data, shape)
		return
	}
	v, err := tensor.FromBytes(t.DType, data, shape...)
	if err != nil {
		d.fail(at, "tensor %q: %v", t.Name, err)
		return
	}
	t.Value = v
}

func (d *decoder) viewsUnaligned(size int) bool {
	return d.opts.Unaligned && !d.opts.Copy && readsUnaligned && size >= UnalignedBytes
}

// rawSize returns the bytes that n elements take in raw_data, 0 for types that have no raw
// form; false if they do not fit.
func rawSize(t tensor.DType, n int64) (int, bool) {
	bits := int64(rawBits(t))
	var size int64
	if bits == 0 {
		return 0, true
	}
	if bits < 8 {
		per := 8 / bits
		size = n / per
		if n%per != 0 {
			size++
		}
	} else {
		if n > math.MaxInt64/(bits/8) {
			return 0, false
		}
		size = n * (bits / 8)
	}
	return int(size), size <= math.MaxInt-tensor.Align
}

// typedCount returns how many values of its typed field n elements take.
func typedCount(t tensor.DType, n int64) int64 {
	switch t {
	case tensor.Complex64, tensor.Complex128:
		return 2 * n
	case tensor.Uint4, tensor.Int4, tensor.Float4E2M1, tensor.Uint2, tensor.Int2:
		size, _ := rawSize(t, n)
		return int64(size)
	}
	return n
}

// rawData returns raw_data in the machine's byte order: the view itself where that can be
// used as it is, else an aligned copy.
func (d *decoder) rawData(t tensor.DType, raw []byte) []byte {
	size := max(t.Size(), 1)
	aligned := uintptr(unsafe.Pointer(unsafe.SliceData(raw)))%uintptr(size) == 0
	canonical := t != tensor.Bool || !slices.ContainsFunc(raw, func(c byte) bool { return c > 1 })
	if d.opts.Unaligned && readsUnaligned {
		aligned = d.viewsUnaligned(len(raw))
	}
	if !d.opts.Copy && aligned && canonical && (tensor.HostLittleEndian || size == 1) {
		return raw
	}
	data := alignedCopy(raw)
	if !tensor.HostLittleEndian {
		tensor.SwapBytes(data, size)
	}
	if !canonical {
		tensor.CanonicalBools(data)
	}
	return data
}

// alignedCopy returns a copy of b that starts at a multiple of [tensor.Align]. Large
// allocations do so by themselves, and a plain make and copy need not clear memory first.
func alignedCopy(b []byte) []byte {
	if len(b) >= 32<<10 {
		data := make([]byte, len(b))
		copy(data, b)
		if uintptr(unsafe.Pointer(unsafe.SliceData(data)))%tensor.Align == 0 {
			return data
		}
	}
	data := tensor.AlignedBytes(len(b))
	copy(data, b)
	return data
}

func (d *decoder) sparse(r reader) *SparseTensor {
	s := alloc[SparseTensor](d)
	at := r.pos
	for r.next() {
		switch r.num {
		case 1:
			once(&r, s.Values != nil, "the sparse tensor's values")
			s.Values = d.tensor(r.message())
		case 2:
			once(&r, s.Indices != nil, "the sparse tensor's indices")
			s.Indices = d.tensor(r.message())
		case 3:
			s.Dims = r.varints(s.Dims)
		default:
			r.skip()
		}
	}
	if s.Values == nil || s.Indices == nil {
		d.fail(at, "a sparse tensor has no values or no indices")
	}
	return s
}

// Equal reports whether t and u are the same tensor: name, type, shape and elements bit for
// bit, external references and texts.
func (t *Tensor) Equal(u *Tensor) bool {
	if t == nil || u == nil {
		return t == u
	}
	var tb, ub []byte
	if t.Value != nil {
		tb = t.Value.Bytes()
	}
	if u.Value != nil {
		ub = u.Value.Bytes()
	}
	return t.Name == u.Name && t.DType == u.DType && slices.Equal(t.Dims, u.Dims) && t.DocString == u.DocString &&
		(t.Value == nil) == (u.Value == nil) && bytes.Equal(tb, ub) && bytes.Equal(t.Raw, u.Raw) &&
		slices.EqualFunc(t.Strings, u.Strings, bytes.Equal) && (t.External == nil) == (u.External == nil) &&
		slices.Equal(t.External, u.External) && slices.Equal(t.Metadata, u.Metadata)
}
