package archtest

import (
	"slices"
	"strings"
	"testing"
)

// runtimeImports are the packages outside this module that package runtime and what it
// reaches import themselves. Each adds to every program on a device: encoding/json, log/slog,
// crypto, the image formats and the protobuf module were there once, at 0.1 to 0.3 MB each. Of image
// and image/color the types are used, and the linker leaves out what a program does not call.
var runtimeImports = strings.Fields(`
	std/bufio std/bytes std/cmp std/context std/encoding/binary std/errors std/fmt std/image std/image/color
	std/io std/io/fs std/maps
	std/math std/math/bits std/math/cmplx std/math/rand/v2 std/os std/path std/path/filepath std/runtime
	std/runtime/debug std/runtime/metrics std/slices std/sort std/strconv std/strings std/sync std/sync/atomic
	std/syscall std/time std/unicode/utf8 std/unsafe
	golang.org/x/sys/cpu`)

// TestRuntimeImportList holds package runtime to its list, over all build constraints.
func TestRuntimeImportList(t *testing.T) {
	all := scan(t)
	queue, seen := []string{"runtime"}, map[string]bool{"runtime": true}
	for len(queue) > 0 {
		pkg := queue[0]
		queue = queue[1:]
		if _, ours := all[pkg]; !ours {
			t.Fatalf("package %q is not in the module", pkg)
		}
		for _, im := range all[pkg] {
			p := short(im.path)
			if im.test || seen[p] {
				continue
			}
			seen[p] = true
			switch {
			case strings.HasPrefix(im.path, module+"/"):
				queue = append(queue, p)
			case !slices.Contains(runtimeImports, p):
				t.Errorf("%s imports %s, which is not on the list of package runtime", im.file, p)
			}
		}
	}
	if !seen["internal/kernel"] || !seen["std/fmt"] {
		t.Errorf("the imports of package runtime were not followed: %v", seen)
	}
}
