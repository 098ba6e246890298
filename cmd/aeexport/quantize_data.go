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
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/quant"
	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/dataset"
)

// calibrate runs the model on the calibration images, or reads what that gave before.
func (j *job) calibrate(ctx context.Context, m *onnx.Model, data *calibrationData, ro runtime.Options) (*quant.Calibration, error) {
	if j.quant.cache != "" {
		f, err := os.Open(j.quant.cache)
		if err == nil {
			defer f.Close()
			c, err := quant.ReadCalibration(f)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", j.quant.cache, err)
			}
			if ok, err := c.Matches(m); err != nil || ok {
				return c, err
			}
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	src, err := data.calibration(j.quant.images)()
	if err != nil {
		return nil, err
	}
	c, err := quant.Calibrate(ctx, m, src, ro)
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
