package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// labelTable is the content of a label file: the class of each name.
type labelTable map[string]string

// maxLabels is the most bytes that a label file may have.
var maxLabels int64 = 256 << 20

// readLabels reads a CSV file (RFC 4180) of at least two columns: the name of an image and
// its class. The names are slash-separated paths below the folder or in the tar file, or
// base names; the extension may be missing. A first line whose second field is "label" or
// "class" is a heading. Two classes for one name are an error, as is a file of more than
// maxLabels bytes.
func readLabels(file string) (labelTable, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("dataset: labels: %w", err)
	}
	defer f.Close()
	in := &counter{r: io.LimitReader(f, maxLabels+1)}
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.ReuseRecord, r.TrimLeadingSpace = -1, true, true
	t := labelTable{}
	for first := true; ; first = false {
		row, err := r.Read()
		if in.n > maxLabels {
			return nil, fmt.Errorf("dataset: labels: %s has more than %d bytes", file, maxLabels)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("dataset: labels: %s: %w", file, err)
		}
		line, _ := r.FieldPos(0)
		if len(row) < 2 {
			return nil, fmt.Errorf("dataset: labels: %s: line %d has no second column", file, line)
		}
		name, class := cleanName(strings.TrimPrefix(row[0], "\ufeff")), strings.TrimSpace(row[1])
		if h := strings.ToLower(class); first && (h == "label" || h == "class") {
			continue
		}
		if old, ok := t[name]; ok && old != class {
			return nil, fmt.Errorf("dataset: labels: %s: line %d: %q is %q and %q", file, line, name, old, class)
		}
		t[strings.Clone(name)] = strings.Clone(class)
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("dataset: labels: %s is empty", file)
	}
	return t, nil
}

func cleanName(s string) string {
	return strings.TrimPrefix(path.Clean(strings.ReplaceAll(strings.TrimSpace(s), `\`, "/")), "/")
}

// class returns the class of an image by its path, path without extension, base name, or
// base name without extension.
func (t labelTable) class(name string) (string, bool) {
	name = cleanName(name)
	base := path.Base(name)
	for _, n := range []string{name, strings.TrimSuffix(name, path.Ext(name)), base, strings.TrimSuffix(base, path.Ext(base))} {
		if c, ok := t[n]; ok {
			return c, true
		}
	}
	return "", false
}

var errNoLabels = errors.New("dataset: labels: no image of the data is in the label file")

// named returns a class for each of the files, "" where there is none.
func (t labelTable) named(files []string) ([]string, error) {
	names := make([]string, len(files))
	any := false
	for i, f := range files {
		var ok bool
		names[i], ok = t.class(f)
		any = any || ok
	}
	if !any {
		return nil, errNoLabels
	}
	return names, nil
}

// folderClasses returns the first folder of each path, or nil if one lies in none.
func folderClasses(files []string) []string {
	names := make([]string, len(files))
	for i, f := range files {
		class, _, ok := strings.Cut(f, "/")
		if !ok {
			return nil
		}
		names[i] = class
	}
	return names
}

// number turns the names of classes into labels. Classes that are there already keep their
// numbers; new ones follow in order, of their values if all are whole numbers. "" is no
// class, -1.
func number(names []string, classes []string) (labels []int, all []string) {
	var added []string
	at := map[string]int{}
	for i, c := range classes {
		at[c] = i
	}
	for _, n := range names {
		if _, ok := at[n]; !ok && n != "" {
			at[n] = -1
			added = append(added, n)
		}
	}
	numbers := true
	for _, n := range added {
		if _, err := strconv.Atoi(n); err != nil {
			numbers = false
		}
	}
	slices.SortFunc(added, func(a, b string) int {
		if numbers {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			if x != y {
				return x - y
			}
		}
		return strings.Compare(a, b)
	})
	all = append(slices.Clone(classes), added...)
	for i, c := range all {
		at[c] = i
	}
	for _, n := range names {
		l := -1
		if n != "" {
			l = at[n]
		}
		labels = append(labels, l)
	}
	return labels, all
}
