package webrtc

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/roomline/roomline/media"
)

// reportInterval is the time between RTCP reports. Browsers send theirs each
// second; 2 s gives a round trip soon enough and costs one packet.
const reportInterval = 2 * time.Second

// reportDue sends reports if the Peer is connected, and sees to the next.
func (p *Peer) reportDue() {
	if p.State() == Connected {
		p.report(time.Now())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.reports.Reset(reportInterval)
	}
}

// report sends one sender report per stream that we send, and receiver reports
// on all that we receive, at most 31 in one packet.
func (p *Peer) report(now time.Time) {
	outs, ins := p.tracks()
	var packets []rtcp.Packet
	for _, t := range outs {
		t.mu.Lock()
		if t.bound != nil {
			if sr := t.sent.report(t.bound.ssrc, now); sr != nil {
				packets = append(packets, sr)
			}
		}
		t.mu.Unlock()
	}
	if blocks, from := receptionReports(ins, now); len(blocks) > 0 {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: from, Reports: blocks})
	}
	if len(packets) > 0 {
		_ = p.pc.WriteRTCP(packets)
	}
}

func receptionReports(ins []*InTrack, now time.Time) (blocks []rtcp.ReceptionReport, from uint32) {
	for _, t := range ins {
		if len(blocks) == 31 { // RFC 3550 section 6.4.2
			break
		}
		t.mu.Lock()
		from = t.received.ourSSRC()
		if t.received.started {
			blocks = append(blocks, t.received.report(uint32(t.remote.SSRC()), now))
		}
		t.mu.Unlock()
	}
	return blocks, from
}

func (p *Peer) tracks() (outs []*OutTrack, ins []*InTrack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if t := l.track.Load(); t != nil {
			outs = append(outs, t)
		}
	}
	for t := range p.ins {
		ins = append(ins, t)
	}
	return outs, ins
}

// Quality sums up all audio of this Peer, both ways; for RemoteLoss, jitter and
// round trip the worst one of its streams counts.
func (p *Peer) Quality() media.Quality {
	var q media.Quality
	outs, ins := p.tracks()
	for _, t := range ins {
		if t.Kind() == Audio {
			t.addQuality(&q)
		}
	}
	for _, t := range outs {
		if t.kind == Audio {
			t.addQuality(&q)
		}
	}
	q.Codec = audioCodec(ins)
	if q.Packet == 0 { // nothing comes; what we send is of this length
		q.Packet = media.FrameDuration
	}
	q.Rate()
	return q
}

func audioCodec(ins []*InTrack) media.Codec {
	for _, t := range ins {
		if c := t.Codec(); c.Audio() {
			return c
		}
	}
	return media.Opus
}

func (t *InTrack) addQuality(q *media.Quality) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q.PacketsReceived += t.received.packets
	q.PacketsLost += t.received.lost()
	q.Discarded += t.received.discarded
	q.Mended += t.mend.mended.Load()
	q.Pattern = q.Pattern.Plus(t.received.losses.Pattern())
	if rate := t.received.clockRate; rate > 0 {
		q.Packet = max(q.Packet, t.received.packing.Length(int(rate), 0))
		q.Jitter = max(q.Jitter, time.Duration(t.received.jitter*float64(time.Second)/float64(rate)))
	}
}

func (t *OutTrack) addQuality(q *media.Quality) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q.PacketsSent += t.sent.total
	q.Reported = q.Reported || t.sent.remote.Heard()
	expected, lost := t.sent.remote.Sums()
	q.RemoteExpected, q.RemoteLost = q.RemoteExpected+expected, q.RemoteLost+lost
	q.RemoteLoss = max(q.RemoteLoss, t.sent.loss)
	q.RemoteJitterMS = max(q.RemoteJitterMS, media.Milliseconds(t.sent.jitter))
	q.RoundTripMS = max(q.RoundTripMS, media.Milliseconds(t.sent.roundTrip))
}
