package meta

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func example() *Model {
	return &Model{
		Kind: KindVAE, Preset: "vae",
		Values: Values{Image: "image", Mu: "mu", LogVar: "logvar", Z: "z", Reconstruction: "reconstruction"},
		Image:  Image{Width: 28, Height: 20, Channels: 3, Layout: LayoutNCHW, Mean: []float32{0, 0.1, 0.5}, Std: []float32{1, 0.3, 0.5}},
		Prior: []Stage{
			{Value: "z", Distribution: DistNormal, DType: "float32", Shape: []int{20}},
			{Value: "y", Distribution: DistGaussian, DType: "float32", Shape: []int{2}, Mean: []float32{1, 2}, Chol: []float32{0.1, 0.2, 0.30000001}},
			{Value: "x", Distribution: DistGMM, DType: "float32", Shape: []int{1}, Components: []Component{
				{Weight: 0.25, Mean: []float32{1}, Chol: []float32{2}},
				{Weight: 0.75, Mean: []float32{-12.7}, Chol: []float32{0.5}, MeanStep: 0.1, CholStep: 0.25}}},
			{Value: "c", Distribution: DistCategorical, DType: "int64", Shape: []int{7, 7}, Given: []string{"c"}, Params: []string{"logits"}, Length: 49, Classes: 512},
		},
		Anomaly:      &Anomaly{"mse", 0.02, 0.99},
		Training:     &Training{"elbo", "nats/image", "adam", 10, 128, 1e-3, math.MaxUint64, 101.5, 0, 105.25},
		Dataset:      &Dataset{"mnist", 60000, "ab"},
		Quantization: &Quantization{Format: "qdq", Weights: "int8", MSE: 0.01},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, m := range []*Model{example(), {
		Kind: KindGenerator, Values: Values{Z: "z", Reconstruction: "out"},
		Image: Image{Width: 1, Height: 1, Channels: 1, Layout: LayoutFlat},
	}} {
		props, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(append([]Property{{"author", "me"}}, props...))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m, got) {
			t.Errorf("%+v became %+v", m, got)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	props, err := Encode(example())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ key, value, want string }{
		{"schema", "2", "version 2"},
		{"schema", "x", "positive number"},
		{"schema", "-1", "positive number"},
		{"kind", `"transformer"`, "kind"},
		{"kind", `"vae" x`, "after the JSON"},
		{"values", `{"z":"z","reconstruction":"r"}`, "needs an image"},
		{"values", `{"z":"z","reconstruction":"r","image":"i"}`, "needs mu"},
		{"image", `{"width":0,"height":1,"channels":1,"layout":"NCHW"}`, "size"},
		{"image", `{"width":9999999999,"height":1,"channels":1,"layout":"NCHW"}`, ""},
		{"image", `{"width":1,"height":1,"channels":2,"layout":"NCHW"}`, "channels"},
		{"image", `{"width":1,"height":1,"channels":1,"layout":"NWHC"}`, "layout"},
		{"image", `{"width":1,"height":1,"channels":1,"layout":"NCHW","std":[0]}`, "std positive"},
		{"prior", `[{"value":"z","distribution":"normal","dtype":"float32","shape":[65536,65536]}]`, "shape"},
		{"prior", `[{"value":"z","distribution":"normal","dtype":"float32","shape":[-1]}]`, "shape"},
		{"prior", `[{"value":"z","distribution":"normal","dtype":"int64","shape":[1]}]`, "cannot have type"},
		{"prior", `[{"value":"z","distribution":"gaussian","dtype":"float32","shape":[2],"mean":[1,2],"chol":[1]}]`, "factors"},
		{"prior", `[{"value":"z","distribution":"gmm","dtype":"float32","shape":[1],"components":[{"weight":0.5,"mean":[0],"chol":[1]}]}]`, "sum to 0.5"},
		{"prior", `[{"value":"z","distribution":"gmm","dtype":"float32","shape":[2],"components":[{"packed":"AACAPwAAgD8AAIA/AQID","dim":2}]}]`, "2 means and 1 factors"},
		{"prior", `[{"value":"z","distribution":"gmm","dtype":"float32","shape":[1],"components":[{"packed":"AACAPwAAgD8AAIA/","dim":1}]}]`, "packed bytes"},
		{"prior", `[{"value":"z","distribution":"gmm","dtype":"float32","shape":[1],"components":[{"packed":"AQ==","dim":0}]}]`, "packed bytes"},
		{"prior", `[{"value":"z","distribution":"gmm","dtype":"float32","shape":[1],"components":[{"packed":"AACAPwAAgD/msWF/AX8=","dim":1}]}]`, "finite"},
		{"prior", `[{"value":"z","distribution":"gmm","dtype":"float32","shape":[1],"components":[{"packed":"AACAPwAAgD8AAIA/AQI=","dim":-1}]}]`, "packed bytes"},
		{"prior", `[{"value":"z","distribution":"levy","dtype":"float32","shape":[1]}]`, "distribution"},
		{"anomaly", `{"score":"mse","threshold":-1,"quantile":0.5}`, "anomaly"},
		{"training", `{"epochs":-1}`, "training"},
	}
	for _, tt := range tests {
		var in []Property
		for _, p := range props {
			if p.Key == Prefix+tt.key {
				p.Value = tt.value
			}
			in = append(in, p)
		}
		m, err := Decode(in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s = %s: model %+v, error %v, want one that says %q", tt.key, tt.value, m, err, tt.want)
		}
	}
	if _, err := Decode(append(props, props[1])); err == nil {
		t.Error("a property that occurs twice was accepted")
	}
	if _, err := Decode([]Property{{"author", "me"}}); err != ErrNone {
		t.Errorf("foreign metadata: error %v, want ErrNone", err)
	}
}

func TestEncodeRefusesInvalid(t *testing.T) {
	m := example()
	m.Image.Mean[1] = float32(math.NaN())
	if _, err := Encode(m); err == nil {
		t.Error("a mean of NaN was encoded")
	}
}

func FuzzDecode(f *testing.F) {
	props, err := Encode(example())
	if err != nil {
		f.Fatal(err)
	}
	args := map[string]string{}
	for _, p := range props {
		args[strings.TrimPrefix(p.Key, Prefix)] = p.Value
	}
	f.Add(args["kind"], args["values"], args["image"], args["prior"], args["training"])
	f.Add(`"ae"`, `{}`, `[]`, `null`, `1`)
	f.Fuzz(func(t *testing.T, kind, values, image, prior, training string) {
		m, err := Decode([]Property{{Prefix + "schema", "1"}, {Prefix + "kind", kind}, {Prefix + "values", values},
			{Prefix + "image", image}, {Prefix + "prior", prior}, {Prefix + "training", training}})
		if err != nil {
			return
		}
		out, err := Encode(m)
		if err != nil {
			t.Fatalf("decoded %+v does not encode: %v", m, err)
		}
		again, err := Decode(out)
		if err != nil {
			t.Fatalf("re-encoded %v does not decode: %v", out, err)
		}
		twice, err := Encode(again)
		if err != nil || !reflect.DeepEqual(out, twice) {
			t.Fatalf("encoding is not stable: %v and %v (%v)", out, twice, err)
		}
	})
}

func TestRound(t *testing.T) {
	c := Component{Weight: 1, Mean: []float32{0, -3, 1.01}, Chol: []float32{1e-3, 0.5, 0.25}}
	want := Component{Mean: append([]float32{}, c.Mean...), Chol: append([]float32{}, c.Chol...)}
	c.Round()
	for i := range c.Mean {
		if d := math.Abs(float64(c.Mean[i] - want.Mean[i])); d > 3.0/254*1.001 {
			t.Errorf("mean %v became %v", want.Mean, c.Mean)
		}
		if d := math.Abs(float64(c.Chol[i] - want.Chol[i])); d > 0.5/254*1.001 {
			t.Errorf("factor %v became %v", want.Chol, c.Chol)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var got Component
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%s became %+v (%v), want %+v", b, got, err, c)
	}
	c.Mean[0] += c.MeanStep / 2
	if _, err := json.Marshal(c); err == nil {
		t.Error("a number between two multiples was written")
	}
}
