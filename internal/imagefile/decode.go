// Package imagefile reads and writes image files. It is apart from package imageio so that
// programs that make and show images without files do not carry the formats.
package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
)

// DefaultMaxPixels is the limit on width·height that Decode uses for 0.
const DefaultMaxPixels = 1 << 26

// maxFileBytes bounds how much of an image file is read.
const maxFileBytes = 1 << 29

// maxScans bounds the scans of a JPEG: each costs time for all of its pixels, however few bytes
// it has. Encoders write about ten.
const maxScans = 256

// ErrFormat is the error, perhaps wrapped, for data in none of the supported formats.
var ErrFormat = errors.New("not a PNG, JPEG, GIF, PGM or PPM image")

var decoders = []struct {
	magic  []string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}{
	{[]string{"\x89PNG\r\n\x1a\n"}, png.DecodeConfig, png.Decode},
	{[]string{"\xff\xd8"}, jpeg.DecodeConfig, jpeg.Decode},
	{[]string{"GIF87a", "GIF89a"}, gif.DecodeConfig, gif.Decode},
	{[]string{"P2", "P3", "P5", "P6"}, netpbmConfig, decodeNetpbm},
}

// Decode reads a PNG, JPEG, GIF (its first frame), PGM or PPM image. A JPEG whose Exif data
// say how the camera was held is turned upright. An image of more
// than maxPixels pixels (0: DefaultMaxPixels) is refused before memory is allocated for
// it.
func Decode(r io.Reader, maxPixels int64) (image.Image, error) {
	if maxPixels == 0 {
		maxPixels = DefaultMaxPixels
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("file of more than %d bytes", maxFileBytes)
	}
	for _, d := range decoders {
		for _, m := range d.magic {
			if !bytes.HasPrefix(data, []byte(m)) {
				continue
			}
			cfg, err := d.config(bytes.NewReader(data))
			if err != nil {
				return nil, fmt.Errorf("%w", err)
			}
			if cfg.Width < 1 || cfg.Height < 1 {
				return nil, fmt.Errorf("image of %dx%d pixels", cfg.Width, cfg.Height)
			}
			if int64(cfg.Width) > maxPixels/int64(cfg.Height) {
				return nil, fmt.Errorf("image of %dx%d pixels, more than %d", cfg.Width, cfg.Height, maxPixels)
			}
			// In the data of a scan 0xff is followed by 0.
			if n := bytes.Count(data, []byte("\xff\xda")); n > maxScans && data[0] == 0xff {
				return nil, fmt.Errorf("JPEG of %d scans, more than %d", n, maxScans)
			}
			img, err := d.decode(bytes.NewReader(data))
			if err != nil {
				return nil, fmt.Errorf("%w", err)
			}
			if img.Bounds().Empty() {
				return nil, errors.New("empty image")
			}
			if data[0] == 0xff {
				img = upright(img, orientation(data))
			}
			return img, nil
		}
	}
	return nil, fmt.Errorf("%w", ErrFormat)
}

// DecodeFile is Decode of a file; errors name it.
func DecodeFile(name string, maxPixels int64) (image.Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := Decode(f, maxPixels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return img, nil
}
