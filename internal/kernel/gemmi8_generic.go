package kernel

import (
	"math/bits"
	"unsafe"
)

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
	row := func(i int) []int16 { return unsafe.Slice((*int16)(unsafe.Add(t.a, i*t.rs)), t.k) }
	for i := 0; i < t.rows; {
		var s [4][4]int32
		n := t.rows - i
		switch {
		case n == 1:
			dot1x4I8(row(i), b, &s)
		case n == 2 || bits.UintSize < 64:
			n = 2
			intDot2x4(row(i), row(i+1), b, s[:2])
		default:
			n = min(n, 4)
			rows := [4][]int16{row(i), row(i + 1), row(i + 2), row(i + n - 1)}
			intDot4x2(&rows, b, 0, pairSteps, &s)
			if t.cols > 2 {
				intDot4x2(&rows, b, 2, pairSteps, &s)
			}
		}
		for r := range n {
			row := c[(i+r)*t.cs:][:t.cols]
			for j := range row {
				v := s[r][j]
				if t.init != nil {
					v += unsafe.Slice(t.init, t.cols)[j]
				}
				if t.acc == 1 {
					v += row[j]
				}
				row[j] = v
			}
		}
		i += n
	}
}

func dot1x4I8(a []int16, b [][4]int8, s *[4][4]int32) {
	var s0, s1, s2, s3 int32
	a = a[:len(b)]
	for p := range b {
		w := &b[p]
		x := int32(a[p])
		s0 += x * int32(w[0])
		s1 += x * int32(w[1])
		s2 += x * int32(w[2])
		s3 += x * int32(w[3])
	}
	s[0] = [4]int32{s0, s1, s2, s3}
}

// intDot2x4 sets rows of s to the products of two rows and the columns of b.
func intDot2x4[T int8 | int16](a0, a1 []int16, b [][4]T, s [][4]int32) {
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

// pairSteps is how many products of 8-bit weights and values less a zero point fit in 31 bits together.
const pairSteps = 1 << 15

// intDot4x2 adds to columns col and col+1 of s. Sums of two columns share a register: x·(u + v·2³²) = x·u + x·v·2³². Any steps products
// fit in 31 bits together.
func intDot4x2[T int8 | int16](a *[4][]int16, b [][4]T, col, steps int, s *[4][4]int32) {
	col &= 2
	for from := 0; from < len(b); from += steps {
		part := b[from:min(from+steps, len(b))]
		var s0, s1, s2, s3 int64
		a0, a1, a2, a3 := a[0][from:][:len(part)], a[1][from:][:len(part)], a[2][from:][:len(part)], a[3][from:][:len(part)]
		for p := range part {
			w := int64(part[p][col]) + int64(part[p][col+1])<<32
			s0 += int64(a0[p]) * w
			s1 += int64(a1[p]) * w
			s2 += int64(a2[p]) * w
			s3 += int64(a3[p]) * w
		}
		for r, v := range [4]int64{s0, s1, s2, s3} {
			lo, hi := halves(v)
			s[r][col] += lo
			s[r][col+1] += hi
		}
	}
}

// halves returns the numbers of which v is the first plus 2³² times the second.
func halves(v int64) (lo, hi int32) {
	lo = int32(v)
	return lo, int32((v - int64(lo)) >> 32)
}
