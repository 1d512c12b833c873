package study

import "syscall"

// attributes of a run's process: a group of its own, or the terminal's Ctrl-C would come twice, and the system's word when
// this process is killed. That is of the thread which starts it, so the thread must stay.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
