package autoencoder

import (
	"context"
	"image"
	"math"

	"github.com/aekit/aekit/tensor"
)

// Path is a way from one latent vector to another.
type Path uint8

const (
	Linear    Path = iota // the straight line
	Spherical             // the great circle, with the lengths interpolated (Shoemake 1985)
)

// Interpolate encodes two images and decodes steps latent vectors on the way from the one
// to the other, both ends included. It returns an error that matches [ErrDiscrete] for
// models with discrete latents.
func (m *Model) Interpolate(ctx context.Context, from, to image.Image, steps int, path Path) ([]image.Image, error) {
	if steps < 2 {
		return nil, errorf("%d steps, want 2 or more", steps)
	}
	l, err := m.Encode(ctx, from, to)
	if err != nil {
		return nil, err
	}
	if m.discrete(l.Z) {
		return nil, ErrDiscrete
	}
	z, err := toFloats(l.Z)
	if err != nil {
		return nil, err
	}
	d := len(z) / 2
	shape := l.Z.Shape().Clone()
	shape[0] = steps
	if _, err := tensor.ByteSize(tensor.Float32, shape); err != nil {
		return nil, err
	}
	out := make([]float32, steps*d)
	for i := range steps {
		between(out[i*d:][:d], z[:d], z[d:], float64(i)/float64(steps-1), path)
	}
	t, err := fromFloats(l.Z.DType(), out, shape...)
	if err != nil {
		return nil, err
	}
	return m.Decode(ctx, t)
}

// between sets dst to the point at t in [0, 1] between a and b.
func between(dst, a, b []float32, t float64, path Path) {
	wa, wb := 1-t, t
	if path == Spherical {
		var ab, aa, bb float64
		for i := range a {
			ab += float64(a[i]) * float64(b[i])
			aa += float64(a[i]) * float64(a[i])
			bb += float64(b[i]) * float64(b[i])
		}
		na, nb := math.Sqrt(aa), math.Sqrt(bb)
		angle := math.Acos(min(1, max(-1, ab/(na*nb))))
		// Where the directions are equal, opposite or undefined the line is all there is.
		if s := math.Sin(angle); s > 1e-6 {
			length := (1-t)*na + t*nb
			wa = math.Sin((1-t)*angle) / s * length / na
			wb = math.Sin(t*angle) / s * length / nb
		}
	}
	for i := range dst {
		dst[i] = float32(wa*float64(a[i]) + wb*float64(b[i]))
	}
}
