package imagefile

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/testdata"
)

// gradient is an image without symmetries.
func gradient(c, h, w int) *imageio.Planar {
	p, err := imageio.NewPlanar(c, h, w)
	if err != nil {
		panic(err)
	}
	for i := range p.Pix {
		p.Pix[i] = uint8(i*37 + i/7)
	}
	return p
}

func TestPNGRoundTrip(t *testing.T) {
	for _, c := range []int{1, 3} {
		p := gradient(c, 5, 7)
		var buf bytes.Buffer
		if err := WritePNG(&buf, p); err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := WritePNG(&again, p); err != nil || !bytes.Equal(buf.Bytes(), again.Bytes()) {
			t.Errorf("%d channels: writing PNG twice gives different bytes (%v)", c, err)
		}
		img, err := Decode(&buf, 0)
		if err != nil {
			t.Fatal(err)
		}
		if imageio.IsGrey(img) != (c == 1) {
			t.Errorf("%d channels: IsGrey is %v", c, imageio.IsGrey(img))
		}
		if q, err := imageio.FromImage(img, c); err != nil || q.C != c || q.H != p.H || q.W != p.W || !bytes.Equal(p.Pix, q.Pix) {
			t.Errorf("%d channels: PNG round trip: %v", c, err)
		}
	}
}

func TestWriteGIF(t *testing.T) {
	for _, c := range []int{1, 3} {
		frames := []*imageio.Planar{gradient(c, 6, 5), gradient(c, 6, 5), gradient(c, 6, 5)}
		frames[1].Pix[3] ^= 0xff
		var buf bytes.Buffer
		if err := WriteGIF(&buf, frames, 7, true); err != nil {
			t.Fatal(err)
		}
		g, err := gif.DecodeAll(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Image) != 4 || g.Delay[3] != 7 || g.LoopCount != 0 {
			t.Errorf("%d channels: %d frames, delay %v, loop %d", c, len(g.Image), g.Delay, g.LoopCount)
		}
		for k, f := range []*imageio.Planar{frames[0], frames[1], frames[2], frames[1]} {
			p, err := imageio.FromImage(g.Image[k], c)
			if err != nil {
				t.Fatal(err)
			}
			for i := range p.Pix {
				d := math.Abs(float64(p.Pix[i]) - float64(f.Pix[i]))
				if c == 1 && d != 0 || d > 255./(cubeLevels-1) {
					t.Fatalf("%d channels, frame %d: sample %d is %d, want %d", c, k, i, p.Pix[i], f.Pix[i])
				}
			}
		}
	}
	var sink bytes.Buffer
	for _, tc := range []struct {
		frames []*imageio.Planar
		delay  int
	}{{nil, 1}, {[]*imageio.Planar{gradient(1, 2, 2), gradient(1, 2, 3)}, 1}, {[]*imageio.Planar{gradient(1, 2, 2)}, -1}, {[]*imageio.Planar{gradient(1, 1, 70000)}, 1}} {
		if err := WriteGIF(&sink, tc.frames, tc.delay, false); err == nil {
			t.Errorf("WriteGIF of %d frames, delay %d gave no error", len(tc.frames), tc.delay)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var big bytes.Buffer
	if err := png.Encode(&big, image.NewGray(image.Rect(0, 0, 300, 200))); err != nil {
		t.Fatal(err)
	}
	// A PNG header that claims 2^31-1 square pixels.
	bomb := bytes.Clone(big.Bytes())
	copy(bomb[16:], []byte{0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})
	wide := bytes.Clone(big.Bytes())
	copy(wide[16:], []byte{0, 0x01, 0x86, 0xa0, 0, 0x01, 0x86, 0xa0}) // 100,000 × 100,000
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 300, 200)), nil); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(photo.Bytes(), []byte("\xff\xda"))
	scan := photo.Bytes()[at:]
	scans := append(bytes.Repeat(scan[:len(scan)-2], 300), "\xff\xd9"...)
	scans = append(bytes.Clone(photo.Bytes()[:at]), scans...)
	tooWide := "100000x100000"
	if math.MaxInt == math.MaxInt32 { // package png counts bytes with an int
		tooWide = "dimension overflow"
	}
	for name, tc := range map[string]struct {
		data []byte
		max  int64
	}{
		"empty": {nil, 0}, "text": {[]byte("hello"), 0}, "limit": {big.Bytes(), 59999}, "cut": {big.Bytes()[:60], 0},
		"bomb": {bomb, 0}, "wide": {repair(wide), 0}, "scans": {scans, 0}, "huge pgm": {[]byte("P5 16000000 16000000 255\n"), 0},
	} {
		if img, err := Decode(bytes.NewReader(tc.data), tc.max); err == nil {
			t.Errorf("%s: decoded %v", name, img.Bounds())
		} else if want := map[string]string{"wide": tooWide, "scans": "300 scans"}[name]; !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, want)
		}
	}
	if _, err := Decode(bytes.NewReader(big.Bytes()), 60000); err != nil {
		t.Errorf("image at the limit: %v", err)
	}
	if _, err := Decode(strings.NewReader("hello"), 0); !errors.Is(err, ErrFormat) {
		t.Errorf("unknown format: %v is not ErrFormat", err)
	}
	name := filepath.Join(t.TempDir(), "x.png")
	if err := os.WriteFile(name, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeFile(name, 0); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("error %v does not name the file", err)
	}
}

func TestSharedImages(t *testing.T) {
	dir := testdata.Dir(t)
	for _, tc := range []struct {
		path string
		w, h int
		grey bool
	}{
		{"photos/misc/chelsea.png", 451, 300, false}, {"photos/misc/camera.png", 512, 512, true}, {"photos/misc/coins.png", 384, 303, true},
		{"faces-att/s1/1.pgm", 92, 112, true}, {"frames/newtonscradle.gif", 200, 150, false},
	} {
		img, err := DecodeFile(filepath.Join(dir, filepath.FromSlash(tc.path)), 0)
		if err != nil {
			t.Errorf("%s: %v", tc.path, err)
			continue
		}
		if b := img.Bounds(); b.Dx() != tc.w || b.Dy() != tc.h || imageio.IsGrey(img) != tc.grey {
			t.Errorf("%s: %dx%d grey %v, want %dx%d %v", tc.path, b.Dx(), b.Dy(), imageio.IsGrey(img), tc.w, tc.h, tc.grey)
		}
	}
}
