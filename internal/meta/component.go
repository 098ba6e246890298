package meta

import (
	"encoding/binary"
	"encoding/json"
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
	// multiple of that step, by -127 to 127. The file then has a byte for each.
	// [Component.Round] makes it so.
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

// wireComponent is the JSON form: either numbers, or all of it packed, in little-endian
// order: weight, MeanStep and CholStep as float32, then a byte in two's complement for each
// number of Mean and of Chol, which has as many as the rest are.
type wireComponent struct {
	Weight float32   `json:"weight,omitempty"`
	Mean   []float32 `json:"mean,omitempty"`
	Chol   []float32 `json:"chol,omitempty"`
	Packed []byte    `json:"packed,omitempty"`
	Dim    int       `json:"dim,omitempty"` // numbers of Mean, where packed
}

// MarshalJSON implements [json.Marshaler].
func (c Component) MarshalJSON() ([]byte, error) {
	if c.MeanStep == 0 || c.CholStep == 0 {
		return json.Marshal(wireComponent{Weight: c.Weight, Mean: c.Mean, Chol: c.Chol})
	}
	var b []byte
	for _, v := range []float32{c.Weight, c.MeanStep, c.CholStep} {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	var err error
	if b, err = appendMultiples(b, c.Mean, c.MeanStep); err != nil {
		return nil, err
	}
	if b, err = appendMultiples(b, c.Chol, c.CholStep); err != nil {
		return nil, err
	}
	return json.Marshal(wireComponent{Packed: b, Dim: len(c.Mean)})
}

func appendMultiples(b []byte, v []float32, step float32) ([]byte, error) {
	for _, x := range v {
		k := math.RoundToEven(float64(x) / float64(step))
		if !(math.Abs(k) <= 127) || float32(k)*step != x {
			return nil, errorf("%v is not a multiple of %v by -127 to 127", x, step)
		}
		b = append(b, byte(int8(k)))
	}
	return b, nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Component) UnmarshalJSON(b []byte) error { return c.readJSON(string(b)) }

func (c *Component) readJSON(text string) error {
	var w wireComponent
	if err := parse(text, &w); err != nil {
		return err
	}
	if w.Packed == nil {
		*c = Component{Weight: w.Weight, Mean: w.Mean, Chol: w.Chol}
		return nil
	}
	const head = 12
	if len(w.Packed) < head || w.Dim < 0 || w.Dim > len(w.Packed)-head {
		return errorf("%d packed bytes for %d dimensions", len(w.Packed), w.Dim)
	}
	at := func(i int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(w.Packed[4*i:])) }
	*c = Component{Weight: at(0), MeanStep: at(1), CholStep: at(2)}
	body := w.Packed[head:]
	c.Mean, c.Chol = multiples(body[:w.Dim], c.MeanStep), multiples(body[w.Dim:], c.CholStep)
	return nil
}

func multiples(b []byte, step float32) []float32 {
	v := make([]float32, len(b))
	for i, x := range b {
		v[i] = float32(int8(x)) * step
	}
	return v
}
