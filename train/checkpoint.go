package train

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"

	"github.com/aekit/aekit/internal/atomicfile"
)

// A checkpoint file is: the magic, a version and the length of the header (uint32,
// little-endian), the header as JSON, the vectors that it lists as little-endian float32,
// and the SHA-256 of all that.
const (
	checkpointMagic   = "AEKITCKP"
	checkpointVersion = 2
	maxHeader         = 1 << 20
)

// checkpointHeader says what a checkpoint belongs to and where training stood.
type checkpointHeader struct {
	Run      runID
	Position position
	Steps    []int    // of each phase's optimizer
	Vectors  []string // names, in file order
	Elems    []int    // of each vector
}

// runID is what must agree for a resumed run to equal an uninterrupted one.
type runID struct {
	Objective, Optimizer, Schedule string
	Data                           string // digest
	Batch, Epochs                  int
	LR, Warmup, Clip, EMA          float64
	Seed                           uint64
	Noise                          string
	Augment                        string // empty without
	Binarize                       string
	Parameters                     []string
}

func (t *Trainer) runID() (runID, error) {
	digest, err := t.cfg.Data.Digest()
	if err != nil {
		return runID{}, err
	}
	c := &t.cfg
	id := runID{
		Objective: fmt.Sprintf("%T%+v", c.Objective, c.Objective), Optimizer: fmt.Sprintf("%T%+v", c.Optimizer, c.Optimizer),
		Schedule: fmt.Sprintf("%T%+v", c.Schedule, c.Schedule), Data: digest, Batch: c.Batch,
		LR: c.LR, Warmup: c.Warmup, Clip: c.ClipNorm, EMA: c.EMA, Seed: c.Seed, Noise: fmt.Sprintf("%+v", c.Noise),
	}
	if _, ok := c.Schedule.(byEpoch); !ok {
		id.Epochs = c.Epochs
	}
	id.Binarize = c.Binarize
	if c.Augment != nil {
		id.Augment = fmt.Sprintf("%+v", *c.Augment)
	}
	for i := range t.params {
		id.Parameters = append(id.Parameters, fmt.Sprintf("%s%v", t.params[i].name, t.params[i].shape))
	}
	return id, nil
}

// vectors lists what a checkpoint holds.
func (t *Trainer) vectors() (names []string, vs [][]float32) {
	add := func(name string, v []float32) {
		names, vs = append(names, name), append(vs, v)
	}
	add("parameters", t.p)
	for _, ph := range t.phases {
		for i, m := range ph.group.m {
			add(fmt.Sprintf("%s/moment%d", ph.name, i+1), m)
		}
	}
	if t.ema != nil {
		add("ema", t.ema.ema)
	}
	if len(t.stats) > 0 {
		add("statistics", t.stats)
	}
	if t.best != nil {
		add("best", t.best)
	}
	return names, vs
}

func (t *Trainer) optimizerSteps() []int {
	var steps []int
	for _, ph := range t.phases {
		steps = append(steps, ph.group.step)
	}
	return steps
}

// save writes the checkpoint, if Config names one.
func (t *Trainer) save() error {
	if t.cfg.Checkpoint == "" {
		return nil
	}
	return t.Save(t.cfg.Checkpoint)
}

// Save writes a checkpoint, atomically. It must not be called while Run is running.
func (t *Trainer) Save(path string) error {
	id, err := t.runID()
	if err != nil {
		return err
	}
	names, vs := t.vectors()
	var sizes []int
	for _, v := range vs {
		sizes = append(sizes, len(v))
	}
	header, err := json.Marshal(checkpointHeader{id, t.pos, t.optimizerSteps(), names, sizes})
	if err != nil {
		return fmt.Errorf("train: checkpoint: %w", err)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		sum := sha256.New()
		b := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<18)
		b.WriteString(checkpointMagic)
		binary.Write(b, binary.LittleEndian, [2]uint32{checkpointVersion, uint32(len(header))})
		b.Write(header)
		for _, v := range vs {
			if err := writeFloats(b, v); err != nil {
				return err
			}
		}
		if err := b.Flush(); err != nil {
			return err
		}
		_, err := w.Write(sum.Sum(nil))
		return err
	})
}

