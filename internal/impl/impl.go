// Package impl is a registry of alternative implementations, through which one test covers all of them.
//
// A package that chooses between implementations by bool variables registers each variable, best first. All then runs
// a test once per implementation, with the better ones switched off, and once with every one switched off.
//
// Environment variable AEKIT_REQUIRE is a comma-separated list of implementation names that must be available: All
// fails a missing one that it names, where it would skip the others.
package impl

import (
	"os"
	"slices"
	"strings"
	"sync"
)

type implementation struct {
	pkg, name string
	use       *bool
	available bool
}

var (
	mu  sync.Mutex
	all []implementation
)

// Generic is the name under which All runs a test with every registered implementation switched off.
const Generic = "generic"

// Register records that package pkg uses the implementation called name while *use is true. The value of *use at the
// time of the call says whether the implementation is available. Implementations of one package are registered best
// first. It is meant for package initialisation and is safe for concurrent use.
func Register(pkg, name string, use *bool) {
	mu.Lock()
	defer mu.Unlock()
	if name == Generic || name == "" {
		panic("impl: reserved implementation name " + name)
	}
	for _, im := range all {
		if im.pkg == pkg && im.name == name {
			panic("impl: " + pkg + " registers " + name + " twice")
		}
	}
	all = append(all, implementation{pkg, name, use, *use})
}

// List returns the names registered for pkg, best first.
func List(pkg string) []string {
	mu.Lock()
	defer mu.Unlock()
	var names []string
	for _, im := range all {
		if im.pkg == pkg {
			names = append(names, im.name)
		}
	}
	return names
}

// tester is the part of *testing.T and *testing.B that All needs; the registry is linked into programs, so it does not
// import testing.
type tester[T any] interface {
	Helper()
	Run(name string, f func(T)) bool
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// All runs f as a subtest under each implementation registered for pkg, with the better ones switched off, then under
// Generic with all of them off. An implementation that is not available is skipped, or fails if AEKIT_REQUIRE names
// it. All restores every implementation before it returns; f must not be parallel with tests of the same package.
func All[T tester[T]](t T, pkg string, f func(T)) {
	t.Helper()
	mu.Lock()
	var list []implementation
	for _, im := range all {
		if im.pkg == pkg {
			list = append(list, im)
		}
	}
	mu.Unlock()

	saved := make([]bool, len(list))
	for i, im := range list {
		saved[i] = *im.use
	}
	restore := func() {
		for i, im := range list {
			*im.use = saved[i]
		}
	}
	defer restore()
	required := strings.Split(strings.ToLower(os.Getenv("AEKIT_REQUIRE")), ",")
	for i, im := range list {
		t.Run(im.name, func(t T) {
			if !im.available {
				if slices.Contains(required, strings.ToLower(im.name)) {
					t.Fatalf("%s: implementation %s is not available but AEKIT_REQUIRE=%s demands it", pkg, im.name, os.Getenv("AEKIT_REQUIRE"))
				}
				t.Skipf("%s: implementation %s is not available here", pkg, im.name)
			}
			defer restore()
			for _, better := range list[:i] {
				*better.use = false
			}
			*im.use = true
			f(t)
		})
	}
	t.Run(Generic, func(t T) {
		defer restore()
		for _, im := range list {
			*im.use = false
		}
		f(t)
	})
}
