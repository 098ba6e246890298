package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"slices"
	"time"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/metric"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/runtime/digest"
	"github.com/aekit/aekit/tensor"
)

// compareJSON is what `compare --json` prints.
type compareJSON struct {
	Images int          `json:"images"`
	Models [2]modelJSON `json:"models"`
	// Difference is the mean squared difference of a pixel in [0, 1] between the two
	// reconstructions, Latents the cosine between the two latent vectors; null where there
	// are none of equal size.
	Difference float64  `json:"difference_mse"`
	PSNR       *float64 `json:"difference_psnr"`
	Latents    *float64 `json:"latent_cosine"`
}

// modelJSON is what one of the models does.
type modelJSON struct {
	File  string  `json:"file"`
	Bytes int64   `json:"bytes"`
	MSE   float64 `json:"mse"` // of the reconstructions
	SSIM  float64 `json:"ssim"`
	Time  float64 `json:"seconds"` // of an image, the fastest batch
}

func runCompare(a *app, args []string) error {
	var mf modelFlags
	var sf sheetFlags
	all, fs := a.flags()
	asJSON := fs.Bool("json", false, "print JSON")
	sheet := all.Section(pictureFlags)
	sheet.StringVarP(&sf.out, "out", "o", "", "where the sheet go, in each row an image, both reconstructions and 8 times their difference: a PNG `FILE`, or a folder for one file each")
	sf.addLayout(sheet, "rows of four that stand side by side", 1)
	mf.add(all)
	rest, err := a.parse(all, args, 3, -1)
	if err != nil {
		return err
	}
	if err := sf.check(); err != nil {
		return err
	}
	if sf.out == "-" {
		return usagef("compare: -o -: the figures go to standard output; name a file")
	}
	if sf.out != "" {
		if err := a.checkOut(sf.out, ".png"); err != nil {
			return err
		}
	}
	files, err := imageFiles(rest[2:])
	if err != nil {
		return err
	}
	var out compareJSON
	var models [2]*autoencoder.Model
	for i := range models {
		st, err := os.Stat(rest[i])
		if err != nil {
			return err
		}
		out.Models[i] = modelJSON{File: rest[i], Bytes: st.Size(), Time: math.Inf(1)}
		if models[i], err = mf.load(rest[i]); err != nil {
			return err
		}
		defer models[i].Close()
	}
	var pictures []image.Image
	var latents [2][]float32
	err = a.eachImages(files, mf.batch(), func(names []string, images []image.Image) error {
		var rec [2][]autoencoder.Reconstruction
		for i, m := range models {
			for range 3 {
				start := time.Now()
				if rec[i], err = m.Reconstruct(a.ctx, images...); err != nil {
					return named(rest[i], err)
				}
				out.Models[i].Time = min(out.Models[i].Time, time.Since(start).Seconds()/float64(len(images)))
			}
			l, err := m.Encode(a.ctx, images...)
			if err != nil {
				return named(rest[i], err)
			}
			if l.Z != nil && l.Z.DType() == tensor.Float32 {
				latents[i] = append(latents[i], l.Z.Float32s()...)
			}
		}
		for k := range images {
			row, d, err := compareRow(rec[0][k], rec[1][k])
			if err != nil {
				return fmt.Errorf("%s: %w", names[k], err)
			}
			out.Images++
			out.Difference += d
			for i := range models {
				out.Models[i].MSE += rec[i][k].MSE
				out.Models[i].SSIM += rec[i][k].SSIM
			}
			if sf.out != "" {
				pictures = append(pictures, row)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := float64(out.Images)
	out.Difference /= n
	out.PSNR = finite(metric.PSNR(out.Difference, 1))
	for i := range models {
		out.Models[i].MSE /= n
		out.Models[i].SSIM /= n
	}
	if len(latents[0]) > 0 && len(latents[0]) == len(latents[1]) {
		out.Latents = finite(metric.Cosine(latents[0], latents[1]))
	}
	if sf.out != "" {
		if err := a.writeImages(sf.out, pictures, sf.sheet); err != nil {
			return err
		}
	}
	if *asJSON {
		return json.NewEncoder(a.stdout).Encode(out)
	}
	out.print(a)
	return nil
}

func (c *compareJSON) print(a *app) {
	for _, m := range c.Models {
		fmt.Fprintf(a.stdout, "%s: %s  mse %.6g  ssim %.4f  %.3g ms an image\n", cli.OneLine(m.File), bytesOf(m.Bytes), m.MSE, m.SSIM, 1e3*m.Time)
	}
	fmt.Fprintf(a.stdout, "difference of %d reconstructions: mse %.6g", c.Images, c.Difference)
	if c.PSNR != nil {
		fmt.Fprintf(a.stdout, "  psnr %.2f dB", *c.PSNR)
	}
	if c.Latents != nil {
		fmt.Fprintf(a.stdout, "; cosine of the latents %.6f", *c.Latents)
	}
	fmt.Fprintf(a.stdout, "; error %+.2f%%; %.2f times as fast\n", 100*(c.Models[1].MSE/c.Models[0].MSE-1), c.Models[0].Time/c.Models[1].Time)
}

// compareRow returns an image, both reconstructions and 8 times their difference side by
// side, and the mean squared difference of a pixel in [0, 1].
func compareRow(a, b autoencoder.Reconstruction) (image.Image, float64, error) {
	p, err := toPlanar([]image.Image{a.Input, a.Output, b.Output})
	if err != nil {
		return nil, 0, err
	}
	x, y := p[1], p[2]
	if x.C != y.C || x.H != y.H || x.W != y.W {
		return nil, 0, errors.New("the models' reconstructions differ in size")
	}
	d := &imageio.Planar{C: x.C, H: x.H, W: x.W, Pix: make([]uint8, len(x.Pix))}
	sum := 0.0
	for i, v := range x.Pix {
		e := math.Abs(float64(v) - float64(y.Pix[i]))
		d.Pix[i] = uint8(min(255, 8*e))
		sum += e * e / (255 * 255)
	}
	row, err := imageio.Sheet{Columns: 4}.Grid(append(p, d))
	if err != nil {
		return nil, 0, err
	}
	return row.Image(), sum / float64(len(x.Pix)), nil
}

// selfResult is what `verify --self --json` prints for a model.
type selfResult struct {
	File     string `json:"file"`
	Pass     bool   `json:"pass"`
	Digest   string `json:"digest"`
	Recorded string `json:"recorded"`
}

// runVerifySelf is `verify --self`: it checks that this device gets the results from a fully
// integer model that were recorded when the model was quantised.
func (a *app) runVerifySelf(sf *sessionFlags, models []string, asJSON bool) error {
	failed := false
	for _, path := range models {
		want, got, err := a.digests(sf, path)
		if err != nil {
			return named(path, err)
		}
		failed = failed || got != want
		switch {
		case asJSON:
			err = json.NewEncoder(a.stdout).Encode(selfResult{File: path, Pass: got == want, Digest: got, Recorded: want})
		case got == want:
			_, err = fmt.Fprintf(a.stdout, "ok   %s: %s\n", cli.OneLine(path), got)
		default:
			_, err = fmt.Fprintf(a.stdout, "FAIL %s: %s, recorded %s\n", cli.OneLine(path), got, cli.OneLine(want))
		}
		if err != nil {
			return err
		}
	}
	if failed {
		return errReported
	}
	return nil
}

func (a *app) digests(sf *sessionFlags, path string) (want, got string, err error) {
	s, err := sf.open(path)
	if err != nil {
		return "", "", err
	}
	defer s.Close()
	props := meta.FromMap(s.Metadata())
	i := slices.IndexFunc(props, func(p meta.Property) bool { return p.Key == meta.Prefix+"quantization" })
	var q meta.Quantization
	if i >= 0 {
		if err := json.Unmarshal([]byte(props[i].Value), &q); err != nil {
			return "", "", fmt.Errorf("metadata property %q: %w", props[i].Key, err)
		}
	}
	if q.Digest == "" {
		return "", "", errors.New("the model records no digest: it is not fully integer, or another program quantised it")
	}
	got, err = digest.Of(a.ctx, s)
	return q.Digest, got, err
}
