package autoencoder

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/runtime"
)

// resolve finds out what the values of the graph mean: from the options, else from the
// metadata, else from the graph itself.
func (c *core) resolve(o Options) error {
	m, err := meta.Decode(meta.FromMap(c.session.Metadata()))
	switch {
	case err == nil:
		c.meta = m
		c.fromMeta(m)
	case !errors.Is(err, meta.ErrNone):
		return err
	default:
		c.info.Threshold = -1
	}
	if err := c.override(o); err != nil {
		return err
	}
	c.guessNames(o)
	if c.info.Input == "" && c.info.Latent == "" {
		return errorf("the model does not say which value is the image or the latent vector: name them as Input, Latent and Output (its inputs are %s, its outputs %s)",
			describe(c.session.Inputs()), describe(c.session.Outputs()))
	}
	return c.geometry(o)
}

func describe(v []runtime.ValueInfo) string {
	var s []string
	for i := range v {
		s = append(s, fmt.Sprintf("%q %v", v[i].Name, &v[i]))
	}
	return strings.Join(s, ", ")
}

// fromMeta takes what the metadata say. A name that the graph lacks is dropped: a file may
// hold the encoder or the decoder alone.
func (c *core) fromMeta(m *meta.Model) {
	have := func(name string) string {
		if c.values[name] {
			return name
		}
		return ""
	}
	c.info = Info{
		Kind: m.Kind, Preset: m.Preset,
		Input: have(m.Values.Image), Label: have(m.Values.Label), Mu: have(m.Values.Mu), LogVar: have(m.Values.LogVar),
		Latent: have(m.Values.Z), Codes: have(m.Values.Codes), Output: have(m.Values.Reconstruction),
		Width: m.Image.Width, Height: m.Image.Height, Channels: m.Image.Channels, Layout: m.Image.Layout,
		Mean: m.Image.Mean, Std: m.Image.Std, Threshold: -1,
	}
	if c.info.Latent == "" {
		// An encoder alone: its z, where that is not the mean itself, went with the decoder.
		c.info.Latent = c.info.Mu
	}
	if m.Anomaly != nil {
		c.info.Threshold = m.Anomaly.Threshold
	}
}

func (c *core) override(o Options) error {
	for _, f := range []struct {
		what, name string
		dst        *string
	}{{"input", o.Input, &c.info.Input}, {"latent", o.Latent, &c.info.Latent}, {"output", o.Output, &c.info.Output}, {"label", o.Label, &c.info.Label}} {
		if f.name == "" {
			continue
		}
		if !c.values[f.name] {
			return errorf("the model has no value %q to use as %s; its inputs are %s, its outputs %s",
				f.name, f.what, describe(c.session.Inputs()), describe(c.session.Outputs()))
		}
		*f.dst = f.name
	}
	if o.Width != 0 || o.Height != 0 {
		c.info.Width, c.info.Height = o.Width, o.Height
	}
	if o.Channels != 0 && o.Channels != c.info.Channels {
		c.info.Channels = o.Channels
		c.info.Mean, c.info.Std = nil, nil
	}
	if o.Layout != "" {
		switch strings.ToLower(o.Layout) {
		case "nchw":
			c.info.Layout = meta.LayoutNCHW
		case "nhwc":
			c.info.Layout = meta.LayoutNHWC
		case "flat":
			c.info.Layout = meta.LayoutFlat
		default:
			return errorf("layout %q, want NCHW, NHWC or flat", o.Layout)
		}
	}
	return nil
}

// guessNames completes the names where the graph leaves one possibility.
func (c *core) guessNames(o Options) {
	if c.meta != nil {
		return
	}
	ins, outs := c.session.Inputs(), c.session.Outputs()
	if c.info.Input == "" && len(ins) == 1 && ins[0].Name != c.info.Latent {
		c.info.Input = ins[0].Name
	}
	if c.info.Output == "" && len(outs) == 1 && outs[0].Name != c.info.Latent {
		c.info.Output = outs[0].Name
	}
}

