// Package safetensors reads and writes tensors in the safetensors format: the length of a
// header (8 bytes, little-endian), the header (JSON: type, shape and place of each tensor,
// and texts under "__metadata__"), the elements, little-endian
// (https://github.com/huggingface/safetensors#format).
//
// # Security Considerations
//
// Files may come from anybody. The format holds no code; this package checks, as the
// reference implementation does, that the header is at most 100 MB, that every tensor lies
// inside the file and has as many bytes as its type and shape ask for, and that the tensors
// cover the data without overlaps or holes. A name that occurs twice is refused.
package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/tensor"
)

// MaxHeader is the largest header, in bytes, that is read or written.
const MaxHeader = 100_000_000

// metadataKey is the header's entry that is not a tensor.
const metadataKey = "__metadata__"

// File is the content of a safetensors file.
type File struct {
	Tensors  map[string]*tensor.Tensor
	Metadata map[string]string
}

// FormatError says that the input is not a well-formed safetensors file.
type FormatError struct {
	Offset int64 // position in the input of what is at fault
	Msg    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("safetensors: malformed at byte %d: %s", e.Offset, e.Msg)
}

// UnsupportedError says that a tensor has a valid type that package tensor cannot represent.
type UnsupportedError string

func (e UnsupportedError) Error() string { return "safetensors: not supported: " + string(e) }

var dtypes = map[string]tensor.DType{
	"BOOL": tensor.Bool, "U8": tensor.Uint8, "I8": tensor.Int8, "I16": tensor.Int16, "U16": tensor.Uint16,
	"F16": tensor.Float16, "BF16": tensor.BFloat16, "I32": tensor.Int32, "U32": tensor.Uint32,
	"F32": tensor.Float32, "F64": tensor.Float64, "I64": tensor.Int64, "U64": tensor.Uint64,
}

var dtypeNames = func() map[tensor.DType]string {
	m := map[tensor.DType]string{}
	for name, d := range dtypes {
		m[d] = name
	}
	return m
}()

// otherTypes are types of the format that package tensor does not have.
var otherTypes = []string{"F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"}

// entry is a tensor's description in the header.
type entry struct {
	name       string
	dtype      tensor.DType
	shape      tensor.Shape
	begin, end int64 // in the data
}

// Decode reads a file from its bytes. Tensors are views of b where that is possible (aligned
// elements, little-endian machine): b must outlive them and must not change. Errors are of
// type *[FormatError] or [UnsupportedError].
func Decode(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, &FormatError{0, fmt.Sprintf("%d bytes are no file", len(b))}
	}
	size := binary.LittleEndian.Uint64(b)
	if size > MaxHeader {
		return nil, &FormatError{0, fmt.Sprintf("a header of %d bytes, at most %d are read", size, MaxHeader)}
	}
	if size > uint64(len(b)-8) {
		return nil, &FormatError{0, fmt.Sprintf("a header of %d bytes in a file of %d", size, len(b))}
	}
	header, data := b[8:8+size], b[8+size:]
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.begin != b.begin:
			return cmp(a.begin, b.begin)
		case a.end != b.end:
			return cmp(a.end, b.end)
		}
		return strings.Compare(a.name, b.name)
	})
	f := &File{Tensors: make(map[string]*tensor.Tensor, len(entries)), Metadata: metadata}
	at := int64(0)
	for _, e := range entries {
		if e.begin != at || e.end < e.begin || e.end > int64(len(data)) {
			return nil, &FormatError{8, fmt.Sprintf("tensor %q lies at [%d, %d), expected to begin at %d of %d", e.name, e.begin, e.end, at, len(data))}
		}
		at = e.end
		n, err := tensor.ByteSize(e.dtype, e.shape)
		if err != nil || int64(n) != e.end-e.begin {
			return nil, &FormatError{8, fmt.Sprintf("tensor %q: %v%v does not take %d bytes", e.name, e.dtype, e.shape, e.end-e.begin)}
		}
		t, err := tensor.FromBytes(e.dtype, elements(e.dtype, data[e.begin:e.end:e.end]), e.shape...)
		if err != nil {
			return nil, &FormatError{8, fmt.Sprintf("tensor %q: %v", e.name, err)}
		}
		f.Tensors[e.name] = t
	}
	if at != int64(len(data)) {
		return nil, &FormatError{8 + int64(size) + at, fmt.Sprintf("%d bytes belong to no tensor", int64(len(data))-at)}
	}
	return f, nil
}

