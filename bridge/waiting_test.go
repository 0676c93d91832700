package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
)

// overhear takes the place of a phone's transport; what it holds from now on is what the phone hears.
func overhear(c *Call) *wire {
	w := &wire{}
	synctest.Wait() // the beat reads it without a lock: elsewhere it never changes
	c.sink.mu.Lock()
	defer c.sink.mu.Unlock()
	c.sink.writer = w
	return w
}

func TestAPhoneOnHoldHearsThatTheLineLives(t *testing.T) {
	sounds := map[string]struct {
		make func() Voice
		freq float64
		want float64
	}{
		"chime":  {nil, 523.25, -40},
		"music":  {func() Voice { return media.Sine(700, media.NarrowbandHz, -20) }, 700, -20},
		"nobody": {func() Voice { return nil }, 523.25, -127},
	}
	for name, s := range sounds {
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, "", func(x *Exchange) { x.HoldSound = s.make })
			l, c := h.upTo("lobby")
			w := overhear(c)
			if err := c.Hold(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			held := decoded(t, w.all())
			if db := media.ToneLevel(held[:16000], 8000, s.freq); db < s.want-2 {
				t.Errorf("%s: %.0f Hz at %.1f dBov while on hold", name, s.freq, db)
			} else if s.want == -127 && media.Level(held) > -60 {
				t.Errorf("%s: %.1f dBov", name, media.Level(held))
			}
			if err := c.Hold(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			after := decoded(t, w.all())
			if db := media.Level(after[len(after)-7200:]); db > -60 {
				t.Errorf("%s: %.1f dBov after hold", name, db)
			}
			if step := worstStep(after); step > 2600 {
				t.Errorf("%s: a step of %d", name, step)
			}
			l.ended(LineEvent{Cause: CauseNormal})
			h.cdr(c)
			h.over()
		})
	}
}

func TestATransferredPhoneHearsTheFarSideRing(t *testing.T) {
	const plan = `
trunks:
  - {name: carrier, country: DE, addresses: [203.0.113.0/24], outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1"]}}
routes:
  - {name: out, from_room: true, to: "+1*", trunks: [carrier]}
`
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, plan)
		l, c := h.upTo("lobby")
		w := overhear(c)
		if err := c.Transfer(t.Context(), TransferRequest{To: "+12025550123"}); err != nil {
			t.Fatal(err)
		}
		leg := h.legs(1)[0]
		time.Sleep(time.Second)
		if db := media.Level(decoded(t, w.all())); db > -60 {
			t.Errorf("%.1f dBov before it rings", db)
		}
		before := len(decoded(t, w.all()))
		leg.happens(LineRinging)
		time.Sleep(2 * time.Second)
		ringing := decoded(t, w.all())[before:]
		if db := media.ToneLevel(ringing[800:7200], 8000, 425); db < -20 || db > -18 {
			t.Errorf("ringback at %.1f dBov, want -19", db)
		}
		leg.ended(LineEvent{Cause: CauseBusy, SIPCode: 486})
		before = len(decoded(t, w.all()))
		time.Sleep(4 * time.Second)
		busy := decoded(t, w.all())[before:]
		if db := media.Level(busy[:16000]); db < -40 {
			t.Errorf("busy tone at %.1f dBov", db)
		}
		if db := media.Level(busy[17600:]); db > -60 || c.Record().Room != "lobby" {
			t.Errorf("%.1f dBov in %s afterwards", db, c.Record().Room)
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
		h.over()
	})
}
