package main

import (
	"math"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// steadyCall is a call in progress that must not notice what others do: a phone
// says 440 Hz, a guest in the room says 700 Hz, and each hears the other.
type steadyCall struct {
	h          *house
	id         string
	phone      *phone.Call
	guest      *guestIn
	from       [2]int // where the judged sound begins, phone's and guest's
	goroutines int
	files      int
	stall      atomic.Int64
}

const (
	phoneHz, phoneDB = 440, -20
	guestHz, guestDB = 700, -18
)

// steady sets a call up in a room of its own and waits until both sides hear
// each other.
func (h *house) steady() *steadyCall {
	h.t.Helper()
	s := &steadyCall{h: h}
	watchStalls(h.t, &s.stall)
	s.guest = h.enter("steady", "ann")
	s.guest.Speak(phone.Tone(guestHz, guestDB))
	s.phone = h.calls(softphone(h.t, phone.Config{}), "steady", phone.DialOptions{From: "+15550100"})
	s.phone.Speak(phone.Tone(phoneHz, phoneDB))
	hears(h.t, "the guest", s.guest.Heard, phoneHz, phoneDB)
	hears(h.t, "the phone", s.phone.Heard, guestHz, guestDB)
	s.from = [2]int{len(s.phone.Heard()), len(s.guest.Heard())}
	for _, c := range h.exchange.Calls() {
		if c.Room == "steady" {
			s.id = c.ID
		}
	}
	http.DefaultClient.CloseIdleConnections()
	s.goroutines, s.files = runtime.NumGoroutine(), openFiles(h.t)
	return s
}

// unharmed checks that nothing was heard of what happened since steady.
func (s *steadyCall) unharmed() {
	t := s.h.t
	t.Helper()
	began := time.Now()
	wanted := [2]int{s.from[0] + 2*media.NarrowbandHz, s.from[1] + 2*media.NarrowbandHz}
	eventually(t, "the call goes on", 20*time.Second, func() bool { // at least two seconds are judged
		return len(s.phone.Heard()) > wanted[0] && len(s.guest.Heard()) > wanted[1]
	})
	if rec := s.h.call(s.id); rec.State != bridge.StateActive {
		t.Errorf("the call is %s: %s", rec.State, rec.Reason)
	}
	s.steadyTone("the phone", s.phone.Heard()[s.from[0]:], guestHz, guestDB)
	s.steadyTone("the guest", s.guest.Heard()[s.from[1]:], phoneHz, phoneDB)
	for who, q := range map[string]media.Quality{
		"phone": s.phone.Report().Quality, "guest": s.guest.heard.Quality(),
	} {
		if q.PacketsLost != 0 || q.PacketsReceived < 50 {
			t.Errorf("the %s lost %d of %d packets", who, q.PacketsLost, q.PacketsReceived)
		}
	}
	if q := s.h.call(s.id).Quality; q == nil || q.PacketsLost != 0 {
		t.Errorf("the gateway's leg: %+v", q)
	}
	t.Logf("judged %v of sound, %v after", time.Duration(len(s.phone.Heard())-s.from[0])*time.Second/media.NarrowbandHz, time.Since(began))
}

// steadyTone checks every quarter second of a sound. Where this process itself
// was not run for a while (phone, gateway and guest are one here), and the
// gateway filled the time, a third may be missing; nothing else may differ.
func (s *steadyCall) steadyTone(who string, pcm []int16, freqHz, levelDB float64) {
	t := s.h.t
	t.Helper()
	const frame, window = media.FrameSamples, media.NarrowbandHz / 4
	filled := 0
	for at := 0; at+window <= len(pcm); at += window {
		missing := 0
		for i := at; i < at+window; i += frame {
			if math.Abs(media.Level(pcm[i:i+frame])-levelDB) > 3 {
				missing++
			}
		}
		if filled += missing; missing > 0 {
			continue
		}
		freq, level, ok := phone.FindTone(pcm[at : at+window])
		if !ok || math.Abs(freq-freqHz) > 2 || math.Abs(level-levelDB) > 1 {
			t.Errorf("%s: %v into the trouble: %.0f Hz at %.1f dBov (a tone: %v), want %.0f Hz at %.0f", who,
				time.Duration(at)*time.Second/media.NarrowbandHz, freq, level, ok, freqHz, levelDB)
			return
		}
	}
	stall := time.Duration(s.stall.Load())
	allowed := 0
	if stall > 50*time.Millisecond {
		allowed = len(pcm) / frame / 3
	}
	if filled > allowed {
		t.Errorf("%s: %d of %d frames are not the tone (this process stood still for %v at most)", who, filled, len(pcm)/frame, stall)
	}
}

// watchStalls notes how long this process stood still at most.
func watchStalls(t *testing.T, stall *atomic.Int64) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			now := time.Now()
			stall.Store(max(stall.Load(), int64(now.Sub(last))))
			last = now
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// grownBack checks that goroutines and file descriptors are what they were at steady.
func (s *steadyCall) grownBack() {
	s.h.t.Helper()
	var goroutines, files int
	defer func() {
		if goroutines > s.goroutines+3 || files > s.files+2 {
			buf := make([]byte, 1<<20)
			s.h.t.Logf("goroutines %d after %d, files %d after %d\n%.20000s", goroutines, s.goroutines, files, s.files, buf[:runtime.Stack(buf, true)])
		}
	}()
	eventually(s.h.t, "goroutines and files are as many as before", 20*time.Second, func() bool {
		http.DefaultClient.CloseIdleConnections()
		goroutines, files = runtime.NumGoroutine(), openFiles(s.h.t)
		return goroutines <= s.goroutines+3 && files <= s.files+2
	})
}

// openFiles counts this process's file descriptors; 0 where the system does not tell.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(list)
}
