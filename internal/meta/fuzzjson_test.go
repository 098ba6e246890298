package meta

import (
	"bytes"
	"testing"
)

// FuzzParse compares the reader of JSON with that of the standard library.
func FuzzParse(f *testing.F) {
	for _, s := range jsonTexts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		// Names in another case are fields to the standard library only, also in some letters
		// beyond ASCII and in escapes, and it allows deeper nesting.
		if bytes.ContainsAny(text, "SBIJUFDPLNYC\u017f\u212a") || bytes.Contains(text, []byte(`\u`)) || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxJSONDepth {
			return
		}
		compareJSON(t, string(text))
	})
}
