package runtime

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// fakeCgroups writes control group files and points the package at them.
func fakeCgroups(t *testing.T, list string, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, s := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	proc := filepath.Join(dir, "proc")
	if err := os.WriteFile(proc, []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	oldRoot, oldProc := cgroupRoot, procCgroup
	cgroupRoot, procCgroup = dir, proc
	t.Cleanup(func() { cgroupRoot, procCgroup = oldRoot, oldProc })
}

func TestSystemBound(t *testing.T) {
	tests := []struct {
		name, list string
		files      map[string]string
		want       string
	}{
		{"none", "", nil, ""},
		{"version 2 without limit", "0::/\n", map[string]string{"memory.max": "max\n", "memory.current": "5\n"}, ""},
		{"version 2", "0::/a\n", map[string]string{"a/memory.max": "1000\n", "a/memory.current": "300\n"}, "cgroup memory.max 1000, of which 700 free"},
		{"cached files give way", "0::/a\n", map[string]string{
			"a/memory.max": "1000\n", "a/memory.current": "300\n", "a/memory.stat": "anon 100\ninactive_file 150\n",
		}, "cgroup memory.max 1000, of which 850 free"},
		{"a group further up is tighter", "0::/a/b\n", map[string]string{
			"a/b/memory.max": "1000\n", "a/b/memory.current": "300\n", "a/memory.max": "2000\n", "a/memory.current": "1900\n",
		}, "cgroup memory.max 2000, of which 100 free"},
		{"a container that sees only its own root", "0::/host/path\n", map[string]string{
			"memory.max": "1000\n", "memory.current": "300\n",
		}, "cgroup memory.max 1000, of which 700 free"},
		{"version 1", "4:cpu,memory:/a\n0::/\n", map[string]string{
			"memory/a/memory.limit_in_bytes": "1000\n", "memory/a/memory.usage_in_bytes": "1200\n",
			"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "5\n",
		}, "cgroup memory.limit_in_bytes 1000, of which 0 free"},
		{"nonsense", "4:memory\nx\n\n::\n", map[string]string{"memory.max": "-\n"}, ""},
	}
	for _, c := range tests {
		fakeCgroups(t, c.list, c.files)
		b, ok := systemBound()
		got := ""
		if ok {
			got = b.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// bigLayer returns a model of one layer with n×n weights.
func bigLayer(t *testing.T, n int) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(17)
	x := b.Input("x", tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(int64(n)))
	w := b.Initializer("w", tensor.Must(tensor.New(tensor.Float32, n, n)))
	h := b.Op("Gemm", "h", []string{x, w})
	b.Output(b.Op("Gemm", "y", []string{h, w}), tensor.Float32, onnx.NamedDim("batch"), onnx.FixedDim(int64(n)))
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// faultsHaveAddresses reports whether a read beyond the end of a mapped file says where it was. Under
// some emulators it does not, and the file cannot be told to be the cause.
func faultsHaveAddresses(t *testing.T) (ok bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fault")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := mapFile(path, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	defer file.enter()()
	defer func() {
		f, is := recover().(interface{ Addr() uintptr })
		ok = is && file.covers(f.Addr())
	}()
	sum := 0
	for i := range file.data {
		sum += int(file.data[i])
	}
	t.Fatalf("a file of no bytes was read: sum %d", sum)
	return false
}

// TestFileTruncatedWhilePacking cuts the file short after it has been decoded: the threads that
// pack its weights run into the end, which is an error. Where processors want values aligned that
// are not, decoding has copied the weights, and the session is made of the copy.
func TestFileTruncatedWhilePacking(t *testing.T) {
	if !faultsHaveAddresses(t) {
		t.Skip("faults have no addresses here")
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	for range 5 {
		if err := onnx.WriteFile(path, bigLayer(t, 1024)); err != nil {
			t.Fatal(err)
		}
		file, err := mapFile(path, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Decode(file.data, onnx.DecodeOptions{Unaligned: true})
		if err != nil {
			t.Fatal(err)
		}
		mapped := file.holds(m.Graph.Initializers[0].Value.Bytes())
		if err := os.Truncate(path, 1<<16); err != nil {
			t.Fatal(err)
		}
		sh := &shared{file: file}
		_, err = newSession(m, Options{Threads: 3}, sh)
		sh.drop()
		want := errFileChanged
		if !mapped {
			want = nil
		}
		if !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
}

// TestMemoryIsCheckedBeforehand: a model whose weights do not fit is refused before they are
// packed, and a batch whose activations do not fit before they are allocated; the error
// names both limits. Before, with room enough, both work.
func TestMemoryIsCheckedBeforehand(t *testing.T) {
	const n = 1024 // 4 MiB of weights
	m := bigLayer(t, n)
	old := debug.SetMemoryLimit(math.MaxInt64 - 1)
	defer debug.SetMemoryLimit(old)
	group := func(free int64) {
		fakeCgroups(t, "0::/\n", map[string]string{"memory.max": fmt.Sprint(1<<40 + free), "memory.current": fmt.Sprint(int64(1 << 40))})
	}
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrLimit) {
			t.Fatalf("%s: %v, want ErrLimit", what, err)
		}
		for _, part := range []string{"cgroup memory.max", "GOMEMLIMIT", "packed weights", "activations"} {
			if what == "weights" && !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", what, err, part)
			}
		}
	}
	// What Go keeps for itself counts as free: the limits are put far below it.
	group(-1 << 35)
	_, err := New(m, Options{})
	check("weights", err)

	group(1 << 30)
	s, err := New(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := tensor.Must(tensor.New(tensor.Float32, 300, n))
	group(-1 << 35)
	_, err = s.Run(t.Context(), map[string]*tensor.Tensor{"x": x})
	check("activations", err)
	group(1 << 30)
	if _, err = s.Run(t.Context(), map[string]*tensor.Tensor{"x": x}); err != nil {
		t.Error(err)
	}
}

func TestGoMemoryLimit(t *testing.T) {
	fakeCgroups(t, "", nil)
	old := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(1 << 20)
	err := reserve(2<<20, "test")
	debug.SetMemoryLimit(old)
	if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "GOMEMLIMIT 1048576, of which 0 free") {
		t.Errorf("%v, want ErrLimit that names GOMEMLIMIT", err)
	}
	if err := reserve(memoryCheckFrom-1, "test"); err != nil {
		t.Errorf("a small need: %v", err)
	}
}
