package plan

import (
	"math/rand/v2"
	"testing"
)

func TestPackDoesNotOverlap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		centred := i%2 == 1
		blocks := make([]block, 1+r.IntN(60))
		offs := make([]int, len(blocks))
		peak, sum := make([]int, 64), 0
		for i := range blocks {
			from := r.IntN(60)
			blocks[i] = block{size: r.IntN(1000), from: from, to: min(63, from+r.IntN(8)), set: &offs[i]}
			for s := blocks[i].from; s <= blocks[i].to; s++ {
				peak[s] += roundUp(blocks[i].size)
			}
			sum += roundUp(blocks[i].size)
		}
		total, ok := pack(blocks)
		if centred {
			total = packCentred(blocks, total, total+total/8)
		}
		if !ok {
			t.Fatal("pack failed")
		}
		lower := 0
		for _, p := range peak {
			lower = max(lower, p)
		}
		if total < lower || total > sum {
			t.Fatalf("total %d, want between %d (what lives at once) and %d (no reuse)", total, lower, sum)
		}
		for i, a := range blocks {
			if offs[i]%64 != 0 || offs[i]+a.size > total {
				t.Fatalf("block %d: offset %d, size %d, total %d", i, offs[i], a.size, total)
			}
			for j, b := range blocks[:i] {
				inTime := a.from <= b.to && b.from <= a.to
				inSpace := offs[i] < offs[j]+b.size && offs[j] < offs[i]+a.size
				if inTime && inSpace && a.size > 0 && b.size > 0 {
					t.Fatalf("blocks %+v at %d and %+v at %d overlap", a, offs[i], b, offs[j])
				}
			}
		}
	}
}

func TestPackChainIsTight(t *testing.T) {
	// A chain needs room for two neighbours only.
	offs := make([]int, 20)
	var blocks []block
	for i := range offs {
		blocks = append(blocks, block{size: 640, from: i, to: i + 1, set: &offs[i]})
	}
	for _, centred := range []bool{false, true} {
		total, _ := pack(blocks)
		if centred {
			total = packCentred(blocks, total, 2*total)
		}
		if total != 1280 {
			t.Errorf("total %d, want 1280", total)
		}
	}
}

// TestPackCentres places a chain of pictures of different sizes: halves of each lie in halves of the larger one that is in use
// at another time.
func TestPackCentres(t *testing.T) {
	sizes := []int{1 << 10, 1 << 12, 1 << 14, 1 << 13, 1 << 11}
	offs := make([]int, len(sizes))
	var blocks []block
	for i, size := range sizes {
		blocks = append(blocks, block{size: size, from: i, to: i + 1, set: &offs[i]})
	}
	total, _ := pack(blocks)
	if total = packCentred(blocks, total, total); total != 1<<14+1<<13 {
		t.Errorf("total %d, want %d", total, 1<<14+1<<13)
	}
	if n := packCentred(blocks, total+1, total-1); n != total+1 {
		t.Errorf("total %d where there is no room, want %d", n, total+1)
	}
	for i := range sizes {
		if middle := offs[i] + sizes[i]/2; middle != 1<<13 && middle != 1<<14+1<<12 {
			t.Errorf("block %d, %d bytes at %d, has its middle at %d", i, sizes[i], offs[i], middle)
		}
	}
}
