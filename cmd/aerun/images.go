package main

import (
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/imagefile"
	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/runtime/autoencoder"
)

// sheetFlags say how pictures are arranged.
type sheetFlags struct {
	out   string
	sheet imageio.Sheet
}

func (f *sheetFlags) add(all *cli.Flags, what string) {
	fs := all.Section(pictureFlags)
	fs.StringVarP(&f.out, "out", "o", "-", "where "+what)
	f.addLayout(fs, "images in a row of the sheet; 0: as square as possible", 0)
}

func (f *sheetFlags) addLayout(fs *pflag.FlagSet, columns string, def int) {
	fs.IntVar(&f.sheet.Columns, "columns", def, columns)
	fs.IntVar(&f.sheet.Pad, "pad", 2, "pixels between images")
	fs.IntVar(&f.sheet.Zoom, "zoom", 1, "size of a pixel in the picture")
}

func (f *sheetFlags) check() error {
	if f.sheet.Columns < 0 || f.sheet.Pad < 0 || f.sheet.Zoom < 1 {
		return usagef("--columns %d --pad %d --zoom %d: want 0, 0 and 1 or more", f.sheet.Columns, f.sheet.Pad, f.sheet.Zoom)
	}
	return nil
}

func runGenerate(a *app, args []string) error {
	var mf modelFlags
	var sf sheetFlags
	var o autoencoder.Sampling
	all, fs := a.flags()
	n := fs.IntP("count", "n", 64, "how many images")
	fs.Uint64Var(&o.Seed, "seed", 1, "seed of the random numbers: the same seed gives the same images")
	fs.Float64Var(&o.Temperature, "temperature", 1, "spread of the latent vectors: below 1 more typical, above 1 more varied")
	prior := fs.String("prior", "model", "what latent vectors are drawn from: model (as the model says) or standard (the standard normal)")
	cli.Choices(fs, "prior", "model", "standard")
	sf.add(all, "the images go: a PNG `FILE` for a sheet, a folder for one file each, - for standard output")
	mf.add(all)
	rest, err := a.parse(all, args, 0, 1)
	if err != nil {
		return err
	}
	if *prior != "model" && *prior != "standard" {
		return usagef("--prior %q: want model or standard", *prior)
	}
	o.Standard = *prior == "standard"
	if *n < 1 || *n > 1<<20 {
		return usagef("-n %d: want 1 to %d", *n, 1<<20)
	}
	if !(o.Temperature > 0) || math.IsInf(o.Temperature, 0) {
		return usagef("--temperature %g: want a positive number", o.Temperature)
	}
	if err := sf.check(); err != nil {
		return err
	}
	if err := a.checkOut(sf.out, ".png"); err != nil {
		return err
	}
	path := ""
	if len(rest) > 0 {
		path = rest[0]
	}
	m, err := mf.load(path)
	if err != nil {
		return err
	}
	defer m.Close()
	images, err := m.Generate(a.ctx, *n, o)
	if err != nil {
		return named(path, err)
	}
	return a.writeImages(sf.out, images, sf.sheet)
}

