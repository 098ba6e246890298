package imagefile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
	"time"

	"github.com/aekit/aekit/internal/imageio"
)

// fuzzPixels is the limit on the size of images in the fuzz target.
const fuzzPixels = 1 << 16

// fuzzTime bounds one image, with room for a machine that does other work too.
const fuzzTime = 5 * time.Second

// fuzzImages are small files in every format.
func fuzzImages(t testing.TB) [][]byte {
	t.Helper()
	rgb := image.NewNRGBA(image.Rect(0, 0, 5, 4))
	grey := image.NewGray(image.Rect(0, 0, 9, 9))
	deep := image.NewGray16(image.Rect(0, 0, 3, 2))
	for i := range rgb.Pix {
		rgb.Pix[i] = uint8(i * 7)
	}
	for i := range grey.Pix {
		grey.Pix[i] = uint8(i * 3)
	}
	palette := image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.White, color.NRGBA{255, 0, 0, 128}})
	palette.Pix[5] = 2
	var out [][]byte
	add := func(encode func(b *bytes.Buffer) error) {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		out = append(out, b.Bytes())
	}
	for _, img := range []image.Image{rgb, grey, deep, palette} {
		add(func(b *bytes.Buffer) error { return png.Encode(b, img) })
	}
	add(func(b *bytes.Buffer) error { return jpeg.Encode(b, rgb, nil) })
	add(func(b *bytes.Buffer) error { return jpeg.Encode(b, grey, &jpeg.Options{Quality: 10}) })
	turned := append([]byte("\xff\xd8"), exifOf(binary.LittleEndian, 3, 6)...)
	out = append(out, append(turned, out[len(out)-2][2:]...))
	add(func(b *bytes.Buffer) error { return gif.Encode(b, palette, nil) })
	out = append(out, []byte("P2 2 1 15 0 15"), []byte("P6\n1 2\n255\n\x01\x02\x03\x04\x05\x06"))
	return out
}

// repair sets the checksums of the chunks of a PNG, so that what changes in them is reached.
func repair(b []byte) []byte {
	const signature = 8
	if len(b) < signature || !bytes.HasPrefix(b, []byte("\x89PNG")) {
		return b
	}
	b = bytes.Clone(b)
	for at := signature; len(b)-at >= 12; {
		n := binary.BigEndian.Uint32(b[at:])
		if uint64(n) > uint64(len(b)-at-12) {
			break
		}
		end := at + 8 + int(n)
		binary.BigEndian.PutUint32(b[end:], crc32.ChecksumIEEE(b[at+4:end]))
		at = end + 4
	}
	return b
}

// FuzzDecode: an image file of any format gives an image of at most the allowed size that
// can be converted, or an error, in bounded time.
func FuzzDecode(f *testing.F) {
	for _, b := range fuzzImages(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		start := time.Now()
		img, err := Decode(bytes.NewReader(repair(b)), fuzzPixels)
		if d := time.Since(start); d > fuzzTime {
			t.Errorf("took %v", d)
		}
		if err != nil {
			return
		}
		size := img.Bounds().Size()
		if size.X < 1 || size.Y < 1 || size.X > fuzzPixels/size.Y {
			t.Fatalf("an image of %v pixels, allowed %d", size, fuzzPixels)
		}
		for _, channels := range []int{1, 3} {
			p, err := imageio.FromImage(img, channels)
			if err != nil || p.W != size.X || p.H != size.Y || len(p.Pix) != channels*p.W*p.H {
				t.Fatalf("%d channels of %v: %+v, %v", channels, size, p, err)
			}
		}
	})
}
