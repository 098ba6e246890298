// Command aerun runs autoencoders, and other ONNX models, on this machine.
//
//	aerun VERB [flags] MODEL.onnx [FILES…]
//
// `aerun --help` lists the verbs, `aerun VERB --help` the flags of one. Results go to
// standard output or to the file that -o names; files appear whole or not at all. The exit
// status is 0 on success, 1 if the work failed or a check did not hold, 2 for a command
// line that makes no sense.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/cpufeat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		// A second signal ends the program at once; so does work that does not stop.
		stop()
		time.Sleep(3 * time.Second)
		atomicfile.Cleanup()
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// verb is one of the program's commands.
type verb struct {
	name  string
	args  string // what follows the flags
	short string
	run   func(a *app, args []string) error
}

// verbs lists the commands in the order of the help text.
var verbs = []verb{
	{"info", "MODEL.onnx", "describe a model: graph, sizes, cost, kernels, metadata", runInfo},
	{"encode", "MODEL.onnx IMAGE…", "turn images into latent vectors", runEncode},
	{"decode", "MODEL.onnx LATENTS…", "turn latent vectors into images", runDecode},
	{"reconstruct", "MODEL.onnx IMAGE…", "show images beside their reconstructions", runReconstruct},
	{"generate", "[MODEL.onnx]", "draw new images", runGenerate},
	{"interpolate", "MODEL.onnx IMAGE IMAGE", "show the way from one image to another", runInterpolate},
	{"score", "MODEL.onnx IMAGE…", "measure how unusual images are", runScore},
	{"compare", "A.onnx B.onnx IMAGE…", "compare two models: size, speed, reconstructions", runCompare},
	{"verify", "CASE…", "run test cases in the layout of the ONNX backend tests", runVerify},
	{"bench", "MODEL.onnx", "measure speed", runBench},
}

// app is one invocation of the program.
type app struct {
	ctx    context.Context
	verb   *verb
	stdin  io.Reader
	stdout *bufio.Writer
	stderr io.Writer
	tty    bool // standard output is a terminal
}

// usageError is a command line that makes no sense.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errReported ends the program with status 1; what failed has been said.
var errReported = errors.New("reported")

// errHelp ends the program with status 0: help or the version was asked for.
var errHelp = errors.New("help")

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, stdin: stdin, stdout: bufio.NewWriter(stdout), stderr: stderr}
	if f, ok := stdout.(*os.File); ok {
		st, err := f.Stat()
		a.tty = err == nil && st.Mode()&fs.ModeCharDevice != 0
	}
	err := a.dispatch(args)
	if ferr := a.stdout.Flush(); ferr != nil && (err == nil || errors.Is(err, errHelp)) {
		err = fmt.Errorf("standard output: %w", ferr)
	}
	switch {
	case err == nil, errors.Is(err, errHelp):
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(stderr, "aerun: interrupted")
		return exitFailed
	}
	fmt.Fprintln(stderr, "aerun: "+oneLine(err.Error()))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// oneLine replaces line breaks and other control characters, which may come from a hostile
// file, so that a message is one line.
func oneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func (a *app) dispatch(args []string) error {
	if bad := cpufeat.Unknown(); len(bad) > 0 {
		fmt.Fprintf(a.stderr, "aerun: AEKIT_CPU: ignored: %s\n", oneLine(strings.Join(bad, ", ")))
	}
	if len(args) == 0 {
		return usagef("no verb; `aerun --help` lists them")
	}
	switch args[0] {
	case "--help", "-h", "help":
		if len(args) > 1 && args[0] == "help" {
			return a.dispatch([]string{args[1], "--help"})
		}
		a.help()
		return errHelp
	case "--version", "version":
		fmt.Fprintln(a.stdout, versionLine())
		return errHelp
	}
	for i := range verbs {
		if verbs[i].name == args[0] {
			a.verb = &verbs[i]
			return a.verb.run(a, args[1:])
		}
	}
	return usagef("unknown verb %q; `aerun --help` lists the verbs", args[0])
}

func (a *app) help() {
	fmt.Fprint(a.stdout, "aerun runs autoencoders, and other ONNX models.\n\nUsage: aerun VERB [flags] MODEL.onnx [FILES…]\n\nVerbs:\n")
	for _, v := range verbs {
		fmt.Fprintf(a.stdout, "  %-12s %-24s %s\n", v.name, v.args, v.short)
	}
	fmt.Fprint(a.stdout, `
`+"`aerun VERB --help`"+` lists the flags of a verb. --version prints the version.

Environment: AEKIT_CPU masks processor features (AEKIT_CPU=-avx512,-vnni);
AEKIT_ORT_LIB names the shared library of ONNX Runtime for --backend ort.
`)
}
