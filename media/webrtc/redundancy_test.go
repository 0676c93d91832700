package webrtc

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/red"
)

// droppingConn loses some of the RTP that it sends, but nothing of ICE, DTLS and RTCP.
type droppingConn struct {
	net.PacketConn
	mu      sync.Mutex
	drop    func() bool
	dropped int
}

func (c *droppingConn) WriteTo(b []byte, a net.Addr) (int, error) {
	if sound := len(b) > 12 && b[0]>>6 == 2 && (b[1] < 192 || b[1] > 223); sound { // RFC 5761 section 4
		c.mu.Lock()
		gone := c.drop()
		if gone {
			c.dropped++
		}
		c.mu.Unlock()
		if gone {
			return len(b), nil
		}
	}
	return c.PacketConn.WriteTo(b, a)
}

// dropListen makes the one socket of an engine lossy.
func dropListen(drop func() bool) (*droppingConn, media.Listen) {
	conn := &droppingConn{drop: drop}
	return conn, func(ctx context.Context, network, address string) (net.PacketConn, error) {
		c, err := media.ListenUDP(ctx, network, address)
		conn.PacketConn = c
		return conn, err
	}
}

// report lets the other side say that so many percent of the track were lost.
func (t *OutTrack) report(percent int) {
	t.feedback([]rtcp.Packet{&rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: t.ssrc(), FractionLost: uint8(percent * 256 / 100)}}}})
}

// A lossy road with redundancy: what the network loses is in the next packet,
// nothing comes twice, and the reports still say what was lost.
func TestRedundancyMendsLoss(t *testing.T) {
	for name, c := range map[string]struct {
		reported int // percent: what the listener says
		drop     func(r *rand.Rand, burst *int) bool
		most     float64 // percent of sound that may be missing
	}{
		"5 % at random": {5, func(r *rand.Rand, _ *int) bool { return r.IntN(100) < 5 }, 0.5},
		"10 % in bursts of two": {12, func(r *rand.Rand, burst *int) bool {
			if *burst--; *burst >= 0 {
				return true
			}
			if *burst < -2 && r.IntN(100) < 5 {
				*burst = 1
				return true
			}
			return false
		}, 0.5},
	} {
		t.Run(name, func(t *testing.T) { mendsLoss(t, c.reported, c.drop, c.most) })
	}
}

func mendsLoss(t *testing.T, reported int, drop func(*rand.Rand, *int) bool, most float64) {
	const packets = 2000
	r, burst, lossy := rand.New(rand.NewPCG(1, 2)), 0, atomic.Bool{}
	conn, listenLossy := dropListen(func() bool { return lossy.Load() && drop(r, &burst) })
	sender, listener := engine(t, Config{Listen: listenLossy}), engine(t, Config{ICELite: true})
	var mu sync.Mutex
	var got []uint16
	recovered, wrong := 0, 0
	hl, cl := listen(func(_ *InTrack, p *media.Packet) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, p.SequenceNumber)
		if p.Redundant {
			recovered++
		}
		if p.Codec != media.Opus || len(p.Payload) != 60 || binary.BigEndian.Uint32(p.Payload) != p.Timestamp || p.Timestamp != uint32(p.SequenceNumber)*960 {
			wrong++
		}
	})
	s, l := peer(t, sender, PeerConfig{}), peer(t, listener, cl)
	if err := l.Receive(Audio); err != nil {
		t.Fatal(err)
	}
	out, err := s.AddTrack(Audio, media.Opus, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, l, s, false)
	waitState(t, hl, Connected)
	send := func(n int) {
		payload := make([]byte, 60)
		binary.BigEndian.PutUint32(payload, uint32(uint16(n))*960)
		_ = out.WritePacket(&media.Packet{Codec: media.Opus, SequenceNumber: uint16(n), Timestamp: uint32(uint16(n)) * 960, Payload: payload})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(got) }
	// Until the first packet has come, there is nothing to lose.
	first := 30000
	for ; count() == 0; first++ {
		send(first)
		time.Sleep(5 * time.Millisecond) // the pace of sending
	}
	if out.Redundant() {
		t.Error("redundancy without loss")
	}
	out.report(reported)
	if !out.Redundant() {
		t.Fatal("no redundancy with loss: it was not negotiated")
	}
	lossy.Store(true)
	for n := first; n < first+packets; n++ {
		send(n)
		if n%10 == 0 {
			time.Sleep(time.Millisecond) // the pace of sending: no queue overflows
		}
	}
	lossy.Store(false)
	end := uint16(first + packets)
	for n := first + packets; !slices.ContainsFunc(snapshot(&mu, &got), func(q uint16) bool { return q >= end }); n++ {
		send(n)
		time.Sleep(5 * time.Millisecond) // likewise
	}
	in := wait(t, "the track", hl.tracks)

	mu.Lock()
	defer mu.Unlock()
	seen := map[uint16]bool{}
	for _, n := range got {
		if seen[n] {
			t.Errorf("packet %d came twice", n)
		}
		seen[n] = true
	}
	missing := 0
	for n := first; n < first+packets; n++ {
		if !seen[uint16(n)] {
			missing++
		}
	}
	in.mu.Lock()
	lost := in.received.lost()
	in.mu.Unlock()
	t.Logf("%d of %d packets lost, %d recovered, %d missing", conn.dropped, packets, recovered, missing)
	if conn.dropped < packets/30 || recovered == 0 || wrong != 0 || !slices.IsSorted(got) {
		t.Errorf("dropped %d, recovered %d, wrong %d, in order: %v", conn.dropped, recovered, wrong, slices.IsSorted(got))
	}
	if share := float64(missing) * 100 / packets; share > most {
		t.Errorf("%.2f %% of sound is missing, want at most %v %%", share, most)
	}
	if lost != uint64(conn.dropped) {
		t.Errorf("reports say that %d packets were lost, but %d were", lost, conn.dropped)
	}
}

