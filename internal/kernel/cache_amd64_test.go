//go:build !noasm && !gccgo

package kernel

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestL1Ways compares with what Linux says.
func TestL1Ways(t *testing.T) {
	for i := range 4 {
		dir := "/sys/devices/system/cpu/cpu0/cache/index" + strconv.Itoa(i) + "/"
		read := func(name string) string {
			b, err := os.ReadFile(dir + name)
			if err != nil {
				t.Skip(err)
			}
			return strings.TrimSpace(string(b))
		}
		if read("level") != "1" || read("type") == "Instruction" {
			continue
		}
		want, err := strconv.Atoi(read("ways_of_associativity"))
		if err != nil {
			t.Fatal(err)
		}
		if got := l1Ways(); got != max(want, leastWays) {
			t.Errorf("%d lines, Linux says %d", got, want)
		}
		return
	}
}
