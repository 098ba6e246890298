package op

import "testing"

// TestLeftOut holds the names of what the tag aekit_core leaves out against the table.
func TestLeftOut(t *testing.T) {
	if !Complete {
		t.Skip("built with the tag aekit_core")
	}
	more := map[Key]bool{}
	for _, r := range moreTable {
		more[r.Key] = true
	}
	if len(more) == 0 {
		t.Fatal("no operators beside the core")
	}
	for k := range Core {
		if moreNamed(k.Domain, k.Type) != more[k] {
			t.Errorf("%q of domain %q: listed %v, in the table %v", k.Type, k.Domain, moreNamed(k.Domain, k.Type), more[k])
		}
		if LeftOut(k.Domain, k.Type) {
			t.Errorf("%q of domain %q is said to be left out of a complete program", k.Type, k.Domain)
		}
	}
}
