// Package tfevents writes the event files that TensorBoard reads: a sequence of records, each
// framed by its length and masked CRC-32C checksums (the TFRecord format), whose payload is a
// protocol buffer of type tensorflow.Event (event.proto and summary.proto of TensorFlow).
package tfevents

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Writer appends to one event file. It is for one goroutine at a time.
type Writer struct {
	f   *os.File
	buf []byte
	now func() time.Time
}

// Create makes the folder dir if there is none, and a new event file in it, which begins by
// saying that a run starts at the given step: TensorBoard then forgets what older files in
// dir say of later steps.
func Create(dir string, step int64) (*Writer, error) { return create(dir, step, time.Now) }

func create(dir string, step int64, now func() time.Time) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	// The files of a folder are read in the order of their names.
	name := fmt.Sprintf("events.out.tfevents.%020d.aekit.%d", now().UnixNano(), os.Getpid())
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f, now: now}
	version := protowire.AppendTag(nil, eventFileVersion, protowire.BytesType)
	version = protowire.AppendString(version, "brain.Event:2")
	start := protowire.AppendTag(nil, sessionLogStatus, protowire.VarintType)
	start = protowire.AppendVarint(start, sessionStart)
	session := protowire.AppendTag(nil, eventSessionLog, protowire.BytesType)
	session = protowire.AppendBytes(session, start)
	for _, body := range [][]byte{version, session} {
		if err := w.event(step, body); err != nil {
			f.Close()
			return nil, err
		}
	}
	return w, nil
}

// Fields of the messages.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7

	sessionLogStatus = 1
	sessionStart     = 1

	summaryValue = 1

	valueTag    = 1
	valueSimple = 2
	valueImage  = 4

	imageHeight     = 1
	imageWidth      = 2
	imageColorspace = 3
	imageEncoded    = 4
)

// Scalar is a number with a name; slashes in names make groups.
type Scalar struct {
	Tag   string
	Value float64 // stored as float32
}

// Scalars writes numbers that belong to a step.
func (w *Writer) Scalars(step int64, values ...Scalar) error {
	var summary []byte
	for _, s := range values {
		v := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		v = protowire.AppendString(v, s.Tag)
		v = protowire.AppendTag(v, valueSimple, protowire.Fixed32Type)
		v = protowire.AppendFixed32(v, math.Float32bits(float32(s.Value)))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, v)
	}
	return w.summary(step, summary)
}

// Image writes a picture, a PNG file of the given size, that belongs to a step. channels is
// 1 for grey, 3 or 4 for colour.
func (w *Writer) Image(step int64, tag string, width, height, channels int, png []byte) error {
	var img []byte
	for _, f := range []struct{ field, v int }{{imageHeight, height}, {imageWidth, width}, {imageColorspace, channels}} {
		img = protowire.AppendTag(img, protowire.Number(f.field), protowire.VarintType)
		img = protowire.AppendVarint(img, uint64(f.v))
	}
	img = protowire.AppendTag(img, imageEncoded, protowire.BytesType)
	img = protowire.AppendBytes(img, png)
	v := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	v = protowire.AppendString(v, tag)
	v = protowire.AppendTag(v, valueImage, protowire.BytesType)
	v = protowire.AppendBytes(v, img)
	return w.summary(step, protowire.AppendBytes(protowire.AppendTag(nil, summaryValue, protowire.BytesType), v))
}

func (w *Writer) summary(step int64, summary []byte) error {
	return w.event(step, protowire.AppendBytes(protowire.AppendTag(nil, eventSummary, protowire.BytesType), summary))
}

// event writes a record at once, so that a reader of the growing file sees few parts of one.
func (w *Writer) event(step int64, body []byte) error {
	t := float64(w.now().UnixMicro()) / 1e6
	e := protowire.AppendTag(w.buf[:0], eventWallTime, protowire.Fixed64Type)
	e = protowire.AppendFixed64(e, math.Float64bits(t))
	e = protowire.AppendTag(e, eventStep, protowire.VarintType)
	e = protowire.AppendVarint(e, uint64(step))
	e = append(e, body...)
	w.buf = e
	_, err := w.f.Write(record(e))
	return err
}

// record frames a payload.
func record(payload []byte) []byte {
	out := binary.LittleEndian.AppendUint64(make([]byte, 0, len(payload)+16), uint64(len(payload)))
	out = binary.LittleEndian.AppendUint32(out, mask(out))
	out = append(out, payload...)
	return binary.LittleEndian.AppendUint32(out, mask(payload))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mask is the checksum of TFRecord: a rotated CRC-32C plus a constant, so that the checksum
// of data that contain checksums is not degenerate.
func mask(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// Close ends the file.
func (w *Writer) Close() error { return w.f.Close() }
