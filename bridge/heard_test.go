package bridge

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
)

// talker is a participant of a room that speaks a tone of its own and listens.
type talker struct {
	*Participant
	name  string
	hz    float64
	wire  *wire
	voice *voice
}

// fullRoom has a caller, a dispatcher, a supervisor and a co-pilot in it.
func fullRoom(t *testing.T, r *Room) map[string]*talker {
	t.Helper()
	ears := map[string]*talker{}
	for i, s := range []JoinSpec{
		{Identity: "caller", Kind: KindPhone, Role: RoleGuest, CallID: "call_1"}, {Identity: "dispatcher", Kind: KindBrowser, Role: RoleDispatcher},
		{Identity: "supervisor", Kind: KindBrowser, Role: RoleSupervisor}, {Identity: "copilot", Kind: KindAgent, Role: RoleAgent, HeardBy: HeardByHumans},
	} {
		p, err := r.Join(s)
		if err != nil {
			t.Fatal(err)
		}
		e := &talker{Participant: p, name: s.Identity, hz: 440 + 350*float64(i), wire: &wire{}}
		p.Listen(e.wire, media.PCMU, 20*time.Millisecond)
		e.voice = newVoice(t, p, media.PCMU, e.hz, 160)
		ears[e.name] = e
	}
	return ears
}

// talk lets all speak at once, and returns who is heard by whom, by their tones.
func talk(t *testing.T, ears map[string]*talker) (heard map[string][]string) {
	t.Helper()
	var all sync.WaitGroup
	before := map[string]int{}
	for name, e := range ears {
		before[name] = len(e.wire.all())
		all.Go(func() { e.voice.say(600 * time.Millisecond) })
	}
	all.Wait()
	heard = map[string][]string{}
	for listener, e := range ears {
		pcm := decoded(t, e.wire.all()[before[listener]:])
		for speaker, s := range ears {
			switch db := toneDB(pcm[len(pcm)/2:], s.hz); { // the first moments may be of another mode
			case db > voiceDB-6:
				heard[speaker] = append(heard[speaker], listener)
			case db > voiceDB-30:
				t.Errorf("%s hears %s at %.0f dB, half", listener, speaker, db)
			}
		}
	}
	for _, listeners := range heard {
		slices.Sort(listeners)
	}
	return heard
}

// TestSupervisorsAndCoPilotsByTone judges by what is on everybody's wire.
func TestSupervisorsAndCoPilotsByTone(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		ears := fullRoom(t, r)
		dispatcher, supervisor, copilot := ears["dispatcher"], ears["supervisor"], ears["copilot"]
		all := map[string][]string{
			"caller": {"copilot", "dispatcher", "supervisor"}, "dispatcher": {"caller", "copilot", "supervisor"}, "copilot": {"dispatcher", "supervisor"},
		}
		for _, c := range []struct {
			name string
			do   func() error
			who  string // whose listeners change
			by   []string
		}{
			{"listen", func() error { return nil }, "supervisor", nil},
			{"whisper", func() error { return supervisor.SetHeardBy(dispatcher.ID()) }, "supervisor", []string{"dispatcher"}},
			{"barge", func() error { return supervisor.SetHeardBy(HeardByAll) }, "supervisor", []string{"caller", "copilot", "dispatcher"}},
			{"listen again", func() error { return supervisor.SetHeardBy(HeardByNobody) }, "supervisor", nil},
			{"the agent speaks to all", func() error { return copilot.SetHeardBy(HeardByAll) }, "copilot", []string{"caller", "dispatcher", "supervisor"}},
			{"the agent is muted", func() error { copilot.Mute(true); return nil }, "copilot", nil},
		} {
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			all[c.who] = c.by
			time.Sleep(200 * time.Millisecond)
			heard := talk(t, ears)
			for name, e := range ears {
				if !slices.Equal(heard[name], all[name]) {
					t.Errorf("%s: %s is heard by %q, want %q", c.name, name, heard[name], all[name])
				}
				var listed []string
				x.mu.Lock()
				for _, h := range e.reach.hearers {
					listed = append(listed, h.Identity)
				}
				x.mu.Unlock()
				if slices.Sort(listed); !slices.Equal(listed, heard[name]) {
					t.Errorf("%s: %s is kept as heard by %q, and is by %q", c.name, name, listed, heard[name])
				}
			}
		}
	})
}

