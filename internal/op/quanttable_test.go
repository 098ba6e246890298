package op

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/tensor"
)

// TestTableAfterConv compares convolutions that have absorbed a table with the table of their results.
func TestTableAfterConv(t *testing.T) {
	pool := parallel.New(3)
	defer pool.Close()
	kinds := map[string]int{}
	for i, c := range convCases {
		if len(c.in) > 3 || c.n == 0 || c.o*product(c.wantShape) > 50000 {
			continue
		}
		d := []tensor.DType{tensor.Uint8, tensor.Int8}[i%2]
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 17))
			x, w := rand8(r, d, append([]int{c.n, c.c}, c.in...)...), rand8(r, tensor.Int8, c.weightShape()...)
			in := []*tensor.Tensor{x, of(t, []float32{0.02}), scalar8(d, 3), w, of(t, []float32{0.01}), scalar8(tensor.Int8, 0), of(t, []float32{1.3}), scalar8(d, 7)}
			o, ok := Integer(c.op(t))
			if !ok {
				t.Skip("no 8-bit form")
			}
			table := &byteTable{from: d, to: d}
			var values [256]uint8
			for k := range values {
				values[k] = uint8(k*k + 91)
			}
			table.table.Set(&values)
			var facts []Fact
			for _, v := range in {
				facts = append(facts, FactOf(v))
			}
			if _, err := o.Infer(facts); err != nil {
				t.Skip(err)
			}
			last, _, ok := o.(LayoutAware).ChannelsLast(facts)
			if !ok {
				t.Fatal("no channels-last form")
			}
			for _, plain := range []Op{o, last} {
				fused, extra, ok := plain.(Fuser).Fuse(table, 0, nil)
				if !ok || extra != 0 {
					t.Fatal("the table is not absorbed")
				}
				if _, _, ok := fused.(Fuser).Fuse(table, 0, nil); ok {
					t.Fatal("two tables are absorbed")
				}
				in[0] = x
				if plain == last {
					in[0] = channelsLast(x)
				}
				for _, pack := range []bool{false, true} {
					for _, p := range []*parallel.Pool{nil, pool} {
						want, got := runOp(t, plain, p, pack, in...)[0].Bytes(), runOp(t, fused, p, pack, in...)[0].Bytes()
						for k, v := range want {
							if got[k] != values[v] {
								t.Fatalf("packed %v, threads %d: element %d is %d, want the value of %d, %d", pack, p.Threads(), k, got[k], v, values[v])
							}
						}
					}
				}
				kinds[fmt.Sprintf("%T", plain)]++
			}
		})
	}
	if len(kinds) != 2 {
		t.Errorf("tested %v", kinds)
	}
	if _, _, ok := (&quantConv{integer: true}).Fuse(&byteTable{from: tensor.Uint8, to: tensor.Uint8}, 0, nil); ok {
		t.Error("ConvInteger absorbs a table")
	}
	if _, _, ok := (&quantConv{}).Fuse(&byteTable{from: tensor.Uint8, to: tensor.Int8}, 0, nil); ok {
		t.Error("a table to another type is absorbed")
	}
}
