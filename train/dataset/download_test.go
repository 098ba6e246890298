package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// server offers files under /good/, damaged ones under /bad/, longer ones under /long/,
// and answers 404 elsewhere.
func server(t *testing.T, files map[string][]byte) (*httptest.Server, *atomic.Int64) {
	var served atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dir, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		data, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		switch dir {
		case "good":
			served.Add(1)
			w.Write(data)
		case "bad":
			b := bytes.Clone(data)
			b[len(b)/2] ^= 1
			w.Write(b)
		case "long":
			w.(http.Flusher).Flush() // no Content-Length
			w.Write(data)
			w.Write(make([]byte, 1000))
		case "short":
			w.(http.Flusher).Flush()
			w.Write(data[:len(data)/2])
		case "cut":
			w.Header().Set("Content-Length", "99999999")
			w.Write(data)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s, &served
}

func cifarTar(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i, n := range append(cifarTrainFiles(), cifarTestFile, "readme.html") {
		data := cifarRecords(byte(i), byte(i+1))
		if err := w.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/" + n, Size: int64(len(data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gz(t, buf.Bytes())
}

// testCatalog is the real catalog with other files.
func testCatalog(t *testing.T) ([]entry, map[string][]byte) {
	pixels, labels := make([]byte, 784*4), []byte{1, 2, 3, 4}
	files := map[string][]byte{
		"train-images-idx3-ubyte.gz": gz(t, idx([]uint32{4, 28, 28}, pixels)),
		"train-labels-idx1-ubyte.gz": gz(t, idx([]uint32{4}, labels)),
		"t10k-images-idx3-ubyte.gz":  gz(t, idx([]uint32{2, 28, 28}, pixels[:784*2])),
		"t10k-labels-idx1-ubyte.gz":  gz(t, idx([]uint32{2}, labels[:2])),
		cifarArchive:                 cifarTar(t),
	}
	var cat []entry
	for _, e := range catalog {
		var fs []remote
		for _, f := range e.files {
			sum := sha256.Sum256(files[f.name])
			fs = append(fs, remote{f.name, int64(len(files[f.name])), hex.EncodeToString(sum[:])})
		}
		e.files = fs
		cat = append(cat, e)
	}
	return cat, files
}

func TestDownload(t *testing.T) {
	cat, files := testCatalog(t)
	srv, served := server(t, files)
	for _, tc := range []struct {
		name        string
		train, test int
		requests    int64
	}{{"mnist", 4, 2, 4}, {"fashion-mnist", 4, 2, 4}, {"cifar10", 10, 2, 1}} {
		cache := filepath.Join(t.TempDir(), "new", "cache")
		served.Store(0)
		last := map[string][2]int64{}
		opt := Options{
			Cache: cache,
			// The first mirrors fail in different ways.
			Mirrors: map[string][]string{tc.name: {
				srv.URL + "/missing", srv.URL + "/bad", srv.URL + "/long/", srv.URL + "/short", srv.URL + "/cut", srv.URL + "/good",
			}},
			Progress: func(name string, done, total int64) {
				last[name] = [2]int64{done, total}
			},
		}
		for range 2 { // the second time from the cache
			d, err := open(context.Background(), tc.name, opt, cat)
			if err != nil {
				t.Fatal(err)
			}
			if d.Train.Len() != tc.train || d.Test.Len() != tc.test {
				t.Errorf("%s: %d and %d images, want %d and %d", tc.name, d.Train.Len(), d.Test.Len(), tc.train, tc.test)
			}
			if n := served.Load(); n != tc.requests {
				t.Errorf("%s: %d files served, want %d", tc.name, n, tc.requests)
			}
		}
		if int64(len(last)) != tc.requests {
			t.Errorf("%s: progress of %v", tc.name, last)
		}
		for name, p := range last {
			if p[0] != p[1] || p[1] != int64(len(files[name])) {
				t.Errorf("%s: progress of %s ends at %v, want %d", tc.name, name, p, len(files[name]))
			}
		}
	}
}

func TestDownloadFails(t *testing.T) {
	cat, files := testCatalog(t)
	srv, _ := server(t, files)
	for _, tc := range []struct{ mirror, want string }{
		{"/missing", "404"},
		{"/bad", "SHA-256 is"},
		{"/long", "or more, want"},
		{"/short", "bytes or more, want"},
		{"/cut", "99999999 bytes, want"},
	} {
		cache := t.TempDir()
		_, err := open(context.Background(), "mnist", Options{Cache: cache, Mirrors: map[string][]string{"mnist": {srv.URL + tc.mirror}}}, cat)
		var nf *NotFoundError
		if !errors.As(err, &nf) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") ||
			!strings.Contains(err.Error(), "put train-images-idx3-ubyte.gz") {
			t.Errorf("%s: error %v, want one line with %q and advice", tc.mirror, err, tc.want)
		}
		left, err := os.ReadDir(filepath.Join(cache, "mnist"))
		if err != nil || len(left) != 0 {
			t.Errorf("%s: left %v (%v)", tc.mirror, left, err)
		}
	}
	// No server at all.
	srv.Close()
	_, err := open(context.Background(), "cifar10", Options{Dir: t.TempDir(), Cache: t.TempDir(), Mirrors: map[string][]string{"cifar10": {srv.URL + "/good"}}}, cat)
	if err == nil || !strings.Contains(err.Error(), "put "+cifarArchive+" into ") {
		t.Errorf("no server: error %v", err)
	}
}

func TestDownloadCancelled(t *testing.T) {
	cat, _ := testCatalog(t)
	started := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte{0x1f})
		w.(http.Flusher).Flush()
		close(started)
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-started
		cancel()
	}()
	cache := t.TempDir()
	_, err := open(ctx, "cifar10", Options{Cache: cache, Mirrors: map[string][]string{"cifar10": {srv.URL}}}, cat)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if left, _ := os.ReadDir(filepath.Join(cache, "cifar10")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
