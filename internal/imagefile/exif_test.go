package imagefile

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"github.com/aekit/aekit/internal/imageio"
)

// exifOf is an APP1 segment with a directory of two entries, the second of which is the
// orientation.
func exifOf(order binary.AppendByteOrder, kind, value uint16) []byte {
	b := []byte("II*\x00")
	if order.String() == "BigEndian" {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, e := range [][2]uint16{{0x0100, 3}, {0x0112, kind}} {
		b = order.AppendUint16(b, e[0])
		b = order.AppendUint16(b, e[1])
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, value)
		b = order.AppendUint16(b, 0)
	}
	b = append([]byte("Exif\x00\x00"), b...)
	return append(binary.BigEndian.AppendUint16([]byte("\xff\xe1"), uint16(len(b)+2)), b...)
}

// TestOrientation: photographs stand upright however the camera was held. The image has
// another colour in each quarter; the letters name them from the top left, row by row.
func TestOrientation(t *testing.T) {
	quarters := map[byte]color.NRGBA{'r': {255, 0, 0, 255}, 'g': {0, 255, 0, 255}, 'b': {0, 0, 255, 255}, 'w': {255, 255, 255, 255}}
	const w, h = 48, 32
	for _, grey := range []bool{false, true} {
		var img image.Image
		rgb, lum := image.NewNRGBA(image.Rect(0, 0, w, h)), image.NewGray(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				c := quarters["rgbw"[2*(2*y/h)+2*x/w]]
				rgb.Set(x, y, c)
				lum.Set(x, y, c)
			}
		}
		if img = rgb; grey {
			img = lum
		}
		var file bytes.Buffer
		if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: 100}); err != nil {
			t.Fatal(err)
		}
		for value, want := range []string{"rgbw", "rgbw", "grwb", "wbgr", "bwrg", "rbgw", "brwg", "wgbr", "gwrb", "rgbw"} {
			for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
				data := append(append([]byte("\xff\xd8"), exifOf(order, 3, uint16(value))...), file.Bytes()[2:]...)
				got, err := Decode(bytes.NewReader(data), 0)
				if err != nil {
					t.Fatal(err)
				}
				size := image.Pt(w, h)
				if value >= 5 && value <= 8 {
					size = image.Pt(h, w)
				}
				if got.Bounds() != (image.Rectangle{Max: size}) || imageio.IsGrey(got) != grey {
					t.Fatalf("orientation %d: %v, grey %v", value, got.Bounds(), imageio.IsGrey(got))
				}
				for i := range 4 {
					x, y := size.X*(1+2*(i%2))/4, size.Y*(1+2*(i/2))/4
					c, wantC := color.GrayModel.Convert(got.At(x, y)).(color.Gray), color.GrayModel.Convert(quarters[want[i]]).(color.Gray)
					if d := int(c.Y) - int(wantC.Y); d < -4 || d > 4 {
						t.Errorf("orientation %d, %v, quarter %d: level %d, want %d", value, order, i, c.Y, wantC.Y)
					}
				}
			}
		}
		if got := orientation(append([]byte("\xff\xd8"), exifOf(binary.LittleEndian, 4, 6)...)); got != 1 {
			t.Errorf("an orientation of another type gives %d, want 1", got)
		}
	}
}

// TestOrientationOfDamage: no file makes the reader of tags fail.
func TestOrientationOfDamage(t *testing.T) {
	whole := append([]byte("\xff\xd8\xff"), exifOf(binary.LittleEndian, 3, 6)...)
	if got := orientation(whole); got != 6 {
		t.Fatalf("orientation %d behind a fill byte, want 6", got)
	}
	for n := range whole {
		if got := orientation(whole[:n]); got != 1 {
			t.Errorf("the first %d of %d bytes give %d", n, len(whole), got)
		}
		for _, v := range []byte{0, 0xff} {
			b := bytes.Clone(whole)
			b[n] = v
			if got := orientation(b); got < 1 || got > 8 {
				t.Errorf("byte %d as %#x gives %d", n, v, got)
			}
		}
	}
}
