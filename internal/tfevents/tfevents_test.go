package tfevents

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/imagefile"
	"github.com/aekit/aekit/internal/imageio"
)

// TestRecord holds the framing against a record written by hand: the CRC-32C of the length
// and of the payload, rotated right by 15 bits, plus 0xa282ead8.
func TestRecord(t *testing.T) {
	// RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 8a9136aa.
	zeros := make([]byte, 32)
	const want = ((0x8a9136aa>>15 | 0x8a9136aa<<17&0xffffffff) + 0xa282ead8) & 0xffffffff
	if got := mask(zeros); got != want {
		t.Errorf("masked checksum %08x, want %08x", got, uint32(want))
	}
	r := record([]byte("abc"))
	if len(r) != 3+16 || binary.LittleEndian.Uint64(r) != 3 || string(r[12:15]) != "abc" {
		t.Errorf("record %x", r)
	}
}

// TestFile checks the bytes of a file at a fixed time.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	w, err := create(dir, 5, func() time.Time { return time.Unix(1, 500000000) })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Scalars(7, Scalar{"a/b", 0.5}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if len(names) != 1 {
		t.Fatalf("files %q", names)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var payloads [][]byte
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		if mask(b[:8]) != binary.LittleEndian.Uint32(b[8:]) || mask(b[12:12+n]) != binary.LittleEndian.Uint32(b[12+n:]) {
			t.Fatal("a checksum is wrong")
		}
		payloads = append(payloads, b[12:12+n])
		b = b[16+n:]
	}
	const head = "09000000000000f83f" // wall_time = 1.5
	want := []string{
		head + "1005" + "1a0d" + hex.EncodeToString([]byte("brain.Event:2")),
		head + "1005" + "3a020801",
		head + "1007" + "2a0c" + "0a0a" + "0a03612f62" + "150000003f",
	}
	for i, p := range payloads {
		if i >= len(want) || hex.EncodeToString(p) != want[i] {
			t.Errorf("event %d is %x", i, p)
		}
	}
	if len(payloads) != len(want) {
		t.Errorf("%d events, want %d", len(payloads), len(want))
	}
}

// TestTensorBoardReads has TensorBoard's own reader read a file, where the Python that
// AEKIT_PYTHON names has the package tensorboard.
func TestTensorBoardReads(t *testing.T) {
	python := os.Getenv("AEKIT_PYTHON")
	if python == "" {
		t.Skip("AEKIT_PYTHON does not name a Python with the package tensorboard")
	}
	if err := exec.Command(python, "-c", "import tensorboard").Run(); err != nil {
		t.Skip("no package tensorboard: ", err)
	}
	dir := t.TempDir()
	w, err := Create(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	for step := range int64(20) {
		if err := w.Scalars(step, Scalar{"loss", float64(step) / 4}, Scalar{"kl", 1}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := imageio.NewPlanar(3, 4, 6)
	if err != nil {
		t.Fatal(err)
	}
	var png bytes.Buffer
	if err := imagefile.WritePNG(&png, p); err != nil {
		t.Fatal(err)
	}
	if err := w.Image(19, "pairs", 6, 4, 3, png.Bytes()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	// A run that was resumed at step 10.
	time.Sleep(time.Millisecond)
	if w, err = Create(dir, 10); err != nil {
		t.Fatal(err)
	}
	if err := w.Scalars(10, Scalar{"loss", 100}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	const script = `
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1])
a.Reload()
print([(e.step, e.value) for e in a.Scalars("loss")])
print(a.Images("pairs")[0].width if "pairs" in a.Tags()["images"] and a.Images("pairs") else None)
`
	out, err := exec.Command(python, "-c", script, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var want []string
	for step := range 10 {
		want = append(want, fmt.Sprintf("(%d, %s)", step, pyFloat(float64(step)/4)))
	}
	want = append(want, "(10, 100.0)")
	if line := "[" + strings.Join(want, ", ") + "]"; !strings.Contains(string(out), line) {
		t.Errorf("TensorBoard reads %s, want %s", out, line)
	}
}

func pyFloat(v float64) string {
	s := fmt.Sprint(v)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
