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
