package tensor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The .npy format is that of NumPy,
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html: a magic string, a
// version, the length of a header, the header (a Python dictionary in ASCII), the elements.

const npyMagic = "\x93NUMPY"

// maxNPYHeader bounds the header; NumPy itself refuses more than 10,000 bytes by default.
const maxNPYHeader = 64 << 10

// maxNPYRank is the most axes of an array of NumPy.
const maxNPYRank = 64

var npyTypes = map[string]DType{
	"b1": Bool, "i1": Int8, "i2": Int16, "i4": Int32, "i8": Int64,
	"u1": Uint8, "u2": Uint16, "u4": Uint32, "u8": Uint64, "f2": Float16, "f4": Float32, "f8": Float64,
}

// WriteNPY writes t as a NumPy array file of version 1, little-endian, in C order. It fails
// for types that NumPy does not have (BFloat16).
func WriteNPY(w io.Writer, t *Tensor) error {
	descr := ""
	for name, d := range npyTypes {
		if d == t.dtype {
			descr = name
		}
	}
	if len(t.shape) > maxNPYRank {
		return fmt.Errorf("tensor: rank %d is too large for a .npy file", len(t.shape))
	}
	if descr == "" {
		return fmt.Errorf("tensor: NumPy has no type for %v", t.dtype)
	}
	if t.dtype.Size() == 1 {
		descr = "|" + descr
	} else {
		descr = "<" + descr
	}
	var shape strings.Builder
	for i, d := range t.shape {
		if i > 0 {
			shape.WriteByte(' ')
		}
		fmt.Fprintf(&shape, "%d,", d)
	}
	s := shape.String()
	if len(t.shape) > 1 {
		s = strings.TrimSuffix(s, ",")
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, s)
	// Magic, version, length and header together are a multiple of 64 bytes, with a newline at
	// the end.
	pad := 63 - (len(npyMagic)+4+len(header))%64
	header += strings.Repeat(" ", pad) + "\n"
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	if _, err := w.Write(append(b, header...)); err != nil {
		return err
	}
	return t.WriteLittleEndian(w)
}

// ReadNPY reads a NumPy array file of version 1, 2 or 3 in C order: booleans, integers and
// floats of either byte order. It reads no more than the array, and fails if that has more
// than maxBytes bytes; 0 stands for 2 GiB. Memory grows only as data arrive.
func ReadNPY(r io.Reader, maxBytes int64) (*Tensor, error) {
	t, err := readNPY(r, maxBytes)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file ends early")
	}
	if err != nil {
		return nil, fmt.Errorf("tensor: .npy file: %w", err)
	}
	return t, nil
}

func readNPY(r io.Reader, maxBytes int64) (*Tensor, error) {
	if maxBytes == 0 {
		maxBytes = 2 << 30
	}
	var start [8]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, err
	}
	if string(start[:6]) != npyMagic {
		return nil, errors.New("it does not begin as a NumPy array does")
	}
	var size uint32
	switch start[6] {
	case 1:
		var n [2]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return nil, err
		}
		size = uint32(binary.LittleEndian.Uint16(n[:]))
	case 2, 3:
		var n [4]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return nil, err
		}
		size = binary.LittleEndian.Uint32(n[:])
	default:
		return nil, fmt.Errorf("version %d.%d is not known", start[6], start[7])
	}
	if size > maxNPYHeader {
		return nil, fmt.Errorf("the header has %d bytes, at most %d are read", size, maxNPYHeader)
	}
	header := make([]byte, size)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	h, err := parseNPYHeader(string(header))
	if err != nil {
		return nil, fmt.Errorf("header %.200q: %w", header, err)
	}
	if len(h.shape) > maxNPYRank {
		return nil, fmt.Errorf("an array of %d axes, at most %d are read", len(h.shape), maxNPYRank)
	}
	n, err := ByteSize(h.dtype, h.shape)
	if err != nil {
		return nil, err
	}
	if int64(n) > maxBytes {
		return nil, fmt.Errorf("shape %v of %v takes %d bytes, at most %d are read", h.shape, h.dtype, n, maxBytes)
	}
	data, err := readBytes(r, n)
	if err != nil {
		return nil, err
	}
	if h.dtype.Size() > 1 && h.little != HostLittleEndian {
		SwapBytes(data, h.dtype.Size())
	}
	if h.dtype == Bool {
		CanonicalBools(data)
	}
	return FromBytes(h.dtype, data, h.shape...)
}

