package plan

import (
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// TestPackedWeightsStaySmall packs convolutions of 3×3 of small pictures, with and without an
// enlargement before them: what the forms that save products add is bounded. Where pictures are
// large, or weights small, those forms are used.
func TestPackedWeightsStaySmall(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	for _, c := range []struct {
		name                     string
		channels, layers, extent int
		enlarge                  bool
		grows                    bool
	}{
		{"large weights", 128, 8, 8, false, false},
		{"large weights after enlarging", 128, 8, 2, true, false},
		{"small weights", 32, 6, 8, false, true},
		{"large pictures", 128, 3, 64, false, true},
	} {
		b := onnx.NewBuilder(17)
		e := int64(c.extent)
		x := b.Input("x", tensor.Float32, onnx.NamedDim("n"), onnx.FixedDim(int64(c.channels)), onnx.FixedDim(e), onnx.FixedDim(e))
		weights := 0
		for i := range c.layers {
			w := tensor.Must(tensor.New(tensor.Float32, c.channels, c.channels, 3, 3))
			for k := range w.Float32s() {
				w.Float32s()[k] = r.Float32() - 0.5
			}
			weights += len(w.Bytes())
			if c.enlarge && i < 3 {
				scales := b.Initializer(b.Fresh("scales"), tensor.Must(tensor.Of([]float32{1, 1, 2, 2}, 4)))
				x = b.Op("Resize", "", []string{x, "", scales}, onnx.AttrS("mode", "nearest"), onnx.AttrS("coordinate_transformation_mode", "asymmetric"), onnx.AttrS("nearest_mode", "floor"))
			}
			x = b.Op("Conv", "", []string{x, b.Initializer(b.Fresh("w"), w)}, onnx.AttrIs("pads", 1, 1, 1, 1))
		}
		b.Output(x, tensor.Float32)
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		g, err := graph.New(m, graph.Config{Set: op.Core})
		if err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{1, 5} {
			p, err := Build(g, []op.Fact{{DType: tensor.Float32, Shape: tensor.Shape{batch, c.channels, c.extent, c.extent}}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			packed := p.Stats().Packed
			if most := weights + weights/growthPart + growthFree; !c.grows && packed > most {
				t.Errorf("%s, batch %d: %d bytes of weights take %d packed, want at most %d", c.name, batch, weights, packed, most)
			}
			if least := weights * 16 / 9; c.grows && packed < least {
				t.Errorf("%s, batch %d: %d bytes of weights take %d packed, want %d: products that can be saved are not", c.name, batch, weights, packed, least)
			}
		}
	}
}

// TestPackedIntegersStaySmall is TestPackedWeightsStaySmall for 8-bit convolutions, whose weights grow eightfold.
func TestPackedIntegersStaySmall(t *testing.T) {
	r := rand.New(rand.NewPCG(53, 54))
	for _, c := range []struct {
		name                     string
		channels, layers, extent int
		grows                    bool
	}{
		{"large weights", 128, 8, 8, false},
		{"small weights", 32, 6, 8, true},
		{"large pictures", 128, 3, 64, true},
	} {
		if !op.Complete || !kernel.WinogradQ8Pays(c.channels, c.channels, c.extent, c.extent) {
			t.Skip("no tiles")
		}
		b := onnx.NewBuilder(17)
		e := int64(c.extent)
		x := b.Input("x", tensor.Uint8, onnx.NamedDim("n"), onnx.FixedDim(int64(c.channels)), onnx.FixedDim(e), onnx.FixedDim(e))
		scale := b.Initializer("scale", tensor.Must(tensor.Of([]float32{0.01})))
		zero := b.Initializer("zero", tensor.Must(tensor.New(tensor.Uint8)))
		wZero := b.Initializer("wZero", tensor.Must(tensor.New(tensor.Int8)))
		weights := 0
		for range c.layers {
			w := tensor.Must(tensor.New(tensor.Int8, c.channels, c.channels, 3, 3))
			for k := range w.Bytes() {
				w.Bytes()[k] = uint8(r.Uint32())
			}
			weights += len(w.Bytes())
			x = b.Op("QLinearConv", "", []string{x, scale, zero, b.Initializer(b.Fresh("w"), w), scale, wZero, scale, zero}, onnx.AttrIs("pads", 1, 1, 1, 1))
		}
		b.Output(x, tensor.Uint8)
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		g, err := graph.New(m, graph.Config{Set: op.Core})
		if err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{1, 5} {
			p, err := Build(g, []op.Fact{{DType: tensor.Uint8, Shape: tensor.Shape{batch, c.channels, c.extent, c.extent}}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			packed := p.Stats().Packed
			if most := weights + weights/growthPart + growthFree; !c.grows && packed > most {
				t.Errorf("%s, batch %d: %d bytes of weights take %d packed, want at most %d", c.name, batch, weights, packed, most)
			}
			if least := 8 * weights; c.grows && packed < least {
				t.Errorf("%s, batch %d: %d bytes of weights take %d packed, want %d: products that can be saved are not", c.name, batch, weights, packed, least)
			}
		}
	}
}
