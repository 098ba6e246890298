package kernel

import "unsafe"

func depthRowF32Generic(t *depthF32) {
	taps := unsafe.Slice(t.offs, t.taps)
	y := unsafe.Slice(t.y, (t.n-1)*t.stride+t.c)
	bias := unsafe.Slice(t.bias, t.c)
	for i := range t.n {
		row := y[i*t.stride:][:t.c]
		copy(row, bias)
		for _, tap := range taps {
			x := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(t.x), 4*(i*t.step+tap.X))), t.c)
			w := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(t.w), 4*tap.W)), t.c)
			w, x = w[:len(row)], x[:len(row)]
			for j := range row {
				row[j] += x[j] * w[j]
			}
		}
		if t.act != 0 {
			for j, v := range row {
				row[j] = activate1(v, Act(t.act), t.alpha, t.lo, t.hi)
			}
		}
	}
}

func depthRowI16Generic(t *depthI16) {
	taps := unsafe.Slice(t.offs, t.taps)
	y := unsafe.Slice(t.y, (t.n-1)*t.stride+t.c)
	bias := unsafe.Slice(t.bias, t.c)
	for i := range t.n {
		row := y[i*t.stride:][:t.c]
		copy(row, bias)
		for _, tap := range taps {
			x := unsafe.Slice((*int32)(unsafe.Add(unsafe.Pointer(t.x), 4*(i*t.step+tap.X))), t.c)
			w := unsafe.Slice((*int32)(unsafe.Add(unsafe.Pointer(t.w), 4*tap.W)), t.c)
			w, x = w[:len(row)], x[:len(row)]
			for j := range row {
				row[j] += int32(int16(x[j]))*int32(int16(w[j])) + x[j]>>16*(w[j]>>16)
			}
		}
	}
}

func pairsI16Generic(dst []int32, a, b []uint8, signed bool, zero int32) {
	a, b = a[:len(dst)], b[:len(dst)]
	if signed {
		for i := range dst {
			dst[i] = pairI16(int32(int8(a[i]))-zero, int32(int8(b[i]))-zero)
		}
		return
	}
	for i := range dst {
		dst[i] = pairI16(int32(a[i])-zero, int32(b[i])-zero)
	}
}