func TestOnlySomeRolesChooseTheirListeners(t *testing.T) {
	for _, c := range []struct {
		role Role
		whom string
		ok   bool
	}{
		{RoleSupervisor, HeardByNobody, true}, {RoleSupervisor, "p_1", true}, {RoleSupervisor, HeardByAll, true}, {RoleSupervisor, HeardByHumans, false},
		{RoleAgent, HeardByHumans, true}, {RoleAgent, HeardByNobody, true}, {RoleAgent, "p_1", false}, {RoleAgent, "", false},
		{RoleDispatcher, HeardByAll, true}, {RoleDispatcher, HeardByNobody, false}, {RoleGuest, "p_1", false}, {RoleCaller, HeardByHumans, false},
	} {
		if err := c.role.mayBeHeardBy(c.whom); (err == nil) != c.ok {
			t.Errorf("a %s heard by %q: %v", c.role, c.whom, err)
		}
	}
}

func TestACallKeepsWhoHeardWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, "")
		_, c := h.from(loopback, "lobby")
		r, _ := h.Room("lobby")
		sub := h.Subscribe("")
		defer sub.Close()
		time.Sleep(time.Second)
		dispatcher, _ := r.Join(JoinSpec{Identity: "ann", Kind: KindBrowser, Role: RoleDispatcher})
		dispatcher.Publish(TrackSpec{ID: "mic", Codec: media.Opus})
		supervisor, _ := r.Join(JoinSpec{Identity: "sue", Kind: KindBrowser, Role: RoleSupervisor})
		supervisor.Publish(TrackSpec{ID: "mic", Codec: media.Opus})
		time.Sleep(time.Second)
		supervisor.SetHeardBy(dispatcher.ID())
		time.Sleep(time.Second)
		c.Mute(true)
		time.Sleep(time.Second)
		dispatcher.Leave()
		supervisor.Leave()
		c.Hangup(CauseNone, "")
		d := h.cdr(c)
		var got []string
		for _, s := range d.Hearing {
			by := ""
			for _, l := range s.HeardBy {
				by += " " + l.Identity
			}
			got = append(got, fmt.Sprintf("%s:%s %d-%d", s.Identity, by, s.FromMS, s.ToMS))
		}
		want := []string{"+15550100: ann sue 1000-3000", "ann: +15550100 sue 1000-4000", "sue: ann 2000-4000"}
		if !slices.Equal(got, want) {
			t.Errorf("kept %q\nwant %q", got, want)
		}
		synctest.Wait()
		var told int
		for len(sub.Events) > 0 {
			if e := <-sub.Events; e.Type == "participant.hearing" {
				told++
			} else if rec, ok := e.Data["call"].(CallRecord); ok && rec.Hearing != nil {
				t.Error("an event carries who heard whom")
			}
		}
		if told != 2 { // whisper, mute
			t.Errorf("told %d times", told)
		}
	})
}

func TestWhoHeardWhomIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openQuiet(t, "")
		_, c := h.from(loopback, "lobby")
		_, other := h.from(loopback, "lobby")
		for range mostSpans {
			other.seat.Mute(true)
			time.Sleep(time.Second)
			other.seat.Mute(false)
			time.Sleep(time.Second)
		}
		if n := len(c.Heard()); n < mostSpans/2 || n > mostSpans {
			t.Errorf("%d spans are kept", n)
		}
		var guests []*Participant
		for i := range mostHearers { // a large room
			r, _ := h.Room("lobby")
			p, _ := r.Join(JoinSpec{Identity: fmt.Sprint("guest", i), Kind: KindWHEP, Role: RoleGuest})
			guests = append(guests, p)
		}
		last := c.Heard()
		time.Sleep(time.Minute)
		if !slices.EqualFunc(c.Heard(), last, func(a, b HeardSpan) bool { return a.ToMS == b.ToMS }) {
			t.Error("a span goes on in a room that is too large")
		}
		for _, p := range guests {
			p.Leave()
		}
		h.over()
	})
}
