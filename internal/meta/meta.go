// Package meta is the schema of what an aekit model file says of itself, in the metadata
// properties of the ONNX model: how images become tensors, which values mean what, what
// latent vectors to draw, and how the model was made. Export writes it, runtime reads it.
//
// Each top-level field of [Model] is one property, "aekit." and the field's name, whose
// text is JSON; "aekit.schema" holds the version. Decoding checks every range: the text of
// a foreign file is not trusted.
package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Version is the schema version that Encode writes. Decode refuses higher ones.
const Version = 1

// Prefix begins the key of every property of the schema.
const Prefix = "aekit."

// Model is the description of a model.
type Model struct {
	Kind         string        `json:"kind"` // one of Kinds
	Preset       string        `json:"preset,omitempty"`
	Values       Values        `json:"values"`
	Image        Image         `json:"image"`
	Classes      int           `json:"classes,omitempty"` // of a conditional model: labels are 0 … Classes-1
	Prior        []Stage       `json:"prior,omitempty"`
	Anomaly      *Anomaly      `json:"anomaly,omitempty"`
	Training     *Training     `json:"training,omitempty"`
	Dataset      *Dataset      `json:"dataset,omitempty"`
	Quantization *Quantization `json:"quantization,omitempty"`
}

// Kinds of models. They say which values exist: an autoencoder has image, z and
// reconstruction; a variational one mu and logvar too; a quantising one codes; a generator
// only z and reconstruction.
const (
	KindAE        = "ae"
	KindVAE       = "vae"
	KindVQ        = "vq-vae"
	KindGenerator = "generator"
)

// Values names the values of the graph by their role. Empty: the model has none.
type Values struct {
	Image          string `json:"image,omitempty"` // input of the encoder
	Label          string `json:"label,omitempty"` // int64 or one-hot condition, an input
	Mu             string `json:"mu,omitempty"`
	LogVar         string `json:"logvar,omitempty"`
	Z              string `json:"z"`               // what the decoder starts from
	Codes          string `json:"codes,omitempty"` // discrete latents
	Reconstruction string `json:"reconstruction"`
}

// Image says how an image becomes a tensor: a pixel p in [0, 1] of channel c becomes
// (p - Mean[c]) / Std[c].
type Image struct {
	Width    int       `json:"width"`
	Height   int       `json:"height"`
	Channels int       `json:"channels"`       // 1 grey, 3 red-green-blue
	Layout   string    `json:"layout"`         // one of the Layout constants
	Mean     []float32 `json:"mean,omitempty"` // one for each channel; absent: 0
	Std      []float32 `json:"std,omitempty"`  // one for each channel; absent: 1
}

// Layouts of the image tensor: [N, C, H, W], [N, H, W, C], or [N, C·H·W] in channel order.
const (
	LayoutNCHW = "NCHW"
	LayoutNHWC = "NHWC"
	LayoutFlat = "flat"
)

// Stage is one step of drawing latents. The first stage draws from fixed parameters; a
// later one may have the model compute its parameters from values drawn before.
type Stage struct {
	Value        string `json:"value"`        // the value of the graph that is drawn
	Distribution string `json:"distribution"` // one of the Distribution constants
	DType        string `json:"dtype"`        // element type of the value, as package tensor names it
	Shape        []int  `json:"shape"`        // of one sample, without the batch axis

	Mean       []float32   `json:"mean,omitempty"`       // gaussian: one for each element
	Chol       []float32   `json:"chol,omitempty"`       // gaussian: see Component.Chol
	Components []Component `json:"components,omitempty"` // gmm

	// Given and Params describe a conditional stage: the sub-model from the values Given to
	// the values Params gives the distribution's parameters. gaussian: mean and log of the
	// variance; bernoulli and categorical: logits (categorical: classes on the last axis).
	Given  []string `json:"given,omitempty"`
	Params []string `json:"params,omitempty"`

	// Length, if not 0, says that the stage is autoregressive: it is drawn element by
	// element, Length of them in row-major order, and each draw feeds the next.
	Length  int `json:"length,omitempty"`
	Classes int `json:"classes,omitempty"` // categorical: values are 0 … Classes-1
}

// Distributions of a Stage.
const (
	DistNormal      = "normal"      // standard normal
	DistGaussian    = "gaussian"    // one Gaussian
	DistGMM         = "gmm"         // a mixture of Gaussians
	DistBernoulli   = "bernoulli"   // 0 or 1
	DistCategorical = "categorical" // 0 … Classes-1
)

