package dataset

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

const (
	cifarSide   = 32
	cifarPixels = 3 * cifarSide * cifarSide
	cifarRecord = 1 + cifarPixels
)

var cifarClasses = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// ReadCIFAR10 reads images in the binary version of CIFAR-10 (Krizhevsky 2009) from one
// or several files, plain or gzip: records of a label byte and 1024 red, green and blue
// bytes each.
func ReadCIFAR10(files ...io.Reader) (Source, error) {
	var pix, labels []byte
	for _, r := range files {
		var err error
		if pix, labels, err = appendCIFAR(pix, labels, r); err != nil {
			return nil, err
		}
	}
	return newCIFAR(pix, labels)
}

func newCIFAR(pix, labels []byte) (*memory, error) {
	if len(labels) == 0 {
		return nil, formatErrorf("no CIFAR-10 records")
	}
	info := Info{Name: "cifar10", Channels: 3, Height: cifarSide, Width: cifarSide, Classes: cifarClasses}
	return newMemory(info, pix, labels)
}

func appendCIFAR(pix, labels []byte, r io.Reader) ([]byte, []byte, error) {
	r, err := maybeGunzip(r)
	if err != nil {
		return nil, nil, err
	}
	var rec [cifarRecord]byte
	for {
		switch n, err := io.ReadFull(r, rec[:]); {
		case err == io.EOF:
			return pix, labels, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, nil, formatErrorf("CIFAR-10 record %d has %d of %d bytes", len(labels), n, cifarRecord)
		case err != nil:
			return nil, nil, formatErrorf("CIFAR-10 record %d: %v", len(labels), readError(err))
		}
		if rec[0] > 9 {
			return nil, nil, formatErrorf("CIFAR-10 record %d has label %d", len(labels), rec[0])
		}
		if len(pix) > maxDataBytes-cifarPixels {
			return nil, nil, formatErrorf("more than %d bytes of CIFAR-10 records", maxDataBytes)
		}
		labels = append(labels, rec[0])
		pix = append(pix, rec[1:]...)
	}
}

// openCIFARFiles reads several files in order.
func openCIFARFiles(names []string) (*memory, error) {
	var pix, labels []byte
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		pix, labels, err = appendCIFAR(pix, labels, f)
		f.Close()
		if err != nil {
			return nil, inFile(err, name)
		}
	}
	return newCIFAR(pix, labels)
}

// openCIFARArchive reads the training and test records of cifar-10-binary.tar.gz.
func openCIFARArchive(name string) (train, test *memory, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	train, test, err = readCIFARArchive(f)
	return train, test, inFile(err, name)
}

func readCIFARArchive(r io.Reader) (train, test *memory, err error) {
	r, err = maybeGunzip(r)
	if err != nil {
		return nil, nil, err
	}
	parts := map[string][]byte{}
	tr := tar.NewReader(io.LimitReader(r, maxDataBytes))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, formatErrorf("tar: %v", readError(err))
		}
		if base := path.Base(h.Name); h.Typeflag == tar.TypeReg && strings.HasSuffix(base, ".bin") {
			b, err := io.ReadAll(tr)
			if err != nil {
				return nil, nil, formatErrorf("tar: %s: %v", base, readError(err))
			}
			parts[base] = b
		}
	}
	load := func(names []string) (*memory, error) {
		var pix, labels []byte
		for _, n := range names {
			b, ok := parts[n]
			if !ok {
				return nil, formatErrorf("the archive has no %s", n)
			}
			var err error
			if pix, labels, err = appendCIFAR(pix, labels, bytes.NewReader(b)); err != nil {
				return nil, err
			}
			delete(parts, n)
		}
		return newCIFAR(pix, labels)
	}
	if train, err = load(cifarTrainFiles()); err != nil {
		return nil, nil, err
	}
	test, err = load([]string{cifarTestFile})
	return train, test, err
}

const cifarTestFile = "test_batch.bin"

func cifarTrainFiles() (names []string) {
	for i := range 5 {
		names = append(names, fmt.Sprintf("data_batch_%d.bin", i+1))
	}
	return
}
