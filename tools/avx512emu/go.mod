module github.com/aekit/aekit/tools/avx512emu

go 1.26.0

require golang.org/x/sys v0.49.0
