package models

import (
	"context"
	"math"
	"testing"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// macs are the multiply-accumulate operations of one image, counted by hand from the layers. A
// 3×3 convolution behind nearest upsampling by two takes 4 of 9: its taps fall on 2×2 pixels.
var macs = map[string]int64{
	"seed-ae":      784*64 + 64*32 + 32*32 + 32*32 + 32*64 + 64*784,
	"mlp-vae-enc":  784*400 + 2*400*20,
	"mlp-vae-dec":  20*400 + 400*784,
	"big-vae-dec":  64*1024 + 1024*1024 + 1024*3072,
	"ad01":         640*128 + 3*128*128 + 2*128*8 + 3*128*128 + 128*640,
	"conv-ae":      14*14*32*9 + 7*7*64*32*9 + 2*3136*32 + 7*7*64*32*16 + 14*14*32*16,
	"conv-vae-enc": 32*32*32*3*16 + 16*16*64*32*16 + 8*8*128*64*16 + 4*4*256*128*16 + 4096*128,
	"conv-vae-dec": 128*4096 + 4*4*256*128*16 + 8*8*128*64*16 + 16*16*64*32*16 + 32*32*32*3*16,
	"separable-ae": 32*32*3*32*9 + 32*32*32*(9+64) + 16*16*64*(9+128) + 2*16*16*128*(9+128) + 2*16*16*128*16 +
		32*32*128*(4+64) + 64*64*64*(4+32) + 64*64*32*3*9,
	"residual-dec": 9*64*(32*32*(4+9*64)+64*64*10*64+128*128*10*64+256*256*4*64+256*256*3) -
		5*64*64*(64*64+128*128+256*256),
}

// TestModels runs every model and checks its cost, and that its outputs are neither all
// alike nor out of range: weights of a wrong scale would make a benchmark of denormal or
// infinite numbers.
func TestModels(t *testing.T) {
	for _, r := range All {
		t.Run(r.Name, func(t *testing.T) {
			m, err := r.Model()
			if err != nil {
				t.Fatal(err)
			}
			s, err := runtime.New(m, runtime.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			x, err := r.Input(1, 1)
			if err != nil {
				t.Fatal(err)
			}
			st, err := s.Stats(map[string]tensor.Shape{"x": x.Shape()})
			if err != nil {
				t.Fatal(err)
			}
			if st.MACs != macs[r.Name] {
				t.Errorf("%d multiply-adds, want %d", st.MACs, macs[r.Name])
			}
			if r.Large && testing.Short() {
				t.Skip("large")
			}
			out, err := s.Run(context.Background(), map[string]*tensor.Tensor{"x": x})
			if err != nil {
				t.Fatal(err)
			}
			var sum, squares float64
			y := out["y"].Float32s()
			for _, v := range y {
				sum += float64(v)
				squares += float64(v) * float64(v)
			}
			mean := sum / float64(len(y))
			deviation := math.Sqrt(squares/float64(len(y)) - mean*mean)
			if !(deviation > 0.02 && deviation < 200) {
				t.Errorf("outputs have mean %g and deviation %g", mean, deviation)
			}
		})
	}
}
