// Command native runs a model once on batch 1 and prints the memory that this took, as
// /proc/self/status has it. Its first argument says how it gets the model: file opens it,
// bytes reads it first, and nothing leaves it alone, for the cost of a process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		os.Stdout.Write(status)
	}
}

func run(how, file string) error {
	var s *runtime.Session
	var err error
	switch how {
	case "nothing":
		return nil
	case "file":
		s, err = runtime.Open(file, runtime.Options{})
	case "bytes":
		var data []byte
		if data, err = os.ReadFile(file); err == nil {
			s, err = runtime.Load(data, runtime.Options{})
		}
	default:
		err = errors.New("usage: native file|bytes|nothing MODEL")
	}
	if err != nil {
		return err
	}
	in := map[string]*tensor.Tensor{}
	for _, v := range s.Inputs() {
		for i, d := range v.Shape {
			if d < 0 {
				v.Shape[i] = 1
			}
		}
		if in[v.Name], err = tensor.New(v.DType, v.Shape...); err != nil {
			return err
		}
	}
	_, err = s.Run(context.Background(), in)
	return err
}