func writeFloats(w io.Writer, v []float32) error {
	var buf [4096]byte
	for len(v) > 0 {
		n := min(len(v), len(buf)/4)
		for i, x := range v[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(x))
		}
		if _, err := w.Write(buf[:4*n]); err != nil {
			return err
		}
		v = v[n:]
	}
	return nil
}

// errCheckpoint is the root of errors about the contents of a checkpoint.
var errCheckpoint = errors.New("not a usable checkpoint")

// Resume continues from a checkpoint that a Trainer with an equal Config wrote: the run
// then gives the same weights, bit for bit, as one that was not interrupted. Epochs may
// differ if the schedule is constant. On an error the Trainer is unchanged.
func (t *Trainer) Resume(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	defer f.Close()
	if err := t.load(f); err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	return nil
}

func (t *Trainer) load(r io.Reader) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", errCheckpoint, fmt.Sprintf(format, args...))
	}
	sum := sha256.New()
	buffered := bufio.NewReaderSize(r, 1<<18)
	in := io.TeeReader(buffered, sum)
	var head [len(checkpointMagic) + 8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:len(checkpointMagic)]) != checkpointMagic {
		return bad("it does not begin as one")
	}
	version := binary.LittleEndian.Uint32(head[len(checkpointMagic):])
	size := binary.LittleEndian.Uint32(head[len(checkpointMagic)+4:])
	if version != checkpointVersion || size > maxHeader {
		return bad("version %d with a header of %d bytes", version, size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(in, text); err != nil {
		return bad("it is cut short")
	}
	var h checkpointHeader
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&h); err != nil {
		return bad("%v", err)
	}
	id, err := t.runID()
	if err != nil {
		return err
	}
	if err := id.differs(h.Run); err != nil {
		return err
	}
	steps := t.stepsPerEpoch()
	p := &h.Position
	if len(h.Elems) != len(h.Vectors) || len(p.Sums) != len(t.pos.Sums) || p.Epoch < 0 || p.Step < 0 || p.Step > steps || p.Steps < 0 || p.Images < 0 || len(h.Steps) != len(t.phases) || slices.Min(h.Steps) < 0 {
		return bad("its header is inconsistent")
	}
	loaded := map[string][]float32{}
	names, vs := t.vectors()
	sizes := map[string]int{"best": len(t.p) + len(t.stats)}
	for i, name := range names {
		sizes[name] = len(vs[i])
	}
	for i, name := range h.Vectors {
		if n, ok := sizes[name]; !ok || loaded[name] != nil || h.Elems[i] != n {
			return bad("vector %.20q of %d values has no place here", name, h.Elems[i])
		}
		v := vector(h.Elems[i])
		if err := readFloats(in, v); err != nil {
			return bad("it is cut short")
		}
		loaded[name] = v
	}
	want := sum.Sum(nil)
	var got [sha256.Size]byte
	if _, err := io.ReadFull(buffered, got[:]); err != nil || !bytes.Equal(got[:], want) {
		return bad("its checksum is wrong")
	}
	for _, name := range names {
		if loaded[name] == nil && name != "best" {
			return bad("vector %q is missing", name)
		}
	}
	for i, name := range names {
		if name != "best" {
			copy(vs[i], loaded[name])
		}
	}
	t.best = loaded["best"]
	t.pos = h.Position
	for i, ph := range t.phases {
		ph.group.step = h.Steps[i]
	}
	if t.pos.Epoch < t.cfg.Epochs && !t.pos.Stopped {
		t.pos.Done = false
	}
	t.took = t.pos.Done && t.best != nil
	return nil
}

func readFloats(r io.Reader, v []float32) error {
	var buf [4096]byte
	for len(v) > 0 {
		n := min(len(v), len(buf)/4)
		if _, err := io.ReadFull(r, buf[:4*n]); err != nil {
			return err
		}
		for i := range v[:n] {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
		}
		v = v[n:]
	}
	return nil
}

// differs names the first field in which two runs differ.
func (id runID) differs(o runID) error {
	a, b := reflect.ValueOf(id), reflect.ValueOf(o)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			return fmt.Errorf("%w for this run: %s is %v, here %v", errCheckpoint, a.Type().Field(i).Name, b.Field(i), a.Field(i))
		}
	}
	return nil
}
