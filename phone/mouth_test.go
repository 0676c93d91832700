package phone

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// tape is a wire that keeps what was written and when.
type tape struct {
	mu      sync.Mutex
	params  rtp.Params
	packets []media.Packet
	at      []time.Time
}

func (w *tape) Params() rtp.Params {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.params
}

func (w *tape) WritePacket(p *media.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := *p
	kept.Payload = append([]byte(nil), p.Payload...)
	w.packets, w.at = append(w.packets, kept), append(w.at, time.Now())
	return nil
}

func (w *tape) change(f func(*rtp.Params)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.params)
}

func agreed() rtp.Params {
	return rtp.Params{Codec: media.PCMU, Ptime: 20 * time.Millisecond, Send: true, Receive: true, EventsAgreed: true, EventPayloadType: 101}
}

// speaking runs act while a mouth speaks, in simulated time, and returns what
// was written.
func speaking(t *testing.T, ptime time.Duration, act func(*Mouth, *tape)) *tape {
	w := &tape{params: agreed()}
	synctest.Test(t, func(t *testing.T) {
		m := newMouth(ptime)
		m.session, m.keep = w, 1<<20
		m.sequence, m.timestamp = 65530, 0xFFFFFF00 // both wrap on the way
		quiet := make(chan struct{})
		ended := make(chan error, 1)
		go func() { ended <- m.Run(quiet) }()
		act(m, w)
		close(quiet)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestMouthKeepsItsDeadlines(t *testing.T) {
	for _, ptime := range []time.Duration{10, 20, 30, 60} {
		ptime *= time.Millisecond
		w := speaking(t, ptime, func(m *Mouth, w *tape) {
			m.Speak(Tone(440, -20))
			time.Sleep(60*ptime + ptime/2)
		})
		if len(w.packets) != 61 {
			t.Fatalf("%s: %d packets, want 61", ptime, len(w.packets))
		}
		for i, p := range w.packets {
			if off := w.at[i].Sub(w.at[0]) - time.Duration(i)*ptime; off != 0 {
				t.Fatalf("%s: packet %d is off by %s", ptime, i, off)
			}
			if p.SequenceNumber != 65530+uint16(i) || p.Timestamp != 0xFFFFFF00+uint32(i*samplesIn(ptime)) ||
				p.Marker != (i == 0) || len(p.Payload) != samplesIn(ptime) {
				t.Fatalf("%s: packet %d: %d bytes, number %d, time %d, marker %v", ptime, i, len(p.Payload), p.SequenceNumber, p.Timestamp, p.Marker)
			}
		}
	}
}

func TestMouthStopsWhileItMayNotSend(t *testing.T) {
	w := speaking(t, 0, func(m *Mouth, w *tape) {
		time.Sleep(95 * time.Millisecond) // 5 packets
		m.hold(true)
		time.Sleep(200 * time.Millisecond)
		m.hold(false)
		time.Sleep(100 * time.Millisecond) // 5 packets
		w.change(func(p *rtp.Params) { p.Send = false })
		time.Sleep(100 * time.Millisecond)
		w.change(func(p *rtp.Params) { p.Send, p.Codec = true, media.PCMA })
		time.Sleep(100 * time.Millisecond) // 5 packets
	})
	if len(w.packets) != 15 {
		t.Fatalf("%d packets, want 15", len(w.packets))
	}
	for i, p := range w.packets {
		if p.SequenceNumber != 65530+uint16(i) {
			t.Fatalf("packet %d has number %d", i, p.SequenceNumber)
		}
		if elapsed := uint32(samplesIn(w.at[i].Sub(w.at[0]))); p.Timestamp-w.packets[0].Timestamp != elapsed {
			t.Errorf("packet %d: timestamp %d after %d samples of time", i, p.Timestamp-w.packets[0].Timestamp, elapsed)
		}
		if p.Marker != (i%5 == 0) || (p.Codec == media.PCMA) != (i >= 10) {
			t.Errorf("packet %d: marker %v, %s", i, p.Marker, p.Codec)
		}
	}
}

func TestMouthPressesKeys(t *testing.T) {
	var took time.Duration
	w := speaking(t, 0, func(m *Mouth, w *tape) {
		m.Speak(Tone(440, -20))
		begun := time.Now()
		done, err := m.press("1,#")
		if err != nil {
			t.Error(err)
		}
		<-done
		took = time.Since(begun)
		time.Sleep(100 * time.Millisecond)
	})
	var keys []uint32
	for i, p := range w.packets {
		if p.SequenceNumber != 65530+uint16(i) {
			t.Fatalf("packet %d has number %d", i, p.SequenceNumber)
		}
		if p.Codec == media.TelephoneEvent && p.Marker {
			keys = append(keys, p.Timestamp)
		} else if p.Codec == media.PCMU {
			if elapsed := uint32(samplesIn(w.at[i].Sub(w.at[0]))); p.Timestamp-w.packets[0].Timestamp != elapsed {
				t.Fatalf("packet %d has left its time", i)
			}
		}
	}
	if len(keys) != 2 {
		t.Fatalf("%d keys, want 2", len(keys))
	}
	if apart := timeOf(int(keys[1] - keys[0])); apart < 700*time.Millisecond || apart > 900*time.Millisecond {
		t.Errorf("the comma makes %s between two keys", apart)
	}
	if took < 800*time.Millisecond || took > 1200*time.Millisecond {
		t.Errorf("press took %s", took)
	}
}

func TestMouthForgetsKeys(t *testing.T) {
	w := speaking(t, 0, func(m *Mouth, w *tape) {
		done, err := m.press(strings.Repeat("1", 50))
		if err != nil {
			t.Error(err)
		}
		time.Sleep(300 * time.Millisecond)
		m.unpress()
		<-done
	})
	keys := 0
	for _, p := range w.packets {
		if p.Codec == media.TelephoneEvent && p.Marker {
			keys++
		}
	}
	if keys < 1 || keys > 3 {
		t.Errorf("%d keys in 300 ms", keys)
	}
}
