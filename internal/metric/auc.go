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
	return roc.area(), nil
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

// area integrates the curve, linear between corners.
func (r *roc) area() float64 {
	sum := 0.0
	for i := 1; i < len(r.fpr); i++ {
		sum += (r.fpr[i] - r.fpr[i-1]) * (r.tpr[i-1] + r.tpr[i]) / 2
	}
	return sum
}
