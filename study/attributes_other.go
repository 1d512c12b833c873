//go:build !linux

package study

import "syscall"

// attributes of a run's process: a group of its own, or the terminal's Ctrl-C would come twice. Elsewhere than on Linux
// nothing ends a run whose study is killed; it goes on to its end, and the study then takes it over.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
