package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/amd"
)

// saysInto pushes sound into a call as its phone's packets, in its time.
func saysInto(t *testing.T, c *Call, pcm []int16) {
	t.Helper()
	v := &voice{t: t, src: c.source, sound: func(n int) int16 {
		if n < len(pcm) {
			return pcm[n]
		}
		return 0
	}}
	v.recode(media.PCMU, 160, 8000)
	v.say(lasting(len(pcm)))
}

// answerer is what a person, or a machine, says: 2.5 s of silence follow a hello, and a
// greeting of 4 s is followed by a beep of 400 ms.
func answerer(machine bool) []int16 {
	speech := recorded(8000)
	out := make([]int16, 1600)
	if !machine {
		return append(append(out, speech[:6400]...), make([]int16, 20000)...)
	}
	for len(out) < 32000 {
		out = append(out, speech...)
	}
	out = append(out[:32000], make([]int16, 4000)...)
	beep := make([]int16, 3200)
	media.Sine(1000, 8000, -15).Fill(beep)
	return append(append(out, beep...), make([]int16, 4000)...)
}

func TestWhoAnswersDecidesWhatBecomesOfACall(t *testing.T) {
	for _, tt := range []struct {
		machine bool
		then    string
		verdict amd.Verdict
		sent    time.Duration // after the answer, the agent at the latest; 0: never
		least   time.Duration
	}{
		{false, "", amd.Human, 2 * time.Second, 800 * time.Millisecond},
		{false, MachineWaitBeep, amd.Human, 2 * time.Second, 800 * time.Millisecond},
		{true, MachineContinue, amd.Machine, 2500 * time.Millisecond, 1500 * time.Millisecond},
		{true, MachineWaitBeep, amd.Machine, 5100 * time.Millisecond, 4900 * time.Millisecond},
		{true, MachineHangup, amd.Machine, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, agents := openAttended(t)
			l, c := h.placed(t, DialRequest{Agent: "bot", Machine: &MachineSpec{Then: tt.then}})
			time.Sleep(time.Second)
			if len(agents.sent()) > 0 {
				t.Fatal("an agent came before the answer")
			}
			l.happens(LineAnswered)
			synctest.Wait()
			answered := time.Now()
			var came time.Duration
			go func() {
				for came == 0 && time.Since(answered) < 8*time.Second {
					time.Sleep(10 * time.Millisecond)
					if len(agents.sent()) > 0 {
						came = time.Since(answered)
					}
				}
			}()
			saysInto(t, c, answerer(tt.machine))
			time.Sleep(9 * time.Second)
			synctest.Wait()
			if came > tt.sent || came < tt.least {
				t.Errorf("%v, %q: the agent was sent after %s", tt.machine, tt.then, came)
			}
			if came > 0 {
				if s := agents.latest(t, 1).spec; s.Parameters["answered_by"] != string(tt.verdict) || s.Withheld {
					t.Errorf("sent %+v", s)
				}
				c.Hangup(CauseNone, "")
			}
			if d := h.cdr(c); d.AnsweredBy != string(tt.verdict) || tt.sent == 0 && !strings.Contains(d.Reason, "machine") {
				t.Errorf("%v, %q: CDR %q, %s", tt.machine, tt.then, d.AnsweredBy, d.Reason)
			}
			h.over()
		})
	}
}

// Silence is told in time too, and a call into a room goes on meanwhile.
func TestSilenceIsToldOfAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := openAttended(t)
		l, c := h.placed(t, DialRequest{Room: "lobby", Machine: &MachineSpec{}})
		l.happens(LineAnswered)
		time.Sleep(2600 * time.Millisecond)
		synctest.Wait()
		if rec := c.Record(); rec.AnsweredBy != string(amd.Unknown) || rec.Room != "lobby" || rec.State != StateActive {
			t.Errorf("%+v", rec)
		}
		time.Sleep(50 * time.Second)
		c.Hangup(CauseNone, "")
		h.cdr(c)
		for _, bad := range []*MachineSpec{{Then: "wait"}, {Limit: time.Millisecond}} {
			if _, err := h.Exchange.Dial(t.Context(), DialRequest{To: "+12025550123", Machine: bad}); codeOf(err) != Invalid {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		h.over()
	})
}
