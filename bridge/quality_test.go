package bridge

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

// lossyLeg is a participant whose packets get lost on their way, counted as a
// receiver counts them.
type lossyLeg struct {
	*voice
	losses media.Losses
	q      media.Quality
}

func newLossyLeg(t *testing.T, p *Participant, codec media.Codec) *lossyLeg {
	rateHz := media.NarrowbandHz
	if codec == media.G722 {
		rateHz = media.WidebandHz
	}
	l := &lossyLeg{voice: newVoiceAt(t, p, codec, 440, rateHz/50, rateHz)}
	l.q = media.Quality{Codec: codec, Packet: 20 * time.Millisecond, RoundTripMS: 40}
	return l
}

// say speaks for d; lost says which packets are.
func (l *lossyLeg) say(d time.Duration, lost func() bool) {
	for began := time.Now(); time.Since(began) < d; time.Sleep(20 * time.Millisecond) {
		l.n %= l.rateHz / 5 * 2 // a tone that stays is soon taken for noise, which has no redundancy
		l.freq = 200 + float64(l.n)*800/float64(l.rateHz)
		p := l.next()
		if lost() {
			l.q.PacketsLost++
		} else {
			l.q.PacketsReceived++
			l.losses.Add(p.SequenceNumber)
			l.src.Push(p)
		}
		if n := l.q.PacketsLost + l.q.PacketsReceived; n%50 == 0 {
			l.q.Pattern = l.losses.Pattern()
			l.src.owner.SetQuality(l.q, time.Now())
		}
	}
}

func never() bool { return false }

// oneIn loses single packets, each of them at random within n.
func oneIn(n int) func() bool {
	dice := rand.New(rand.NewPCG(4, 7))
	i, at := 0, dice.IntN(n-2)
	return func() bool {
		if i++; i == n {
			i, at = 0, dice.IntN(n-2)
		}
		return i == at
	}
}

func TestTwoPercentOfLossRatesAbove80(t *testing.T) {
	for _, codec := range []media.Codec{media.PCMU, media.G722, media.Opus} {
		withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
			join(t, r, "b", KindPhone).Listen(&wire{}, media.PCMA, 0)
			a := join(t, r, "a", KindWHIP)
			l := newLossyLeg(t, a, codec)
			if l.q.Codec == media.Opus {
				l.enc.SetLoss(10) // as the far encoder does on our reports: with FEC
			}
			l.say(30*time.Second, oneIn(50))
			q := a.Record().Quality
			mended := q.ConcealedMS + q.RecoveredMS
			if want := float64(20 * q.PacketsLost); mended != want || q.PacketsLost < 25 {
				t.Errorf("%s: %g ms were mended, %g ms were lost", codec, mended, want)
			}
			if codec == media.Opus && q.RecoveredMS < 0.7*mended || codec != media.Opus && q.RecoveredMS != 0 {
				t.Errorf("%s: %g ms of %g ms were had from redundancy", codec, q.RecoveredMS, mended)
			}
			if q.R < 80 || q.Live.R < 80 || q.Burst != 1 {
				t.Errorf("%s: %+v, live %+v", codec, q, q.Live)
			}
		})
	}
}

func TestABadMinuteIsAnEvent(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		sub := x.Subscribe("")
		defer sub.Close()
		join(t, r, "b", KindPhone).Listen(&wire{}, media.PCMA, 0)
		a := join(t, r, "a", KindWHIP)
		l := newLossyLeg(t, a, media.PCMU)
		l.say(30*time.Second, never)
		l.say(60*time.Second, oneIn(4))
		l.say(60*time.Second, never)
		var turns []Event
		for len(sub.Events) > 0 {
			if e := <-sub.Events; e.Type == "participant.quality" {
				turns = append(turns, e)
			}
		}
		if n := len(turns); n < 2 || n > 3 { // it may be on its way down at the first point
			t.Fatalf("events: %+v", turns)
		}
		down, up := turns[len(turns)-2], turns[len(turns)-1]
		p, _ := down.Data["quality"].(media.QualityPoint)
		if down.Data["class"] != QualityBad || turns[0].Data["was"] != QualityGood || down.Data["participant"] != a.ID() || down.Room != "lobby" ||
			p.Loss < 20 || p.MOS > 3.1 || up.Data["class"] != QualityGood || up.Data["was"] != QualityBad {
			t.Errorf("down %+v\nup %+v", down, up)
		}
		if n := len(a.QualityHistory()); n < 28 || n > 30 {
			t.Errorf("%d points of 150 s", n)
		}
	})
}

func TestTheBuffersShareIsShownApart(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		a := join(t, r, "a", KindWHIP)
		l := newLossyLeg(t, a, media.PCMU)
		straight := a.SetQuality(l.q, time.Now())
		l.src.hearing.buffer.Store(45 * media.NarrowbandHz / 1000)
		waits := a.SetQuality(l.q, time.Now())
		if straight.BufferMS != 0 || straight.DelayMS != 40 || waits.BufferMS != 45 || waits.DelayMS != 85 {
			t.Errorf("%+v\n%+v", straight, waits)
		}
	})
}

// On the mixed road sound waits for its jitter: that share is shown, per leg, and
// goes away with the second speaker.
func TestTheMixedRoadShowsItsBuffer(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		join(t, r, "c", KindPhone).Listen(&wire{}, media.PCMA, 0)
		a, b := join(t, r, "a", KindWHIP), join(t, r, "b", KindWHIP)
		l, other := newLossyLeg(t, a, media.PCMU), newVoice(t, b, media.PCMU, 600, 160)
		done := make(chan struct{})
		go func() { defer close(done); other.say(20 * time.Second) }()
		for range 250 { // every 80 ms four packets
			for range 4 {
				l.src.Push(l.next())
			}
			time.Sleep(80 * time.Millisecond)
			l.q.PacketsReceived += 4
			l.q.Jitter = 30 * time.Millisecond
			a.SetQuality(l.q, time.Now())
		}
		<-done
		mixed := *a.Record().Quality
		if mixed.BufferMS < 30 || mixed.BufferMS > 150 || mixed.DelayMS != 40+mixed.BufferMS || mixed.Live.BufferMS == 0 {
			t.Errorf("mixed: buffer %g ms of %g ms, live %+v", mixed.BufferMS, mixed.DelayMS, mixed.Live)
		}
		l.say(10*time.Second, never)
		if alone := *a.Record().Quality; alone.BufferMS != 0 || alone.Live.BufferMS != 0 || alone.MostBufferMS < 30 || alone.MeanBufferMS < 15 || alone.MeanBufferMS >= alone.MostBufferMS {
			t.Errorf("alone: %+v", alone)
		}
	})
}

func TestWhatATrackHeardOutlivesIt(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		a := join(t, r, "a", KindWHIP)
		for range 2 {
			s, err := a.Publish(TrackSpec{ID: "voice", Codec: media.PCMU})
			if err != nil {
				t.Fatal(err)
			}
			s.hearing.hear(8000, received)
			s.hearing.hear(1600, concealed)
			s.hearing.buffer.Store(160)
			s.Close()
		}
		q := a.SetQuality(media.Quality{}, time.Now())
		if q.HeardMS != 2400 || q.ConcealedMS != 400 || q.BufferMS != 0 {
			t.Errorf("%+v", q)
		}
	})
}
