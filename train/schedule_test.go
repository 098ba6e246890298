package train

import (
	"math"
	"strings"
	"testing"
)

func TestSchedule(t *testing.T) {
	for _, tt := range []struct {
		spec string
		step int // of 40, ten an epoch, the first ten warm up
		want float64
	}{
		{"constant", 0, 2. / 11}, {"constant", 9, 20. / 11}, {"constant", 10, 2}, {"constant", 39, 2},
		{"cosine", 10, 2}, {"cosine", 25, 1}, {"cosine", 40, 0},
		{"cosine:floor=0.1", 10, 2}, {"cosine:floor=0.1", 25, 2 * (0.1 + 0.9/2)}, {"cosine:floor=0.1", 40, 0.2},
		{"steps:at=1/2.5", 9, 20. / 11}, {"steps:at=1/2.5", 19, 2}, {"steps:at=1/2.5", 20, 0.2}, {"steps:at=1/2.5", 34, 0.2}, {"steps:at=1/2.5", 35, 0.02},
		{"steps:at=2,gamma=0.5", 40, 1},
		{"tripling", 19, 2}, {"tripling", 20, 2 * math.Pow(10, -1./7)},
	} {
		s, err := ParseSchedule(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.String(); got != tt.spec && !strings.HasPrefix(got, tt.spec+",gamma=") {
			t.Errorf("%s calls itself %s", tt.spec, got)
		}
		cfg := small(t)
		cfg.Data, cfg.Batch, cfg.Epochs = digits(t, 100, false), 10, 4
		cfg.LR, cfg.Warmup, cfg.Schedule = 2, 1, s
		tr := newTrainer(t, cfg)
		tr.pos.Steps = tt.step
		if got := tr.learningRate(); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%s, step %d: rate %v, want %v", tt.spec, tt.step, got, tt.want)
		}
	}
}

func TestScheduleErrors(t *testing.T) {
	for spec, want := range map[string]string{
		"step":                    `no schedule "step"; there are constant, cosine, steps and tripling`,
		"cosine:floor=2":          "between 0 and 1",
		"cosine:gamma=2":          `no setting "gamma"`,
		"steps":                   "needs epochs",
		"steps:at=30/20":          "ascending",
		"steps:at=0/20":           "above 0",
		"steps:at=x":              "want numbers",
		"steps:at=30,gamma=0":     "above 0",
		"steps:at=30,gamma=NaN":   "above 0",
		"tripling:at=30,gamma=.1": `no setting "at"`,
	} {
		if s, err := ParseSchedule(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want an error with %q", spec, s, err, want)
		}
	}
}
