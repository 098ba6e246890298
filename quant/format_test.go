package quant

import (
	"errors"
	"math"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
)

// TestDecoderIsInteger cuts the decoder out of quantised models at the latents that the
// metadata name: it quantises what it is given, and covers what the prior draws.
func TestDecoderIsInteger(t *testing.T) {
	for _, name := range []string{"ae", "vae", "conv-ae", "conv-vae"} {
		p, err := arch.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := p.Config
		cfg.Channels, cfg.Height, cfg.Width, cfg.Latent, cfg.Hidden = 1, 8, 8, 4, []int{8}
		m, err := p.Build(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := train.Annotate(m, func(d *meta.Model) {
			d.Prior = []meta.Stage{{Value: arch.Z, Distribution: meta.DistNormal, DType: "float32", Shape: []int{4}}}
		}); err != nil {
			t.Fatal(err)
		}
		for _, f := range []Format{QDQ, QOperator} {
			q, _, err := Quantize(m, calibrate(t, m, 1, 8, 8), Options{Format: f})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			s, err := runtime.New(q, runtime.Options{Threads: 1})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer s.Close()
			dec, err := s.Sub([]string{arch.Z}, []string{arch.Reconstruction})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer dec.Close()
			st, err := dec.Stats(map[string]tensor.Shape{arch.Z: {3, 4}})
			if err != nil || !st.FullyInteger() {
				t.Errorf("%s %s: the decoder is not fully integer: %+v, %v", name, f, st, err)
			}
			float, err := runtime.New(m, runtime.Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer float.Close()
			want, err := float.Sub([]string{arch.Z}, []string{arch.Reconstruction})
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			z := map[string]*tensor.Tensor{arch.Z: random(4, -3, 3, 16, 4)}
			a, err := want.Run(ctx, z)
			if err != nil {
				t.Fatal(err)
			}
			b, err := dec.Run(ctx, z)
			if err != nil {
				t.Fatal(err)
			}
			x, y := a[arch.Reconstruction].Float32s(), b[arch.Reconstruction].Float32s()
			signal, noise := 0.0, 0.0
			for i := range x {
				signal += math.Pow(float64(x[i])-0.5, 2)
				noise += math.Pow(float64(x[i]-y[i]), 2)
			}
			if db := decibels(signal, noise); db < 15 {
				t.Errorf("%s %s: %.1f dB for draws of the prior, want at least 15", name, f, db)
			}
		}
		if q, _, err := Dynamic(m, Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if s, err := runtime.New(q, runtime.Options{Threads: 1}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			if _, err := s.Sub([]string{arch.Z}, []string{arch.Reconstruction}); err != nil {
				t.Errorf("%s: dynamic: %v", name, err)
			}
			s.Close()
		}
	}
	if _, err := ParseFormat("gguf"); err == nil || errors.Is(err, ErrNothing) {
		t.Errorf("format gguf: %v", err)
	}
}
