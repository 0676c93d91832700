package phone

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
)

// heardTone waits for half a second of sound from now on and judges the tone in it.
func heardTone(t *testing.T, c *Call, freqHz, levelDB float64) {
	t.Helper()
	const n = media.NarrowbandHz / 2
	before, at := len(c.Arrivals()), 0
	until(t, "half a second was heard", func() bool {
		list := c.Arrivals()
		if len(list) <= before {
			return false
		}
		at = list[before].Position + 800 // what begins may begin anywhere
		return len(c.Heard()) >= at+n
	})
	pcm := c.Heard()[at:][:n]
	if got := media.ToneLevel(pcm, media.NarrowbandHz, freqHz); math.Abs(got-levelDB) > 1 {
		t.Errorf("%v Hz is heard at %.2f dBov, want %v (all: %.2f)", freqHz, got, levelDB, media.Level(pcm))
	}
	if found, _, ok := FindTone(pcm); !ok || math.Abs(found-freqHz) > 1 {
		t.Errorf("found a tone of %v Hz (%v), want %v", found, ok, freqHz)
	}
}

func TestEachHearsTheOther(t *testing.T) {
	t.Parallel()
	for _, codec := range []media.Codec{media.PCMU, media.PCMA} {
		t.Run(codec.String(), func(t *testing.T) {
			caller, called := pair(t, Config{}, Config{}, DialOptions{Codecs: []media.Codec{codec}, From: "+15550100"})
			caller.Speak(Tone(440, -20))
			called.Speak(Tone(1000, -12))
			heardTone(t, called, 440, -20)
			heardTone(t, caller, 1000, -12)
			caller.Hangup()
			<-called.Ended()
			for _, c := range []*Call{caller, called} {
				r := c.Report()
				if !r.Answered || r.Cause != bridge.CauseNormal || r.Exit != ExitTalked || r.Codec != codec.String() ||
					r.PacketsLost != 0 || r.Gaps != 0 || r.MOS < 4 || r.PtimeMS != 20 || r.SetupMS <= 0 || r.DurationMS < 400 {
					t.Errorf("%s: %+v", r.Direction, r)
				}
			}
			if called.Invite.From != "+15550100" || called.Invite.To != "lobby" {
				t.Errorf("invite %+v", called.Invite)
			}
		})
	}
}

// Packets of every length that the house accepts arrive without injected silence.
func TestPeerDefect02PacketTimes(t *testing.T) {
	t.Parallel()
	for _, ptime := range []time.Duration{10, 30, 40, 60} {
		caller, called := pair(t, Config{Ptime: ptime * time.Millisecond}, Config{}, DialOptions{})
		caller.Speak(Tone(440, -20))
		heardTone(t, called, 440, -20)
		caller.Hangup()
		<-called.Ended()
		if r := called.Report(); r.Gaps != 0 {
			t.Errorf("ptime %d: %d gaps, the longest %v ms", ptime, r.Gaps, r.LongestGapMS)
		}
		if r := caller.Report(); r.PtimeMS != float64(ptime) {
			t.Errorf("ptime %d: reported %v", ptime, r.PtimeMS)
		}
	}
}

