module github.com/aekit/aekit/bench

go 1.26.0

require (
	github.com/aekit/aekit v0.0.0
	github.com/spf13/pflag v1.1.0
)

require (
	github.com/yalue/onnxruntime_go v1.27.0 // indirect
	golang.org/x/image v0.47.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/aekit/aekit => ../
