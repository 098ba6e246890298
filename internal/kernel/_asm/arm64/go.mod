module github.com/aekit/aekit/internal/kernel/_asm/arm64

go 1.26.0

require golang.org/x/arch v0.20.0