// geometry completes the size and layout of images from the shapes of the graph's image
// input or output, and the normalisation.
func (c *core) geometry(o Options) error {
	i := &c.info
	for _, v := range append(c.session.Inputs(), c.session.Outputs()...) {
		if v.Name == i.Input || v.Name == i.Output && i.Output != i.Latent {
			c.shapeHint(v)
		}
	}
	if i.Layout == "" {
		i.Layout = meta.LayoutNCHW
	}
	if i.Channels == 0 {
		i.Channels = 1
	}
	if i.Width == 0 && i.Height == 0 {
		return ErrNoSize
	}
	if o.Range != [2]float32{} {
		lo, hi := o.Range[0], o.Range[1]
		if !(hi > lo) || math.IsInf(float64(hi)-float64(lo), 0) {
			return errorf("range %g to %g: want two numbers, the smaller one first", lo, hi)
		}
		std := float32(1 / (float64(hi) - float64(lo)))
		i.Mean, i.Std = nil, nil
		for range i.Channels {
			i.Mean = append(i.Mean, float32(-float64(lo)*float64(std)))
			i.Std = append(i.Std, std)
		}
	}
	check := meta.Model{Kind: meta.KindGenerator, Values: meta.Values{Z: "z", Reconstruction: "x"},
		Image: meta.Image{Width: i.Width, Height: i.Height, Channels: i.Channels, Layout: i.Layout, Mean: i.Mean, Std: i.Std}}
	if err := check.Validate(); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "meta: "))
	}
	if i.Mean == nil {
		i.Mean = make([]float32, i.Channels)
	}
	if i.Std == nil {
		for range i.Channels {
			i.Std = append(i.Std, 1)
		}
	}
	return nil
}

// shapeHint takes the size, channels and layout that are still open from the declared shape
// of a value that holds images.
func (c *core) shapeHint(v runtime.ValueInfo) {
	i := &c.info
	s := v.Shape
	colour := func(n int) bool { return n == 1 || n == 3 }
	sized := i.Width != 0 || i.Height != 0
	switch {
	case len(s) == 4 && colour(s[3]) && !colour(s[1]) && i.Layout == "" || len(s) == 4 && i.Layout == meta.LayoutNHWC:
		i.Layout = meta.LayoutNHWC
		c.hint(s[1], s[2], s[3], sized)
	case len(s) == 4 && (i.Layout == "" || i.Layout == meta.LayoutNCHW):
		i.Layout = meta.LayoutNCHW
		c.hint(s[2], s[3], s[1], sized)
	case len(s) == 3 && s[1] > 0 && s[2] > 0 && i.Layout == "":
		i.Layout = meta.LayoutFlat
		c.hint(s[1], s[2], 1, sized)
	case len(s) == 2 && s[1] > 0 && (i.Layout == "" || i.Layout == meta.LayoutFlat):
		i.Layout = meta.LayoutFlat
		if sized {
			if n := int64(i.Width) * int64(i.Height); i.Channels == 0 && n > 0 && int64(s[1])%n == 0 {
				c.hint(0, 0, int(int64(s[1])/n), true)
			}
			return
		}
		// A flat image is taken as square: n is a square, or three times one, never both.
		for _, ch := range []int{1, 3} {
			if i.Channels != 0 && i.Channels != ch || s[1]%ch != 0 {
				continue
			}
			if side := int(math.Sqrt(float64(s[1] / ch))); side*side*ch == s[1] {
				c.hint(side, side, ch, false)
				return
			}
		}
	}
}

func (c *core) hint(h, w, channels int, sized bool) {
	i := &c.info
	if !sized && h > 0 && w > 0 {
		i.Height, i.Width = h, w
	}
	if i.Channels == 0 && (channels == 1 || channels == 3) {
		i.Channels = channels
	}
}
