package impl

import (
	"fmt"
	"slices"
	"testing"
)

func TestAll(t *testing.T) {
	best, second, missing, last := true, true, false, true
	Register("p", "best", &best)
	Register("p", "second", &second)
	Register("p", "missing", &missing)
	Register("p", "last", &last)
	other := true
	Register("q", "other", &other)

	var seen []string
	All(t, "p", func(t *testing.T) {
		seen = append(seen, fmt.Sprint(best, second, missing, last, other))
		best = true // a test that disturbs the switches must not leak into the next one
	})
	want := []string{
		"true true false true true",
		"false true false true true",
		"false false false true true",
		"false false false false true",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("All ran f with (best second missing last other)\n%q, want\n%q", seen, want)
	}
	if !best || !second || missing || !last || !other {
		t.Errorf("All left best=%v second=%v missing=%v last=%v other=%v", best, second, missing, last, other)
	}
	if got := List("p"); !slices.Equal(got, []string{"best", "second", "missing", "last"}) {
		t.Errorf("List(p) = %q", got)
	}
}

// probe stands in for *testing.T, so that a failing subtest can be observed.
type probe struct{ log *[]string }

func (p probe) Helper() {}
func (p probe) Run(name string, f func(probe)) bool {
	defer func() {
		if r := recover(); r != nil {
			*p.log = append(*p.log, fmt.Sprint(name, ":", r))
		}
	}()
	f(p)
	return true
}
func (p probe) Skipf(string, ...any)  { panic("skip") }
func (p probe) Fatalf(string, ...any) { panic("fatal") }

func TestRequire(t *testing.T) {
	no := false
	Register("r", "absent", &no)
	for _, tt := range []struct{ env, want string }{{"", "absent:skip"}, {"x,ABSENT", "absent:fatal"}} {
		t.Setenv("AEKIT_REQUIRE", tt.env)
		var log []string
		All(probe{&log}, "r", func(probe) {})
		if !slices.Equal(log, []string{tt.want}) {
			t.Errorf("AEKIT_REQUIRE=%q: %q, want %q", tt.env, log, tt.want)
		}
	}
}