func TestDigitsArriveOnceEach(t *testing.T) {
	t.Parallel()
	caller, called := pair(t, Config{}, Config{}, DialOptions{})
	caller.Speak(Tone(440, -20))
	called.Speak(Tone(1000, -20))
	ctx := within(t)
	press := func(c *Call, keys string) <-chan error {
		done := make(chan error, 1)
		go func() { done <- c.SendDigits(ctx, keys) }()
		return done
	}
	one, two := press(caller, "112#D"), press(called, "9*0,0")
	if err := errors.Join(<-one, <-two); err != nil {
		t.Fatal(err)
	}
	if err := caller.SendDigits(ctx, "1x"); err == nil {
		t.Error("the key x was taken")
	}
	heardTone(t, called, 440, -20) // sound goes on, in its place
	caller.Hangup()
	<-called.Ended()
	listen := func(c *Call) (s string) {
		for key := range c.Digits() {
			s += string(key)
		}
		return s
	}
	if got := listen(called); got != "112#D" || called.Report().Digits != got {
		t.Errorf("the called side heard %q, reports %q", got, called.Report().Digits)
	}
	if got := listen(caller); got != "9*00" {
		t.Errorf("the caller heard %q", got)
	}
	if r := called.Report(); r.Gaps != 0 || r.PacketsLost != 0 {
		t.Errorf("digits count as %d gaps, %d lost packets", r.Gaps, r.PacketsLost)
	}
	if err := caller.SendDigits(ctx, "1"); err == nil {
		t.Error("a digit was sent after the end")
	}
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		answer func(*Call)
		ring   time.Duration
		cause  bridge.Cause
		code   int
		exit   int
	}{
		"busy":      {func(c *Call) { c.Reject(bridge.CauseBusy, "") }, 0, bridge.CauseBusy, 486, ExitBusy},
		"rejected":  {func(c *Call) { c.Reject(bridge.CauseRejected, "") }, 0, bridge.CauseRejected, 603, ExitRejected},
		"forbidden": {func(c *Call) { c.Ring(); c.Reject(bridge.CauseForbidden, "") }, 0, bridge.CauseForbidden, 403, ExitRejected},
		"unknown":   {func(c *Call) { c.Reject(bridge.CauseUnknownNumber, "") }, 0, bridge.CauseUnknownNumber, 404, ExitRejected},
		"no answer": {func(c *Call) { c.Ring() }, 300 * time.Millisecond, bridge.CauseNoAnswer, 0, ExitNoAnswer},
	}
	a, b := open(t, Config{}), open(t, Config{})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			call, err := a.Call(b.URI("lobby"), DialOptions{RingTimeout: tt.ring})
			if err != nil {
				t.Fatal(err)
			}
			other, err := b.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			tt.answer(other)
			var f *Failure
			if err := call.Answered(ctx); !errors.As(err, &f) || f.Cause != tt.cause || tt.code != 0 && f.SIPCode != tt.code {
				t.Fatalf("the call ended with %v (%+v)", err, f)
			}
			<-other.Ended()
			if r := call.Report(); r.Answered || r.Exit != tt.exit || r.Cause != tt.cause {
				t.Errorf("report %+v", r)
			}
			if err := other.Answer(ctx); err == nil {
				t.Error("an ended call was answered")
			}
		})
	}
}

func TestNobodyIsThere(t *testing.T) {
	gone := open(t, Config{})
	uri := gone.URI("lobby")
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	p := open(t, Config{})
	call, err := p.Dial(within(t), uri, DialOptions{RingTimeout: 5 * time.Second})
	if err == nil || call == nil {
		t.Fatalf("call %v, error %v", call, err)
	}
	if r := call.Report(); r.Exit != ExitUnreachable {
		t.Errorf("exit %d, %s: %s", r.Exit, r.Cause, r.Reason)
	}
}

func TestCallerGivesUp(t *testing.T) {
	a, b := open(t, Config{}), open(t, Config{})
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan error, 1)
	go func() {
		_, err := a.Dial(ctx, b.URI("lobby"), DialOptions{})
		ended <- err
	}()
	other, err := b.Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	other.Ring()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller sees %v", err)
	}
	<-other.Ended()
	if r := other.Report(); r.Cause != bridge.CauseCanceled || r.Exit != ExitNoAnswer {
		t.Errorf("the called side reports %s, exit %d", r.Cause, r.Exit)
	}
}

func TestHoldAndResume(t *testing.T) {
	t.Parallel()
	caller, called := pair(t, Config{}, Config{}, DialOptions{})
	caller.Speak(Tone(440, -20))
	called.Speak(Tone(1000, -20))
	heardTone(t, called, 440, -20)
	ctx := within(t)
	if err := caller.Hold(ctx, true); err != nil {
		t.Fatal(err)
	}
	until(t, "the called side knows that it is held", func() bool { return changed(called, bridge.LineHeld) })
	sent := called.Report().PacketsSent
	before, wait := len(caller.Arrivals()), time.NewTimer(300*time.Millisecond)
	<-wait.C // what must not happen has no event
	if n := called.Report().PacketsSent - sent; n > 1 {
		t.Errorf("%d packets were sent to who does not listen", n)
	}
	if n := len(caller.Arrivals()) - before; n > 1 {
		t.Errorf("%d packets were heard during the hold", n)
	}
	if err := caller.Hold(ctx, false); err != nil {
		t.Fatal(err)
	}
	until(t, "the called side knows that it is back", func() bool { return changed(called, bridge.LineResumed) })
	heardTone(t, called, 440, -20)
	heardTone(t, caller, 1000, -20)
	called.Hangup()
	<-caller.Ended()
	for _, c := range []*Call{caller, called} {
		r := c.Report()
		if r.Gaps != 0 || r.Exit != ExitTalked {
			t.Errorf("%s: %d gaps, exit %d, %s", r.Direction, r.Gaps, r.Exit, r.Cause)
		}
		if r.HeardMS < 1100 {
			t.Errorf("%s: the hold of 300 ms is missing in %v ms of sound", r.Direction, r.HeardMS)
		}
	}
}

