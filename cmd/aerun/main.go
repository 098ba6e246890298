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
	"os"
	"strings"
	"time"

	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/cpufeat"
)

func main() {
	cli.Main(3*time.Second, func(ctx context.Context) int { return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) })
}

// verb is one of the program's commands.
type verb struct {
	name  string
	args  string // what follows the flags
	short string
	more  string // further text of its help; lines of at most 80 characters
	run   func(a *app, args []string) error
}

// verbs lists the commands in the order of the help text.
var verbs = []verb{
	{"info", "MODEL.onnx", "describe a model: graph, sizes, cost, kernels, metadata", `Examples:
  aerun info model.onnx
  aerun info --json model.onnx
  aerun info --batch 16 --shape image=16x3x64x64 other.onnx
`, runInfo},
	{"encode", "MODEL.onnx IMAGE…", "turn images into latent vectors", `Examples:
  aerun encode model.onnx photos/                # JSON lines
  aerun encode -o z.npy model.onnx photos/       # an array of NumPy
  camera | aerun encode model.onnx -             # from a pipe
`, runEncode},
	{"decode", "MODEL.onnx [LATENTS…]", "turn latent vectors into images", `LATENTS are files as encode writes them, or - for standard input, which is also
read where none is named.

Examples:
  aerun decode -o images/ model.onnx z.npy
  aerun encode model.onnx a.png | aerun decode -o a2.png model.onnx
`, runDecode},
	{"reconstruct", "MODEL.onnx IMAGE…", "show images beside their reconstructions", `Examples:
  aerun reconstruct model.onnx photos/           # MSE, PSNR, SSIM
  aerun reconstruct -o pairs.png --zoom 2 model.onnx a.png b.png
`, runReconstruct},
	{"generate", "[MODEL.onnx]", "draw new images", `Without a model it draws digits with the one that is built in.

Examples:
  aerun generate -o digits.png
  aerun generate -n 16 --seed 7 --temperature 0.8 -o samples.png model.onnx
  aerun generate --label 7 -o sevens/ cvae.onnx  # a file for each
`, runGenerate},
	{"interpolate", "MODEL.onnx IMAGE IMAGE", "show the way from one image to another", `Examples:
  aerun interpolate -o strip.png model.onnx a.png b.png
  aerun interpolate -n 30 -o way.gif model.onnx a.png b.png
`, runInterpolate},
	{"score", "MODEL.onnx IMAGE…", "measure how unusual images are", `The score is the mean squared error of the reconstruction, of pixels in [0, 1].
From --threshold on, or else from the model's own threshold if it has one, an
image is called unusual. The exit status does not depend on that.

Examples:
  aerun score model.onnx photos/
  aerun score --json --threshold 0.01 model.onnx photos/
`, runScore},
	{"compare", "A.onnx B.onnx IMAGE…", "compare two models: size, speed, reconstructions", `Example:
  aerun compare -o rows.png model.onnx model.int8.onnx photos/
`, runCompare},
	{"verify", "CASE…", "run test cases in the layout of the ONNX backend tests", `A CASE is a folder with model.onnx and folders test_data_set_0 …, a folder of
such folders, or a model file with such folders beside it.

Examples:
  aerun verify cases/
  aerun verify --self model.int8.onnx            # against its own digest
`, runVerify},
	{"bench", "MODEL.onnx", "measure speed", `Examples:
  aerun bench --batch 1,16,256 --threads 1,2 model.onnx
  aerun bench --backend native,ort --part decoder model.onnx
  aerun bench --profile --trace run.json model.onnx
`, runBench},
}

// app is one invocation of the program.
type app struct {
	ctx    context.Context
	verb   *verb
	stdin  io.Reader
	stdout *bufio.Writer
	stderr io.Writer
	tty    bool // standard output is a terminal
	// listing, if not nil, receives the verb's flags instead of their being parsed.
	listing **cli.Flags
}

func usagef(format string, args ...any) error { return cli.Usagef(format, args...) }

// errReported ends the program with status 1; what failed has been said.
var errReported = errors.New("reported")

// errHelp ends the program with status 0: help or the version was asked for.
var errHelp = errors.New("help")

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, stdin: stdin, stdout: bufio.NewWriter(stdout), stderr: stderr}
	if f, ok := stdout.(*os.File); ok {
		a.tty = cli.Terminal(f)
	}
	err := a.dispatch(args)
	if ferr := a.stdout.Flush(); ferr != nil && (err == nil || errors.Is(err, errHelp)) {
		err = fmt.Errorf("standard output: %w", ferr)
	}
	switch {
	case err == nil, errors.Is(err, errHelp):
		return cli.OK
	case errors.Is(err, errReported):
		return cli.Failed
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(stderr, "aerun: interrupted")
		return cli.Failed
	}
	fmt.Fprintln(stderr, "aerun: "+cli.OneLine(err.Error()))
	return cli.Status(err)
}

func (a *app) dispatch(args []string) error {
	if bad := cpufeat.Unknown(); len(bad) > 0 {
		fmt.Fprintf(a.stderr, "aerun: AEKIT_CPU: ignored: %s\n", cli.OneLine(strings.Join(bad, ", ")))
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
	case "completion":
		return a.completion(args[1:])
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
	fmt.Fprint(a.stdout, `aerun runs autoencoders, and other ONNX models.

Usage: aerun VERB [flags] MODEL.onnx [FILES…]

Verbs:
`)
	for _, v := range verbs {
		fmt.Fprintf(a.stdout, "  %-12s %-24s %s\n", v.name, v.args, v.short)
	}
	fmt.Fprint(a.stdout, `
`+"`aerun VERB --help`"+` lists the flags of a verb and gives examples. --version prints
the version; `+"`aerun completion bash`"+` (or zsh, fish) prints a script for the shell.

An IMAGE is a PNG, JPEG, GIF (its first frame), PGM or PPM file, a folder, which
stands for all images in it and in its subfolders, or - for standard input.
Damaged files of a folder are skipped and counted.

Exit status: 0 on success; 1 if the work failed or a check did not hold; 2 for a
command line that makes no sense.

Environment: AEKIT_CPU masks processor features (AEKIT_CPU=-avx512,-vnni);
AEKIT_ORT_LIB names the shared library of ONNX Runtime for --backend ort.
`)
}
