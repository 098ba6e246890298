//go:build !noasm && !gccgo

package kernel

import (
	"testing"
	"unsafe"
)

func TestOverlapStripsLayout(t *testing.T) {
	var x overlapStrips
	got := []uintptr{
		unsafe.Offsetof(x.x), unsafe.Offsetof(x.w), unsafe.Offsetof(x.init), unsafe.Offsetof(x.edge), unsafe.Offsetof(x.carry), unsafe.Offsetof(x.dst),
		unsafe.Offsetof(x.row), unsafe.Offsetof(x.px), unsafe.Offsetof(x.quads), unsafe.Offsetof(x.rows), unsafe.Offsetof(x.full), unsafe.Offsetof(x.rest),
		unsafe.Offsetof(x.pitch), unsafe.Offsetof(x.scale), unsafe.Offsetof(x.lo), unsafe.Offsetof(x.hi), unsafe.Offsetof(x.words), unsafe.Offsetof(x.flip),
		unsafe.Offsetof(x.fits), unsafe.Offsetof(x.at), unsafe.Offsetof(x.y), unsafe.Offsetof(x.left),
	}
	for i, want := range []uintptr{0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 108, 112, 116, 120, 128, 136, 144, 152} {
		if got[i] != want {
			t.Errorf("field %d of overlapStrips is at offset %d, the assembly reads %d", i, got[i], want)
		}
	}
}