func snapshot(mu *sync.Mutex, got *[]uint16) []uint16 {
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone((*got)[max(0, len(*got)-5):])
}

// Without loss nothing is repeated; with it, until the loss is over.
func TestRedundancyIsSentOnLossAlone(t *testing.T) {
	track := boundTrack()
	track.bound.red = 63
	sent := &recorder{}
	track.bound.stream = sent
	p := &media.Packet{Codec: media.Opus, Payload: []byte{1, 2, 3}}
	write := func() []byte {
		p.SequenceNumber++
		p.Timestamp += 960
		_ = track.WritePacket(p)
		return sent.payload
	}
	opus := uint8(track.bound.types[media.Opus])
	if write(); !bytes.Equal(write(), p.Payload) || sent.payloadType != opus {
		t.Error("redundancy without loss")
	}
	track.report(4)
	if !bytes.Equal(write(), p.Payload) || sent.payloadType != opus {
		t.Error("a packet is repeated that went before the loss")
	}
	blocks, err := red.Parse(write(), nil)
	if err != nil || len(blocks) != 2 || sent.payloadType != 63 || blocks[0].PayloadType != opus || !bytes.Equal(blocks[0].Payload, p.Payload) {
		t.Errorf("at 4 %% of loss: %v, %v, payload type %d", blocks, err, sent.payloadType)
	}
	octets := track.sent.octets
	if write(); track.sent.octets-octets != 5+3+3 {
		t.Errorf("a packet of 11 bytes counts %d octets", track.sent.octets-octets)
	}
	track.report(20)
	if blocks, _ := red.Parse(write(), nil); len(blocks) != 3 {
		t.Errorf("at 20 %% of loss %d blocks, want 3", len(blocks))
	}
	p.Codec = media.TelephoneEvent
	if write(); sent.payloadType == 63 {
		t.Error("a digit is repeated")
	}
	p.Codec = media.Opus
	if write(); sent.payloadType != opus {
		t.Error("a digit is repeated as sound")
	}
	write()
	track.Splice()
	if write(); sent.payloadType != opus {
		t.Error("what was before a splice is repeated")
	}
	track.bound.red = -1
	if write(); write()[0] != 1 || track.Redundant() {
		t.Error("redundancy for who does not take it")
	}
	track.bound.red = 63
	if n := testing.AllocsPerRun(1000, func() { write() }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// What cannot be taken apart is counted, and costs nothing else.
func TestMalformedRedundancy(t *testing.T) {
	var got []uint16
	_, s, track := soundStream(t, func(p *media.Packet) { got = append(got, p.SequenceNumber) })
	track.types[63], track.known[63] = redundant, true
	track.mend.opus, track.mend.learned = 111, true
	s.attach(track)
	for i, payload := range [][]byte{{}, {0xef, 15, 0}, {0xef, 15, 0, 9, 111, 1}, {5, 1}, {111}, {111, 1}} {
		raw := append(sound(63, byte(i))[:12], payload...)
		if _, err := s.Write(raw); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 1 || track.received.discarded != 2 || track.Codec() != media.Opus {
		t.Errorf("%d packets of one, %d discarded of two, codec %v", len(got), track.received.discarded, track.Codec())
	}
}

func TestRedundancyIsNegotiated(t *testing.T) {
	line := func(sdp string) string {
		_, rest, _ := strings.Cut(sdp, "m=audio ")
		line, _, _ := strings.Cut(rest, "\r\n")
		return line
	}
	for _, c := range []struct {
		ours, theirs Redundancy
		offer        string // the beginning of the formats
		answer       string
	}{
		{RedundancyOnLoss, RedundancyOnLoss, "SAVPF 111 63 0 8 ", "SAVPF 111 63 0 8 "},
		{RedundancyAlways, RedundancyOnLoss, "SAVPF 63 111 0 8 ", "SAVPF 111 63 0 8 "},
		{RedundancyOnLoss, RedundancyAlways, "SAVPF 111 63 0 8 ", "SAVPF 63 111 0 8 "},
		{RedundancyAlways, NoRedundancy, "SAVPF 63 111 0 8 ", "SAVPF 111 0 8 "},
		{NoRedundancy, RedundancyAlways, "SAVPF 111 0 8 ", "SAVPF 111 0 8 "},
	} {
		a, b := engine(t, Config{ICELite: true, Redundancy: c.ours}), engine(t, Config{Redundancy: c.theirs})
		p, q := peer(t, a, PeerConfig{}), peer(t, b, PeerConfig{})
		if err := p.Receive(Audio); err != nil {
			t.Fatal(err)
		}
		offer, answer := negotiate(t, p, q, false)
		if !strings.Contains(line(offer), c.offer) || !strings.Contains(line(answer), c.answer) {
			t.Errorf("%d with %d: offered %q, answered %q", c.ours, c.theirs, line(offer), line(answer))
		}
		if has := strings.Contains(offer, "a=fmtp:63 111/111\r\n"); has != (c.ours != NoRedundancy) {
			t.Errorf("%d: fmtp of RED: %v", c.ours, has)
		}
	}
}

// Redundancy is wanted of those who know it.
func TestRedundancyIsWantedOfWhoKnowsIt(t *testing.T) {
	for _, c := range []struct {
		theirs Redundancy
		want   bool
	}{{RedundancyOnLoss, true}, {NoRedundancy, false}} {
		server, client := engine(t, Config{ICELite: true}), engine(t, Config{Redundancy: c.theirs})
		hs, cs := listen(nil)
		s, p := peer(t, server, cs), peer(t, client, PeerConfig{})
		if err := s.Receive(Audio); err != nil {
			t.Fatal(err)
		}
		out, err := p.AddTrack(Audio, media.Opus, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		negotiate(t, s, p, false)
		waitState(t, hs, Connected)
		stop := pump(out, media.Opus, make([]byte, 60))
		in := wait(t, "the track", hs.tracks)
		stop()
		if s.WantsRedundancy() {
			t.Error("wanted without loss")
		}
		in.mu.Lock()
		in.received.want.Report(20, time.Now())
		in.mu.Unlock()
		if got := s.WantsRedundancy(); got != c.want {
			t.Errorf("wanted with loss: %v, want %v", got, c.want)
		}
	}
}

// What comes with loss is asked for with redundancy, and not for ever.
func TestRedundancyIsWantedOnLoss(t *testing.T) {
	p := peer(t, engine(t, Config{}), PeerConfig{})
	if p.WantsRedundancy() {
		t.Error("wanted without a track")
	}
	s := &receivedStats{clockRate: 48000}
	now := time.Unix(1000, 0)
	seq := uint16(0)
	pass := func(packets, dropEach int) {
		for range packets {
			if seq++; dropEach == 0 || int(seq)%dropEach != 0 {
				s.add(seq, uint32(seq)*960, now)
			}
		}
		now = now.Add(2 * time.Second)
		s.report(1, now)
	}
	for _, c := range []struct{ reports, dropEach, depth int }{{3, 0, 0}, {1, 20, 1}, {8, 0, 1}, {3, 0, 0}} {
		for range c.reports {
			pass(100, c.dropEach)
		}
		if s.want.Depth() != c.depth {
			t.Errorf("after %+v: depth %d", c, s.want.Depth())
		}
	}
}
