//go:build linux

// Command guest is the first process of the emulated machine. It runs
// /payload/binary with the arguments and environment found beside it, sends
// what that process prints to the second serial port, its exit status to the
// first, and switches the machine off.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

func main() {
	status := 125
	if err := prepare(); err != nil {
		report(status, err)
	} else {
		status, err = payload()
		report(status, err)
	}
	syscall.Sync()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// prepare mounts the file systems that a Go test binary expects to find.
func prepare() error {
	mounts := []struct{ source, target, kind string }{
		{"devtmpfs", "/dev", "devtmpfs"},
		{"proc", "/proc", "proc"},
		{"sysfs", "/sys", "sysfs"},
		{"tmpfs", "/tmp", "tmpfs"},
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(m.source, m.target, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

// payload runs the process and returns its exit status as a shell would give
// it: 128 plus the signal's number when a signal ended it.
func payload() (int, error) {
	port, err := serial("/dev/ttyS1")
	if err != nil {
		return 125, err
	}
	args, err := strings0("/payload/args")
	if err != nil {
		return 125, err
	}
	env, err := strings0("/payload/env")
	if err != nil {
		return 125, err
	}
	cmd := exec.Command("/payload/binary", args...)
	cmd.Dir = "/payload/dir"
	cmd.Env = append([]string{"HOME=/tmp", "TMPDIR=/tmp", "PATH=/"}, env...)
	cmd.Stdout, cmd.Stderr = port, port
	err = cmd.Run()
	drain(port)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws := exit.Sys().(syscall.WaitStatus); ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 126, err
	}
	return 0, nil
}

func strings0(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	var s []string
	for _, f := range bytes.Split(bytes.TrimSuffix(b, []byte{0}), []byte{0}) {
		s = append(s, string(f))
	}
	return s, nil
}

func report(status int, err error) {
	port, openErr := serial("/dev/ttyS0")
	if openErr != nil {
		return
	}
	if err != nil {
		fmt.Fprintf(port, "guest: %v\n", err)
	}
	fmt.Fprintf(port, "\nguest: exit %d\n", status)
	drain(port)
}

// serial opens a serial port with output processing off, so that a newline
// stays one byte.
func serial(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	var t syscall.Termios
	if err := ioctl(f, syscall.TCGETS, uintptr(unsafe.Pointer(&t))); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	if err := ioctl(f, syscall.TCSETS, uintptr(unsafe.Pointer(&t))); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// drain waits until the port has sent everything (tcdrain).
func drain(f *os.File) {
	const tcsbrk = 0x5409
	ioctl(f, tcsbrk, 1)
}

func ioctl(f *os.File, request, arg uintptr) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, arg); e != 0 {
		return e
	}
	return nil
}
