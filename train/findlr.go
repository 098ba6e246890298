package train

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// LRSearch is the result of [FindLR].
type LRSearch struct {
	Points []LRPoint
	// Suggestion is the rate at which the smoothed loss fell fastest, 0 if it never fell.
	Suggestion float64
}

// LRPoint is a step of a search.
type LRPoint struct {
	LR     float64
	Loss   float64 // of the step
	Smooth float64 // exponential average of the losses so far, bias-corrected
}

const (
	lrSmoothing = 0.9 // weight of the past in LRPoint.Smooth
	lrBlowUp    = 4   // a smoothed loss of so many times the best ends the search
)

// FindLR tries learning rates from lo to hi, both positive, in geometric progression over
// the given number of steps, at least 10 (the learning rate range test of Smith 2017,
// "Cyclical learning rates for training neural networks", §3.3, with the exponential ramp
// that later became common). It trains weights of its own: cfg.Model is not changed. It
// ends early when the loss blows up or ctx ends; in the latter case its cause is returned.
// Schedule, warm-up, validation, checkpoints and callbacks of cfg have no effect.
func FindLR(ctx context.Context, cfg Config, lo, hi float64, steps int) (*LRSearch, error) {
	if !(lo > 0 && hi > lo) || math.IsInf(hi, 0) || steps < 10 {
		return nil, fmt.Errorf("%w: learning rates from %g to %g in %d steps", errConfig, lo, hi, steps)
	}
	if cfg.Data == nil || cfg.Batch < 1 {
		return nil, cfg.check()
	}
	per := (cfg.Data.Len() + cfg.Batch - 1) / cfg.Batch
	cfg.Epochs = steps/max(1, per) + 1
	cfg.Schedule = ramp{lo: lo, hi: hi, share: float64(steps-1) / float64(cfg.Epochs*max(1, per))}
	cfg.LR, cfg.Warmup, cfg.Patience, cfg.Val, cfg.Checkpoint, cfg.OnEpoch = hi, 0, 0, nil, "", nil
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	enough := errors.New("enough")
	s := &LRSearch{}
	best, avg := math.Inf(1), 0.0
	cfg.OnStep = func(p Progress) {
		n := len(s.Points) + 1
		loss := p.Last.Values[0]
		avg = lrSmoothing*avg + (1-lrSmoothing)*loss
		smooth := avg / (1 - math.Pow(lrSmoothing, float64(n)))
		s.Points = append(s.Points, LRPoint{LR: p.LR, Loss: loss, Smooth: smooth})
		best = min(best, smooth)
		// Losses may be negative: what counts is the distance from the best, measured by
		// that of the first.
		if n == steps || n > 10 && smooth-best > lrBlowUp*max(math.Abs(best), s.Points[0].Smooth-best) {
			stop(enough)
		}
	}
	t, err := New(cfg)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	var diverged *DivergedError
	if _, err := t.Run(ctx); err != nil && !errors.Is(err, enough) && !errors.As(err, &diverged) {
		return nil, err
	}
	s.suggest()
	return s, nil
}

// suggest finds the steepest fall of the smoothed loss over the logarithm of the rate,
// between the start, whose average is of few steps, and the minimum.
func (s *LRSearch) suggest() {
	lowest := 0
	for i, p := range s.Points {
		if p.Smooth < s.Points[lowest].Smooth {
			lowest = i
		}
	}
	const apart = 3
	steepest := 0.0
	for i := apart; i <= lowest; i++ {
		a, b := s.Points[i-apart], s.Points[i]
		if slope := (b.Smooth - a.Smooth) / math.Log(b.LR/a.LR); slope < steepest {
			steepest, s.Suggestion = slope, math.Sqrt(a.LR*b.LR)
		}
	}
}

// ramp rises geometrically from lo to hi, which is the base rate, over a share of training.
type ramp struct{ lo, hi, share float64 }

// Factor implements [Schedule].
func (r ramp) Factor(done float64) float64 {
	return math.Pow(r.lo/r.hi, 1-min(1, done/r.share))
}

func (r ramp) String() string { return "ramp" }
