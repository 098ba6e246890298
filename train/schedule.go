package train

import (
	"fmt"
	"math"
)

// Schedule gives the factor on the learning rate at a moment of training, for the epoch
// as a fraction: done is in [0, 1) and warm, the length of a linear warm-up from 0 in
// epochs, has been dealt with. See [Config.Warmup].
type Schedule interface {
	// Factor returns the factor at done, the share of the steps after the warm-up that
	// have been taken.
	Factor(done float64) float64
	String() string
}

// Constant keeps the learning rate.
type Constant struct{}

// Factor implements [Schedule].
func (Constant) Factor(float64) float64 { return 1 }

func (Constant) String() string { return "constant" }

// Cosine lowers the learning rate along half a cosine from 1 to Floor (Loshchilov and
// Hutter 2017, without restarts).
type Cosine struct{ Floor float64 }

// Factor implements [Schedule].
func (c Cosine) Factor(done float64) float64 {
	return c.Floor + (1-c.Floor)*(1+math.Cos(math.Pi*done))/2
}

func (Cosine) String() string { return "cosine" }

// ParseSchedule returns the schedule of that name: "constant" or "cosine".
func ParseSchedule(name string) (Schedule, error) {
	switch name {
	case "constant", "":
		return Constant{}, nil
	case "cosine":
		return Cosine{}, nil
	}
	return nil, fmt.Errorf("train: no schedule %q; there are constant and cosine", name)
}
