package meta

import (
	"encoding/json"
	"errors"
	"math"
)

// Component is one Gaussian of a mixture: mean + chol·n, with n standard normal.
type Component struct {
	Weight float32
	Mean   []float32
	// Chol is either one standard deviation for each element, or the lower triangle, by
	// rows, of the Cholesky factor of the covariance: d·(d+1)/2 numbers. For d = 1 the two
	// are the same.
	Chol []float32
	// MeanStep and CholStep, if not 0, say that every number of Mean, and of Chol, is a
	// multiple of that step, by -127 to 127. The file then has a byte for each. [Component.Round]
	// makes it so.
	MeanStep, CholStep float32
}

// Round changes Mean and Chol to the nearest multiples of steps that it chooses, so that
// the component takes a byte for each number in the file.
func (c *Component) Round() {
	c.MeanStep, c.CholStep = round(c.Mean), round(c.Chol)
}

func round(v []float32) float32 {
	top := float32(0)
	for _, x := range v {
		top = max(top, x, -x)
	}
	step := top / 127
	if !(step > 0) || math.IsInf(float64(step), 0) {
		return 0
	}
	for i, x := range v {
		v[i] = float32(math.RoundToEven(float64(x)/float64(step))) * step
	}
	return step
}

// wireComponent is the JSON form: numbers, or for each array a step and its multiples as
// bytes in two's complement.
type wireComponent struct {
	Weight    float32   `json:"weight"`
	Mean      []float32 `json:"mean,omitempty"`
	Chol      []float32 `json:"chol,omitempty"`
	MeanStep  float32   `json:"mean_step,omitempty"`
	MeanBytes []byte    `json:"mean_bytes,omitempty"`
	CholStep  float32   `json:"chol_step,omitempty"`
	CholBytes []byte    `json:"chol_bytes,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (c Component) MarshalJSON() ([]byte, error) {
	w := wireComponent{Weight: c.Weight, MeanStep: c.MeanStep, CholStep: c.CholStep}
	var err error
	if w.Mean, w.MeanBytes, err = multiples(c.Mean, c.MeanStep); err != nil {
		return nil, err
	}
	if w.Chol, w.CholBytes, err = multiples(c.Chol, c.CholStep); err != nil {
		return nil, err
	}
	return json.Marshal(w)
}

func multiples(v []float32, step float32) ([]float32, []byte, error) {
	if step == 0 {
		return v, nil, nil
	}
	b := make([]byte, len(v))
	for i, x := range v {
		k := math.RoundToEven(float64(x) / float64(step))
		if !(math.Abs(k) <= 127) || float32(k)*step != x {
			return nil, nil, errors.New("a number is not a multiple of its step")
		}
		b[i] = byte(int8(k))
	}
	return nil, b, nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Component) UnmarshalJSON(b []byte) error {
	var w wireComponent
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*c = Component{Weight: w.Weight, MeanStep: w.MeanStep, CholStep: w.CholStep}
	c.Mean = numbers(w.Mean, w.MeanBytes, w.MeanStep)
	c.Chol = numbers(w.Chol, w.CholBytes, w.CholStep)
	return nil
}

func numbers(v []float32, b []byte, step float32) []float32 {
	if step == 0 {
		return v
	}
	v = make([]float32, len(b))
	for i, x := range b {
		v[i] = float32(int8(x)) * step
	}
	return v
}
