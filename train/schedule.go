package train

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
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

func (c Cosine) String() string {
	if c.Floor == 0 {
		return "cosine"
	}
	return fmt.Sprintf("cosine:floor=%v", c.Floor)
}

func (c Cosine) check() error {
	if !(c.Floor >= 0 && c.Floor <= 1) {
		return fmt.Errorf("train: floor of the cosine schedule is %v; it is between 0 and 1", c.Floor)
	}
	return nil
}

// Steps multiplies the learning rate by Gamma at each epoch of At, counted from the end of
// the warm-up.
type Steps struct {
	At    Milestones
	Gamma float64
}

// Factor implements [Schedule], as if training ended with the last milestone.
func (s Steps) Factor(done float64) float64 {
	if len(s.At) == 0 {
		return 1
	}
	return s.factorAt(done * s.At[len(s.At)-1])
}

func (s Steps) factorAt(epochs float64) float64 {
	f := 1.0
	for _, at := range s.At {
		if epochs >= at {
			f *= s.Gamma
		}
	}
	return f
}

func (s Steps) String() string {
	at, _ := s.At.MarshalText()
	return fmt.Sprintf("steps:at=%s,gamma=%v", at, s.Gamma)
}

func (s Steps) check() error {
	if len(s.At) == 0 {
		return errors.New("train: the schedule needs epochs to change the learning rate at, as in steps:at=30/60/90,gamma=0.1")
	}
	if !(s.Gamma > 0) || math.IsInf(s.Gamma, 1) {
		return fmt.Errorf("train: gamma of the schedule is %v; it is above 0", s.Gamma)
	}
	return nil
}

// Milestones are epochs, ascending and above 0. The text of them has slashes between, as in
// "30/60/90".
type Milestones []float64

// MarshalText implements [encoding.TextMarshaler].
func (m Milestones) MarshalText() ([]byte, error) {
	var b []byte
	for i, at := range m {
		if i > 0 {
			b = append(b, '/')
		}
		b = strconv.AppendFloat(b, at, 'g', -1, 64)
	}
	return b, nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Milestones) UnmarshalText(text []byte) error {
	*m = nil
	for s := range strings.SplitSeq(string(text), "/") {
		at, err := strconv.ParseFloat(s, 64)
		if err != nil || !(at > 0) || math.IsInf(at, 1) || len(*m) > 0 && at <= (*m)[len(*m)-1] {
			return fmt.Errorf("epochs %q: want numbers above 0, ascending, with slashes between", text)
		}
		*m = append(*m, at)
	}
	return nil
}

// ParseSchedule returns the schedule that a specification describes: "constant", "cosine",
// "tripling" or "steps", and, after a colon, settings of its fields in lower case, as in
// "cosine:floor=0.1" and "steps:at=30/60/90,gamma=0.1". Gamma is 0.1 unless given.
func ParseSchedule(spec string) (Schedule, error) {
	name, settings, _ := strings.Cut(spec, ":")
	var s Schedule
	switch name {
	case "constant", "":
		s = Constant{}
	case "cosine":
		s = Cosine{}
	case "tripling":
		s = Tripling{}
	case "steps":
		s = Steps{Gamma: 0.1}
	default:
		return nil, fmt.Errorf("train: no schedule %q; there are constant, cosine, steps and tripling", name)
	}
	v, err := configure(s, settings)
	if err != nil {
		return nil, fmt.Errorf("train: schedule %q: %w", spec, err)
	}
	s = v.Interface().(Schedule)
	if c, ok := s.(interface{ check() error }); ok {
		err = c.check()
	}
	return s, err
}
