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

// byEpoch is a Schedule that does not depend on the number of epochs: a run can be made
// longer when it is resumed.
type byEpoch interface{ factorAt(epochs float64) float64 }

// Constant keeps the learning rate.
type Constant struct{}

// Factor implements [Schedule].
func (Constant) Factor(float64) float64 { return 1 }

func (Constant) factorAt(float64) float64 { return 1 }

func (Constant) String() string { return "constant" }

// Tripling multiplies the learning rate by 10^(-1/7) after 1, 4, 13, 40, 121, 364 and 1093
// epochs: stage i lasts 3^i epochs and has the factor 10^(-i/7), up to i = 7. This is the
// schedule of Burda et al. 2016, "Importance weighted autoencoders", §5, whose 8 stages
// take 3,280 epochs.
type Tripling struct{}

// Factor implements [Schedule] for the whole 3,280 epochs.
func (s Tripling) Factor(done float64) float64 { return s.factorAt(3280 * done) }

func (Tripling) factorAt(epochs float64) float64 {
	stage, length := 0, 1.0
	for epochs >= length && stage < 7 {
		epochs -= length
		length *= 3
		stage++
	}
	return math.Pow(10, -float64(stage)/7)
}

func (Tripling) String() string { return "tripling" }

// Cosine lowers the learning rate along half a cosine from 1 to Floor (Loshchilov and
// Hutter 2017, without restarts).
type Cosine struct{ Floor float64 }

// Factor implements [Schedule].
func (c Cosine) Factor(done float64) float64 {
	return c.Floor + (1-c.Floor)*(1+math.Cos(math.Pi*done))/2
}

func (Cosine) String() string { return "cosine" }

// ParseSchedule returns the schedule of that name: "constant", "cosine" or "tripling".
func ParseSchedule(name string) (Schedule, error) {
	switch name {
	case "constant", "":
		return Constant{}, nil
	case "cosine":
		return Cosine{}, nil
	case "tripling":
		return Tripling{}, nil
	}
	return nil, fmt.Errorf("train: no schedule %q; there are constant, cosine and tripling", name)
}
