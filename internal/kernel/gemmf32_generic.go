package kernel

import "unsafe"

// tileF32Generic is the tile that every other one equals up to rounding:
//
//	for i := range rows {
//		for j := range cols {
//			s := float32(0)
//			for p := range k {
//				s += a[i*rs+p*ks] * b[p*bs+j]
//			}
//			if acc == 1 {
//				s += c[i*cs+j]
//			}
//			if bias != nil {
//				s += bias[j]
//			}
//			c[i*cs+j] = activate1(s, act, alpha, lo, hi)
//		}
//	}
func tileF32Generic(t *tileF32) {
	var s [4][4]float32
	a := unsafe.Slice(t.a, (t.rows-1)*t.rs+(t.k-1)*t.ks+1)
	b := unsafe.Slice(t.b, (t.k-1)*t.bs+4)
	for i := 0; i < t.rows; i += 2 {
		// Two rows at a time: their eight sums stay in registers on every architecture.
		i1 := min(i+1, t.rows-1)
		dot2x4(t.k, a[i*t.rs:], a[i1*t.rs:], t.ks, b, t.bs, &s[i], &s[i1], i1 > i)
	}
	for i := range t.rows {
		c := unsafe.Slice(t.c, (t.rows-1)*t.cs+t.cols)[i*t.cs:][:t.cols]
		for j := range c {
			v := s[i][j]
			if t.acc == 1 {
				v += c[j]
			}
			if t.bias != nil {
				v += unsafe.Slice(t.bias, t.cols)[j]
			}
			c[j] = activate1(v, Act(t.act), t.alpha, t.lo, t.hi)
		}
	}
}

// dot2x4 stores the products of rows a0 and a1 (steps ks apart) with four columns of b in s0 and, if two, in s1.
func dot2x4(k int, a0, a1 []float32, ks int, b []float32, bs int, s0, s1 *[4]float32, two bool) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	ia, ib := 0, 0
	for range k {
		w := (*[4]float32)(b[ib:])
		x, y := a0[ia], a1[ia]
		s00 += x * w[0]
		s01 += x * w[1]
		s02 += x * w[2]
		s03 += x * w[3]
		s10 += y * w[0]
		s11 += y * w[1]
		s12 += y * w[2]
		s13 += y * w[3]
		ia += ks
		ib += bs
	}
	*s0 = [4]float32{s00, s01, s02, s03}
	if two {
		*s1 = [4]float32{s10, s11, s12, s13}
	}
}

// packRowsF32Generic sets dst[p*nr+j] = b[p*ldb+j] for p < k and j < cols, and zero for cols <= j < nr.
func packRowsF32Generic(dst []float32, nr, k, cols int, b []float32, ldb int) {
	for p := range k {
		row := dst[p*nr:][:nr]
		n := copy(row, b[p*ldb:][:cols])
		clear(row[n:])
	}
}

// packTransF32Generic sets dst[p*nr+j] = b[j*ldb+p] for p < k and j < cols, and zero for cols <= j < nr.
func packTransF32Generic(dst []float32, nr, k, cols int, b []float32, ldb int) {
	if cols < nr {
		clear(dst)
	}
	for j := range cols {
		for p, v := range b[j*ldb:][:k] {
			dst[p*nr+j] = v
		}
	}
}
