package op

import "github.com/aekit/aekit/tensor"

var (
	_ Fuser = (*quantConv)(nil)
	_ Fuser = (*quantConvTranspose)(nil)
)

// Fuse implements [Fuser]: results go through the table that follows while they are in cache.
func (o *quantConv) Fuse(next Op, _ int, _ []Fact) (Op, int, bool) {
	v := *o
	return &v, 0, v.absorb(next)
}

// Fuse implements [Fuser].
func (o *quantConvTranspose) Fuse(next Op, _ int, _ []Fact) (Op, int, bool) {
	v := *o
	return &v, 0, v.absorb(next)
}

// absorb makes a table that follows part of the operator.
func (o *quantConv) absorb(next Op) bool {
	t, ok := next.(*byteTable)
	if !ok || o.integer || o.table != nil || t.from != t.to {
		return false
	}
	o.table = &t.table
	return true
}

// finish applies the table to all results.
func (o *quantConv) finish(y *tensor.Tensor) {
	if o.table != nil {
		o.table.Map(y.Bytes(), y.Bytes())
	}
}
