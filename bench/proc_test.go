//go:build linux

package bench

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParseUDPErrors(t *testing.T) {
	snmp := "Tcp: a b\nTcp: 1 2\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 9 8 7 6 5 4\nUdpLite: x\n"
	if got := parseUDPErrors(snmp); got != 5 {
		t.Errorf("%d", got)
	}
}

func TestParseSwitches(t *testing.T) {
	status := "Name:\ta: b\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t4\n"
	if got := parseSwitches(status); got != (switches{voluntary: 17, forced: 4}) {
		t.Errorf("%+v", got)
	}
	if got := processSwitches(os.Getpid()); got.voluntary == 0 {
		t.Errorf("%+v of this process", got)
	}
}

func TestParseMachineStat(t *testing.T) {
	if got := parseMachineStat("cpu  100 20 30 9999 8888 4 5 41 777 888\ncpu0 1 2 3\n"); got != 2*time.Second {
		t.Errorf("%v", got)
	}
}

func TestProcessorTimeOfThisProcessGrows(t *testing.T) {
	runtime.LockOSThread() // threadCPU is of one thread
	defer runtime.UnlockOSThread()
	before, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := threadCPU(); threadCPU()-start < 50*time.Millisecond; {
	}
	after, err := processCPU(os.Getpid())
	if err != nil || after-before < 50*time.Millisecond {
		t.Errorf("%v, %v", after-before, err)
	}
	if rss, err := processRSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("%d bytes, %v", rss, err)
	}
}
