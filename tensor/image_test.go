package tensor

import (
	"image"
	"image/color"
	"testing"
)

func TestFromImage(t *testing.T) {
	img := image.NewNRGBA(image.Rect(3, 2, 6, 4)) // 3×2, not at the origin
	img.SetNRGBA(3, 2, color.NRGBA{255, 0, 51, 255})
	img.SetNRGBA(5, 3, color.NRGBA{0, 102, 255, 255})
	img.SetNRGBA(4, 3, color.NRGBA{255, 255, 255, 0})
	for name, img := range map[string]image.Image{"fast": img, "slow": struct{ image.Image }{img}} {
		got, err := FromImage(img, 3)
		if err != nil {
			t.Fatal(err)
		}
		want := []float32{
			1, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 102. / 255,
			51. / 255, 0, 0, 0, 0, 1,
		}
		if got.String() != "float32[1 3 2 3]" {
			t.Fatalf("%s: %v", name, got)
		}
		for i, v := range got.Float32s() {
			if v != want[i] {
				t.Errorf("%s: element %d is %v, want %v", name, i, v, want[i])
			}
		}
	}
	grey := image.NewGray(image.Rect(0, 0, 256, 1))
	for i := range grey.Pix {
		grey.Pix[i] = uint8(i)
	}
	got, err := FromImage(grey, 1)
	if err != nil || got.String() != "float32[1 1 1 256]" {
		t.Fatalf("%v, %v", got, err)
	}
	for i, v := range got.Float32s() {
		if v != float32(i)/255 {
			t.Errorf("grey level %d is %v, want %v", i, v, float32(i)/255)
		}
	}
	for _, c := range []struct {
		img      image.Image
		channels int
	}{{img, 2}, {img, 0}, {img, 4}, {image.NewGray(image.Rectangle{}), 1}} {
		if _, err := FromImage(c.img, c.channels); err == nil {
			t.Errorf("%v as %d channels gave no error", c.img.Bounds(), c.channels)
		}
	}
}
