package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// maxDataBytes bounds what one data file may hold after decompression.
const maxDataBytes = 1 << 30

// A FormatError says that a data file is malformed.
type FormatError struct {
	File string // name of the file, if known
	Msg  string
}

func (e *FormatError) Error() string {
	if e.File == "" {
		return "dataset: " + e.Msg
	}
	return "dataset: " + e.File + ": " + e.Msg
}

func formatErrorf(format string, args ...any) error {
	return &FormatError{Msg: fmt.Sprintf(format, args...)}
}

// readIDX reads an IDX file of unsigned bytes (LeCun: "THE IDX FILE FORMAT", magic
// 0x0000080r with r axes), plain or gzip. It returns the extents and the data. rank is
// the number of axes expected.
//
// Memory grows with what r delivers, not with what the header claims.
func readIDX(r io.Reader, rank int) (dims []int, data []byte, err error) {
	r, err = maybeGunzip(r)
	if err != nil {
		return nil, nil, err
	}
	head := make([]byte, 4+4*rank)
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return nil, nil, formatErrorf("IDX header: %v", readError(err))
	}
	if head[0] != 0 || head[1] != 0 || head[2] != 8 {
		return nil, nil, formatErrorf("not an IDX file of bytes (begins with % x)", head[:4])
	}
	if int(head[3]) != rank {
		return nil, nil, formatErrorf("IDX file has %d axes, want %d", head[3], rank)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return nil, nil, formatErrorf("IDX header: %v", readError(err))
	}
	total := int64(1)
	for i := range rank {
		d := binary.BigEndian.Uint32(head[4+4*i:])
		if d > math.MaxInt32 || d > 0 && total > maxDataBytes/int64(d) {
			return nil, nil, formatErrorf("IDX file claims more than %d bytes", maxDataBytes)
		}
		total *= int64(d)
		dims = append(dims, int(d))
	}
	data, err = readExactly(r, total)
	if err != nil {
		return nil, nil, err
	}
	return dims, data, nil
}

// readExactly reads r, which must hold n bytes and no more.
func readExactly(r io.Reader, n int64) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(int(min(n, 1<<16)))
	got, err := io.Copy(&buf, io.LimitReader(r, n))
	if err != nil {
		return nil, formatErrorf("after %d of %d bytes: %v", got, n, readError(err))
	}
	if got < n {
		return nil, formatErrorf("ends after %d of %d bytes", got, n)
	}
	var one [1]byte
	if k, err := io.ReadFull(r, one[:]); k > 0 {
		return nil, formatErrorf("more than the %d bytes that its header announces", n)
	} else if err != io.EOF {
		return nil, formatErrorf("after %d bytes: %v", n, readError(err))
	}
	return buf.Bytes(), nil
}

// readError says that a file is truncated in words.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("file is truncated")
	}
	return err
}

// ReadIDX reads images from an IDX file of rank 3 ([N][H][W], MNIST's format) and, unless
// labels is nil, their labels from one of rank 1. Both may be gzip files. classes names
// the labels.
func ReadIDX(images, labels io.Reader, classes []string) (Source, error) {
	m, err := readIDXPair(images, labels, classes)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func readIDXPair(images, labels io.Reader, classes []string) (*memory, error) {
	dims, pix, err := readIDX(images, 3)
	if err != nil {
		return nil, err
	}
	if dims[1] == 0 || dims[2] == 0 {
		return nil, formatErrorf("IDX images of %dx%d", dims[2], dims[1])
	}
	info := Info{Name: "idx", Channels: 1, Height: dims[1], Width: dims[2]}
	if labels == nil {
		return newMemory(info, pix, nil)
	}
	ldims, lab, err := readIDX(labels, 1)
	if err != nil {
		return nil, err
	}
	if ldims[0] != dims[0] {
		return nil, formatErrorf("%d labels for %d images", ldims[0], dims[0])
	}
	info.Classes = classes
	return newMemory(info, pix, lab)
}

// openIDXPair reads files; labelFile may be "".
func openIDXPair(imageFile, labelFile string, classes []string) (*memory, error) {
	img, err := os.Open(imageFile)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	var lab io.Reader
	if labelFile != "" {
		f, err := os.Open(labelFile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		lab = f
	}
	m, err := readIDXPair(img, lab, classes)
	return m, inFile(err, imageFile)
}

// inFile adds the file's name to a FormatError.
func inFile(err error, name string) error {
	var f *FormatError
	if errors.As(err, &f) && f.File == "" {
		return &FormatError{File: name, Msg: f.Msg}
	}
	return err
}
