package cpufeat

import "golang.org/x/sys/cpu"

func detect(f Feature) bool {
	x := &cpu.X86
	switch f {
	case AVX2:
		return x.HasAVX2 && x.HasFMA && x.HasBMI2
	case AVX512:
		return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512CD && x.HasAVX512DQ && x.HasAVX512VL
	case VNNI:
		return x.HasAVX512VNNI
	case VBMI:
		return x.HasAVX512VBMI
	case AVXVNNI:
		return x.HasAVXVNNI
	}
	return false
}
