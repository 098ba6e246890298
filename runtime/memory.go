package runtime

import (
	"fmt"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strings"

	"github.com/aekit/aekit/internal/hugepage"
)

// memoryBound is one limit on the memory of the process.
type memoryBound struct {
	name  string // for example "GOMEMLIMIT"
	limit int64
	free  int64 // what of it may still be used
}

func (b memoryBound) String() string {
	return fmt.Sprintf("%s %d, of which %d free", b.name, b.limit, max(0, b.free))
}

// memoryCheckFrom is the size from which memory is checked before it is allocated: below
// it, reading the limits would take longer than the work.
const memoryCheckFrom = 1 << 20

// reserve reports as an error that matches ErrLimit that need bytes are more than the
// process may still use, by the memory.max of its control groups or by GOMEMLIMIT. what
// says what the bytes are for.
func reserve(need int, what string) error {
	if need < memoryCheckFrom {
		return nil
	}
	if fits(need, memoryBounds()) {
		return nil
	}
	debug.FreeOSMemory()
	bounds := memoryBounds()
	if fits(need, bounds) {
		return nil
	}
	return memoryError(need, what, bounds)
}

func fits(need int, bounds []memoryBound) bool {
	for _, b := range bounds {
		if int64(need) > b.free {
			return false
		}
	}
	return true
}

func memoryError(need int, what string, bounds []memoryBound) error {
	s := make([]string, len(bounds))
	for i, b := range bounds {
		s[i] = b.String()
	}
	return limitError{fmt.Errorf("limit exceeded: memory: %d bytes needed (%s), allowed %s", need, what, strings.Join(s, "; "))}
}

// memoryBounds returns the limits that are set: GOMEMLIMIT and those of the system.
func memoryBounds() []memoryBound {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	read := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64())
	}
	total, released, idle := read(0), read(1), read(2)
	var out []memoryBound
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		out = append(out, memoryBound{"GOMEMLIMIT", limit, limit - (total - released - idle) - hugepage.Outside()})
	}
	// What Go has taken from the system and does not use is there for the next allocation.
	if b, ok := systemBound(); ok {
		b.free += idle
		out = append(out, b)
	}
	return out
}
