package kernel

import "unsafe"

// tileI8Generic is the tile that every other one equals, for its kernel's kr and forms of a and b:
//
//	for i := range rows {
//		for j := range cols {
//			s := int32(0)
//			for p := range k*kr {
//				s += int32(a[i*rs+p]) * int32(b[p/kr*nr*kr+j*kr+p%kr])
//			}
//			if init != nil {
//				s += init[j]
//			}
//			if acc == 1 {
//				s += c[i*cs+j]
//			}
//			c[i*cs+j] = s
//		}
//	}
//
// It reads int16 rows and int8 panels, with kr = 1 and nr = 4.
func tileI8Generic(t *tileI8) {
	b := unsafe.Slice((*[4]int8)(t.b), t.k)
	c := unsafe.Slice(t.c, (t.rows-1)*t.cs+t.cols)
	for i := 0; i < t.rows; i += 2 {
		i1 := min(i+1, t.rows-1)
		a0 := unsafe.Slice((*int16)(unsafe.Add(t.a, i*t.rs)), t.k)
		a1 := unsafe.Slice((*int16)(unsafe.Add(t.a, i1*t.rs)), t.k)
		var s [2][4]int32
		dot2x4I8(a0, a1, b, &s)
		for r := i; r <= i1; r++ {
			row := c[r*t.cs:][:t.cols]
			for j := range row {
				v := s[r-i][j]
				if t.init != nil {
					v += unsafe.Slice(t.init, t.cols)[j]
				}
				if t.acc == 1 {
					v += row[j]
				}
				row[j] = v
			}
		}
	}
}

func dot2x4I8(a0, a1 []int16, b [][4]int8, s *[2][4]int32) {
	var s00, s01, s02, s03, s10, s11, s12, s13 int32
	a0, a1 = a0[:len(b)], a1[:len(b)]
	for p := range b {
		w := &b[p]
		x, y := int32(a0[p]), int32(a1[p])
		s00 += x * int32(w[0])
		s01 += x * int32(w[1])
		s02 += x * int32(w[2])
		s03 += x * int32(w[3])
		s10 += y * int32(w[0])
		s11 += y * int32(w[1])
		s12 += y * int32(w[2])
		s13 += y * int32(w[3])
	}
	s[0] = [4]int32{s00, s01, s02, s03}
	s[1] = [4]int32{s10, s11, s12, s13}
}
