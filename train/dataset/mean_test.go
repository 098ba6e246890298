package dataset

import (
	"context"
	"math"
	"testing"
)

func TestMean(t *testing.T) {
	src, err := NewDigits(1, 700, 1, 12, 10, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{1, 300, 700, 5000} {
		n := min(most, 700)
		want := make([]float64, 120)
		for i := range n {
			img := make([]float32, 120)
			if err := src.Read(context.Background(), []int{i * 700 / n}, img, nil); err != nil {
				t.Fatal(err)
			}
			for j, v := range img {
				want[j] += float64(v) / float64(n)
			}
		}
		got, err := Mean(context.Background(), src, most)
		if err != nil || len(got) != len(want) {
			t.Fatalf("most %d: %d values, %v", most, len(got), err)
		}
		for j := range want {
			if math.Abs(float64(got[j])-want[j]) > 1e-6 {
				t.Fatalf("most %d: pixel %d is %g, want %g", most, j, got[j], want[j])
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Mean(ctx, src, 10); err == nil {
		t.Error("a cancelled context gave a mean")
	}
}
