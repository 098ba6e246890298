package train

import (
	"errors"
	"strings"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/onnx"
)

// Describe returns what a model says of itself.
func Describe(m *onnx.Model) (*meta.Model, error) {
	var props []meta.Property
	for _, kv := range m.Metadata {
		props = append(props, meta.Property{Key: kv.Key, Value: kv.Value})
	}
	return meta.Decode(props)
}

// Annotate changes what a model says of itself.
func Annotate(m *onnx.Model, change func(*meta.Model)) error {
	d, err := Describe(m)
	if errors.Is(err, meta.ErrNone) {
		d, err = &meta.Model{}, nil
	}
	if err != nil {
		return err
	}
	change(d)
	props, err := meta.Encode(d)
	if err != nil {
		return err
	}
	var out []onnx.StringPair
	for _, kv := range m.Metadata {
		if !strings.HasPrefix(kv.Key, meta.Prefix) {
			out = append(out, kv)
		}
	}
	for _, p := range props {
		out = append(out, onnx.StringPair{Key: p.Key, Value: p.Value})
	}
	m.Metadata = out
	return nil
}
