package quant

import (
	"fmt"
	"math"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// skewed multiplies channels between two layers by random factors, which leaves what the
// model computes as it is.
func skewed(t *testing.T, m *onnx.Model, from, bias, to string, axis, toAxis int) {
	t.Helper()
	w, b, v := m.Graph.Initializer(from).Value, m.Graph.Initializer(bias).Value, m.Graph.Initializer(to).Value
	n, at := channelIndex(w.Shape(), axis)
	f := random(77, -2, 2, n).Float32s()
	for i := range f {
		f[i] = float32(math.Exp(float64(f[i])))
	}
	for i := range w.Float32s() {
		w.Float32s()[i] *= f[at(i)]
	}
	for i := range b.Float32s() {
		b.Float32s()[i] *= f[i]
	}
	in, at := channelIndex(v.Shape(), toAxis)
	for i := range v.Float32s() {
		v.Float32s()[i] /= f[at(i)/(in/n)]
	}
}

func noise(want, got []float32) float64 {
	signal, noise := 0.0, 0.0
	for i, v := range want {
		signal += float64(v) * float64(v)
		noise += float64(got[i]-v) * float64(got[i]-v)
	}
	return decibels(signal, noise)
}

func TestEqualize(t *testing.T) {
	dense, conv := denseModel(t), convModel(t)
	skewed(t, dense, "w0", "b0", "w1", 1, 0)
	skewed(t, dense, "w2", "b2", "w3", 1, 0)
	skewed(t, conv, "w1", "w2", "w3", 0, 0) // across Flatten
	skewed(t, conv, "w3", "w4", "w5", 1, 1)
	tests := []struct {
		name  string
		model *onnx.Model
		shape []int
		links int
		gain  float64 // dB, with one scale a tensor
	}{{"dense", dense, []int{40}, 3, 5}, {"conv", conv, []int{1, 8, 8}, 3, 5}, {"residual", residualModel(t), []int{3, 8, 8}, 0, 0}}
	for _, c := range tests {
		e, links, err := Equalize(c.model)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.links > 0 && links != c.links {
			t.Errorf("%s: %d layers joined, want %d", c.name, links, c.links)
		}
		x := random(99, 0, 1, append([]int{20}, c.shape...)...)
		want := outputs(t, c.model, x)
		if db := noise(want, outputs(t, e, x)); db < 100 {
			t.Errorf("%s: equalised model is %.1f dB from the original", c.name, db)
		}
		o := Options{PerTensor: true}
		a, _, err := Quantize(c.model, calibrate(t, c.model, c.shape...), o)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := Quantize(e, calibrate(t, e, c.shape...), o)
		if err != nil {
			t.Fatal(err)
		}
		before, after := noise(want, outputs(t, a, x)), noise(want, outputs(t, b, x))
		if after < before+c.gain-1 {
			t.Errorf("%s: %.1f dB, equalised %.1f dB", c.name, before, after)
		}
	}
}

// TestBiasCorrection looks at the mean error of each output, and at the bias that a layer
// without one gets.
func TestBiasCorrection(t *testing.T) {
	for _, withBias := range []bool{true, false} {
		b := onnx.NewBuilder(17)
		batch := onnx.NamedDim("batch")
		in := []string{b.Input("image", tensor.Float32, batch, onnx.FixedDim(3), onnx.FixedDim(8), onnx.FixedDim(8)), b.Initializer("w", random(1, -1, 1, 5, 3, 3, 3))}
		if withBias {
			in = append(in, b.Initializer("b", random(2, -1, 1, 5)))
		}
		b.Output(b.Op("Conv", "y", in), tensor.Float32, batch, onnx.FixedDim(5), onnx.FixedDim(6), onnx.FixedDim(6))
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		// A coarse grid makes the error of rounding one that can be seen.
		for c := range 5 {
			m.Graph.Initializer("w").Value.Float32s()[c*27] = 40
		}
		cal := calibrate(t, m, 3, 8, 8)
		x := random(50, 0, 1, 16, 3, 8, 8)
		want := outputs(t, m, x)
		worst := map[bool]float64{}
		for _, correct := range []bool{false, true} {
			q, _, err := Quantize(m, cal, Options{BiasCorrection: correct})
			if err != nil {
				t.Fatal(err)
			}
			got := outputs(t, q, x)
			sums := make([]float64, 5)
			for i := range want {
				sums[i/36%5] += float64(got[i]-want[i]) / float64(len(want)/5)
			}
			for _, s := range sums {
				worst[correct] = max(worst[correct], math.Abs(s))
			}
		}
		if !(worst[true] < worst[false]/3) {
			t.Errorf("bias %t: largest mean error of a channel %v, corrected %v", withBias, worst[false], worst[true])
		}
	}
}

// TestRounding checks that the rounding that Correlations choose gives smaller errors of the
// outputs than rounding to the nearest, and is a rounding.
func TestRounding(t *testing.T) {
	tests := []struct {
		name  string
		model *onnx.Model
		shape []int
		ops   int
	}{{"dense", denseModel(t), []int{40}, 4}, {"conv", convModel(t), []int{1, 8, 8}, 4}, {"residual", residualModel(t), []int{3, 8, 8}, 3}}
	for _, c := range tests {
		src := &batches{}
		for i := range 20 {
			x := random(uint64(50+i), 0, 1, append([]int{16}, c.shape...)...)
			for k, v := range x.Float32s() { // images whose pixels go together
				x.Float32s()[k] = 0.2*v + 0.8*x.Float32s()[k-k%8]
			}
			src.list = append(src.list, x)
		}
		test := src.list[0]
		list := append([]*tensor.Tensor{}, src.list...)
		cal, err := Calibrate(ctx, c.model, src, runtime.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		h, err := Correlate(ctx, c.model, &batches{list}, runtime.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(h) != c.ops {
			t.Errorf("%s: %d operators correlated, want %d", c.name, len(h), c.ops)
		}
		want := outputs(t, c.model, test)
		var db [2]float64
		var models [2]*onnx.Model
		for i, r := range []Correlations{nil, h} {
			// 7 bits make the weights' share of the error the larger one.
			q, _, err := Quantize(c.model, cal, Options{Rounding: r, PerTensor: true, ReduceRange: true})
			if err != nil {
				t.Fatal(err)
			}
			models[i] = q
			db[i] = noise(want, outputs(t, q, test))
		}
		if db[1] < db[0]+0.5 {
			t.Errorf("%s: %.2f dB to the nearest, %.2f dB with chosen rounding", c.name, db[0], db[1])
		}
		changed := 0
		for _, i := range models[0].Graph.Initializers {
			if i.DType != tensor.Int8 || i.Value.Rank() < 2 {
				continue
			}
			j := models[1].Graph.Initializer(i.Name)
			for k, v := range tensor.Data[int8](i.Value) {
				switch d := int(tensor.Data[int8](j.Value)[k]) - int(v); d {
				case 0:
				case 1, -1:
					changed++
				default:
					t.Fatalf("%s: %s[%d] differs by %d", c.name, i.Name, k, d)
				}
			}
		}
		if changed == 0 {
			t.Errorf("%s: no weight is rounded differently", c.name)
		}
	}
}

// TestGatherIsConvolution checks the order in which inputs are read: their product with the
// weights is what the operator computes.
func TestGatherIsConvolution(t *testing.T) {
	tests := []struct {
		op    string
		shape []int // of the weights
		attrs []*onnx.Attribute
	}{
		{"Conv", []int{2, 3, 3, 2}, []*onnx.Attribute{onnx.AttrIs("strides", 2, 1), onnx.AttrIs("pads", 1, 0, 1, 2)}},
		{"Conv", []int{2, 3, 2, 2}, []*onnx.Attribute{onnx.AttrIs("dilations", 2, 3)}},
		{"ConvTranspose", []int{3, 2, 4, 3}, []*onnx.Attribute{onnx.AttrIs("strides", 2, 3), onnx.AttrIs("pads", 1, 1, 2, 0)}},
		{"ConvTranspose", []int{3, 2, 2, 2}, []*onnx.Attribute{onnx.AttrIs("dilations", 3, 1)}},
	}
	for _, c := range tests {
		b := onnx.NewBuilder(17)
		w := random(3, -1, 1, c.shape...)
		x := b.Input("image", tensor.Float32, onnx.FixedDim(1), onnx.FixedDim(3), onnx.FixedDim(6), onnx.FixedDim(7))
		b.Output(b.Op(c.op, "y", []string{x, b.Initializer("w", w)}, c.attrs...), tensor.Float32)
		m, err := b.Model()
		if err != nil {
			t.Fatal(err)
		}
		image := random(4, -1, 1, 1, 3, 6, 7)
		y := run(t, m, nil, map[string]*tensor.Tensor{"image": image})["y"]
		g, err := prepare(m)
		if err != nil {
			t.Fatal(err)
		}
		axis := map[string]int{"Conv": 0, "ConvTranspose": 1}[c.op]
		ga := newGather(g.Nodes[0], w.Shape(), axis)
		ga.add(&correlation{k: ga.k, h: make([]float32, ga.k*ga.k), n: correlationSamples}, image, nil)
		if ga.outputs != [2]int{y.Shape()[2], y.Shape()[3]} {
			t.Errorf("%s %v: outputs %v, want %v", c.op, c.shape, ga.outputs, y.Shape())
			continue
		}
		row := make([]float32, ga.k)
		_, at := channelIndex(w.Shape(), axis)
		for oy := range ga.outputs[0] {
			for ox := range ga.outputs[1] {
				ga.read(row, image.Float32s(), image.Shape(), oy, ox)
				sum, k := 0.0, 0
				for i, v := range w.Float32s() {
					if at(i) == 1 {
						sum += float64(v) * float64(row[k])
						k++
					}
				}
				if got := y.Float32s()[(ga.outputs[0]+oy)*ga.outputs[1]+ox]; math.Abs(sum-float64(got)) > 1e-4 {
					t.Fatalf("%s: output (%d, %d): %v, want %v", fmt.Sprint(c.op, c.shape), oy, ox, sum, got)
				}
			}
		}
	}
}
