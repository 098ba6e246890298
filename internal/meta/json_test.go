package meta

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// jsonForms has every kind of field that the schema uses.
type jsonForms struct {
	S string      `json:"s"`
	B bool        `json:"b,omitempty"`
	I int         `json:"i"`
	J int32       `json:"j"`
	U uint64      `json:"u"`
	F float32     `json:"f"`
	D float64     `json:"d"`
	P *jsonForms  `json:"p"`
	L []jsonForms `json:"l"`
	N []float32   `json:"n"`
	Y []byte      `json:"y"`
	C jsonSelf    `json:"c"`
}

// jsonSelf keeps the text that it is read from; null changes nothing, as is the convention.
type jsonSelf struct{ text string }

func (s *jsonSelf) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	return s.readJSON(string(b))
}

func (s *jsonSelf) readJSON(text string) error {
	s.text = text
	return nil
}

// viaStandard is what the standard library makes of a text.
func viaStandard(s string, v any) error {
	d := json.NewDecoder(strings.NewReader(s))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("text after the value")
	}
	return nil
}

func compareJSON(t *testing.T, text string) {
	t.Helper()
	var got, want jsonForms
	err, wantErr := parse(text, &got), viaStandard(text, &want)
	if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %+v, %v; the standard library has %+v, %v", text, got, err, want, wantErr)
	}
}

var jsonTexts = []string{
	``, ` `, `{}`, `{ }`, `null`, `nul`, `[]`, `1`, `"x"`, `{}x`, `{} {}`, `{`, `{"`, `{"s"`, `{"s":`, `{"s":"`, `{"s":"a"`, `{"s":"a",}`,
	`{"s":"a"}`, ` { "s" : "a" , "i" : 1 } `, `{"s":1}`, `{"s":null,"p":null,"l":null}`, `{"b":true}`, `{"b":false,"b":true}`, `{"b":tru}`, `{"b":1}`,
	`{"i":-12}`, `{"i":1.0}`, `{"i":1e2}`, `{"i":01}`, `{"i":-}`, `{"i":+1}`, `{"i":9223372036854775807}`, `{"i":9223372036854775808}`, `{"j":2147483648}`, `{"j":-2147483648}`,
	`{"u":18446744073709551615}`, `{"u":-1}`, `{"f":1e38}`, `{"f":1e39}`, `{"f":0.1}`, `{"d":1e-400}`, `{"d":1e400}`, `{"d":-0.5E+2}`, `{"d":.5}`, `{"d":5.}`, `{"d":5e}`, `{"d":NaN}`, `{"d":0x1}`,
	`{"p":{"p":{"s":"deep"}}}`, `{"p":[]}`, `{"l":[{"i":1},{"i":2}]}`, `{"l":{}}`, `{"l":[1]}`, `{"n":[1,2.5,-3]}`, `{"n":[1,]}`, `{"n":[,1]}`, `{"n":[1 2]}`, `{"n":[null,1]}`, `{"n":[]}`,
	`{"y":"AQID"}`, `{"y":""}`, `{"y":"AQ"}`, `{"c":{"a":[1,"b"]},"i":3}`, `{"c":"x"}`, `{"c":1e}`,
	`{"x":{"y":[1,"a",null,true,{"z":[]}]},"s":"after"}`, `{"x":[1,}`, `{1:2}`, `{"s" "a"}`,
	`{"s":"\"\\\/\b\f\n\r\t"}`, `{"s":"\u0041\u00e9\uD83D\uDE00"}`, `{"s":"\uD83D"}`, `{"s":"\uD83Dx"}`, `{"s":"\uDE00\uD83D"}`, `{"s":"\u12"}`, `{"s":"\u+123"}`, `{"s":"\x"}`, `{"s":"\`,
	"{\"s\":\"a\nb\"}", "{\"s\":\"\xff\xfe\"}", `{"s":"é😀"}`,
}

func TestParse(t *testing.T) {
	for _, s := range jsonTexts {
		compareJSON(t, s)
	}
	deep := `{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`
	if err := parse(deep, &jsonForms{}); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("200 arrays inside each other: error %v", err)
	}
}

// TestParseMutated changes and cuts texts.
func TestParseMutated(t *testing.T) {
	for _, s := range jsonTexts {
		for i := range len(s) {
			compareJSON(t, s[:i])
			for _, c := range []byte(`{}[]",:0-.e\tn `) {
				b := []byte(s)
				b[i] = c
				// Names in another case are fields to the standard library only.
				if !bytes.ContainsAny(b, "SBIJUFDPLNYC") {
					compareJSON(t, string(b))
				}
			}
		}
	}
}
