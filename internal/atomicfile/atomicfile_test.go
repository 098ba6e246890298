package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"testing"
)

func write(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range es {
		s = append(s, e.Name())
	}
	return s
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteAndReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	for _, s := range []string{"one", "a second, longer content", ""} {
		if err := WriteFile(path, write(s)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != s {
			t.Errorf("content %q, want %q", got, s)
		}
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left over: %q", got)
	}
}

func TestFailureLeavesOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := WriteFile(path, write("old")); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("cancelled")
	err := WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return mine
	})
	if err != mine {
		t.Errorf("error %v, want the callback's own", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = WriteFile(path, func(io.Writer) error { panic("no") })
	}()
	if got := names(t, dir); len(got) != 1 || content(t, path) != "old" {
		t.Errorf("folder %q, content %q", got, content(t, path))
	}
}

func TestCleanup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	err := WriteFile(path, func(w io.Writer) error {
		if n := names(t, dir); len(n) != 1 {
			t.Errorf("while writing: %q", n)
		}
		Cleanup()
		if n := names(t, dir); len(n) != 0 && goruntime.GOOS != "windows" {
			t.Errorf("after Cleanup: %q", n)
		}
		return write("x")(w)
	})
	if goruntime.GOOS != "windows" && err == nil {
		t.Error("writing went on after Cleanup")
	}
}

func TestBadTargets(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "no", "such", "folder")} {
		if err := WriteFile(path, write("x")); err == nil {
			t.Errorf("WriteFile(%q) gave no error", path)
		}
	}
	err := WriteFile(filepath.Join(dir, "no", "x"), write("x"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

func TestModeAndLink(t *testing.T) {
	if goruntime.GOOS == "windows" {
		t.Skip("no permission bits or links")
	}
	dir, other := t.TempDir(), t.TempDir()
	target := filepath.Join(other, "real")
	if err := os.WriteFile(target, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := WriteFile(link, write("new")); err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(target)
	if err != nil || st.Mode() != 0o640 || content(t, target) != "new" {
		t.Errorf("target: %v, %v, %q", st.Mode(), err, content(t, target))
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v %v", st, err)
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	err := WriteFile("/dev/full", write("x"))
	if err == nil {
		t.Error("writing to a full disk gave no error")
	}
	if err := WriteFile("/dev/null", write("x")); err != nil {
		t.Errorf("/dev/null: %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := WriteFile(path, write(fmt.Sprintf("%d%d%d%d", i, i, i, i))); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	s := content(t, path)
	if len(s) != 4 || s[0] != s[3] {
		t.Errorf("content %q mixes writers", s)
	}
	if n := names(t, dir); len(n) != 1 {
		t.Errorf("left over: %q", n)
	}
}