// readBytes reads n bytes into aligned memory, which for large n is allocated only once the
// data are there.
func readBytes(r io.Reader, n int) ([]byte, error) {
	const trusted = 16 << 20
	if n <= trusted {
		b := AlignedBytes(n)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, int64(n)); err != nil {
		return nil, err
	}
	b := AlignedBytes(n)
	copy(b, buf.Bytes())
	return b, nil
}

type npyHeader struct {
	dtype  DType
	little bool
	shape  Shape
}

// npyParser reads the subset of Python literals that headers consist of.
type npyParser struct {
	s   string
	pos int
}

func (p *npyParser) space() {
	for p.pos < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.pos]) >= 0 {
		p.pos++
	}
}

// accept steps over tok if it is next.
func (p *npyParser) accept(tok string) bool {
	p.space()
	if strings.HasPrefix(p.s[p.pos:], tok) {
		p.pos += len(tok)
		return true
	}
	return false
}

func (p *npyParser) expect(tok string) error {
	if !p.accept(tok) {
		return fmt.Errorf("no %q at byte %d", tok, p.pos)
	}
	return nil
}

func (p *npyParser) str() (string, error) {
	p.space()
	if p.pos < len(p.s) && (p.s[p.pos] == '\'' || p.s[p.pos] == '"') {
		quote := p.s[p.pos]
		if n := strings.IndexByte(p.s[p.pos+1:], quote); n >= 0 {
			s := p.s[p.pos+1 : p.pos+1+n]
			p.pos += n + 2
			if !strings.Contains(s, `\`) {
				return s, nil
			}
		}
	}
	return "", fmt.Errorf("no string at byte %d", p.pos)
}

func (p *npyParser) tuple() (Shape, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	shape := Shape{}
	for !p.accept(")") {
		p.space()
		from := p.pos
		for p.pos < len(p.s) && p.s[p.pos] >= '0' && p.s[p.pos] <= '9' {
			p.pos++
		}
		v, err := strconv.Atoi(p.s[from:p.pos])
		if err != nil {
			return nil, fmt.Errorf("no extent at byte %d", from)
		}
		shape = append(shape, v)
		p.accept("L") // Python 2 wrote long integers so
		if !p.accept(",") {
			if err := p.expect(")"); err != nil {
				return nil, err
			}
			if len(shape) == 1 {
				return nil, errors.New("the shape is not a tuple")
			}
			break
		}
	}
	return shape, nil
}

func parseNPYHeader(s string) (h npyHeader, err error) {
	p := &npyParser{s: s}
	if err := p.expect("{"); err != nil {
		return h, err
	}
	seen := map[string]bool{}
	for !p.accept("}") {
		key, err := p.str()
		if err != nil {
			return h, err
		}
		if seen[key] {
			return h, fmt.Errorf("%q occurs twice", key)
		}
		seen[key] = true
		if err := p.expect(":"); err != nil {
			return h, err
		}
		switch key {
		case "descr":
			d, err := p.str()
			if err != nil {
				return h, fmt.Errorf("descr is not a plain type: %w", err)
			}
			if err := h.setType(d); err != nil {
				return h, err
			}
		case "fortran_order":
			if !p.accept("False") {
				return h, errors.New("arrays in Fortran order are not read (save numpy.ascontiguousarray of it)")
			}
		case "shape":
			if h.shape, err = p.tuple(); err != nil {
				return h, err
			}
		default:
			return h, fmt.Errorf("unknown key %q", key)
		}
		if !p.accept(",") {
			if err := p.expect("}"); err != nil {
				return h, err
			}
			break
		}
	}
	if p.space(); p.pos != len(p.s) {
		return h, fmt.Errorf("something follows at byte %d", p.pos)
	}
	if len(seen) != 3 {
		return h, errors.New("descr, fortran_order or shape is absent")
	}
	return h, nil
}

func (h *npyHeader) setType(d string) error {
	if len(d) != 3 {
		return fmt.Errorf("type %q is not read", d)
	}
	h.dtype = npyTypes[d[1:]]
	switch d[0] {
	case '<':
		h.little = true
	case '>':
	case '=':
		h.little = HostLittleEndian
	case '|':
		if h.dtype.Size() != 1 {
			h.dtype = Undefined
		}
	default:
		h.dtype = Undefined
	}
	if h.dtype == Undefined {
		return fmt.Errorf("type %q is not read", d)
	}
	return nil
}
