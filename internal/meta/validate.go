package meta

import (
	"errors"
	"math"
	"slices"
)

// Bounds of what a model may say. They keep sizes computed from metadata within an int of
// 32 bits.
const (
	maxSide     = 1 << 14
	maxElems    = 1 << 24
	maxStages   = 64
	maxRank     = 8
	maxClasses  = 1 << 20
	maxMixture  = 1 << 12
	maxNameSize = 1 << 12
)

// Validate checks every field of m.
func (m *Model) Validate() error {
	if err := m.validate(); err != nil {
		return errorf("meta: %w", err)
	}
	return nil
}

func (m *Model) validate() error {
	switch m.Kind {
	case KindAE, KindVAE, KindVQ, KindGenerator:
	default:
		return errorf("kind %.40q is not known", m.Kind)
	}
	v := &m.Values
	for _, s := range []string{m.Preset, v.Image, v.Label, v.Mu, v.LogVar, v.Z, v.Codes, v.Reconstruction} {
		if len(s) > maxNameSize {
			return errors.New("a name is too long")
		}
	}
	if v.Z == "" || v.Reconstruction == "" {
		return errors.New("values: z and reconstruction must be named")
	}
	if v.Image == "" && m.Kind != KindGenerator {
		return errorf("values: a model of kind %q needs an image", m.Kind)
	}
	if m.Kind == KindVAE && (v.Mu == "" || v.LogVar == "") {
		return errors.New("values: a variational model needs mu and logvar")
	}
	if m.Classes < 0 || m.Classes > maxClasses || m.Classes > 0 && v.Label == "" {
		return errorf("%d classes, label input %.40q", m.Classes, v.Label)
	}
	if err := m.Image.validate(); err != nil {
		return errorf("image: %w", err)
	}
	if len(m.Prior) > maxStages {
		return errorf("prior: %d stages, at most %d", len(m.Prior), maxStages)
	}
	for i := range m.Prior {
		if err := m.Prior[i].validate(); err != nil {
			return errorf("prior: stage %d: %w", i, err)
		}
	}
	if a := m.Anomaly; a != nil {
		if a.Score != "mse" || !(a.Threshold >= 0) || math.IsInf(a.Threshold, 0) || !(a.Quantile >= 0 && a.Quantile <= 1) {
			return errorf("anomaly: %+v is out of range", *a)
		}
	}
	if t := m.Training; t != nil {
		if t.Epochs < 0 || t.Batch < 0 || !finite(t.LR, t.TrainLoss, t.ValLoss, t.TestLoss) {
			return errorf("training: %+v is out of range", *t)
		}
	}
	if d := m.Dataset; d != nil && d.Images < 0 {
		return errorf("dataset: %d images", d.Images)
	}
	if q := m.Quantization; q != nil && (q.Images < 0 || !finite(q.FloatMSE, q.MSE)) {
		return errorf("quantization: %+v is out of range", *q)
	}
	return nil
}

func finite(v ...float64) bool {
	return !slices.ContainsFunc(v, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

func finite32(v []float32) bool {
	return !slices.ContainsFunc(v, func(x float32) bool { return !(x-x == 0) })
}

func (i *Image) validate() error {
	if i.Width < 1 || i.Width > maxSide || i.Height < 1 || i.Height > maxSide {
		return errorf("size %dx%d, want 1 to %d each", i.Width, i.Height, maxSide)
	}
	if i.Channels != 1 && i.Channels != 3 {
		return errorf("%d channels, want 1 or 3", i.Channels)
	}
	if i.Layout != LayoutNCHW && i.Layout != LayoutNHWC && i.Layout != LayoutFlat {
		return errorf("layout %.40q is not known", i.Layout)
	}
	if i.Mean != nil && len(i.Mean) != i.Channels || i.Std != nil && len(i.Std) != i.Channels {
		return errorf("%d means and %d deviations for %d channels", len(i.Mean), len(i.Std), i.Channels)
	}
	if !finite32(i.Mean) || !finite32(i.Std) || slices.ContainsFunc(i.Std, func(s float32) bool { return s <= 0 }) {
		return errors.New("mean and std must be finite, and std positive")
	}
	return nil
}

// Elems returns the number of elements of one sample of a valid stage.
func (s *Stage) Elems() int {
	n := 1
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

func (s *Stage) validate() error {
	if s.Value == "" || len(s.Value) > maxNameSize {
		return errors.New("value must be named")
	}
	if len(s.Shape) > maxRank {
		return errorf("shape %v has too many axes", s.Shape)
	}
	n := int64(1)
	for _, d := range s.Shape {
		if d < 1 || d > maxElems || n*int64(d) > maxElems {
			return errorf("shape %v is out of range", s.Shape)
		}
		n *= int64(d)
	}
	if s.Length < 0 || s.Length > maxElems || s.Classes < 0 || s.Classes > maxClasses {
		return errors.New("length or classes out of range")
	}
	discrete := s.Distribution == DistBernoulli || s.Distribution == DistCategorical
	switch s.DType {
	case "float32":
	case "int32", "int64", "uint8", "bool":
		if !discrete {
			return errorf("a %s stage cannot have type %s", s.Distribution, s.DType)
		}
	default:
		return errorf("type %.40q is not supported", s.DType)
	}
	if len(s.Given) > maxStages || len(s.Params) > maxStages || (len(s.Given) > 0) != (len(s.Params) > 0) {
		return errors.New("given and params must both name values, or neither")
	}
	conditional := len(s.Params) > 0
	switch s.Distribution {
	case DistNormal:
		if conditional {
			return errors.New("a normal stage has no parameters")
		}
	case DistGaussian:
		if conditional {
			if len(s.Params) != 2 {
				return errors.New("a conditional gaussian needs a mean and a log variance")
			}
			return nil
		}
		return validGaussian(s.Mean, s.Chol, int(n))
	case DistGMM:
		if conditional || len(s.Components) == 0 || len(s.Components) > maxMixture {
			return errorf("a mixture of %d components", len(s.Components))
		}
		total := 0.0
		for i, c := range s.Components {
			if !(c.Weight >= 0 && c.Weight <= 1) {
				return errorf("component %d: weight %v", i, c.Weight)
			}
			total += float64(c.Weight)
			if err := validGaussian(c.Mean, c.Chol, int(n)); err != nil {
				return errorf("component %d: %w", i, err)
			}
		}
		if math.Abs(total-1) > 1e-3 {
			return errorf("the weights of the components sum to %g", total)
		}
	case DistBernoulli, DistCategorical:
		if s.Distribution == DistCategorical && s.Classes < 1 {
			return errors.New("a categorical stage needs classes")
		}
		if conditional && len(s.Params) != 1 {
			return errors.New("a discrete stage has one parameter, its logits")
		}
	default:
		return errorf("distribution %.40q is not known", s.Distribution)
	}
	return nil
}

func validGaussian(mean, chol []float32, n int) error {
	if len(mean) != n || len(chol) != n && int64(len(chol)) != int64(n)*(int64(n)+1)/2 {
		return errorf("%d means and %d factors for %d elements", len(mean), len(chol), n)
	}
	if !finite32(mean) || !finite32(chol) {
		return errors.New("means and factors must be finite")
	}
	return nil
}
