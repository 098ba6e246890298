package plan

import (
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// arithmetic is the kind of numbers that a step computes.
type arithmetic uint8

const (
	arithNone  arithmetic = iota // moves data, quantises, dequantises, or computes shapes
	arithInt                     // 8-bit values, with results that are the same everywhere
	arithFloat                   // floating point
)

// arithmetic says what step i computes.
func (p *Plan) arithmetic(i int) arithmetic {
	s := &p.steps[i]
	if s.view || movesOnly(s.node) {
		return arithNone
	}
	if op.IsChain(s.node.Op) {
		return arithInt
	}
	in, out := false, false // 8-bit values
	for _, list := range []struct {
		slots []int
		has   *bool
	}{{s.in, &in}, {s.out, &out}} {
		for _, k := range list.slots {
			if k < 0 {
				continue
			}
			if d := p.slots[k].fact.DType; p.slots[k].kind != slotData && (d == tensor.Int8 || d == tensor.Uint8) {
				*list.has = true
			}
		}
	}
	switch s.node.OpType {
	case "QuantizeLinear", "DequantizeLinear":
		if in && out {
			return arithInt
		}
		return arithNone
	}
	if in && out {
		return arithInt
	}
	for _, k := range s.out {
		if k >= 0 && (p.slots[k].kind == slotDynamic || p.slots[k].fact.DType.IsFloat()) {
			return arithFloat
		}
	}
	return arithNone
}
