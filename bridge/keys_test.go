package bridge

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// weather decides which packets are lost.
type weather struct {
	mu    sync.Mutex
	rng   *rand.Rand
	share float64 // of all packets
	run   int     // how many are lost in a row
	left  int     // of the run under way
}

func (w *weather) loses() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 && w.rng.Float64() < w.share/(1-w.share)/float64(w.run) {
		w.left = w.run + 1
	}
	w.left = max(0, w.left-1)
	return w.left > 0
}

// rainyConn is a socket whose packets reach the one it is joined to, or not.
type rainyConn struct {
	quietConn
	in   chan []byte
	peer *rainyConn
	weather
}

func (c *rainyConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-c.in:
		return copy(b, p), c.peer.LocalAddr(), nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

func (c *rainyConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if to.String() == c.peer.LocalAddr().String() && !c.loses() {
		select {
		case c.peer.in <- append([]byte(nil), b...):
		default:
		}
	}
	return len(b), nil
}

// rainyLink opens two RTP sessions with a lossy path between them.
func rainyLink(t *testing.T, share float64, run int) (ours, theirs *rtp.Session) {
	t.Helper()
	conn := func(port int) *rainyConn {
		c := &rainyConn{in: make(chan []byte, 100)}
		c.quietConn = quietConn{port: port, closed: make(chan struct{})}
		c.rng, c.share, c.run = rand.New(rand.NewPCG(7, uint64(port))), share, run
		return c
	}
	a, b := conn(30000), conn(30002)
	a.peer, b.peer = b, a
	open := func(c *rainyConn) *rtp.Session {
		first := true
		listen := func(ctx context.Context, network, address string) (net.PacketConn, error) {
			if first {
				first = false
				return c, nil
			}
			return &quietConn{port: c.port + 1, closed: make(chan struct{})}, nil
		}
		s, err := rtp.Open(t.Context(), rtp.Config{Listen: listen, LocalIP: netip.MustParseAddr("127.0.0.1")})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(rtp.Params{
			Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(c.peer.port)), Codec: media.PCMU,
			Accept: []rtp.PayloadCodec{{PayloadType: 0, Codec: media.PCMU}, {PayloadType: 101, Codec: media.TelephoneEvent}},
			Send:   true, Receive: true, EventsAgreed: true, EventPayloadType: 101,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return open(a), open(b)
}

// A thousand keys cross a lossy path as events and as tones; each must arrive
// once. The road is the same in both directions: Sink, session, path, session,
// and what a phone's Source and session tell its Call.
func TestEveryKeyArrivesOnceUnderLoss(t *testing.T) {
	for _, c := range []struct {
		name    string
		tones   bool
		share   float64
		run     int
		missing int // at most, of a thousand
	}{
		{"events, 5 % at random", false, 0.05, 1, 0},
		{"events, 5 % in bursts of 60 ms", false, 0.05, 3, 0},
		{"events, 20 % at random", false, 0.2, 1, 1},
		{"tones, 5 % at random", true, 0.05, 1, 0},
		{"tones, 5 % in bursts of 40 ms", true, 0.05, 2, 8},
		{"tones, 5 % in bursts of 60 ms", true, 0.05, 3, 30},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := &Exchange{}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { x.Run(ctx) })
			defer wg.Wait()
			defer cancel()
			far, _ := x.OpenRoom("far")
			near, _ := x.OpenRoom("near")
			ours, theirs := rainyLink(t, c.share, c.run)
			defer ours.Close()
			defer theirs.Close()
			sink := join(t, far, "sender", KindPhone).Listen(ours, media.PCMU, 20*time.Millisecond)
			src, err := join(t, near, "phone", KindPhone).Publish(TrackSpec{ID: "phone", Codec: media.PCMU})
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var got strings.Builder
			heard := func(key rune) { mu.Lock(); defer mu.Unlock(); got.WriteRune(key) }
			if c.tones {
				src.HearKeys(heard)
				theirs.Receive(src.Push, nil)
			} else {
				theirs.Receive(src.Push, func(d rtp.Digit) { heard(d.Key) })
			}
			send, rng, want := sink.SendDigits, rand.New(rand.NewPCG(1, 1)), ""
			if c.tones {
				send = sink.PlayKeys
			}
			for len(want) < 1000 {
				keys := ""
				for range 20 {
					keys += string("0123456789*#ABCD"[rng.IntN(16)])
				}
				if err := send(keys); err != nil {
					t.Fatal(err)
				}
				want += keys
				time.Sleep(5 * time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			missing, extra := compareKeys(want, got.String())
			t.Logf("%s: %d missing, %d too many of %d", c.name, missing, extra, len(want))
			if missing > c.missing || extra > c.missing/3 {
				t.Errorf("%s: %d keys missing and %d too many of %d", c.name, missing, extra, len(want))
			}
		})
	}
}

// compareKeys counts what the longest common subsequence leaves out.
func compareKeys(want, got string) (missing, extra int) {
	row := make([]int, len(got)+1)
	for i := range want {
		diagonal := 0
		for j := range got {
			up := row[j+1]
			if want[i] == got[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(row[j], up)
			}
			diagonal = up
		}
	}
	common := row[len(got)]
	return len(want) - common, len(got) - common
}

func TestKeysAreSentInTheWayThatThePhoneTakes(t *testing.T) {
	for _, c := range []struct {
		mode   string
		agreed bool
		want   string // event, info, tone; empty: refused
	}{
		{"", true, "event"}, {"", false, "tone"}, {"auto", true, "event"}, {"auto", false, "tone"},
		{"rfc4733", true, "event"}, {"rfc4733", false, ""}, {"info", true, "info"}, {"info", false, "info"}, {"inband", true, "tone"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := openQuiet(t, "")
			from, a := h.upTo("lobby")
			to, b := h.upTo("lobby")
			defer func() {
				from.ended(LineEvent{Cause: CauseNormal})
				to.ended(LineEvent{Cause: CauseNormal})
				h.cdr(a)
				h.cdr(b)
			}()
			p := to.media.Params()
			p.EventsAgreed = c.agreed
			if err := to.media.Update(p); err != nil {
				t.Fatal(err)
			}
			b.do(t.Context(), func() error { b.trunk.DTMF = c.mode; b.listenForTones(); return nil })
			if on := b.source.ear != nil; on != (c.want == "tone") {
				t.Errorf("mode %q, events %v: tones are listened for: %v", c.mode, c.agreed, on)
			}
			if err := b.SendDigits(t.Context(), "5"); (err == nil) != (c.want != "") {
				t.Errorf("mode %q, events %v: %v", c.mode, c.agreed, err)
			}
			h.pair(a, b)
			from.events <- LineEvent{Kind: LineDigit, Digit: rtp.Digit{Key: '7'}} // goes over to the other phone
			if c.want == "tone" {
				a.pressed(rtp.Digit{Key: '8'}, byTone) // is heard there anyway
			}
			synctest.Wait()
			b.sink.mu.Lock()
			got := map[string]int{"event": len(b.sink.keys.waiting), "tone": b.sink.keypad.Waiting(), "info": len(to.keysSent())}
			b.sink.mu.Unlock()
			for way, n := range got {
				if want := map[bool]int{true: 2}[way == c.want]; n != want {
					t.Errorf("mode %q, events %v: %d keys by %s, want %d", c.mode, c.agreed, n, way, want)
				}
			}
		})
	}
}

func TestAKeyThatComesTwoWaysIsOne(t *testing.T) {
	var e echoes
	now := time.Now()
	for i, p := range []struct {
		key    rune
		way    keyWay
		after  time.Duration
		repeat bool
	}{
		{'1', byEvent, 0, false}, {'1', byTone, 40 * time.Millisecond, true}, {'1', byInfo, 100 * time.Millisecond, true},
		{'1', byEvent, 200 * time.Millisecond, false}, {'1', byEvent, 100 * time.Millisecond, false}, // pressed again, and again
		{'1', byInfo, 0, true}, {'1', byInfo, 10 * time.Millisecond, true}, {'1', byInfo, 10 * time.Millisecond, false},
		{'2', byInfo, 0, false}, {'2', byEvent, 900 * time.Millisecond, true}, {'2', byEvent, 2 * time.Second, false},
	} {
		now = now.Add(p.after)
		if got := e.repeats(press{rtp.Digit{Key: p.key}, p.way}, now); got != p.repeat {
			t.Errorf("press %d repeats: %v, want %v", i, got, p.repeat)
		}
	}
}

// Tones survive every codec that a phone may speak, and the change between them.
func TestTonesAreHeardThroughEveryCodec(t *testing.T) {
	withRoom(t, func(t *testing.T, x *Exchange, r *Room) {
		var heard strings.Builder
		phone := join(t, r, "phone", KindPhone)
		src, err := phone.Publish(TrackSpec{ID: "phone", Codec: media.PCMU})
		if err != nil {
			t.Fatal(err)
		}
		src.HearKeys(func(key rune) { heard.WriteRune(key) })
		far, err := x.OpenRoom("far")
		if err != nil {
			t.Fatal(err)
		}
		sink := join(t, far, "far", KindPhone).Listen(pushes{src}, media.PCMU, 20*time.Millisecond)
		want := ""
		for _, codec := range []media.Codec{media.PCMU, media.PCMA, media.G722, media.Opus, media.G722} {
			sink.Recode(codec, 20*time.Millisecond)
			src.Recode(codec)
			if err := sink.PlayKeys("0123456789*#ABCD"); err != nil {
				t.Fatal(err)
			}
			want += "0123456789*#ABCD"
			time.Sleep(4 * time.Second)
		}
		src.HearKeys(nil)
		if heard.String() != want {
			t.Errorf("heard %q", heard.String())
		}
	})
}

// pushes is a media.Writer that ends in a Source.
type pushes struct{ src *Source }

func (p pushes) WritePacket(packet *media.Packet) error {
	q := *packet
	q.Arrived = time.Now()
	p.src.Push(&q)
	return nil
}