// named puts the model's file before an error.
func named(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func runInterpolate(a *app, args []string) error {
	var mf modelFlags
	var sf sheetFlags
	all, fs := a.flags()
	steps := fs.IntP("steps", "n", 9, "how many images, both ends included")
	slerp := fs.Bool("slerp", false, "go along the great circle instead of the straight line")
	delay := fs.Int("delay", 8, "hundredths of a second for each frame of a GIF")
	sf.add(all, "the images go: a PNG `FILE` for a strip, a GIF file for an animation, a folder for one file each, - for standard output")
	mf.add(all)
	rest, err := a.parse(all, args, 3, 3)
	if err != nil {
		return err
	}
	if *steps < 2 || *steps > 1<<14 {
		return usagef("-n %d: want 2 to %d", *steps, 1<<14)
	}
	if *delay < 0 || *delay > 65535 {
		return usagef("--delay %d: want 0 to 65535", *delay)
	}
	if err := sf.check(); err != nil {
		return err
	}
	if err := a.checkOut(sf.out, ".png", ".gif"); err != nil {
		return err
	}
	m, err := mf.load(rest[0])
	if err != nil {
		return err
	}
	defer m.Close()
	ends := []imageName{{path: rest[1]}, {path: rest[2]}}
	return a.eachImages(ends, 2, func(_ []string, images []image.Image) error {
		path := autoencoder.Linear
		if *slerp {
			path = autoencoder.Spherical
		}
		way, err := m.Interpolate(a.ctx, images[0], images[1], *steps, path)
		if err != nil {
			return named(rest[0], err)
		}
		if strings.EqualFold(filepath.Ext(sf.out), ".gif") && !isFolder(sf.out) {
			return a.writeGIF(sf, way, *delay)
		}
		if sf.sheet.Columns == 0 {
			sf.sheet.Columns = *steps
		}
		return a.writeImages(sf.out, way, sf.sheet)
	})
}

func (a *app) writeGIF(sf sheetFlags, images []image.Image, delay int) error {
	frames, err := toPlanar(images)
	if err != nil {
		return err
	}
	for i, p := range frames {
		if frames[i], err = (imageio.Sheet{Zoom: sf.sheet.Zoom}).Grid([]*imageio.Planar{p}); err != nil {
			return err
		}
	}
	return a.write(sf.out, true, func(w io.Writer) error { return imagefile.WriteGIF(w, frames, delay, true) })
}

// reconstructionLine is what `reconstruct --json` and `score --json` print for one image.
type reconstructionLine struct {
	File    string   `json:"file"`
	MSE     *float64 `json:"mse"`            // null where the model gives NaN or infinities
	PSNR    *float64 `json:"psnr,omitempty"` // absent where the two images are equal
	SSIM    *float64 `json:"ssim,omitempty"`
	Unusual *bool    `json:"unusual,omitempty"`
}

// finite returns a pointer to v, or nil for what JSON cannot say.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func runReconstruct(a *app, args []string) error {
	var mf modelFlags
	var sf sheetFlags
	all, fs := a.flags()
	asJSON := fs.Bool("json", false, "print a JSON line for each image")
	pictures := all.Section(pictureFlags)
	pictures.StringVarP(&sf.out, "out", "o", "", "where the pictures go, each image beside its reconstruction: a PNG `FILE`, or a folder for one file each")
	sf.addLayout(pictures, "pairs in a row of the sheet; 0: as square as possible", 0)
	mf.add(all)
	rest, err := a.parse(all, args, 2, -1)
	if err != nil {
		return err
	}
	if err := sf.check(); err != nil {
		return err
	}
	if sf.out == "-" {
		return usagef("reconstruct: -o -: the figures go to standard output; name a file")
	}
	if sf.out != "" {
		if err := a.checkOut(sf.out, ".png"); err != nil {
			return err
		}
	}
	files, err := imageFiles(rest[1:])
	if err != nil {
		return err
	}
	m, err := mf.load(rest[0])
	if err != nil {
		return err
	}
	defer m.Close()
	var pairs []image.Image
	var mse, ssim float64
	n := 0
	err = a.eachImages(files, mf.batch(), func(names []string, images []image.Image) error {
		rec, err := m.Reconstruct(a.ctx, images...)
		if err != nil {
			return named(rest[0], err)
		}
		n += len(rec)
		for i, r := range rec {
			mse += r.MSE
			ssim += r.SSIM
			if sf.out != "" {
				pairs = append(pairs, r.Input, r.Output)
			}
			if err := a.printReconstruction(*asJSON, names[i], r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n > 1 && !*asJSON {
		mean := mse / float64(n)
		fmt.Fprintf(a.stdout, "mean of %d: mse %.6g  psnr %.2f dB  ssim %.4f\n", n, mean, -10*math.Log10(mean), ssim/float64(n))
	}
	if sf.out == "" {
		return nil
	}
	return a.writePairs(sf, pairs)
}

func (a *app) printReconstruction(asJSON bool, name string, r autoencoder.Reconstruction) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(reconstructionLine{File: name, MSE: finite(r.MSE), PSNR: finite(r.PSNR), SSIM: finite(r.SSIM)})
	}
	_, err := fmt.Fprintf(a.stdout, "%s: mse %.6g  psnr %.2f dB  ssim %.4f\n", cli.OneLine(name), r.MSE, r.PSNR, r.SSIM)
	return err
}

// writePairs writes images and their reconstructions side by side.
func (a *app) writePairs(sf sheetFlags, pairs []image.Image) error {
	planars, err := toPlanar(pairs)
	if err != nil {
		return err
	}
	var joined []image.Image
	for i := 0; i < len(planars); i += 2 {
		p, err := imageio.Sheet{Columns: 2}.Grid(planars[i : i+2])
		if err != nil {
			return err
		}
		joined = append(joined, p.Image())
	}
	return a.writeImages(sf.out, joined, sf.sheet)
}

func runScore(a *app, args []string) error {
	var mf modelFlags
	all, fs := a.flags()
	asJSON := fs.Bool("json", false, "print a JSON line for each image")
	limit := fs.Float64("threshold", 0, "mean squared error from which an image is unusual; if not given, the model's")
	mf.add(all)
	rest, err := a.parse(all, args, 2, -1)
	if err != nil {
		return err
	}
	if !(*limit >= 0) || math.IsInf(*limit, 0) {
		return usagef("--threshold %g: want a number of 0 or more", *limit)
	}
	files, err := imageFiles(rest[1:])
	if err != nil {
		return err
	}
	m, err := mf.load(rest[0])
	if err != nil {
		return err
	}
	defer m.Close()
	threshold := m.Info().Threshold
	if all.Changed("threshold") {
		threshold = *limit
	}
	return a.eachImages(files, mf.batch(), func(names []string, images []image.Image) error {
		scores, err := m.Score(a.ctx, images...)
		if err != nil {
			return named(rest[0], err)
		}
		for i, s := range scores {
			line := reconstructionLine{File: names[i], MSE: finite(s.MSE)}
			word := ""
			if threshold >= 0 {
				unusual := !(s.MSE < threshold)
				line.Unusual = &unusual
				word = "  usual"
				if unusual {
					word = "  unusual"
				}
			}
			if *asJSON {
				err = json.NewEncoder(a.stdout).Encode(line)
			} else {
				_, err = fmt.Fprintf(a.stdout, "%s: mse %.6g%s\n", cli.OneLine(line.File), s.MSE, word)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
