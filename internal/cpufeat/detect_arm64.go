package cpufeat

import "golang.org/x/sys/cpu"

func detect(f Feature) bool {
	x := &cpu.ARM64
	switch f {
	case NEON:
		return x.HasASIMD
	case DotProd:
		return x.HasASIMDDP
	case I8MM:
		return x.HasI8MM
	}
	return false
}
