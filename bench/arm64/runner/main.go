// Command runner runs a model file a number of times on one thread: runner FILE BATCH RUNS.
// It is what bench/arm64 counts the instructions of, those of the first thread.
package main

import (
	"context"
	"fmt"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/tensor"
)

// The main goroutine stays on the first thread; the others are the scheduler's.
func init() { goruntime.LockOSThread() }

func main() {
	debug.SetGCPercent(-1)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("want FILE BATCH RUNS")
	}
	batch, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	runs, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	s, err := runtime.Open(args[0], runtime.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer s.Close()
	v := s.Inputs()[0]
	shape := v.Shape.Clone()
	shape[0] = batch
	x, err := tensor.New(tensor.Float32, shape...)
	if err != nil {
		return err
	}
	for i := range x.Float32s() {
		x.Float32s()[i] = float32(i*7919%1024) / 1024
	}
	in := map[string]*tensor.Tensor{v.Name: x}
	out, err := s.Run(context.Background(), in)
	if err != nil {
		return err
	}
	for range runs {
		if err := s.RunInto(context.Background(), out, in); err != nil {
			return err
		}
	}
	return nil
}
