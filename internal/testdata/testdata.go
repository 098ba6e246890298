// Package testdata finds the shared data that some tests need: data sets, reference models
// and ONNX conformance cases, which are not part of the repository.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of shared data: the value of AEKIT_TESTDATA, or the folder
// shared/data beside the module's root or above it. It skips the test where there is none.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("AEKIT_TESTDATA"); dir != "" {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			t.Fatalf("AEKIT_TESTDATA=%s is not a folder", dir)
		}
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		d := filepath.Join(dir, "shared", "data")
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			return d
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip("no shared test data (AEKIT_TESTDATA is not set and there is no shared/data folder)")
		}
		dir = up
	}
}

// Path returns the path of a file or folder in [Dir], given with forward slashes. It skips
// the test where the data lack it.
func Path(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(Dir(t), filepath.FromSlash(name))
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no shared test data %s", name)
	}
	return p
}

// Slow skips the test unless AEKIT_SLOW is set: it trains for minutes.
func Slow(t testing.TB) {
	t.Helper()
	if os.Getenv("AEKIT_SLOW") == "" {
		t.Skip("trains for minutes; AEKIT_SLOW=1 runs it")
	}
}
