//go:build long

package main

import (
	"bytes"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
)

// usage is what must come back to where it began.
type usage struct {
	heapMB      float64
	rssMB       float64
	goroutines  int
	descriptors int
}

func used(t *testing.T) (u usage) {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return usage{float64(m.HeapAlloc) / (1 << 20), residentMB(t), runtime.NumGoroutine(), len(open)}
}

// soak has SIPp place calls that carry speech.
func (h *house) soak(n, perSecond, lengthMS int) {
	h.t.Helper()
	local, err := freePort()
	if err != nil {
		h.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(local)
	startProgram(h.t, h.t.TempDir(), "sipp", h.ua.Addr().String(), "-sn", "uac", "-s", "lobby",
		"-m", strconv.Itoa(n), "-r", strconv.Itoa(perSecond), "-d", strconv.Itoa(lengthMS), "-i", "127.0.0.1", "-p", port,
		"-mi", "127.0.0.1", "-nostdin", "-timeout", "300").wait(h.t, 5*time.Minute)
}

// TestSoakCallsTurningOver has 1,200 calls come and go, 40 at once, and finds the
// gateway as it was.
func TestSoakCallsTurningOver(t *testing.T) {
	h := startHouse(t, "")
	h.soak(50, 20, 500)
	h.until("the first calls are gone", func() bool { return len(h.exchange.Calls()) == 0 })
	before := used(t)
	h.soak(1200, 20, 2000)
	h.until("all calls are gone", func() bool { return len(h.exchange.Calls()) == 0 && h.ports.InUse() == 0 && h.spool.Backlog() == 0 })
	var after usage
	eventually(t, "goroutines are where they were", 60*time.Second, func() bool {
		after = used(t)
		return after.goroutines <= before.goroutines+10
	})
	t.Logf("before %+v, after %+v", before, after)
	if after.descriptors > before.descriptors+4 || after.heapMB > before.heapMB+16 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	var answered int
	for path := "/v1/cdrs?limit=500"; path != ""; {
		var page struct {
			Items []bridge.CDR
			Next  string
		}
		h.ask("GET", path, nil, &page)
		for _, c := range page.Items {
			if c.Cause == bridge.CauseNormal && c.AnsweredAt != nil {
				answered++
			}
		}
		if path = ""; page.Next != "" {
			path = "/v1/cdrs?limit=500&cursor=" + page.Next
		}
	}
	if answered != 1250 {
		t.Errorf("%d of 1250 calls have a CDR of a call that went well", answered)
	}
}

// forget drops the log so far, which grows with every call.
func (l *logTail) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = bytes.Buffer{}
}
