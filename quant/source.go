package quant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
	"github.com/aekit/aekit/train/dataset"
)

// Images is a Source over a data set. Fields are set before the first use.
type Images struct {
	Data  dataset.Source
	Input string // the model's input: float32 [batch, channels, height, width]
	Flat  bool   // [batch, channels·height·width] instead
	Batch int    // images a batch; at least 1
	N     int    // the first N images; 0: all
	// Label names an input of the model that takes labels: int64 [batch], or, with Classes,
	// float32 [batch, Classes], one-hot. Images without a label have label 0. Empty: none.
	Label   string
	Classes int
	// Anomaly, unless nil, says which labels are anomalies: see [Marked].
	Anomaly func(label int) bool

	at     int
	labels []int
}

// FromImages returns a Source that gives the first n images of a data set (all if n is 0 or
// more than there are), batch at a time, for a model's input of that name: as [batch,
// channels, height, width], or as [batch, channels·height·width] if flat.
func FromImages(src dataset.Source, input string, flat bool, batch, n int) (Source, error) {
	if batch < 1 || n < 0 {
		return nil, fmt.Errorf("quant: batches of %d, %d images: want positive numbers", batch, n)
	}
	return &Images{Data: src, Input: input, Flat: flat, Batch: batch, N: n}, nil
}

// Next implements [Source].
func (s *Images) Next(ctx context.Context) (map[string]*tensor.Tensor, error) {
	n := s.Data.Len()
	if s.N > 0 {
		n = min(n, s.N)
	}
	if s.at >= n {
		return nil, io.EOF
	}
	index := make([]int, min(max(1, s.Batch), n-s.at))
	for i := range index {
		index[i] = s.at + i
	}
	s.at += len(index)
	info := s.Data.Info()
	shape := []int{len(index), info.Channels, info.Height, info.Width}
	if s.Flat {
		shape = []int{len(index), info.Elems()}
	}
	x, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		return nil, err
	}
	s.labels = nil
	if s.Label != "" || s.Anomaly != nil {
		s.labels = make([]int, len(index))
	}
	if err := s.Data.Read(ctx, index, x.Float32s(), s.labels); err != nil {
		return nil, err
	}
	in := map[string]*tensor.Tensor{s.Input: x}
	if s.Label != "" {
		if in[s.Label], err = s.labelTensor(); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (s *Images) labelTensor() (*tensor.Tensor, error) {
	if s.Classes == 0 {
		t, err := tensor.New(tensor.Int64, len(s.labels))
		if err != nil {
			return nil, err
		}
		for i, l := range s.labels {
			t.Int64s()[i] = int64(max(0, l))
		}
		return t, nil
	}
	t, err := tensor.New(tensor.Float32, len(s.labels), s.Classes)
	if err != nil {
		return nil, err
	}
	for i, l := range s.labels {
		if l >= s.Classes {
			return nil, fmt.Errorf("quant: label %d, the model knows %d", l, s.Classes)
		}
		t.Float32s()[i*s.Classes+max(0, l)] = 1
	}
	return t, nil
}

// Anomalies implements [Marked]; without Images.Anomaly it is nil.
func (s *Images) Anomalies() []bool {
	if s.Anomaly == nil {
		return nil
	}
	out := make([]bool, len(s.labels))
	for i, l := range s.labels {
		out[i] = s.Anomaly(l)
	}
	return out
}

// Tensors returns a Source that gives each of the inputs once.
func Tensors(inputs ...map[string]*tensor.Tensor) Source { return &list{inputs} }

type list struct{ rest []map[string]*tensor.Tensor }

// Next implements [Source].
func (s *list) Next(context.Context) (map[string]*tensor.Tensor, error) {
	if len(s.rest) == 0 {
		return nil, io.EOF
	}
	next := s.rest[0]
	s.rest = s.rest[1:]
	return next, nil
}

// maxFile bounds a file of a calibration folder.
const maxFile = 1 << 30

// folder is a Source over files.
type folder struct {
	input string
	files []string
}

// FromFolder returns a Source over the .npy and .pb (TensorProto) files of a folder, in the
// order of their names. Each holds one batch for the model's input of that name.
func FromFolder(dir, input string) (Source, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{input: input}
	for _, e := range list {
		if ext := strings.ToLower(filepath.Ext(e.Name())); !e.IsDir() && (ext == ".npy" || ext == ".pb") {
			f.files = append(f.files, filepath.Join(dir, e.Name()))
		}
	}
	if len(f.files) == 0 {
		return nil, fmt.Errorf("quant: %s: no .npy and no .pb files here", dir)
	}
	slices.Sort(f.files)
	return f, nil
}

// Next implements [Source].
func (f *folder) Next(context.Context) (map[string]*tensor.Tensor, error) {
	if len(f.files) == 0 {
		return nil, io.EOF
	}
	name := f.files[0]
	f.files = f.files[1:]
	t, err := readTensor(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return map[string]*tensor.Tensor{f.input: t}, nil
}

func readTensor(name string) (*tensor.Tensor, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	if strings.EqualFold(filepath.Ext(name), ".npy") {
		return tensor.ReadNPY(bytes.NewReader(b), maxFile)
	}
	t, err := onnx.DecodeTensor(b, onnx.DecodeOptions{})
	if err != nil {
		return nil, err
	}
	if t.Value == nil {
		return nil, errors.New("no data of a supported type")
	}
	return t.Value, nil
}
