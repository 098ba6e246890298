package op

import (
	"fmt"

	"github.com/aekit/aekit/tensor"
)

// tfIdf is TfIdfVectorizer of integers: it counts, in each row of input 0, [C] or [N C], the
// n-grams of a pool. Items of an n-gram may lie up to max_skip_count+1 places apart, all at the
// same distance. N-gram i of the pool counts in column index[i] of the result.
type tfIdf struct {
	types       Types
	mode        string // TF, IDF or TFIDF
	least, most int    // lengths of n-grams that are looked for
	skips       int
	columns     int
	index       []int
	weights     []float32 // of the columns; nil: all 1
	// tree holds the n-grams item by item: the node that follows a node for an item, counted
	// from 1; 0 is the root. gram is, by node, 1 plus the number of the n-gram that ends there.
	tree map[tfIdfStep]int
	gram []int
}

type tfIdfStep struct {
	node int
	item int64
}

func newTfIdf(a *Attrs) (Op, error) {
	for _, name := range []string{"mode", "ngram_counts", "ngram_indexes", "min_gram_length", "max_gram_length", "max_skip_count"} {
		a.Require(name)
	}
	if a.Has("pool_strings") {
		a.Ignore("pool_strings")
		a.Fail("attribute %q: tensors of strings are not supported", "pool_strings")
	}
	o := &tfIdf{
		types: a.Types(), mode: a.OneOf("mode", "TF", "IDF", "TFIDF"), least: a.Int("min_gram_length", 1), most: a.Int("max_gram_length", 1),
		skips: a.Int("max_skip_count", 0), index: a.Ints("ngram_indexes"), weights: a.Floats("weights"), tree: map[tfIdfStep]int{}, gram: []int{0},
	}
	counts, pool := a.Ints("ngram_counts"), a.Int64s("pool_int64s")
	if o.least < 1 || o.most < o.least || o.most > maxExtent || o.skips < 0 || o.skips > maxExtent {
		a.Fail("min_gram_length %d, max_gram_length %d or max_skip_count %d is out of range", o.least, o.most, o.skips)
		return o, nil
	}
	for _, i := range o.index {
		if i < 0 || i >= maxExtent {
			a.Fail("attribute %q: value %d is out of range", "ngram_indexes", i)
			return o, nil
		}
		o.columns = max(o.columns, i+1)
	}
	if o.weights != nil && len(o.weights) < o.columns {
		a.Fail("%d weights for %d columns", len(o.weights), o.columns)
	}
	grams := 0
	for k, from := range counts {
		to := len(pool)
		if k+1 < len(counts) {
			to = counts[k+1]
		}
		size := k + 1
		if from < 0 || from > to || to > len(pool) || (to-from)%size != 0 {
			a.Fail("attribute %q: %v does not divide a pool of %d items", "ngram_counts", counts, len(pool))
			return o, nil
		}
		for at := from; at < to; at += size {
			grams++
			if size >= o.least && size <= o.most {
				o.add(pool[at:at+size], grams)
			}
		}
	}
	if grams != len(o.index) {
		a.Fail("the pool has %d n-grams, %q %d values", grams, "ngram_indexes", len(o.index))
	}
	return o, nil
}

// add enters an n-gram. Of equal ones the last counts.
func (o *tfIdf) add(items []int64, number int) {
	node := 0
	for _, v := range items {
		next, ok := o.tree[tfIdfStep{node, v}]
		if !ok {
			next = len(o.gram)
			o.tree[tfIdfStep{node, v}] = next
			o.gram = append(o.gram, 0)
		}
		node = next
	}
	o.gram[node] = number
}

// Infer implements [Op].
func (o *tfIdf) Infer(in []Fact) ([]Fact, error) {
	if err := arity(in, 1, 1); err != nil {
		return nil, err
	}
	if err := wantType(in, 0, o.types); err != nil {
		return nil, err
	}
	switch s := in[0].Shape; len(s) {
	case 0, 1:
		return outFact(tensor.Float32, tensor.Shape{o.columns})
	case 2:
		y := tensor.Shape{s[0], o.columns}
		if _, ok := y.Elems(); !ok {
			return nil, tooLargef("output shape %v has too many elements", y)
		}
		return outFact(tensor.Float32, y)
	default:
		return nil, fmt.Errorf("input %v, want one or two axes", s)
	}
}

// Run implements [Op].
func (o *tfIdf) Run(ctx *Context, out, in []*tensor.Tensor) error {
	y := out[0].Float32s()
	clear(y)
	if len(y) == 0 {
		return nil
	}
	rows := len(y) / o.columns
	if in[0].DType() == tensor.Int32 {
		return tfIdfRows(o, ctx, y, rows, tensor.Data[int32](in[0]))
	}
	return tfIdfRows(o, ctx, y, rows, in[0].Int64s())
}

func tfIdfRows[T int32 | int64](o *tfIdf, ctx *Context, y []float32, rows int, x []T) error {
	n := len(x) / rows
	for r := range rows {
		if ctx.Ctx != nil && ctx.Ctx.Err() != nil {
			return ctx.Ctx.Err()
		}
		row := y[r*o.columns : (r+1)*o.columns]
		tfIdfCount(o, row, x[r*n:(r+1)*n])
		for i, v := range row {
			if o.mode == "IDF" {
				v = min(v, 1)
			}
			if o.mode != "TF" && o.weights != nil {
				v *= o.weights[i]
			}
			row[i] = v
		}
	}
	return nil
}

// tfIdfCount counts the n-grams of one row.
func tfIdfCount[T int32 | int64](o *tfIdf, counts []float32, x []T) {
	least := o.least
	for step := 1; step <= o.skips+1 && least <= o.most && int64(least-1)*int64(step) < int64(len(x)); step++ {
		for at := range x {
			node := 0
			for size, i := 1, at; size <= o.most && i < len(x); size, i = size+1, i+step {
				next, ok := o.tree[tfIdfStep{node, int64(x[i])}]
				if !ok {
					break
				}
				if g := o.gram[next]; g > 0 && size >= least {
					counts[o.index[g-1]]++
				}
				node = next
			}
		}
		// An n-gram of one item is the same for every distance.
		least = max(least, 2)
	}
}