// changed drains the changes of a call and reports whether kind was among them.
func changed(c *Call, kind bridge.LineEventKind) bool {
	for {
		select {
		case k := <-c.Changes():
			if k == kind {
				return true
			}
		default:
			return false
		}
	}
}

func TestPlayEndsWithItsSource(t *testing.T) {
	t.Parallel()
	caller, called := pair(t, Config{KeepSaid: true}, Config{}, DialOptions{})
	ctx := within(t)
	pcm := make([]int16, 3000)
	media.Sine(800, media.NarrowbandHz, -15).Fill(pcm)
	if err := caller.Play(ctx, Recording(pcm, false)); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := caller.Play(short, Tone(440, -20)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an endless tone ended with %v", err)
	}
	until(t, "silence follows", func() bool {
		heard := called.Heard()
		return len(heard) > 8000 && media.Level(heard[len(heard)-800:]) < -70
	})
	caller.Hangup()
	<-called.Ended()
	if err := caller.Play(ctx, Tone(440, -20)); !errors.Is(err, errOver) {
		t.Errorf("playing after the end gives %v", err)
	}
	if said := caller.Said(); len(said) < 8000 || media.Level(said[:16000/20]) > -10 {
		t.Errorf("%d samples of what was said", len(said))
	}
}

// Both ends of a call in one process: what is said is heard within a moment.
func TestDelayByOnset(t *testing.T) {
	t.Parallel()
	caller, called := pair(t, Config{}, Config{}, DialOptions{})
	caller.Speak(Bursts(1000, -12, 400*time.Millisecond))
	until(t, "four bursts were heard", func() bool { return len(called.HeardOnsets()) >= 4 })
	delays := Delays(caller.SaidOnsets(), called.HeardOnsets(), time.Second)
	if len(delays) < 3 {
		t.Fatalf("%d delays of %d bursts", len(delays), len(caller.SaidOnsets()))
	}
	slices.Sort(delays) // a busy machine delays some
	if median := delays[len(delays)/2]; delays[0] <= 0 || median > 15*time.Millisecond {
		t.Errorf("delays over loopback are %v", delays)
	}
	t.Logf("delays %v", delays)
}

// A phone that is switched off while it rings elsewhere does not leave it ringing.
func TestCloseGivesUpRingingCalls(t *testing.T) {
	t.Parallel()
	for _, ring := range []time.Duration{0, 400 * time.Millisecond} {
		for range 3 {
			a, b := open(t, Config{}), open(t, Config{})
			ctx := within(t)
			call, err := a.Call(b.URI("lobby"), DialOptions{RingTimeout: ring})
			if err != nil {
				t.Fatal(err)
			}
			other, err := b.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Ring(); err != nil {
				t.Fatal(err)
			}
			<-call.Ringing()
			if ring > 0 {
				<-call.Ended()
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-other.Ended():
			case <-ctx.Done():
				t.Fatal("it rings for ever")
			}
			if r := other.Report(); r.Cause != bridge.CauseCanceled {
				t.Errorf("it ended as %s", r.Cause)
			}
		}
	}
}

func TestCloseEndsCalls(t *testing.T) {
	a, b := open(t, Config{}), open(t, Config{})
	ctx := within(t)
	call, err := a.Call(b.URI("lobby"), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Answer(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	<-call.Ended()
	<-other.Ended()
	if _, err := a.Call(b.URI("lobby"), DialOptions{}); err == nil {
		t.Error("a closed phone has called")
	}
	if _, err := a.Next(ctx); !errors.Is(err, errClosed) {
		t.Errorf("a closed phone waits: %v", err)
	}
}

func TestPhonesSpeakSRTP(t *testing.T) {
	t.Parallel()
	caller, called := pair(t, Config{SRTP: "required"}, Config{SRTP: "optional"}, DialOptions{})
	caller.Speak(Tone(440, -20))
	called.Speak(Tone(1000, -12))
	heardTone(t, called, 440, -20)
	heardTone(t, caller, 1000, -12)
	for _, c := range []*Call{caller, called} {
		if got := c.line.Media().Security(); got != "sdes AES_CM_128_HMAC_SHA1_80" {
			t.Errorf("protected by %q", got)
		}
	}
	caller.Hangup()
	<-called.Ended()
}
