package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/rng"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
)

// prepareQuantization finds out before training whether there is what a model that will be
// trained is to be calibrated with.
func (j *job) prepareQuantization(ctx context.Context, model *onnx.Model) error {
	if j.quant.form == "" {
		return nil
	}
	if _, err := j.cachedCalibration(); err != nil {
		return err
	}
	var err error
	j.calibrating, err = j.calibrationData(ctx, model)
	return err
}

// cachedCalibration returns what --calibration-cache holds; nil if there is no such file.
func (j *job) cachedCalibration() (*quant.Calibration, error) {
	if j.quant.cache == "" {
		return nil, nil
	}
	f, err := os.Open(j.quant.cache)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := quant.ReadCalibration(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.quant.cache, err)
	}
	return c, nil
}

// calibrate runs the model on the calibration images, or reads what that gave before.
func (j *job) calibrate(ctx context.Context, m *onnx.Model, data *calibrationData, ro runtime.Options) (*quant.Calibration, error) {
	c, err := j.cachedCalibration()
	if err != nil {
		return nil, err
	}
	if c != nil {
		if ok, err := c.Matches(m); err != nil || ok {
			return c, err
		}
	}
	src, err := data.calibration(j.quant.images)()
	if err != nil {
		return nil, err
	}
	c, err = quant.Calibrate(ctx, m, src, ro)
	if err != nil || j.quant.cache == "" {
		return c, err
	}
	return c, atomicfile.WriteFile(j.quant.cache, c.Write)
}

// calibrationData is what a model is calibrated and evaluated with.
type calibrationData struct {
	// calibration makes sources of the first n images, evaluation of those that the report
	// measures with.
	calibration, evaluation func(n int) quant.Sources
	count                   int           // images of the calibration
	images                  *dataset.Data // nil where the data are tensors
}

func (j *job) calibrationData(ctx context.Context, m *onnx.Model) (*calibrationData, error) {
	d, err := train.Describe(m)
	if err != nil {
		d = &meta.Model{}
	}
	in := m.Graph.Inputs[0]
	if v := valueInfo(m.Graph.Inputs, d.Values.Image); v != nil {
		in = v
	}
	name := j.quant.calibration
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		if src, err := quant.FromFolder(name, in.Name); err == nil {
			return tensorData(ctx, src, name, in.Name)
		}
	}
	if d.Kind == meta.KindGenerator {
		return j.drawnData(d, in.Name)
	}
	data := j.data
	if name == "" && data == nil {
		name = j.options.data
	}
	if name != "" {
		o := dataset.Options{Dir: j.dataDir, Width: j.width, Height: j.height, Channels: j.channels, Seed: j.seed, N: j.images, Progress: j.out.download}
		if d.Image.Width > 0 {
			o.Width, o.Height, o.Channels = d.Image.Width, d.Image.Height, d.Image.Channels
		} else if s := in.Type.Shape; len(s) == 4 && s[1].Value > 0 && s[2].Value > 0 && s[3].Value > 0 {
			o.Channels, o.Height, o.Width = int(s[1].Value), int(s[2].Value), int(s[3].Value)
		}
		var err error
		if data, err = dataset.Open(ctx, name, o); err != nil {
			return nil, err
		}
	}
	template := quant.Images{Input: in.Name, Flat: in.Type.HasShape && len(in.Type.Shape) == 2, Batch: 32}
	if s := in.Type.Shape; len(s) > 0 && s[0].Value > 0 {
		template.Batch = int(s[0].Value)
	}
	if v := valueInfo(m.Graph.Inputs, d.Values.Label); v != nil {
		template.Label = v.Name
		if v.Type.Elem == tensor.Float32 && len(v.Type.Shape) == 2 {
			template.Classes = int(max(0, v.Type.Shape[1].Value))
		}
	}
	if len(j.quant.anomalous) > 0 {
		template.Anomaly = func(label int) bool { return slices.Contains(j.quant.anomalous, label) }
	}
	sources := func(from dataset.Source) func(n int) quant.Sources {
		return func(n int) quant.Sources {
			return func() (quant.Source, error) {
				src := template
				src.Data, src.N = from, n
				return &src, nil
			}
		}
	}
	c := &calibrationData{calibration: sources(data.Train), evaluation: sources(data.Train), count: data.Train.Len(), images: data}
	if j.quant.images > 0 {
		c.count = min(c.count, j.quant.images)
	}
	// Anomalies are in test data; what is normal is trained with.
	if template.Anomaly != nil && data.Test != nil && data.Test.Len() > 0 {
		all := sources(data.Test)
		c.evaluation = func(n int) quant.Sources {
			if n == evaluationImages {
				n = 0
			}
			return all(n)
		}
	}
	return c, nil
}

// drawnBatch is how many latent vectors a batch of drawnData has.
const drawnBatch = 32

// drawnData is latent vectors as a generator takes them: draws from its prior.
func (j *job) drawnData(d *meta.Model, input string) (*calibrationData, error) {
	if len(d.Prior) != 1 || d.Prior[0].Distribution != meta.DistNormal || d.Prior[0].Value != input {
		return nil, usagef("a generator with another prior than a standard normal cannot be calibrated by draws: give --calibration FOLDER of .npy or .pb files")
	}
	if j.quant.calibration != "" {
		return nil, usagef("--calibration %s: a generator takes no images; without the flag it is calibrated by draws from its prior", j.quant.calibration)
	}
	draws := func(n int) quant.Sources {
		return func() (quant.Source, error) {
			var list []map[string]*tensor.Tensor
			for at := 0; at < n; at += drawnBatch {
				z, err := tensor.New(tensor.Float32, append([]int{min(drawnBatch, n-at)}, d.Prior[0].Shape...)...)
				if err != nil {
					return nil, err
				}
				rng.New(j.seed, uint64(at)).Normal(z.Float32s(), 0)
				list = append(list, map[string]*tensor.Tensor{input: z})
			}
			return quant.Tensors(list...), nil
		}
	}
	n := j.quant.images
	if n == 0 {
		n = 1000
	}
	return &calibrationData{calibration: func(int) quant.Sources { return draws(n) }, evaluation: draws, count: n}, nil
}

// tensorData is a folder of .npy or .pb files.
func tensorData(ctx context.Context, src quant.Source, folder, input string) (*calibrationData, error) {
	c := &calibrationData{}
	for {
		batch, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if s := batch[input].Shape(); len(s) > 0 {
			c.count += s[0]
		}
	}
	c.calibration = func(int) quant.Sources {
		return func() (quant.Source, error) { return quant.FromFolder(folder, input) }
	}
	c.evaluation = c.calibration
	return c, nil
}
