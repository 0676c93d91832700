//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errLinux = errors.New("the bench reads /proc and runs on Linux only")

func processCPU(int) (time.Duration, error) { return 0, errLinux }
func processRSS(int) (int64, error)         { return 0, errLinux }
func processSwitches(int) switches          { return switches{} }
func udpErrors() int64                      { return 0 }
func selfCPU() time.Duration                { return 0 }
func machineCPU() time.Duration             { return 0 }

var started = time.Now()

// threadCPU has no portable clock: wall time will do.
func threadCPU() time.Duration { return time.Since(started) }
