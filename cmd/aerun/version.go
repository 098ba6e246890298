package main

import "github.com/aekit/aekit/internal/cli"

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = ""

func versionLine() string { return cli.Version("aerun", version) }
