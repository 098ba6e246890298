package cpufeat

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	all := func(Feature) bool { return true }
	noVNNI := func(f Feature) bool { return f != VNNI }
	tests := []struct {
		mask    string
		has     func(Feature) bool
		want    []Feature
		unknown []string
	}{
		{"", all, []Feature{AVX2, AVX512, VNNI, VBMI, AVXVNNI, NEON, DotProd, I8MM}, nil},
		{"", noVNNI, []Feature{AVX2, AVX512, VBMI, AVXVNNI, NEON, DotProd, I8MM}, nil},
		{"-avx2", all, []Feature{NEON, DotProd, I8MM}, nil},
		{"-avx512", all, []Feature{AVX2, AVXVNNI, NEON, DotProd, I8MM}, nil},
		{"-vnni", all, []Feature{AVX2, AVX512, VBMI, AVXVNNI, NEON, DotProd, I8MM}, nil},
		{" -AVX512 , -dotprod,-avxvnni", all, []Feature{AVX2, NEON}, nil},
		{"-neon,-avx2", all, nil, nil},
		{"-sse9,avx2,-i8mm", all, []Feature{AVX2, AVX512, VNNI, VBMI, AVXVNNI, NEON, DotProd}, []string{"-sse9", "avx2"}},
	}
	for _, tt := range tests {
		on, unknown := parse(tt.mask, tt.has)
		var got []Feature
		for _, f := range features {
			if on[f.name] {
				got = append(got, f.name)
			}
		}
		if !slices.Equal(got, tt.want) || !slices.Equal(unknown, tt.unknown) {
			t.Errorf("parse(%q) = %v, unknown %q; want %v, unknown %q", tt.mask, got, unknown, tt.want, tt.unknown)
		}
	}
}

func TestListHas(t *testing.T) {
	list := List()
	for _, f := range features {
		if Has(f.name) != slices.Contains(list, f.name) {
			t.Errorf("Has(%q) = %v but List() = %v", f.name, Has(f.name), list)
		}
		if Has(f.name) && !detect(f.name) {
			t.Errorf("%q is in force on a processor without it", f.name)
		}
	}
}