func cmp(a, b int64) int {
	if a < b {
		return -1
	}
	return 1
}

// elements returns little-endian data in the machine's byte order: itself where possible.
func elements(d tensor.DType, data []byte) []byte {
	size := d.Size()
	odd := d == tensor.Bool && slices.ContainsFunc(data, func(c byte) bool { return c > 1 })
	if !odd && (tensor.HostLittleEndian || size == 1) && uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(size) == 0 {
		return data
	}
	c := tensor.AlignedBytes(len(data))
	copy(c, data)
	if !tensor.HostLittleEndian {
		tensor.SwapBytes(c, size)
	}
	if odd {
		tensor.CanonicalBools(c)
	}
	return c
}

// ReadFile reads a file of at most maxBytes bytes; 0 stands for 2 GiB. The tensors own their
// memory. Errors name the file.
func ReadFile(path string, maxBytes int64) (*File, error) {
	if maxBytes == 0 {
		maxBytes = 2 << 30
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	st, err := r.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxBytes || st.Size() > math.MaxInt-tensor.Align {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxBytes)
	}
	b := tensor.AlignedBytes(int(st.Size()))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Write writes f. Equal files give equal bytes: tensors are in descending order of element
// size, then by name, so that each is aligned; the header is padded to a multiple of 8
// bytes. It fails for names that are not UTF-8 or are reserved, and for nil tensors.
func Write(w io.Writer, f *File) error {
	header, order, err := buildHeader(f)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	buf := bufio.NewWriterSize(w, 64<<10)
	if _, err := buf.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return err
	}
	if _, err := buf.Write(header); err != nil {
		return err
	}
	for _, name := range order {
		if err := f.Tensors[name].WriteLittleEndian(buf); err != nil {
			return err
		}
	}
	return buf.Flush()
}

// WriteFile writes f to a file that appears, or replaces an older one, only when it is
// complete.
func WriteFile(path string, f *File) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error { return Write(w, f) })
}

func buildHeader(f *File) (header []byte, order []string, err error) {
	for name, t := range f.Tensors {
		switch {
		case t == nil || dtypeNames[t.DType()] == "":
			return nil, nil, fmt.Errorf("tensor %q (%v) cannot be written", name, t)
		case name == metadataKey || !utf8.ValidString(name):
			return nil, nil, fmt.Errorf("%q cannot be the name of a tensor", name)
		}
	}
	order = slices.SortedFunc(maps.Keys(f.Tensors), func(a, b string) int {
		if x, y := f.Tensors[a].DType().Size(), f.Tensors[b].DType().Size(); x != y {
			return y - x
		}
		if x, y := f.Tensors[a].DType(), f.Tensors[b].DType(); x != y {
			return int(x) - int(y)
		}
		return strings.Compare(a, b)
	})
	var h bytes.Buffer
	e := json.NewEncoder(&h)
	e.SetEscapeHTML(false)
	put := func(v any) {
		if err == nil {
			err = e.Encode(v)
			h.Truncate(h.Len() - 1) // the newline that Encode adds
		}
	}
	sep := "{"
	if len(f.Metadata) > 0 {
		for k, v := range f.Metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, nil, fmt.Errorf("metadata %q: %q is not UTF-8", k, v)
			}
		}
		h.WriteString(sep + `"` + metadataKey + `":`)
		put(f.Metadata)
		sep = ","
	}
	at := int64(0)
	for _, name := range order {
		t := f.Tensors[name]
		h.WriteString(sep)
		put(name)
		fmt.Fprintf(&h, `:{"dtype":"%s","shape":`, dtypeNames[t.DType()])
		put(append([]int{}, t.Shape()...))
		end := at + int64(len(t.Bytes()))
		fmt.Fprintf(&h, `,"data_offsets":[%d,%d]}`, at, end)
		at, sep = end, ","
	}
	if sep == "{" {
		h.WriteString(sep)
	}
	h.WriteByte('}')
	for h.Len()%8 != 0 {
		h.WriteByte(' ')
	}
	if h.Len() > MaxHeader {
		return nil, nil, fmt.Errorf("a header of %d bytes, at most %d are allowed", h.Len(), MaxHeader)
	}
	return h.Bytes(), order, err
}
