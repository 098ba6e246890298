package runtime

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// cgroupRoot is where control groups are found.
var cgroupRoot = "/sys/fs/cgroup"

// procCgroup lists the control groups of the process.
var procCgroup = "/proc/self/cgroup"

// systemBound returns the tightest memory limit of the control groups that the process is
// in, versions 1 and 2.
func systemBound() (memoryBound, bool) {
	list, err := os.ReadFile(procCgroup)
	if err != nil {
		return memoryBound{}, false
	}
	best, found := memoryBound{free: math.MaxInt64}, false
	for _, line := range strings.Split(string(list), "\n") {
		// hierarchy:controllers:path
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "/") {
			continue
		}
		dir, files := cgroupRoot, cgroup2
		switch {
		case f[0] == "0" && f[1] == "":
		case hasField(f[1], "memory"):
			dir, files = path.Join(cgroupRoot, "memory"), cgroup1
		default:
			continue
		}
		// In a container the path may lie outside of what is mounted; its own group is
		// then the root of the mount. Groups further up limit as well.
		for p := path.Clean(f[2]); ; p = path.Dir(p) {
			if b, ok := files.read(path.Join(dir, p)); ok && b.free < best.free {
				best, found = b, true
			}
			if p == "/" {
				break
			}
		}
	}
	return best, found
}

func hasField(list, name string) bool {
	for _, s := range strings.Split(list, ",") {
		if s == name {
			return true
		}
	}
	return false
}

// cgroupFiles names the files of one version of control groups.
type cgroupFiles struct{ max, used, idleCache string }

var (
	cgroup1 = cgroupFiles{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
	cgroup2 = cgroupFiles{"memory.max", "memory.current", "inactive_file"}
)

// unlimited is what version 1 shows, rounded to pages, where there is no limit.
const unlimited = math.MaxInt64 / 2

func (c cgroupFiles) read(dir string) (memoryBound, bool) {
	limit, ok := readInt(path.Join(dir, c.max))
	if !ok || limit >= unlimited {
		return memoryBound{}, false
	}
	used, ok := readInt(path.Join(dir, c.used))
	if !ok {
		return memoryBound{}, false
	}
	// Cached files that nobody uses give way.
	if stat, err := os.ReadFile(path.Join(dir, "memory.stat")); err == nil {
		for _, line := range strings.Split(string(stat), "\n") {
			if v, ok := strings.CutPrefix(line, c.idleCache+" "); ok {
				if n, err := strconv.ParseInt(v, 10, 64); err == nil {
					used -= min(n, used)
				}
			}
		}
	}
	return memoryBound{"cgroup " + c.max, limit, limit - used}, true
}

// readInt reads a file that holds one number; "max" is none.
func readInt(name string) (int64, bool) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}
