package bridge

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media/rtp"
)

const pinPlan = `
routes:
  - {name: board, to: board, room: board, pin: "4711"}
`

// dialIn brings a call up to its PIN.
func (h *house) dialIn() (*fakeLine, *Call) {
	h.t.Helper()
	l, c := h.invite("board")
	<-l.answered
	l.happens(LineAnswered)
	synctest.Wait()
	return l, c
}

// key presses keys on a phone: by RTP, or by SIP INFO.
func key(l *fakeLine, c *Call, info bool, keys string) {
	for _, k := range keys {
		if d := (rtp.Digit{Key: k, Duration: 100 * time.Millisecond}); info {
			l.events <- LineEvent{Kind: LineDigit, Digit: d}
		} else {
			c.pressed(d, byEvent)
		}
		synctest.Wait()
	}
}

func TestPINLetsIntoTheRoom(t *testing.T) {
	for _, c := range []struct {
		keys string
		info bool
		in   bool
	}{
		{"4711", false, true}, {"4711", true, true}, {"47*4711", false, true}, {"4712" + "4711", false, true},
		{"47#" + "1#" + "4711", true, true}, {"4712" + "0000" + "1111", false, false}, {"471", false, false},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := openQuiet(t, pinPlan)
				sub := h.Subscribe("")
				defer sub.Close()
				inside, d := h.upTo("other")
				if err := d.Transfer(t.Context(), TransferRequest{Room: "board"}); err != nil {
					t.Fatal(err)
				}
				l, call := h.dialIn()
				if n := len(d.seat.Record().Hears); n != 0 {
					t.Errorf("the room hears %d before the PIN", n)
				}
				key(l, call, c.info, c.keys)
				if in := len(d.seat.Record().Hears) == 1; in != c.in {
					t.Errorf("in the room: %v, want %v", in, c.in)
				}
				if c.in {
					l.ended(LineEvent{Cause: CauseNormal})
				} else {
					time.Sleep(time.Minute)
					if r := h.cdr(call); r.Cause != CauseRejected || r.AnsweredAt == nil || r.Room == "board" {
						t.Errorf("CDR %+v", r)
					}
				}
				h.cdr(call)
				inside.ended(LineEvent{Cause: CauseNormal})
				h.cdr(d)
				sub.Close()
				for e := range sub.Events {
					if e.Type == "dtmf.received" || strings.Contains(fmt.Sprint(e.Data), "4711") {
						t.Errorf("the PIN was told: %s", e.Type)
					}
				}
			})
		})
	}
}

func TestPINGuessesAreSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, pinPlan)
		begin, tries := time.Now(), 0
		for range 10 { // calls of one number, each with three tries
			l, c := h.dialIn()
			for range 3 {
				if c.Record().State == StateEnded {
					break
				}
				key(l, c, false, "0000")
				tries++
				for c.Record().State != StateEnded && h.guesses.of("+15550100") < tries {
					time.Sleep(time.Second)
				}
			}
			h.cdr(c)
		}
		if took := time.Since(begin); took < time.Duration(h.guesses.of("+15550100"))*3*time.Second {
			t.Errorf("%d of %d guesses were judged within %v", h.guesses.of("+15550100"), tries, took)
		}
		l, c := h.take(Invite{Source: loopback, From: "+15550199", To: "board"})
		<-l.answered
		l.happens(LineAnswered)
		synctest.Wait()
		key(l, c, false, "4711")
		if c.Record().Room != "board" {
			t.Error("another number has to wait, too")
		}
		l.ended(LineEvent{Cause: CauseNormal})
		h.cdr(c)
	})
}

// of counts the wrong PINs of a number.
func (g *guesses) of(from string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.by[guesser{"", from}]; a != nil {
		return a.wrong
	}
	return 0
}

func TestGuessersAreBounded(t *testing.T) {
	var g guesses
	now := time.Now()
	for i := range 3 * mostGuessers {
		g.wrong(guesser{"carrier", fmt.Sprint(i)}, now.Add(time.Duration(i)))
	}
	if len(g.by) != mostGuessers {
		t.Errorf("%d are remembered", len(g.by))
	}
	last := guesser{"carrier", fmt.Sprint(3*mostGuessers - 1)}
	if g.by[last] == nil {
		t.Error("the last one is forgotten")
	}
	g.right(last)
	if g.by[last] != nil {
		t.Error("who knows the PIN is remembered")
	}
}
