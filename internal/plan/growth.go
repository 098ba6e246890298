package plan

import (
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/tensor"
)

// Packed weights may take more bytes than the model's, where activations take more than that,
// and else in all a part of what constants take and growthFree: forms that save products are
// for the first layers that fit, and the others are multiplied directly. The number of pictures
// does not count, so that results are the same in every batch.
const (
	growthFree = 512 << 10
	growthPart = 8
)

// mayGrow reports whether the packed weights of o, whose inputs are in, may be as large as they
// are, and counts them.
func (b *builder) mayGrow(o op.Op, in []op.Fact) bool {
	n, weights := op.Growth(o, in)
	if n <= 0 || b.grown[weights] {
		return true
	}
	if b.grown == nil {
		b.grown = map[*tensor.Tensor]bool{}
		b.growth = growthFree
		seen := map[*tensor.Tensor]bool{}
		for _, n := range b.g.Nodes {
			for _, id := range n.In {
				if c := b.fact(id).Const; c != nil && !seen[c] {
					seen[c] = true
					b.growth += op.SizeOf(c) / growthPart
				}
			}
		}
	}
	if n > b.growth {
		return false
	}
	b.growth -= n
	b.grown[weights] = true
	return true
}

// boundGrowth makes the operators whose weights would grow too much direct ones.
func (b *builder) boundGrowth() {
	for _, n := range b.g.Nodes {
		if b.isDynamic(n) || b.mayGrow(n.Op, b.inFacts(n)) {
			continue
		}
		if o, ok := op.Compact(n.Op); ok {
			n.Op = o
		}
	}
}
