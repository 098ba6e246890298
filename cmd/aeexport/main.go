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
	"time"

	"github.com/aekit/aekit/internal/cli"
)

func main() {
	cli.Main(10*time.Second, func(ctx context.Context) int { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

func usagef(format string, args ...any) error { return cli.Usagef(format, args...) }

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := newReporter(stdout, stderr)
	err := execute(ctx, args, out)
	out.clear()
	switch {
	case err == nil:
		return cli.OK
	case ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err())):
		fmt.Fprintln(stderr, "aeexport: interrupted")
		return cli.Failed
	}
	fmt.Fprintln(stderr, "aeexport: "+cli.OneLine(err.Error()))
	return cli.Status(err)
}

func execute(ctx context.Context, args []string, out *reporter) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	switch {
	case o.help:
		return out.print(helpText())
	case o.version:
		return out.print(versionLine() + "\n")
	case o.list:
		return out.print(presets(o.quiet))
	case o.completion != "":
		script, err := cli.Completion(o.completion, "aeexport", []cli.Verb{{Flags: o.flags}})
		if err != nil {
			return err
		}
		return out.print(script)
	}
	out.json, out.quiet = o.json, o.quiet
	return newJob(o, out).run(ctx)
}
