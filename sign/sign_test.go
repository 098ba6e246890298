package sign

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func keys(seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	k := ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, 32))
	return k.Public().(ed25519.PublicKey), k
}

// model is y = x + w.
func model(t *testing.T) *onnx.Model {
	t.Helper()
	w := tensor.Must(tensor.Of([]float32{1, 2, 3}, 3))
	typ := onnx.Type{Kind: onnx.KindTensor, Elem: tensor.Float32, HasShape: true, Shape: []onnx.Dim{{Value: 3}}}
	return &onnx.Model{
		IRVersion: 8, Opsets: []onnx.OpsetID{{Version: 17}}, Metadata: []onnx.StringPair{{Key: "author", Value: "me"}},
		Graph: &onnx.Graph{
			Name:         "g",
			Nodes:        []*onnx.Node{{OpType: "Add", Name: "add", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
			Initializers: []*onnx.Tensor{{Name: "w", DType: tensor.Float32, Dims: []int64{3}, Value: w}},
			Inputs:       []*onnx.ValueInfo{{Name: "x", Type: typ}}, Outputs: []*onnx.ValueInfo{{Name: "y", Type: typ}},
		},
	}
}

// stored is what a reader gets of the model's file.
func stored(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	b, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = onnx.Decode(b, onnx.DecodeOptions{Copy: true}); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestVerify(t *testing.T) {
	pub, priv := keys(1)
	other, otherPriv := keys(2)
	signed := func() *onnx.Model {
		m := model(t)
		if err := Sign(m, priv); err != nil {
			t.Fatal(err)
		}
		return stored(t, m)
	}
	if err := Verify(signed(), pub); err != nil {
		t.Errorf("signed model: %v", err)
	}
	if err := Verify(model(t), pub); err != ErrUnsigned {
		t.Errorf("unsigned model: error %v, want ErrUnsigned", err)
	}
	if err := Verify(signed(), other); !errors.Is(err, ErrInvalid) {
		t.Errorf("another key: error %v, want ErrInvalid", err)
	}
	for _, tt := range []struct {
		name   string
		change func(m *onnx.Model)
	}{
		{"weight", func(m *onnx.Model) { m.Graph.Initializers[0].Value.Bytes()[0] ^= 1 }},
		{"operator", func(m *onnx.Model) { m.Graph.Nodes[0].OpType = "Sub" }},
		{"attribute", func(m *onnx.Model) { m.Graph.Nodes[0].Attrs = []*onnx.Attribute{onnx.AttrI("a", 1)} }},
		{"metadata", func(m *onnx.Model) { m.Metadata[0].Value = "you" }},
		{"more metadata", func(m *onnx.Model) { m.Metadata = append(m.Metadata, onnx.StringPair{Key: "a", Value: "b"}) }},
		{"opset", func(m *onnx.Model) { m.Opsets[0].Version = 18 }},
		{"text", func(m *onnx.Model) { m.DocString = "x" }},
		{"second signature", func(m *onnx.Model) { m.Metadata = append(m.Metadata, m.Metadata[len(m.Metadata)-1]) }},
		{"no scheme", func(m *onnx.Model) {
			p := &m.Metadata[len(m.Metadata)-1]
			p.Value = strings.TrimPrefix(p.Value, scheme)
		}},
		{"empty", func(m *onnx.Model) { m.Metadata[len(m.Metadata)-1].Value = scheme }},
		{"not base 64", func(m *onnx.Model) { m.Metadata[len(m.Metadata)-1].Value += "!" }},
	} {
		m := signed()
		tt.change(m)
		if err := Verify(m, pub); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", tt.name, err)
		}
	}
	again := signed()
	if err := Sign(again, otherPriv); err != nil {
		t.Fatal(err)
	}
	if err := Verify(again, other); err != nil {
		t.Errorf("signed again: %v", err)
	}
	if err := Verify(again, pub); !errors.Is(err, ErrInvalid) {
		t.Errorf("signed again, first key: error %v, want ErrInvalid", err)
	}
}

func TestExternalDataIsNotSigned(t *testing.T) {
	pub, priv := keys(1)
	m := model(t)
	if err := Sign(m, priv); err != nil {
		t.Fatal(err)
	}
	m.Graph.Initializers[0].External = []onnx.StringPair{{Key: "location", Value: "w.bin"}}
	m.Graph.Initializers[0].Value = nil
	if err := Sign(m, priv); err == nil {
		t.Error("a model with external data was signed")
	}
	if err := Verify(m, pub); err == nil {
		t.Error("a model with external data was accepted")
	}
}

// TestKeys reads what the standard library's encoder of keys writes.
func TestKeys(t *testing.T) {
	pub, priv := keys(7)
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	privText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if der, err = x509.MarshalPKIXPublicKey(pub); err != nil {
		t.Fatal(err)
	}
	pubText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if k, err := PrivateKey(privText); err != nil || !k.Equal(priv) {
		t.Errorf("private key %x, %v; want %x", k, err, priv)
	}
	if k, err := PublicKey(pubText); err != nil || !k.Equal(pub) {
		t.Errorf("public key %x, %v; want %x", k, err, pub)
	}
	for name, text := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "the other kind": pubText,
		"another algorithm": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: append([]byte{0}, der...)}),
		"cut":               pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privatePrefix})} {
		if k, err := PrivateKey(text); err == nil {
			t.Errorf("%s: read as private key %x", name, k)
		}
	}
	if k, err := PublicKey(privText); err == nil {
		t.Errorf("private key: read as public key %x", k)
	}
}
