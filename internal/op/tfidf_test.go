package op

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func TestTfIdfVectorizer(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 9))
	for range 200 {
		// A pool of n-grams of up to 3 of 4 items, none twice, each with a column.
		var pool []int64
		var grams [][]int64
		var counts []int64
		for size := 1; size <= 3; size++ {
			counts = append(counts, int64(len(pool)))
			for range r.IntN(5) {
				g := make([]int64, size)
				for i := range g {
					g[i] = r.Int64N(4)
				}
				if !slices.ContainsFunc(grams, func(h []int64) bool { return slices.Equal(g, h) }) {
					grams, pool = append(grams, g), append(pool, g...)
				}
			}
		}
		if len(grams) == 0 {
			continue
		}
		var index []int64
		var weights []float32
		for _, i := range r.Perm(len(grams)) {
			index, weights = append(index, int64(i)), append(weights, r.Float32())
		}
		least := 1 + r.IntN(3)
		most, skips, mode := least+r.IntN(3), r.IntN(4), []string{"TF", "IDF", "TFIDF"}[r.IntN(3)]
		x := make([]int64, 2*r.IntN(9))
		for i := range x {
			x[i] = r.Int64N(4)
		}
		want := make([]float64, 2*len(grams))
		for row := range 2 {
			x := x[row*len(x)/2 : (row+1)*len(x)/2]
			for g, items := range grams {
				n := len(items)
				if n < least || n > most {
					continue
				}
				for skip := range skips + 1 {
					if n == 1 && skip > 0 {
						break
					}
					for at := 0; at+(n-1)*(skip+1) < len(x); at++ {
						found := true
						for i, v := range items {
							found = found && x[at+i*(skip+1)] == v
						}
						if found {
							want[row*len(grams)+int(index[g])]++
						}
					}
				}
			}
			for i := range grams {
				w := &want[row*len(grams)+i]
				if mode == "IDF" {
					*w = min(*w, 1)
				}
				if mode != "TF" {
					*w *= float64(weights[i])
				}
			}
		}
		n := node{typ: "TfIdfVectorizer", attrs: []*onnx.Attribute{
			attrString("mode", mode), attrInt("min_gram_length", int64(least)), attrInt("max_gram_length", int64(most)), attrInt("max_skip_count", int64(skips)),
			onnx.AttrIs("ngram_counts", counts...), onnx.AttrIs("ngram_indexes", index...), onnx.AttrIs("pool_int64s", pool...), onnx.AttrFs("weights", weights...),
		}}
		in := tensor.Must(tensor.Of(x, 2, len(x)/2))
		wantNear(t, "TfIdfVectorizer", n.eval(t, in)[0], want, 1e-6, grams, index, least, most, skips, mode, x)
		short := tensor.Must(tensor.New(tensor.Int32, 2, len(x)/2))
		convert(short, in)
		wantNear(t, "TfIdfVectorizer", n.eval(t, short)[0], want, 1e-6, "int32")
		wantNear(t, "TfIdfVectorizer", n.eval(t, tensor.Must(tensor.Of(x[:len(x)/2], len(x)/2)))[0], want[:len(grams)], 1e-6, "one row")
	}
}

func TestTfIdfVectorizerRejects(t *testing.T) {
	attrs := func(change ...*onnx.Attribute) []*onnx.Attribute {
		all := []*onnx.Attribute{
			attrString("mode", "TFIDF"), attrInt("min_gram_length", 1), attrInt("max_gram_length", 2), attrInt("max_skip_count", 0),
			onnx.AttrIs("ngram_counts", 0, 2), onnx.AttrIs("ngram_indexes", 0, 1, 2), onnx.AttrIs("pool_int64s", 5, 6, 5, 6), onnx.AttrFs("weights", 1, 2, 3),
		}
		for _, c := range change {
			all = slices.DeleteFunc(all, func(a *onnx.Attribute) bool { return a.Name == c.Name })
			if c.Type != onnx.AttrUndefined {
				all = append(all, c)
			}
		}
		return all
	}
	x := ints(5, 6)
	if _, err := (node{typ: "TfIdfVectorizer", attrs: attrs()}).try(t, x); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*onnx.Attribute{
		attrString("mode", "tf"), attrInt("min_gram_length", 0), attrInt("max_gram_length", 0), attrInt("max_skip_count", -1),
		onnx.AttrIs("ngram_counts", 0, 3), onnx.AttrIs("ngram_counts", 2, 0), onnx.AttrIs("ngram_counts", 0, 9), onnx.AttrIs("ngram_counts", -1, 2),
		onnx.AttrIs("ngram_indexes", 0, 1), onnx.AttrIs("ngram_indexes", 0, 1, -1), onnx.AttrIs("ngram_indexes", 0, 1, 3),
		onnx.AttrSs("pool_strings", "a"), {Name: "ngram_counts"}, {Name: "mode"},
	} {
		if _, err := (node{typ: "TfIdfVectorizer", attrs: attrs(c)}).try(t, x); err == nil {
			t.Errorf("%s %v was accepted", c.Name, c)
		}
	}
	for _, bad := range []*tensor.Tensor{of(t, []float32{5, 6}), of(t, []int64{5, 6}, 1, 1, 2)} {
		if _, err := (node{typ: "TfIdfVectorizer", attrs: attrs()}).try(t, bad); err == nil {
			t.Errorf("input %v was accepted", bad)
		}
	}
}
