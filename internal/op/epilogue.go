package op

import (
	"fmt"
	"math"

	"github.com/aekit/aekit/internal/kernel"
	"github.com/aekit/aekit/tensor"
)

// epilogue is what an operator that ends in a matrix product does to its float32 result
// beyond its definition: the addition of a bias along the last axis, and an activation.
type epilogue struct {
	bias   int // index of the input that holds the bias, or 0
	act    kernel.Act
	alpha  float32
	lo, hi float32
}

// activation returns e with next's function as activation, if next is one that kernels
// can apply and nothing has taken that place.
func (e epilogue) activation(next Op, pos int, nextIn []Fact) (epilogue, bool) {
	if e.act != kernel.ActNone || pos != 0 || nextIn[0].DType != tensor.Float32 {
		return e, false
	}
	switch n := next.(type) {
	case *unary:
		e.act, e.alpha = n.fn.act, n.alpha
		return e, e.act != kernel.ActNone
	case *clip:
		e.act = kernel.ActClip
		e.lo, e.hi = float32(math.Inf(-1)), float32(math.Inf(1))
		for i, to := range []*float32{&e.lo, &e.hi} {
			if !present(nextIn, i+1) {
				continue
			}
			c := nextIn[i+1].Const
			if c == nil || c.DType() != tensor.Float32 || c.Elems() != 1 {
				return e, false
			}
			*to = c.Float32s()[0]
		}
		return e, true
	}
	return e, false
}

// addBias returns e with the addition that next stands for as its bias, if next adds a
// constant along the last axis of the value at pos. slot is the index that the constant
// will have among the inputs.
func (e epilogue) addBias(next Op, pos int, nextIn []Fact, slot int) (epilogue, bool) {
	n, ok := next.(*binary)
	if !ok || n.kind != binAdd || e.act != kernel.ActNone || e.bias != 0 || len(nextIn) != 2 {
		return e, false
	}
	y, b := nextIn[pos], nextIn[1-pos]
	if y.DType != tensor.Float32 || b.DType != tensor.Float32 || b.Const == nil || len(y.Shape) < 1 || !isRow(b.Shape, y.Shape[len(y.Shape)-1]) || len(b.Shape) > len(y.Shape) {
		return e, false
	}
	e.bias = slot
	return e, true
}

// isRow reports whether a shape holds n elements along its last axis and nothing else.
func isRow(s tensor.Shape, n int) bool {
	for i, d := range s {
		if i == len(s)-1 && d != n || i < len(s)-1 && d != 1 {
			return false
		}
	}
	return len(s) > 0
}

// checkBias checks a fused bias against the extent of the last axis.
func (e epilogue) checkBias(in []Fact, n int) error {
	if e.bias == 0 {
		return nil
	}
	if f := in[e.bias]; f.DType != in[0].DType || !isRow(f.Shape, n) {
		return fmt.Errorf("input %d: %v is not a bias for %d columns", e.bias, f, n)
	}
	return nil
}

// none reports whether there is nothing to do.
func (e epilogue) none() bool { return e.bias == 0 && e.act == kernel.ActNone }

// kernel fills k from e and the inputs of the run.
func (e epilogue) kernel(k *kernel.Epilogue, in []*tensor.Tensor) {
	*k = kernel.Epilogue{Act: e.act, Alpha: e.alpha, Lo: e.lo, Hi: e.hi}
	if e.bias != 0 {
		k.Bias = in[e.bias].Float32s()
	}
}

// namedActivation reads the attributes with which com.microsoft operators name a fused
// activation. after is one that no epilogue has, or nil.
func namedActivation(a *Attrs) (e epilogue, after *unary) {
	alpha := a.Float("activation_alpha", 0.01)
	beta := a.Float("activation_beta", 0)
	gamma := a.Float("activation_gamma", 0)
	switch s := a.String("activation", ""); s {
	case "":
	case "Relu":
		e.act = kernel.ActRelu
	case "Sigmoid":
		e.act = kernel.ActSigmoid
	case "Tanh":
		e.act = kernel.ActTanh
	case "LeakyRelu":
		e.act, e.alpha = kernel.ActLeakyRelu, alpha
	case "Clip":
		e.act, e.lo, e.hi = kernel.ActClip, alpha, beta
	case "Elu":
		e.act, e.alpha = kernel.ActElu, alpha
	case "Softplus":
		e.act = kernel.ActSoftplus
	case "HardSigmoid":
		after = &unary{fn: fnHardSigmoid, alpha: alpha, beta: beta}
	case "Selu":
		after = &unary{fn: fnSelu, alpha: alpha, beta: gamma}
	case "Softsign":
		after = &unary{fn: fnSoftsign}
	case "ThresholdedRelu":
		after = &unary{fn: fnThresholdedRelu, alpha: alpha}
	default:
		a.Fail("attribute \"activation\": %q is not supported", s)
	}
	return e, after
}
