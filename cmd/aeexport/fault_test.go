package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/runtime"
)

// TestMain lets the test binary be aeexport, so that tests can start it as a process of its
// own and end it.
func TestMain(m *testing.M) {
	if os.Getenv("AEEXPORT_TEST_MAIN") == "1" {
		if limitFileSize() != nil {
			os.Exit(3)
		}
		main()
	}
	os.Exit(m.Run())
}

// aeexport returns the command that runs this program in dir.
func aeexport(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Skip("no way to start a process here: ", err)
	}
	c := exec.Command(exe, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "AEEXPORT_TEST_MAIN=1")
	return c
}

// training is a short run that saves its state after each of many short epochs.
var training = []string{
	"--quiet", "--images", "400", "--epochs", "12", "--batch", "25", "--hidden", "32", "--latent", "4", "--seed", "5", "--threads", "2",
	"--checkpoint", "state.ckpt", "--resume", "--save-weights", "model.safetensors", "model.onnx",
}

func needProcesses(t *testing.T) {
	t.Helper()
	if goruntime.GOOS == "js" || goruntime.GOOS == "wasip1" {
		t.Skip("no processes on " + goruntime.GOOS)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip("no way to start a process here: ", err)
	}
	if err := exec.Command(exe, "-test.run=^$").Run(); errors.Is(err, syscall.ENOEXEC) {
		t.Skip("an emulator of another processor, where programs do not start themselves: ", err)
	}
}

// whole checks that no file in dir is a part of one: models load, weights and states have
// the lengths that they say.
func whole(t *testing.T, dir string) {
	t.Helper()
	if s, err := runtime.Open(filepath.Join(dir, "model.onnx"), runtime.Options{}); err == nil {
		s.Close()
	} else if !os.IsNotExist(err) {
		t.Fatalf("torn model: %v", err)
	}
	if _, err := export.ReadWeights(filepath.Join(dir, "model.safetensors")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("torn weights: %v", err)
	}
	// A state ends with the SHA-256 of what comes before.
	b, err := os.ReadFile(filepath.Join(dir, "state.ckpt"))
	if err == nil {
		n := len(b) - sha256.Size
		if n < 0 || sha256.Sum256(b[:n]) != [sha256.Size]byte(b[n:]) {
			t.Fatalf("torn state: %d bytes", len(b))
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "model.png")); err == nil {
		if _, err := png.Decode(bytes.NewReader(b)); err != nil {
			t.Fatalf("torn picture: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "model.yaml")); err == nil {
		if _, err := parse([]string{"--config", filepath.Join(dir, "model.yaml"), "m.onnx"}); err != nil {
			t.Fatalf("torn configuration: %v", err)
		}
	}
}

// TestKilledTrainingResumes ends training and export at random moments, by kill -9, by
// interrupts and by SIGTERM, and continues: there is never a torn file, and the files at the
// end are those of a run that nobody disturbed. With AEKIT_SLOW set it is disturbed 200 times.
func TestKilledTrainingResumes(t *testing.T) {
	needProcesses(t)
	kills := 20
	switch {
	case os.Getenv("AEKIT_SLOW") != "":
		kills = 200
	case testing.Short():
		kills = 5
	}
	results := []string{"model.onnx", "model.safetensors"}
	calm := t.TempDir()
	start := time.Now()
	if out, err := aeexport(t, calm, training...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	length := time.Since(start)
	r := rand.New(rand.NewPCG(7, 0))
	dir := t.TempDir()
	killed, finished := 0, 0
	compare := func() {
		for _, name := range results {
			want, err := os.ReadFile(filepath.Join(calm, name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("after %d disturbances %s has other bytes than that of an undisturbed run (%v)", killed, name, err)
			}
		}
	}
	// A run that is always disturbed early still has to come to its end.
	for attempt := 0; killed < kills && attempt < 20*kills; attempt++ {
		c := aeexport(t, dir, training...)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		sig := []os.Signal{os.Kill, os.Interrupt, os.Kill, syscall.SIGTERM}[attempt%4]
		if goruntime.GOOS == "windows" {
			sig = os.Kill
		}
		wait := time.Duration(r.Float64() * float64(length))
		timer := time.AfterFunc(wait, func() { _ = c.Process.Signal(sig) })
		err := c.Wait()
		timer.Stop()
		whole(t, dir)
		switch {
		case err == nil:
			finished++
			compare()
			// Begin again.
			dir = t.TempDir()
		case out.Len() > 0 && !strings.Contains(out.String(), "interrupted"):
			t.Fatalf("ended by %v after %v: %s", sig, wait, out.String())
		default:
			killed++
		}
	}
	if out, err := aeexport(t, dir, training...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	compare()
	t.Logf("disturbed %d times, finished in between %d times; undisturbed: %v", killed, finished, length)
	if killed < kills {
		t.Errorf("only %d of %d disturbances came in time", killed, kills)
	}
	leftovers(t, dir)
}

// leftovers reports temporary files, which only kill -9 may leave, as hidden ones.
func leftovers(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if strings.Contains(e.Name(), ".tmp") && !strings.HasPrefix(e.Name(), ".") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// TestFullDisk: writing fails half way, by a limit on the size of files; the error is one
// line, the older files are as they were, and nothing is left behind.
func TestFullDisk(t *testing.T) {
	needProcesses(t)
	dir := t.TempDir()
	old := []byte("the older file")
	files := []string{"model.onnx", "model.safetensors", "state.ckpt"}
	for _, limit := range []string{"1000", "20000", "60000"} {
		for _, name := range files[:2] {
			if err := os.WriteFile(filepath.Join(dir, name), old, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c := aeexport(t, dir, training...)
		c.Env = append(c.Env, "AEEXPORT_TEST_FSIZE="+limit)
		out, err := c.CombinedOutput()
		if c.ProcessState.ExitCode() == 3 {
			t.Skip("no limit on the size of files here")
		}
		if err == nil || c.ProcessState.ExitCode() != cli.Failed || bytes.Count(out, []byte("\n")) != 1 {
			t.Fatalf("files of at most %s bytes: %v: %q, want status 1 and one line", limit, err, out)
		}
		for _, name := range files[:2] {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, old) {
				t.Errorf("files of at most %s bytes: %s has changed (%v)", limit, name, err)
			}
		}
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if strings.Contains(e.Name(), "tmp") {
				t.Errorf("files of at most %s bytes: left behind: %s", limit, e.Name())
			}
		}
		os.Remove(filepath.Join(dir, "state.ckpt"))
	}
}

// TestReadOnlyFolder: a folder that cannot be written to is an error that names the file.
func TestReadOnlyFolder(t *testing.T) {
	needProcesses(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	if f, err := os.Create(filepath.Join(dir, "try")); err == nil {
		// Root may write everywhere, except where nothing can be.
		f.Close()
		dir = "/proc"
		if _, err := os.Stat(dir); err != nil {
			t.Skip("every folder can be written to")
		}
	}
	args := append([]string{}, training[:len(training)-6]...)
	out, err := aeexport(t, t.TempDir(), append(args, filepath.Join(dir, "model.onnx"))...).CombinedOutput()
	if err == nil || bytes.Count(out, []byte("\n")) != 1 || !bytes.Contains(out, []byte("model.onnx")) {
		t.Errorf("%v: %q, want one line that names the file", err, out)
	}
}
