package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/runtime/autoencoder"
	"github.com/aekit/aekit/tensor"
)

// maxLatents bounds the bytes of a file of latent vectors.
const maxLatents = 1 << 30

// latentFormats are the formats of files of latent vectors, by the ends of their names.
var latentFormats = map[string]string{
	".jsonl": "jsonl", ".json": "jsonl", ".npy": "npy", ".safetensors": "safetensors",
}

// latentLine is one line of a file of latent vectors.
type latentLine struct {
	File   string `json:"file,omitempty"`
	Z      any    `json:"z"` // a flat list of numbers
	Mu     any    `json:"mu,omitempty"`
	LogVar any    `json:"logvar,omitempty"`
	Codes  any    `json:"codes,omitempty"`
}

func runEncode(a *app, args []string) error {
	var mf modelFlags
	all, fs := a.flags()
	out := fs.StringP("out", "o", "-", "`FILE` for the latent vectors; - for standard output")
	format := fs.String("format", "", "jsonl (a JSON line for each image), npy or safetensors; if not given, by the name of the file, else jsonl")
	cli.Choices(fs, "format", "jsonl", "npy", "safetensors")
	mf.add(all)
	rest, err := a.parse(all, args, 2, -1)
	if err != nil {
		return err
	}
	if *format == "" {
		*format = latentFormats[strings.ToLower(filepath.Ext(*out))]
	}
	if *format == "" {
		if !isStdout(*out) {
			return usagef("encode: -o %q: name a format with --format jsonl, npy or safetensors", *out)
		}
		*format = "jsonl"
	}
	if !slices.Contains([]string{"jsonl", "npy", "safetensors"}, *format) {
		return usagef("encode: --format %q, want jsonl, npy or safetensors", *format)
	}
	if !isStdout(*out) {
		if err := checkFolder("-o", *out); err != nil {
			return err
		}
	} else if *format != "jsonl" && a.tty {
		return usagef("encode: standard output is a terminal; name a file with -o")
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
	encode := func(f func(names []string, l *autoencoder.Latents) error) error {
		return a.eachImages(files, mf.batch(), func(names []string, images []image.Image) error {
			l, err := m.Encode(a.ctx, images...)
			if err != nil {
				return named(rest[0], err)
			}
			return f(names, l)
		})
	}
	if *format == "jsonl" {
		return a.write(*out, false, func(w io.Writer) error {
			return encode(func(names []string, l *autoencoder.Latents) error { return writeLatentLines(w, names, l) })
		})
	}
	var g gathered
	if err := encode(func(_ []string, l *autoencoder.Latents) error { return g.add(l, len(files)) }); err != nil {
		return err
	}
	tensors, err := g.tensors()
	if err != nil {
		return err
	}
	return a.write(*out, true, func(w io.Writer) error {
		if *format == "npy" {
			return tensor.WriteNPY(w, tensors["z"])
		}
		return writeSafetensors(w, tensors)
	})
}

// numbers returns row i of t as something that JSON prints as a flat list.
func numbers(t *tensor.Tensor, i int) (any, error) {
	if t == nil {
		return nil, nil
	}
	n := t.Elems() / t.Shape()[0]
	lo, hi := i*n, (i+1)*n
	switch t.DType() {
	case tensor.Float32:
		return t.Float32s()[lo:hi], nil
	case tensor.Float64:
		return tensor.Data[float64](t)[lo:hi], nil
	case tensor.Int64:
		return t.Int64s()[lo:hi], nil
	case tensor.Int32:
		return tensor.Data[int32](t)[lo:hi], nil
	case tensor.Int8:
		return tensor.Data[int8](t)[lo:hi], nil
	case tensor.Uint8:
		v := make([]int, 0, n)
		for _, x := range tensor.Data[uint8](t)[lo:hi] {
			v = append(v, int(x))
		}
		return v, nil
	case tensor.Float16:
		v := make([]float32, 0, n)
		for _, x := range tensor.Data[tensor.F16](t)[lo:hi] {
			v = append(v, x.Float32())
		}
		return v, nil
	}
	return nil, fmt.Errorf("latent vectors of type %v cannot be written as JSON", t.DType())
}

func writeLatentLines(w io.Writer, names []string, l *autoencoder.Latents) error {
	enc := json.NewEncoder(w)
	for i, name := range names {
		line := latentLine{File: name}
		for _, f := range []struct {
			dst *any
			t   *tensor.Tensor
		}{{&line.Z, l.Z}, {&line.Mu, l.Mu}, {&line.LogVar, l.LogVar}, {&line.Codes, l.Codes}} {
			v, err := numbers(f.t, i)
			if err != nil {
				return err
			}
			*f.dst = v
		}
		if err := enc.Encode(line); err != nil {
			if _, ok := errors.AsType[*json.UnsupportedValueError](err); ok {
				return fmt.Errorf("%s: its latent vector holds NaN or infinity, which JSON cannot say: use --format npy", name)
			}
			return err
		}
	}
	return nil
}

// gathered collects latents of several batches.
type gathered struct {
	z, mu, logvar, codes *tensor.Tensor
	rows                 int
}

// add appends l; most is the number of rows in the end, or more.
func (g *gathered) add(l *autoencoder.Latents, most int) error {
	rows := l.Z.Shape()[0]
	for _, f := range []struct {
		dst **tensor.Tensor
		t   *tensor.Tensor
	}{{&g.z, l.Z}, {&g.mu, l.Mu}, {&g.logvar, l.LogVar}, {&g.codes, l.Codes}} {
		if f.t == nil {
			continue
		}
		if *f.dst == nil {
			shape := f.t.Shape().Clone()
			shape[0] = most
			t, err := tensor.New(f.t.DType(), shape...)
			if err != nil {
				return err
			}
			*f.dst = t
		}
		size := len(f.t.Bytes()) / rows
		copy((*f.dst).Bytes()[g.rows*size:], f.t.Bytes())
	}
	g.rows += rows
	return nil
}

// tensors returns the rows that were added, by name.
func (g *gathered) tensors() (map[string]*tensor.Tensor, error) {
	out := map[string]*tensor.Tensor{}
	for name, t := range map[string]*tensor.Tensor{"z": g.z, "mu": g.mu, "logvar": g.logvar, "codes": g.codes} {
		if t == nil {
			continue
		}
		shape := t.Shape().Clone()
		size := len(t.Bytes()) / shape[0]
		shape[0] = g.rows
		cut, err := tensor.FromBytes(t.DType(), t.Bytes()[:g.rows*size], shape...)
		if err != nil {
			return nil, err
		}
		out[name] = cut
	}
	return out, nil
}

func runDecode(a *app, args []string) error {
	var mf modelFlags
	var sf sheetFlags
	all, fs := a.flags()
	format := fs.String("format", "", "of the latent vectors: jsonl, npy or safetensors; if not given, by the name of the file, else jsonl")
	cli.Choices(fs, "format", "jsonl", "npy", "safetensors")
	sf.add(all, "the images go: a PNG `FILE` for a sheet, a folder for one file each, - for standard output")
	mf.add(all)
	rest, err := a.parse(all, args, 1, -1)
	if err != nil {
		return err
	}
	if err := sf.check(); err != nil {
		return err
	}
	if *format != "" && !slices.Contains([]string{"jsonl", "npy", "safetensors"}, *format) {
		return usagef("decode: --format %q, want jsonl, npy or safetensors", *format)
	}
	if err := a.checkOut(sf.out, ".png"); err != nil {
		return err
	}
	files := rest[1:]
	if len(files) == 0 {
		files = []string{"-"}
	}
	m, err := mf.load(rest[0])
	if err != nil {
		return err
	}
	defer m.Close()
	var images []image.Image
	for _, name := range files {
		z, err := a.readLatents(name, *format)
		if err != nil {
			return err
		}
		part, err := m.Decode(a.ctx, z)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		images = append(images, part...)
	}
	return a.writeImages(sf.out, images, sf.sheet)
}

// readLatents reads the latent vectors in a file, or on standard input for "-".
func (a *app) readLatents(name, format string) (*tensor.Tensor, error) {
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
		if format == "" {
			format = latentFormats[strings.ToLower(filepath.Ext(name))]
		}
	}
	t, err := readLatents(in, format)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func readLatents(r io.Reader, format string) (*tensor.Tensor, error) {
	switch format {
	case "npy":
		t, err := tensor.ReadNPY(r, maxLatents)
		if err == nil && t.Rank() == 1 {
			return t.Reshape(1, t.Elems())
		}
		if err == nil && (t.Rank() == 0 || t.Elems() == 0) {
			return nil, fmt.Errorf("array %v holds no latent vectors", t)
		}
		return t, err
	case "safetensors":
		return readSafetensors(r)
	}
	return readLatentLines(r)
}

// readLatentLines reads JSON: for each latent vector a list of numbers, or an object with
// such a list as its z.
func readLatentLines(r io.Reader) (*tensor.Tensor, error) {
	limited := &io.LimitedReader{R: r, N: maxLatents}
	dec := json.NewDecoder(limited)
	var all []float32
	rows, size := 0, 0
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if err == io.EOF {
			break
		}
		if limited.N <= 0 {
			return nil, fmt.Errorf("more than %d bytes of latent vectors", maxLatents)
		}
		if err != nil {
			return nil, fmt.Errorf("latent vector %d: %w", rows, err)
		}
		var line struct {
			Z []float32 `json:"z"`
		}
		if bytes.HasPrefix(raw, []byte("[")) {
			err = json.Unmarshal(raw, &line.Z)
		} else {
			err = json.Unmarshal(raw, &line)
		}
		if err != nil {
			return nil, fmt.Errorf("latent vector %d: want a list of numbers, or an object with such a list as \"z\": %w", rows, err)
		}
		if len(line.Z) == 0 || rows > 0 && len(line.Z) != size {
			return nil, fmt.Errorf("latent vector %d has %d numbers, the first one %d", rows, len(line.Z), size)
		}
		size = len(line.Z)
		all = append(all, line.Z...)
		rows++
	}
	if rows == 0 {
		return nil, errors.New("no latent vectors")
	}
	return tensor.Of(all, rows, size)
}
