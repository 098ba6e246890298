package meta

import (
	"encoding/base64"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parse reads the JSON text s (RFC 8259) into the value that v points to, which is made of
// structs with json tags, pointers, slices, strings, booleans and numbers; slices of bytes
// are strings in base 64. A selfReader reads itself. Fields that the
// struct does not have are skipped, null changes nothing, and numbers must fit. It does a
// part of what encoding/json does, in a small part of its size: programs on devices read
// metadata and do not write it.
func parse(s string, v any) error {
	p := parser{text: s}
	if err := p.value(reflect.ValueOf(v).Elem(), 0); err != nil {
		return errorf("JSON at byte %d: %w", p.pos, err)
	}
	if p.peek() != 0 || p.pos < len(p.text) {
		return errors.New("text after the JSON value")
	}
	return nil
}

// A selfReader has a form of its own in JSON. Were the method UnmarshalJSON, time.Time's
// method of that name would be part of every program that reads metadata.
type selfReader interface{ readJSON(text string) error }

// maxJSONDepth is how deep arrays and objects may nest.
const maxJSONDepth = 100

var (
	errJSONEnd    = errors.New("the text ends too early")
	errJSONSyntax = errors.New("syntax error")
)

type parser struct {
	text string
	pos  int
}

// peek skips white space and returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; c {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return c
		}
	}
	return 0
}

func (p *parser) syntax() error {
	if p.pos >= len(p.text) {
		return errJSONEnd
	}
	return errJSONSyntax
}

// literal consumes a word.
func (p *parser) literal(word string) error {
	if !strings.HasPrefix(p.text[p.pos:], word) {
		return p.syntax()
	}
	p.pos += len(word)
	return nil
}

// value reads any value. A v that is not valid takes nothing: the value is skipped.
func (p *parser) value(v reflect.Value, depth int) error {
	if depth > maxJSONDepth {
		return errors.New("nested too deeply")
	}
	c := p.peek()
	if c == 'n' {
		return p.literal("null")
	}
	if v.IsValid() && v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	if v.IsValid() && v.CanAddr() {
		if u, ok := v.Addr().Interface().(selfReader); ok {
			from := p.pos
			if err := p.value(reflect.Value{}, depth); err != nil {
				return err
			}
			return u.readJSON(p.text[from:p.pos])
		}
	}
	switch {
	case c == '{':
		return p.object(v, depth)
	case c == '[':
		return p.array(v, depth)
	case c == '"':
		s, err := p.string()
		if err != nil || !v.IsValid() {
			return err
		}
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			b, err := base64.StdEncoding.DecodeString(s)
			v.SetBytes(b)
			return err
		}
		if v.Kind() != reflect.String {
			return mismatch("a string", v)
		}
		v.SetString(s)
		return nil
	case c == 't' || c == 'f':
		if err := p.literal(map[byte]string{'t': "true", 'f': "false"}[c]); err != nil || !v.IsValid() {
			return err
		}
		if v.Kind() != reflect.Bool {
			return mismatch("a boolean", v)
		}
		v.SetBool(c == 't')
		return nil
	}
	return p.number(v)
}

func mismatch(got string, v reflect.Value) error {
	return errorf("%s where a value of kind %s belongs", got, v.Kind())
}

// each reads the elements of an array or the members of an object, up to the byte end.
func (p *parser) each(end byte, element func() error) error {
	p.pos++
	if p.peek() == end {
		p.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch p.peek() {
		case ',':
			p.pos++
		case end:
			p.pos++
			return nil
		default:
			return p.syntax()
		}
	}
}

func (p *parser) object(v reflect.Value, depth int) error {
	if v.IsValid() && v.Kind() != reflect.Struct {
		return mismatch("an object", v)
	}
	return p.each('}', func() error {
		if p.peek() != '"' {
			return p.syntax()
		}
		key, err := p.string()
		if err != nil {
			return err
		}
		if p.peek() != ':' {
			return p.syntax()
		}
		p.pos++
		if err := p.value(field(v, key), depth+1); err != nil {
			return errorf("%.40q: %w", key, err)
		}
		return nil
	})
}

// field returns the field of a struct whose json tag begins with key.
func field(v reflect.Value, key string) reflect.Value {
	if v.IsValid() {
		for i := range v.NumField() {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name == key {
				return v.Field(i)
			}
		}
	}
	return reflect.Value{}
}

func (p *parser) array(v reflect.Value, depth int) error {
	if !v.IsValid() {
		return p.each(']', func() error { return p.value(v, depth+1) })
	}
	if v.Kind() != reflect.Slice {
		return mismatch("an array", v)
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	return p.each(']', func() error {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := p.value(e, depth+1); err != nil {
			return err
		}
		v.Set(reflect.Append(v, e))
		return nil
	})
}

// number reads a number of the grammar of JSON, which is stricter than strconv's.
func (p *parser) number(v reflect.Value) error {
	start := p.pos
	digits := func() bool {
		from := p.pos
		for p.pos < len(p.text) && p.text[p.pos] >= '0' && p.text[p.pos] <= '9' {
			p.pos++
		}
		return p.pos > from
	}
	at := func(chars string) bool {
		if p.pos < len(p.text) && strings.IndexByte(chars, p.text[p.pos]) >= 0 {
			p.pos++
			return true
		}
		return false
	}
	at("-")
	if !at("0") && !digits() || at(".") && !digits() {
		return p.syntax()
	}
	if at("eE") {
		at("+-")
		if !digits() {
			return p.syntax()
		}
	}
	text := p.text[start:p.pos]
	if !v.IsValid() {
		return nil
	}
	outside := errorf("the number %.40s is not in the range of %s", text, v.Kind())
	switch v.Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return outside
		}
		v.SetInt(n)
	case reflect.Uint64, reflect.Uint32:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return outside
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsInf(f, 0) {
			return outside
		}
		v.SetFloat(f)
	default:
		return mismatch("a number", v)
	}
	return nil
}

// string reads a string. What is not valid UTF-8 or UTF-16 becomes U+FFFD.
func (p *parser) string() (string, error) {
	p.pos++
	var b strings.Builder
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '"':
			p.pos++
			return b.String(), nil
		case c < ' ':
			return "", errJSONSyntax
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			r, n := utf8.DecodeRuneInString(p.text[p.pos:])
			b.WriteRune(r)
			p.pos += n
		}
	}
	return "", errJSONEnd
}

const escapes = `"\/bfnrt`

// escape reads a character that is written with a backslash.
func (p *parser) escape() (rune, error) {
	p.pos++
	if p.pos >= len(p.text) {
		return 0, errJSONEnd
	}
	c := p.text[p.pos]
	p.pos++
	if c == 'u' {
		r, ok := p.hex()
		if !ok {
			return 0, p.syntax()
		}
		if !utf16.IsSurrogate(r) {
			return r, nil
		}
		before := p.pos
		if strings.HasPrefix(p.text[p.pos:], `\u`) {
			p.pos += 2
			if low, ok := p.hex(); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return pair, nil
				}
			}
		}
		p.pos = before
		return utf8.RuneError, nil
	}
	i := strings.IndexByte(escapes, c)
	if i < 0 {
		return 0, errJSONSyntax
	}
	return rune("\"\\/\b\f\n\r\t"[i]), nil
}

// hex reads four hexadecimal digits.
func (p *parser) hex() (rune, bool) {
	if len(p.text)-p.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(p.text[p.pos:p.pos+4], 16, 16)
	if err != nil || strings.ContainsAny(p.text[p.pos:p.pos+4], "+_") {
		return 0, false
	}
	p.pos += 4
	return rune(n), true
}
