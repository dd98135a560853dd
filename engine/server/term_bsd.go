//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package server

import "golang.org/x/sys/unix"

const ioctlReadTermios = unix.TIOCGETA
