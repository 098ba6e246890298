//go:build cgo

// Command ort runs a model once on batch 1 with ONNX Runtime, through its C interface alone,
// and prints the memory that this took, as /proc/self/status has it. All inputs are float32.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		os.Stdout.Write(status)
	}
}

// run takes names of inputs with their shapes, as "image=1,1,28,28", and of outputs. Asking
// ONNX Runtime for them would load the model twice.
func run(library, file string, values []string) error {
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return err
	}
	var ins, outs []string
	var in []ort.Value
	for _, v := range values {
		name, dims, isInput := strings.Cut(v, "=")
		if !isInput {
			outs = append(outs, name)
			continue
		}
		var shape ort.Shape
		for d := range strings.SplitSeq(dims, ",") {
			n, err := strconv.ParseInt(d, 10, 64)
			if err != nil {
				return err
			}
			shape = append(shape, n)
		}
		t, err := ort.NewEmptyTensor[float32](shape)
		if err != nil {
			return err
		}
		ins, in = append(ins, name), append(in, t)
	}
	s, err := ort.NewDynamicAdvancedSession(file, ins, outs, nil)
	if err != nil {
		return err
	}
	return s.Run(in, make([]ort.Value, len(outs)))
}
