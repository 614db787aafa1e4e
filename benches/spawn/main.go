// Command spawn runs one program and says what it took: nanoseconds from spawn to reap, kilobytes of its maximum resident set, and
// its exit code. usage: spawn STDIN STDOUT PROGRAM [ARGUMENT…]
//
// It exists because a process inherits its parent's resident set until it executes: measured from Python, nothing is below 30 MB.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	in, err := os.Open(os.Args[1])
	check(err)
	out, err := os.Create(os.Args[2])
	check(err)
	start := time.Now()
	process, err := os.StartProcess(os.Args[3], os.Args[3:], &os.ProcAttr{Files: []*os.File{in, out, os.Stderr}})
	check(err)
	state, err := process.Wait()
	took := time.Since(start)
	check(err)
	usage := state.SysUsage().(*syscall.Rusage)
	fmt.Println(took.Nanoseconds(), usage.Maxrss, state.ExitCode())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
}
