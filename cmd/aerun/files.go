package main

import (
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aekit/aekit/internal/atomicfile"
	"github.com/aekit/aekit/internal/cli"
	"github.com/aekit/aekit/internal/imagefile"
	"github.com/aekit/aekit/internal/imageio"
)

// imageExt are the file names that count as images in a folder.
var imageExt = []string{".png", ".jpg", ".jpeg", ".gif", ".pgm", ".ppm", ".pnm"}

// imageName is where an image is read from.
type imageName struct {
	path string // "-" for standard input
	// found says that the path was not named but found in a folder: if the file is no image
	// that can be read, it is passed over.
	found bool
}

// imageFiles replaces folders among args by the images in them and in their subfolders, in
// the order of their names. "-" is standard input, once.
func imageFiles(args []string) ([]imageName, error) {
	var out []imageName
	for i, arg := range args {
		if arg == "-" {
			if slices.Contains(args[:i], "-") {
				return nil, usagef("standard input is named twice")
			}
			out = append(out, imageName{path: arg})
			continue
		}
		st, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !st.IsDir() {
			out = append(out, imageName{path: arg})
			continue
		}
		before := len(out)
		err = filepath.WalkDir(arg, func(name string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && slices.Contains(imageExt, strings.ToLower(filepath.Ext(name))) {
				out = append(out, imageName{name, true})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(out) == before {
			return nil, fmt.Errorf("%s: no images (%s) in this folder", arg, strings.Join(imageExt, " "))
		}
	}
	return out, nil
}

// image reads an image from a file, or from standard input for "-".
func (a *app) image(name string) (image.Image, error) {
	if name != "-" {
		return imagefile.DecodeFile(name, 0)
	}
	img, err := imagefile.Decode(a.stdin, 0)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return img, nil
}

// eachImages reads the files in groups of at most size and calls f with each group that is
// not empty. Damaged files of folders are passed over and counted on standard error; if
// nothing is left, that is an error.
func (a *app) eachImages(files []imageName, size int, f func(names []string, images []image.Image) error) error {
	read, skipped := 0, 0
	var first error // of those passed over
	for group := range slices.Chunk(files, max(1, size)) {
		var names []string
		var images []image.Image
		for _, file := range group {
			if err := a.ctx.Err(); err != nil {
				return err
			}
			img, err := a.image(file.path)
			if err != nil && file.found {
				if skipped++; first == nil {
					first = err
				}
				continue
			}
			if err != nil {
				return err
			}
			names, images = append(names, file.path), append(images, img)
		}
		if read += len(images); len(images) == 0 {
			continue
		}
		if err := f(names, images); err != nil {
			return err
		}
	}
	if read == 0 && first != nil {
		return first
	}
	if skipped > 0 {
		fmt.Fprintf(a.stderr, "aerun: %d files skipped, the first: %s\n", skipped, cli.OneLine(first.Error()))
	}
	return nil
}

// isStdout reports whether an -o argument means standard output.
func isStdout(path string) bool { return path == "" || path == "-" }

// write calls f with the file at path, which appears whole or not at all, or with standard
// output.
func (a *app) write(path string, binary bool, f func(w io.Writer) error) error {
	if isStdout(path) {
		if binary && a.tty {
			return usagef("%s: standard output is a terminal; name a file with -o", a.verb.name)
		}
		return f(a.stdout)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		if err := f(w); err != nil {
			return err
		}
		return a.ctx.Err()
	})
}

// isFolder reports whether an -o argument names a folder: an existing one, or a name that
// ends in a separator.
func isFolder(path string) bool {
	if path == "" || path == "-" {
		return false
	}
	if os.IsPathSeparator(path[len(path)-1]) {
		return true
	}
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// checkOut refuses output files of the wrong kind before any work is done.
func (a *app) checkOut(path string, exts ...string) error {
	if isStdout(path) {
		if a.tty {
			return usagef("%s: standard output is a terminal; name a file with -o", a.verb.name)
		}
		return nil
	}
	if isFolder(path) {
		return nil
	}
	if !slices.Contains(exts, strings.ToLower(filepath.Ext(path))) {
		return usagef("%s: -o %q: want a name that ends in %s, or a folder", a.verb.name, path, strings.Join(exts, " or "))
	}
	return checkFolder("-o", path)
}

// checkFolder refuses a file to write, named by a flag, whose folder does not exist.
func checkFolder(flag, path string) error {
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%s %s: %w", flag, path, err)
	} else if !st.IsDir() {
		return fmt.Errorf("%s %s: %s is not a folder", flag, path, dir)
	}
	return nil
}

func toPlanar(images []image.Image) ([]*imageio.Planar, error) {
	out := make([]*imageio.Planar, len(images))
	for i, img := range images {
		channels := 3
		if imageio.IsGrey(img) {
			channels = 1
		}
		p, err := imageio.FromImage(img, channels)
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// writeImages writes a sheet of all images to a PNG file or standard output, or one file each to a
// folder, where number first has the name 0000.png.
func (a *app) writeImages(out string, images []image.Image, sheet imageio.Sheet) error {
	planars, err := toPlanar(images)
	if err != nil {
		return err
	}
	if !isFolder(out) {
		p, err := sheet.Grid(planars)
		if err != nil {
			return err
		}
		return a.write(out, true, func(w io.Writer) error { return imagefile.WritePNG(w, p) })
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	for i, p := range planars {
		if sheet.Zoom > 1 {
			if p, err = (imageio.Sheet{Zoom: sheet.Zoom}).Grid([]*imageio.Planar{p}); err != nil {
				return err
			}
		}
		name := filepath.Join(out, fmt.Sprintf("%04d.png", i))
		if err := a.write(name, true, func(w io.Writer) error { return imagefile.WritePNG(w, p) }); err != nil {
			return err
		}
	}
	return nil
}
