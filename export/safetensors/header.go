package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/aekit/aekit/tensor"
)

// headerParser walks the header token by token: package json alone would accept repeated
// keys, keys in another case and fractions.
type headerParser struct {
	*json.Decoder
}

func (p *headerParser) fail(format string, args ...any) error {
	return &FormatError{8 + p.InputOffset(), "header: " + fmt.Sprintf(format, args...)}
}

func (p *headerParser) token() (json.Token, error) {
	t, err := p.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, p.fail("%v", err)
	}
	return t, nil
}

func (p *headerParser) delim(want json.Delim) error {
	t, err := p.token()
	if err == nil && t != want {
		err = p.fail("%v instead of %v", t, want)
	}
	return err
}

func (p *headerParser) str() (string, error) {
	t, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", p.fail("%v instead of a string", t)
	}
	return s, nil
}

// ints reads an array of whole numbers that are not negative.
func (p *headerParser) ints() ([]int64, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	s := []int64{}
	for p.More() {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		v, err := strconv.ParseUint(string(n), 10, 63)
		if !ok || err != nil {
			return nil, p.fail("%v is not a whole number from 0 to 2^63-1", t)
		}
		s = append(s, int64(v))
	}
	return s, p.delim(']')
}

func parseHeader(b []byte) ([]entry, map[string]string, error) {
	if len(b) == 0 || b[0] != '{' || !utf8.Valid(b) {
		return nil, nil, &FormatError{8, "the header is not a JSON object in UTF-8"}
	}
	p := &headerParser{json.NewDecoder(bytes.NewReader(b))}
	p.UseNumber()
	if err := p.delim('{'); err != nil {
		return nil, nil, err
	}
	var entries []entry
	var metadata map[string]string
	seen := map[string]bool{}
	for p.More() {
		name, err := p.str()
		if err != nil {
			return nil, nil, err
		}
		if seen[name] {
			return nil, nil, p.fail("%q occurs twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if metadata, err = p.metadata(); err != nil {
				return nil, nil, err
			}
			continue
		}
		e, err := p.tensor(name)
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, e)
	}
	if err := p.delim('}'); err != nil {
		return nil, nil, err
	}
	if rest := bytes.TrimLeft(b[p.InputOffset():], " "); len(rest) > 0 {
		return nil, nil, p.fail("%.20q follows", rest)
	}
	return entries, metadata, nil
}

func (p *headerParser) metadata() (map[string]string, error) {
	if err := p.delim('{'); err != nil {
		return nil, err
	}
	m := map[string]string{}
	for p.More() {
		k, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, twice := m[k]; twice {
			return nil, p.fail("metadata %q occurs twice", k)
		}
		if m[k], err = p.str(); err != nil {
			return nil, err
		}
	}
	return m, p.delim('}')
}

func (p *headerParser) tensor(name string) (entry, error) {
	e := entry{name: name}
	if err := p.delim('{'); err != nil {
		return e, err
	}
	seen := map[string]bool{}
	for p.More() {
		key, err := p.str()
		if err != nil {
			return e, err
		}
		if seen[key] {
			return e, p.fail("tensor %q: %q occurs twice", name, key)
		}
		seen[key] = true
		switch key {
		case "dtype":
			s, err := p.str()
			if err != nil {
				return e, err
			}
			d, ok := dtypes[s]
			if !ok && slices.Contains(otherTypes, s) {
				return e, UnsupportedError(fmt.Sprintf("tensor %q of type %s", name, s))
			}
			if !ok {
				return e, p.fail("tensor %q: type %q does not exist", name, s)
			}
			e.dtype = d
		case "shape":
			dims, err := p.ints()
			if err != nil {
				return e, err
			}
			e.shape = tensor.Shape{}
			for _, d := range dims {
				if int64(int(d)) != d {
					return e, p.fail("tensor %q: extent %d is too large", name, d)
				}
				e.shape = append(e.shape, int(d))
			}
		case "data_offsets":
			at, err := p.ints()
			if err != nil {
				return e, err
			}
			if len(at) != 2 {
				return e, p.fail("tensor %q: %d data_offsets", name, len(at))
			}
			e.begin, e.end = at[0], at[1]
		default:
			return e, p.fail("tensor %q: unknown key %q", name, key)
		}
	}
	if len(seen) != 3 {
		return e, p.fail("tensor %q: dtype, shape or data_offsets is absent", name)
	}
	return e, p.delim('}')
}
