package hugepage

import "testing"

// TestAdvise checks that memory keeps its contents and that no length is refused.
func TestAdvise(t *testing.T) {
	for _, n := range []int{0, 1, size/4 - 1, size / 4, size / 2, size/8 + 1, 3*size/4 + 5, 2 * size} {
		s := make([]float32, n)
		Advise(s)
		for i := range s {
			s[i] = float32(i)
		}
		Advise(s)
		for i := range s {
			if s[i] != float32(i) {
				t.Fatalf("of %d values, number %d is %g after the advice", n, i, s[i])
			}
		}
	}
}

// TestMake checks that blocks of all kinds of lengths hold what is written to them, and that
// one can be released while others are in use.
func TestMake(t *testing.T) {
	type block struct {
		s       []float32
		release func()
	}
	var blocks []block
	for _, bytes := range []int{0, 4, size / 2, nearlyWhole - 4, nearlyWhole, size - 4, size, size + 4, 2*size + nearlyWhole, 3 * size} {
		s, release := Make[float32](bytes / 4)
		if len(s) != bytes/4 || cap(s) != len(s) {
			t.Fatalf("%d bytes: %d values with room for %d", bytes, len(s), cap(s))
		}
		if bytes < nearlyWhole && release != nil {
			t.Errorf("%d bytes are outside of the heap", bytes)
		}
		for i, v := range s {
			if v != 0 {
				t.Fatalf("%d bytes: value %d is %g", bytes, i, v)
			}
			s[i] = float32(len(blocks))
		}
		blocks = append(blocks, block{s, release})
	}
	for k, b := range blocks {
		for i, v := range b.s {
			if v != float32(k) {
				t.Fatalf("block %d: value %d is %g", k, i, v)
			}
		}
		if b.release != nil {
			b.release()
		}
	}
	if n := Outside(); n != 0 {
		t.Errorf("%d bytes are left outside of the heap", n)
	}
}
