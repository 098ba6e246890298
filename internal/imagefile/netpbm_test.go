package imagefile

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/imageio"
)

func TestNetpbm(t *testing.T) {
	tests := []struct {
		name, data string
		c, h, w    int
		want       []uint8
	}{
		{"P2", "P2\n# a comment\n3 2 # another\n255\n0 1 2\n253 254 255\n", 1, 2, 3, []uint8{0, 1, 2, 253, 254, 255}},
		{"P2 maxval", "P2 2 1 15 0 15", 1, 1, 2, []uint8{0, 255}},
		{"P2 maxval 65535", "P2 3 1 65535 0 32768 65535", 1, 1, 3, []uint8{0, 128, 255}},
		{"P3", "P3 2 1 255 1 2 3 4 5 6", 3, 1, 2, []uint8{1, 4, 2, 5, 3, 6}},
		{"P5", "P5\n2 2\n255\n\x00\x10\x20\xff", 1, 2, 2, []uint8{0, 16, 32, 255}},
		{"P5 white space as a sample", "P5 2 1 255\n\n ", 1, 1, 2, []uint8{'\n', ' '}},
		{"P5 comment sign as a sample", "P5 1 1 255\n#", 1, 1, 1, []uint8{'#'}},
		{"P5 maxval", "P5 3 1 3 \x00\x01\x03", 1, 1, 3, []uint8{0, 85, 255}},
		{"P5 16 bit", "P5 2 1 65535 \x80\x00\xff\xff", 1, 1, 2, []uint8{128, 255}},
		{"P6", "P6\n1 2\n255\n\x01\x02\x03\x04\x05\x06", 3, 2, 1, []uint8{1, 4, 2, 5, 3, 6}},
		{"more after it", "P5 1 1 255\n\x07P5 9 9 255\n", 1, 1, 1, []uint8{7}},
	}
	for _, tc := range tests {
		img, err := Decode(strings.NewReader(tc.data), 0)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		p, err := imageio.FromImage(img, tc.c)
		if err != nil || p.H != tc.h || p.W != tc.w || !slices.Equal(p.Pix, tc.want) {
			t.Errorf("%s: %+v, %v; want %dx%d %v", tc.name, p, err, tc.w, tc.h, tc.want)
		}
		if imageio.IsGrey(img) != (tc.c == 1) {
			t.Errorf("%s: IsGrey is %v", tc.name, imageio.IsGrey(img))
		}
	}
}

func TestNetpbmMalformed(t *testing.T) {
	for _, data := range []string{
		"P5", "P5 ", "P5 2", "P5 2 2", "P5 2 2 255", "P5 2 2 255\n\x01\x02\x03", "P5 0 2 255\n", "P5 2 2 0\n\x00\x00\x00\x00",
		"P5 2 2 65536\n", "P5 -2 2 255\n", "P5 2x 2 255\n", "P5 99999999999999999999 1 255\n", "P5 1 1 3\n\x04", "P5 1 1 300\n\xff\xff",
		"P5 1 1 300\n\x00", "P2 1 1 3 4", "P2 2 1 255 1", "P2 1 1 255 x", "P3 1 1 255 1 2", "P6 1 1 255\n\x01\x02", "P4 1 1\n\x00", "P5 # no end",
	} {
		if _, err := Decode(strings.NewReader(data), 0); err == nil {
			t.Errorf("%q gave no error", data)
		}
	}
}

func FuzzNetpbm(f *testing.F) {
	for _, s := range []string{
		"P2 2 1 15 0 15", "P3 2 1 255 1 2 3 4 5 6", "P5\n2 2\n255\n\x00\x10\x20\xff", "P6\n1 2\n255\n\x01\x02\x03\x04\x05\x06",
		"P5 2 1 65535 \x80\x00\xff\xff", "P5 # c\n 1 1 255\n\x01",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || data[0] != 'P' {
			return
		}
		img, err := Decode(bytes.NewReader(data), 1<<16)
		if err != nil {
			return
		}
		if n := img.Bounds().Dx() * img.Bounds().Dy(); n > 1<<16 || n > len(data) {
			t.Errorf("%d pixels from %d bytes", n, len(data))
		}
		if _, err := imageio.FromImage(img, 3); err != nil {
			t.Error(err)
		}
	})
}
