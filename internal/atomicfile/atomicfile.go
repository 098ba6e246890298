// Package atomicfile writes files that appear whole or not at all.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// WriteFile calls f to write the content of the file at path. The file appears, or replaces
// the older one, only after f and all writing succeeded and the content is on disk; until
// then it is a hidden temporary file in the same folder. On an error, a panic in f included,
// the temporary file is removed and an older file is untouched.
//
// A symbolic link is followed: its target is replaced. A replaced file keeps its permission
// bits. Writing to a path that is a device or a pipe goes there directly. f's writer is
// buffered. Several goroutines may call WriteFile; with the same path the last one wins.
func WriteFile(path string, f func(w io.Writer) error) (err error) {
	mode := fs.FileMode(0o666)
	st, err := os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("is a directory")}
	case err == nil && !st.Mode().IsRegular():
		return writeDirect(path, f)
	case err == nil:
		mode = st.Mode().Perm()
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.FormatUint(rand.Uint64(), 36)+".tmp")
	register(tmp)
	defer unregister(tmp)
	// O_EXCL: never write through a link that somebody put there.
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("cannot create %s: %w", path, cause(err))
	}
	done := false
	defer func() {
		if !done {
			file.Close()
			os.Remove(tmp)
		}
	}()
	if st != nil {
		// Not every file system has permission bits; the content matters more.
		_ = file.Chmod(mode)
	}
	if err := fill(file, f); err != nil {
		return wrap(path, err)
	}
	if err := file.Sync(); err != nil {
		return wrap(path, err)
	}
	if err := file.Close(); err != nil {
		return wrap(path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return wrap(path, err)
	}
	done = true
	syncDir(filepath.Dir(path))
	return nil
}

func writeDirect(path string, f func(w io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := fill(file, f); err != nil {
		file.Close()
		return wrap(path, err)
	}
	return wrap(path, file.Close())
}

// writeError marks errors of the file, as opposed to those that f made itself.
type writeError struct{ err error }

func (e writeError) Error() string { return e.err.Error() }
func (e writeError) Unwrap() error { return e.err }

type fileWriter struct{ f *os.File }

func (w fileWriter) Write(b []byte) (int, error) {
	n, err := w.f.Write(b)
	if err != nil {
		err = writeError{cause(err)}
	}
	return n, err
}

func fill(file *os.File, f func(w io.Writer) error) error {
	w := bufio.NewWriterSize(fileWriter{file}, 64<<10)
	if err := f(w); err != nil {
		return err
	}
	return w.Flush()
}

// wrap adds the path that the caller knows to errors that name the temporary file.
func wrap(path string, err error) error {
	var we writeError
	var pe *fs.PathError
	var le *os.LinkError
	if err == nil {
		return nil
	}
	if errors.As(err, &we) || errors.As(err, &pe) || errors.As(err, &le) {
		return fmt.Errorf("cannot write %s: %w", path, cause(err))
	}
	return err
}

func cause(err error) error {
	var we writeError
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &we):
		return we.err
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// syncDir makes the new name last through a power cut, where the system can.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

var open = struct {
	sync.Mutex
	names map[string]struct{}
}{names: map[string]struct{}{}}

func register(name string) {
	open.Lock()
	defer open.Unlock()
	open.names[name] = struct{}{}
}

func unregister(name string) {
	open.Lock()
	defer open.Unlock()
	delete(open.names, name)
}

// Cleanup removes the temporary files of all calls of [WriteFile] that are in progress. It
// is for programs about to exit on a signal: those calls fail afterwards.
func Cleanup() {
	open.Lock()
	defer open.Unlock()
	for name := range open.names {
		// On Windows a file that is still open cannot be removed: it stays, hidden.
		_ = os.Remove(name)
	}
}
