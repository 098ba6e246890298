package main

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = ""

// versionLine names the version, the Go release and the platform.
func versionLine() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && (v == "" || v == "(devel)") && len(s.Value) >= 12 {
				v = s.Value[:12]
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("aerun %s %s %s/%s", v, goruntime.Version(), goruntime.GOOS, goruntime.GOARCH)
}
