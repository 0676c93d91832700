//go:build linux

package bench

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	got, err := parseStat("4711 (a (b) c) S 1 4711 4711 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 9 0 100 1 1")
	if err != nil || got != 3*time.Second {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "1 (a) S 1", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x y"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestParseUDPErrors(t *testing.T) {
	snmp := "Tcp: a b\nTcp: 1 2\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 9 8 7 6 5 4\nUdpLite: x\n"
	if got := parseUDPErrors(snmp); got != 5 {
		t.Errorf("%d", got)
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
	if err != nil || after-before < 20*time.Millisecond {
		t.Errorf("%v, %v", after-before, err)
	}
	if rss, err := processRSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("%d bytes, %v", rss, err)
	}
}
