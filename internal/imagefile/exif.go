package imagefile

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
)

// orientation returns how the pixels of a JPEG file are to be turned to stand upright: the tag
// Orientation of Exif 2.3 (section 4.6.4 A), from 1, as they are, to 8. Files that do not say,
// or not validly, have 1.
func orientation(data []byte) int {
	const app1, startOfScan = 0xe1, 0xda
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		marker, size := data[at+1], int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0xff { // a fill byte
			at++
			continue
		}
		if marker == startOfScan || size < 2 || at+2+size > len(data) {
			break
		}
		segment := data[at+4 : at+2+size]
		if tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); ok && marker == app1 {
			return tiffOrientation(tiff)
		}
		at += 2 + size
	}
	return 1
}

// tiffOrientation reads the tag from the first directory of a TIFF structure.
func tiffOrientation(b []byte) int {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(b, []byte("II*\x00")):
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return 1
	}
	if len(b) < 8 {
		return 1
	}
	dir := uint64(order.Uint32(b[4:]))
	if dir+2 > uint64(len(b)) {
		return 1
	}
	const tag, short, entry = 0x0112, 3, 12
	list := b[dir+2:]
	for range order.Uint16(b[dir:]) {
		if len(list) < entry {
			break
		}
		if order.Uint16(list) == tag {
			if v := int(order.Uint16(list[8:])); order.Uint16(list[2:]) == short && v >= 1 && v <= 8 {
				return v
			}
			break
		}
		list = list[entry:]
	}
	return 1
}

// upright returns img turned and mirrored as an orientation says, with the same colours.
func upright(img image.Image, orientation int) image.Image {
	if orientation == 1 {
		return img
	}
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	from := func(x, y int) (int, int) {
		switch orientation {
		case 2:
			x = w - 1 - x
		case 3:
			x, y = w-1-x, h-1-y
		case 4:
			y = h - 1 - y
		case 5:
			x, y = y, x
		case 6:
			x, y = y, h-1-x
		case 7:
			x, y = w-1-y, h-1-x
		case 8:
			x, y = w-1-y, x
		}
		return b.Min.X + x, b.Min.Y + y
	}
	size := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	if src, ok := img.(*image.Gray); ok {
		out := image.NewGray(size)
		for y := range size.Dy() {
			for x := range size.Dx() {
				out.SetGray(x, y, src.GrayAt(from(x, y)))
			}
		}
		return out
	}
	out := image.NewRGBA(size)
	src, coded := img.(*image.YCbCr)
	for y := range size.Dy() {
		for x := range size.Dx() {
			if sx, sy := from(x, y); coded {
				c := src.YCbCrAt(sx, sy)
				red, green, blue := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
				out.SetRGBA(x, y, color.RGBA{R: red, G: green, B: blue, A: 0xff})
			} else {
				out.Set(x, y, img.At(sx, sy))
			}
		}
	}
	return out
}
