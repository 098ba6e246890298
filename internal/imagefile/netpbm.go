package imagefile

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
)

// The netpbm formats PGM and PPM, plain (P2, P3) and raw (P5, P6), as in the manual pages
// pgm(5) and ppm(5). Only the first image of a file is read.

type netpbmHeader struct {
	raw, rgb      bool
	width, height int
	maxval        int
}

func readNetpbmHeader(r *bufio.Reader) (h netpbmHeader, err error) {
	var magic [2]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return h, netpbmError(err)
	}
	switch string(magic[:]) {
	case "P2":
	case "P3":
		h.rgb = true
	case "P5":
		h.raw = true
	case "P6":
		h.raw, h.rgb = true, true
	default:
		return h, fmt.Errorf("netpbm: magic number %q", magic)
	}
	for _, f := range []struct {
		name string
		v    *int
		max  int
	}{{"width", &h.width, 1 << 24}, {"height", &h.height, 1 << 24}, {"maximum value", &h.maxval, 65535}} {
		if *f.v, err = netpbmInt(r, true, f.max); err != nil {
			return h, fmt.Errorf("netpbm: %s: %w", f.name, err)
		}
		if *f.v < 1 {
			return h, fmt.Errorf("netpbm: %s is 0", f.name)
		}
	}
	return h, nil
}

// netpbmInt reads a decimal number of at most max after white space, and the one white
// space character (or the end of the file) that follows it. Comments run from # to the
// end of the line.
func netpbmInt(r *bufio.Reader, comments bool, max int) (int, error) {
	n, digits := 0, 0
	for {
		c, err := r.ReadByte()
		if err == io.EOF && digits > 0 {
			return n, nil
		}
		if err != nil {
			return 0, netpbmError(err)
		}
		switch {
		case c >= '0' && c <= '9':
			digits++
			n = 10*n + int(c-'0')
			if n > max {
				return 0, fmt.Errorf("number above %d", max)
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f':
			if digits > 0 {
				return n, nil
			}
		case c == '#' && comments && digits == 0:
			for c != '\n' {
				if c, err = r.ReadByte(); err != nil {
					return 0, netpbmError(err)
				}
			}
		default:
			return 0, fmt.Errorf("unexpected character %q", c)
		}
	}
}

func netpbmError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("netpbm: file is truncated")
	}
	return err
}

func netpbmConfig(r io.Reader) (image.Config, error) {
	h, err := readNetpbmHeader(bufio.NewReader(r))
	if err != nil {
		return image.Config{}, err
	}
	cfg := image.Config{ColorModel: color.GrayModel, Width: h.width, Height: h.height}
	if h.rgb {
		cfg.ColorModel = color.RGBAModel
	}
	return cfg, nil
}

// decodeNetpbm returns an *image.Gray or *image.RGBA. Samples are scaled to 8 bits, to
// nearest. Memory grows with the rows that r delivers.
func decodeNetpbm(r io.Reader) (image.Image, error) {
	br := bufio.NewReader(r)
	h, err := readNetpbmHeader(br)
	if err != nil {
		return nil, err
	}
	per := 1
	if h.rgb {
		per = 3
	}
	if int64(h.width)*int64(h.height) > math.MaxInt/4 {
		return nil, fmt.Errorf("netpbm: image of %dx%d pixels", h.width, h.height)
	}
	row := make([]uint8, per*h.width)
	var pix []uint8
	for range h.height {
		if err := readNetpbmRow(br, row, h); err != nil {
			return nil, err
		}
		if !h.rgb {
			pix = append(pix, row...)
			continue
		}
		for x := range h.width {
			pix = append(pix, row[3*x], row[3*x+1], row[3*x+2], 255)
		}
	}
	rect := image.Rect(0, 0, h.width, h.height)
	if h.rgb {
		return &image.RGBA{Pix: pix, Stride: 4 * h.width, Rect: rect}, nil
	}
	return &image.Gray{Pix: pix, Stride: h.width, Rect: rect}, nil
}

func readNetpbmRow(r *bufio.Reader, row []uint8, h netpbmHeader) error {
	switch {
	case !h.raw:
		for i := range row {
			v, err := netpbmInt(r, false, h.maxval)
			if err != nil {
				return fmt.Errorf("netpbm: sample: %w", err)
			}
			row[i] = scaleSample(v, h.maxval)
		}
		return nil
	case h.maxval > 255:
		var b [2]byte
		for i := range row {
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return netpbmError(err)
			}
			v := int(b[0])<<8 | int(b[1])
			if v > h.maxval {
				return fmt.Errorf("netpbm: sample %d above the maximum %d", v, h.maxval)
			}
			row[i] = scaleSample(v, h.maxval)
		}
		return nil
	}
	if _, err := io.ReadFull(r, row); err != nil {
		return netpbmError(err)
	}
	if h.maxval != 255 {
		for i, v := range row {
			if int(v) > h.maxval {
				return fmt.Errorf("netpbm: sample %d above the maximum %d", v, h.maxval)
			}
			row[i] = scaleSample(int(v), h.maxval)
		}
	}
	return nil
}

func scaleSample(v, maxval int) uint8 { return uint8((v*255 + maxval/2) / maxval) }
