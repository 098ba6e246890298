package metric

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// AUC is the area under the receiver operating characteristic: the probability that a
// positive scores higher than a negative, ties counting half. There must be positives and
// negatives, as many scores as labels, and no NaN.
func AUC(scores []float64, positive []bool) (float64, error) {
	roc, err := newROC(scores, positive)
	if err != nil {
		return 0, err
	}
	return roc.area(1), nil
}

// PartialAUC is the area under the receiver operating characteristic for false positive
// rates up to maxFPR, in (0, 1], standardised so that a useless score gives 0.5 and a
// perfect one 1 (McClish: "Analyzing a portion of the ROC curve", 1989).
func PartialAUC(scores []float64, positive []bool, maxFPR float64) (float64, error) {
	if !(maxFPR > 0 && maxFPR <= 1) {
		return 0, fmt.Errorf("metric: false positive rate %g is not in (0, 1]", maxFPR)
	}
	roc, err := newROC(scores, positive)
	if err != nil {
		return 0, err
	}
	least := maxFPR * maxFPR / 2
	return 0.5 * (1 + (roc.area(maxFPR)-least)/(maxFPR-least)), nil
}

// roc holds the corners of the curve, from (0, 0) to (1, 1).
type roc struct{ fpr, tpr []float64 }

func newROC(scores []float64, positive []bool) (*roc, error) {
	if len(scores) != len(positive) {
		return nil, fmt.Errorf("metric: %d scores, %d labels", len(scores), len(positive))
	}
	order := make([]int, len(scores))
	var pos, neg float64
	for i, s := range scores {
		order[i] = i
		if math.IsNaN(s) {
			return nil, fmt.Errorf("metric: score %d is not a number", i)
		}
		if positive[i] {
			pos++
		} else {
			neg++
		}
	}
	if pos == 0 || neg == 0 {
		return nil, errors.New("metric: the area under the curve needs positives and negatives")
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	r := &roc{fpr: []float64{0}, tpr: []float64{0}}
	var tp, fp float64
	for k, i := range order {
		if positive[i] {
			tp++
		} else {
			fp++
		}
		if k+1 == len(order) || scores[order[k+1]] != scores[i] {
			r.fpr = append(r.fpr, fp/neg)
			r.tpr = append(r.tpr, tp/pos)
		}
	}
	return r, nil
}

// area integrates the curve, linear between corners, up to the false positive rate limit.
func (r *roc) area(limit float64) float64 {
	sum := 0.0
	for i := 1; i < len(r.fpr); i++ {
		x0, x1, y0, y1 := r.fpr[i-1], r.fpr[i], r.tpr[i-1], r.tpr[i]
		if x0 >= limit {
			break
		}
		if x1 > limit {
			y1 = y0 + (y1-y0)*(limit-x0)/(x1-x0)
			x1 = limit
		}
		sum += (x1 - x0) * (y0 + y1) / 2
	}
	return sum
}
