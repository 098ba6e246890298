//go:build linux && !amd64

package parallel

import "syscall"

const sysGetcpu = syscall.SYS_GETCPU
