package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// processCPU returns the processor time of a process, with its threads that
// have ended: clock_getcpuclockid(3), which counts nanoseconds where /proc counts ticks.
func processCPU(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED of the kernel
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("read the processor time of the child: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// processRSS returns the resident memory of a process in bytes.
func processRSS(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of the child: %w", err)
	}
	fields := bytes.Fields(raw)
	if len(fields) < 2 {
		return 0, fmt.Errorf("unexpected /proc statm line %q", raw)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// processSwitches adds up the threads that a process has now.
func processSwitches(pid int) (all switches) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, file := range threads {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		s := parseSwitches(string(raw))
		all.voluntary += s.voluntary
		all.forced += s.forced
	}
	return all
}

// parseSwitches reads two lines of proc(5)'s status.
func parseSwitches(status string) (s switches) {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		switch name {
		case "voluntary_ctxt_switches":
			s.voluntary = n
		case "nonvoluntary_ctxt_switches":
			s.forced = n
		}
	}
	return s
}

// udpErrors counts datagrams that the kernel had to drop, on the whole machine.
func udpErrors() int64 {
	raw, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0
	}
	return parseUDPErrors(string(raw))
}

// parseUDPErrors reads RcvbufErrors, whose column the first Udp: line names.
func parseUDPErrors(snmp string) int64 {
	var names []string
	for line := range strings.Lines(snmp) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] != "Udp:":
		case names == nil:
			names = fields
		default:
			for i, name := range names {
				if name == "RcvbufErrors" && i < len(fields) {
					n, _ := strconv.ParseInt(fields[i], 10, 64)
					return n
				}
			}
		}
	}
	return 0
}

// threadCPU is the processor time of the calling thread.
func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// selfCPU is the processor time of this process.
func selfCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// machineCPU is the processor time that all programs together have used.
func machineCPU() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	return parseMachineStat(string(raw))
}

// parseMachineStat adds up the first line of proc(5)'s /proc/stat without the
// fields for idling and for guests, who are in user time already.
func parseMachineStat(stat string) time.Duration {
	line, _, _ := strings.Cut(stat, "\n")
	var ticks int64
	for i, field := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // "cpu", idle, iowait, guests
			continue
		}
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}