// Anomaly says from which reconstruction error an image counts as unusual.
type Anomaly struct {
	Score     string  `json:"score"` // "mse": mean squared error of a pixel in [0, 1]
	Threshold float64 `json:"threshold"`
	Quantile  float64 `json:"quantile"` // share of normal images below the threshold
}

// Training summarises how the weights were found.
type Training struct {
	Objective string  `json:"objective"`
	Unit      string  `json:"unit"` // of the losses
	Optimizer string  `json:"optimizer"`
	Epochs    int     `json:"epochs"`
	Batch     int     `json:"batch"`
	LR        float64 `json:"lr"`
	Seed      uint64  `json:"seed"`
	TrainLoss float64 `json:"train_loss"`
	ValLoss   float64 `json:"val_loss,omitempty"`
	TestLoss  float64 `json:"test_loss,omitempty"`
}

// Dataset identifies the training images.
type Dataset struct {
	// Name is that of the data set, or the last element of the path of a folder: files that
	// are handed on do not tell where their maker kept the images.
	Name   string `json:"name"`
	Images int    `json:"images"`
	Digest string `json:"digest"` // SHA-256 in hexadecimal
}

// Quantization summarises how a model was brought to integers.
type Quantization struct {
	Format      string  `json:"format"` // qdq, qoperator, dynamic, weight-only
	Weights     string  `json:"weights"`
	Activations string  `json:"activations,omitempty"`
	Method      string  `json:"method,omitempty"` // of calibration
	Images      int     `json:"images,omitempty"` // that it was calibrated with
	FloatMSE    float64 `json:"float_mse,omitempty"`
	MSE         float64 `json:"mse,omitempty"`
	Digest      string  `json:"digest,omitempty"` // of the integer islands' outputs
}

// Property is one entry of a model's metadata_props.
type Property struct{ Key, Value string }

// fields lists the properties in the order in which Encode writes them.
func (m *Model) fields() []struct {
	key string
	ptr any
} {
	return []struct {
		key string
		ptr any
	}{
		{"kind", &m.Kind}, {"preset", &m.Preset}, {"values", &m.Values}, {"image", &m.Image}, {"classes", &m.Classes},
		{"prior", &m.Prior}, {"anomaly", &m.Anomaly}, {"training", &m.Training},
		{"dataset", &m.Dataset}, {"quantization", &m.Quantization},
	}
}

// Encode returns the properties that describe m, in a fixed order. It fails if m is not
// valid.
func Encode(m *Model) ([]Property, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	out := []Property{{Prefix + "schema", fmt.Sprint(Version)}}
	for _, f := range m.fields() {
		b, err := json.Marshal(f.ptr)
		if err != nil {
			return nil, errorf("meta: %s: %w", f.key, err)
		}
		if s := string(b); s != `""` && s != "null" && s != "[]" && s != "0" {
			out = append(out, Property{Prefix + f.key, s})
		}
	}
	return out, nil
}

// ErrNone is returned by Decode for a model without this metadata.
var ErrNone = errors.New("meta: the model has no aekit metadata")

// maxText bounds the text of one property.
const maxText = 16 << 20

// Decode reads the properties of a model; those of other programs are skipped. Unknown
// fields inside a property are ignored, values out of range are errors.
func Decode(props []Property) (*Model, error) {
	text := map[string]string{}
	for _, p := range props {
		if !strings.HasPrefix(p.Key, Prefix) {
			continue
		}
		if _, twice := text[p.Key]; twice {
			return nil, errorf("meta: property %q occurs twice", p.Key)
		}
		if len(p.Value) > maxText {
			return nil, errorf("meta: property %q is longer than %d bytes", p.Key, maxText)
		}
		text[p.Key] = p.Value
	}
	schema, ok := text[Prefix+"schema"]
	if !ok {
		return nil, ErrNone
	}
	var version int
	if err := parse(schema, &version); err != nil || version < 1 {
		return nil, errorf("meta: schema version %.20q is not a positive number", schema)
	}
	if version > Version {
		return nil, errorf("meta: schema version %d, this program knows up to %d", version, Version)
	}
	m := new(Model)
	for _, f := range m.fields() {
		s, ok := text[Prefix+f.key]
		if !ok {
			continue
		}
		if err := parse(s, f.ptr); err != nil {
			return nil, errorf("meta: property %q: %w", Prefix+f.key, err)
		}
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// FromMap returns the entries of m sorted by key.
func FromMap(m map[string]string) []Property {
	out := make([]Property, 0, len(m))
	for k, v := range m {
		out = append(out, Property{k, v})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}
