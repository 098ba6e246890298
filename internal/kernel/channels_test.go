package kernel

import (
	"math"
	"testing"
)

// channelCounts have rows that are taken together, and rows that are cut.
var channelCounts = []int{1, 3, 16, 100, 512, 513, 1024, 2500}

func TestChannelSums(t *testing.T) {
	for _, c := range channelCounts {
		const rows = 37
		x, y := randF32(1, rows*c), randF32(2, rows*c)
		for i := range x {
			x[i] += float32(i % c % 7)
		}
		var blocks [3]ChannelSums
		cuts := []int{0, 5, 6, rows}
		for i := range blocks {
			blocks[i].Reset(c)
			ChannelSumsF32(&blocks[i], x[cuts[i]*c:cuts[i+1]*c], y[cuts[i]*c:cuts[i+1]*c])
		}
		v := make([]float64, 5*c)
		mean, variance, sy, xy, sum := v[:c], v[c:2*c], v[2*c:3*c], v[3*c:4*c], v[4*c:]
		ChannelMoments(blocks[:], mean, variance, sy, xy)
		ChannelSumF32(sum, x)
		for k := range c {
			var wx, wv, wy, wxy float64
			for r := range rows {
				wx += float64(x[r*c+k])
				wy += float64(y[r*c+k])
			}
			for r := range rows {
				d := float64(x[r*c+k]) - wx/rows
				wv += d * d / rows
				wxy += d * float64(y[r*c+k])
			}
			for _, p := range []struct {
				name      string
				got, want float64
			}{{"mean", mean[k], wx / rows}, {"variance", variance[k], wv}, {"Σy", sy[k], wy}, {"Σ(x-mean)y", xy[k], wxy}, {"Σx", sum[k], wx}} {
				if math.Abs(p.got-p.want) > 2e-6*rows {
					t.Fatalf("%d channels, channel %d: %s is %g, want %g", c, k, p.name, p.got, p.want)
				}
			}
		}
	}
}

func TestChannelAffine(t *testing.T) {
	for _, c := range channelCounts {
		const rows = 21
		x, y, a, b, s := randF32(1, rows*c), randF32(2, rows*c), randF32(3, c), randF32(4, c), randF32(5, c)
		affine, mix := make([]float32, rows*c), append([]float32{}, y...)
		ChannelAffineF32(affine, x, a, s)
		ChannelMixF32(mix, mix, x, a, b, s)
		for i := range x {
			k := i % c
			if want := float64(x[i])*float64(a[k]) + float64(s[k]); math.Abs(float64(affine[i])-want) > 1e-6 {
				t.Fatalf("%d channels: x·scale+shift at %d is %g, want %g", c, i, affine[i], want)
			}
			if want := float64(y[i])*float64(a[k]) + float64(x[i])*float64(b[k]) + float64(s[k]); math.Abs(float64(mix[i])-want) > 1e-6 {
				t.Fatalf("%d channels: y·a+x·b+shift at %d is %g, want %g", c, i, mix[i], want)
			}
		}
	}
}

func TestReluGrads(t *testing.T) {
	for n := range 4*maxLanes + 3 {
		dy, x := randF32(1, n), mixed(2, n)
		relu, leaky, wantRelu, wantLeaky := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		ReluGradF32(relu, dy, x)
		reluGradF32Generic(wantRelu, dy, x)
		LeakyReluGradF32(leaky, dy, x, 0.3)
		leakyReluGradF32Generic(wantLeaky, dy, x, 0.3)
		for i := range n {
			if relu[i] != wantRelu[i] || leaky[i] != wantLeaky[i] {
				t.Fatalf("length %d, dy %g, x %g: Relu %g, want %g; LeakyRelu %g, want %g", n, dy[i], x[i], relu[i], wantRelu[i], leaky[i], wantLeaky[i])
			}
		}
		acc, scaled := randF32(3, n), make([]float32, n)
		want, wantScaled := append([]float32{}, acc...), make([]float32, n)
		b := randF32(4, n)
		mulAddF32(acc, dy, b)
		mulAddF32Generic(want, dy, b)
		affinesF32(scaled, dy, b, want)
		affinesF32Generic(wantScaled, dy, b, want)
		for i := range n {
			if math.Abs(float64(acc[i]-want[i])) > 1e-6 || math.Abs(float64(scaled[i]-wantScaled[i])) > 1e-6 {
				t.Fatalf("length %d, element %d: %g and %g, want %g and %g", n, i, acc[i], scaled[i], want[i], wantScaled[i])
			}
		}
	}
}
