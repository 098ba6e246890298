// Command aeexport trains an autoencoder on images and writes it as ONNX.
//
//	aeexport [flags] MODEL.onnx
//
// Without flags it trains a variational autoencoder on built-in images of digits. It writes
// the model, a picture beside it, and on request weights, parts, test data and curves.
// Files appear whole or not at all. The exit status is 0 on success, 1 if the work failed,
// 2 for a command line that makes no sense.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aekit/aekit/internal/atomicfile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		// A second signal ends the program at once; so does work that does not stop.
		stop()
		time.Sleep(10 * time.Second)
		atomicfile.Cleanup()
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that makes no sense.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if err == nil {
		switch {
		case o.help:
			printHelp(stdout)
			return exitOK
		case o.version:
			fmt.Fprintln(stdout, versionLine())
			return exitOK
		case o.list:
			printPresets(stdout)
			return exitOK
		}
		err = newJob(o, stdout, stderr).run(ctx)
	}
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err())):
		fmt.Fprintln(stderr, "aeexport: interrupted")
		return exitFailed
	}
	fmt.Fprintln(stderr, "aeexport: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
