package sip

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// journal keeps a log whole, for what may not be in it.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// underPolicy is an agent on whose one trunk calls come in, with its log.
func underPolicy(t *testing.T, trunk dialplan.Trunk) (*agent, *journal) {
	t.Helper()
	j := &journal{}
	return startAgent(t, func(c *Config) {
		c.TrunkOf = func(bridge.Invite) dialplan.Trunk { return trunk }
		c.Log = slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	}), j
}

const (
	wireKey  = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
	wireLine = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + wireKey + "\r\n"
)

func savp(port int, lines string) string {
	return sampleSDP("127.0.0.1", 0, fmt.Sprintf("m=audio %d RTP/SAVP 0\r\n", port)+lines)
}

func TestOffersAgainstThePolicyAreRefusedInWords(t *testing.T) {
	for _, c := range []struct{ srtp, offer, words string }{
		{"", savp(4000, wireLine), "SRTP is off on this trunk"},
		{"off", savp(4000, wireLine), "SRTP is off on this trunk"},
		{"required", sampleSDP("127.0.0.1", 4000, ""), "this trunk requires SRTP"},
		{"required", savp(4000, strings.Replace(wireLine, wireKey, wireKey+"|1:4", 1)), "MKI"},
		{"optional", savp(4000, ""), "no a=crypto line"},
		{"optional", sampleSDP("127.0.0.1", 0, "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=setup:actpass\r\na=fingerprint:sha-1 00:11\r\n"), "sha-256"},
	} {
		b, log := underPolicy(t, dialplan.Trunk{Name: "north", SRTP: c.srtp})
		w := newWire(t, b.Addr())
		d := w.invite()
		d.body = c.offer
		w.sendDraft(d)
		res := w.response(488, "INVITE")
		w.sendDraft(d.ackOf(res))
		if !strings.Contains(res.phrase, c.words) || res.value("warning") == "" {
			t.Errorf("%q: %s, warning %s", c.srtp, res.start, res.value("warning"))
		}
		if r := <-b.refusals; r.Cause != bridge.CauseIncompatible || !strings.Contains(r.Reason, c.words) {
			t.Errorf("%q: %+v", c.srtp, r)
		}
		if strings.Contains(log.String(), wireKey[:12]) {
			t.Error("a key is in the log")
		}
	}
}

// secureCall is a wire that calls with a key of its own.
func secureCall(t *testing.T, b *agent, d draft, w *wire) (bridge.Line, message) {
	t.Helper()
	w.sendDraft(d)
	c := b.incoming()
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	ok := w.response(200, "INVITE")
	w.sendDraft(d.within("ACK", ok))
	expect(t, c.Line, bridge.LineAnswered)
	return c.Line, ok
}

func TestReinviteMayRenewKeysAndNotTakeThemAway(t *testing.T) {
	b, log := underPolicy(t, dialplan.Trunk{Name: "north", SRTP: "optional"})
	w := newWire(t, b.Addr())
	d := w.invite()
	d.body = savp(4000, wireLine)
	line, ok := secureCall(t, b, d, w)
	before := line.Media().Params().Security
	if before == nil || line.Media().Security() != "sdes AES_CM_128_HMAC_SHA1_80" {
		t.Fatalf("protected by %q", line.Media().Security())
	}
	again := func(body string) draft {
		d = d.within("INVITE", ok)
		d.body = body
		w.sendDraft(d)
		return d
	}
	down := again(sampleSDP("127.0.0.1", 4000, ""))
	res := w.response(488, "INVITE")
	w.sendDraft(down.ackOf(res))
	if !strings.Contains(res.phrase, "protected by SRTP and stays so") {
		t.Error(res.start)
	}
	if got := line.Media().Params().Security; got != before {
		t.Error("a refused offer changed the keys")
	}
	held := again(strings.Replace(savp(4000, wireLine+"a=sendonly\r\n"), "SAVP 0", "SAVP 8", 1))
	w.sendDraft(held.within("ACK", w.response(200, "INVITE")).as(held.cseq))
	expect(t, line, bridge.LineRenegotiated)
	expect(t, line, bridge.LineHeld)
	if got := line.Media().Params().Security; !bytes.Equal(got.Send, before.Send) || !bytes.Equal(got.Receive, before.Receive) || line.Media().Params().Codec != media.PCMA {
		t.Error("hold with another codec changed the keys, or left the codec")
	}
	fresh := bytes.Repeat([]byte{9}, 30)
	renewed := again(savp(4000, strings.Replace(wireLine, wireKey, base64.StdEncoding.EncodeToString(fresh), 1)))
	w.sendDraft(renewed.within("ACK", w.response(200, "INVITE")).as(renewed.cseq))
	expect(t, line, bridge.LineRenegotiated)
	expect(t, line, bridge.LineResumed)
	if got := line.Media().Params().Security; !bytes.Equal(got.Receive, fresh) || !bytes.Equal(got.Send, before.Send) {
		t.Error("the peer's new key is not in force")
	}
	w.sendDraft(d.within("BYE", ok))
	w.response(200, "BYE")
	expectEnd(t, line, bridge.CauseNormal)
	if text := log.String(); strings.Contains(text, wireKey[:12]) || strings.Contains(text, "inline:") || !strings.Contains(text, "media is protected") {
		t.Errorf("the log:\n%s", text)
	}
}

// as is a draft with another sequence number: an ACK has its INVITE's.
func (d draft) as(cseq int) draft { d.cseq = cseq; return d }

func TestAnswerWithoutAKeyIsHungUp(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	line := a.dial(bridge.DialSpec{To: "sip:x@" + w.addr(), From: "alice", Trunk: dialplan.Trunk{Name: "north", SRTP: "required"}})
	invite := w.request("INVITE")
	w.reply(invite, 200, "OK", "t1", "", sampleSDP("127.0.0.1", 4000, ""))
	w.request("ACK")
	bye := w.request("BYE")
	w.reply(bye, 200, "OK", "", "", "")
	e := expectEnd(t, line, bridge.CauseIncompatible)
	if !strings.Contains(e.Reason, "requires SRTP") || !strings.Contains(bye.value("reason"), "requires SRTP") {
		t.Errorf("%s; BYE says %s", e.Reason, bye.value("reason"))
	}
}

// secureTrunk is how an agent dials another under a policy.
func secureTalk(t *testing.T, out, in dialplan.Trunk) (caller, called bridge.Line, log *journal) {
	t.Helper()
	a := startAgent(t, nil)
	b, log := underPolicy(t, in)
	caller = a.dial(bridge.DialSpec{To: b.uri("lobby"), From: "alice", Trunk: out})
	c := b.incoming()
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	expect(t, caller, bridge.LineAnswered)
	expect(t, c.Line, bridge.LineAnswered)
	return caller, c.Line, log
}

// heardFrom proves that sound of one line arrives at the other.
func heardFrom(t *testing.T, from, to bridge.Line, number uint16) {
	t.Helper()
	got := make(chan struct{}, 256)
	to.Media().Receive(func(*media.Packet) { got <- struct{}{} }, nil)
	defer to.Media().Receive(nil, nil)
	for n := range uint16(200) {
		p := from.Media().Params()
		from.Media().WritePacket(&media.Packet{Codec: p.Codec, SequenceNumber: number + n, Timestamp: uint32(number+n) * 160, Payload: make([]byte, 160)})
		select {
		case <-got:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("nothing was heard")
}

func TestTrunksProtectCallsBothWays(t *testing.T) {
	for _, c := range []struct {
		name, out, keying, in, want string
	}{
		{"required", "required", "", "required", "sdes AES_CM_128_HMAC_SHA1_80"},
		{"optional to required", "optional", "", "required", "sdes AES_CM_128_HMAC_SHA1_80"},
		{"required to optional", "required", "sdes", "optional", "sdes AES_CM_128_HMAC_SHA1_80"},
		{"optional to off", "optional", "", "off", ""},
		{"off to optional", "off", "", "optional", ""},
		{"DTLS", "required", "dtls", "required", "dtls AEAD_AES_128_GCM"},
		{"DTLS where it can be", "optional", "dtls", "optional", "dtls AEAD_AES_128_GCM"},
		{"DTLS to off", "optional", "dtls", "off", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, in, _ := secureTalk(t, dialplan.Trunk{SRTP: c.out, Keying: c.keying}, dialplan.Trunk{SRTP: c.in})
			heardFrom(t, out, in, 1)
			heardFrom(t, in, out, 1)
			if a, b := out.Media().Security(), in.Media().Security(); a != c.want || b != c.want {
				t.Errorf("protected by %q and %q, want %q", a, b, c.want)
			}
			if strings.HasPrefix(c.want, "dtls") {
				expectUntil(t, out, bridge.LineRenegotiated)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for _, on := range []bool{true, false} {
				if err := out.Hold(ctx, on); err != nil {
					t.Fatal(err)
				}
			}
			heardFrom(t, out, in, 300)
			heardFrom(t, in, out, 300)
			if a, b := out.Media().Security(), in.Media().Security(); a != c.want || b != c.want {
				t.Errorf("after hold: protected by %q and %q", a, b)
			}
			in.End(bridge.CauseNormal, "")
		})
	}
}

// expectUntil waits for an event, past others.
func expectUntil(t *testing.T, l bridge.Line, kind bridge.LineEventKind) bridge.LineEvent {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, open := <-l.Events():
			if !open || e.Kind == kind {
				return e
			}
		case <-timeout:
			t.Fatalf("no event of kind %d", kind)
		}
	}
}

func TestWrongCertificateEndsTheCall(t *testing.T) {
	b, _ := underPolicy(t, dialplan.Trunk{SRTP: "required"})
	named, shown := identity(t), identity(t)
	s, err := rtp.Open(t.Context(), rtp.Config{LocalIP: mustAddr("127.0.0.1"), Identity: shown})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := newWire(t, b.Addr())
	d := w.invite()
	d.body = sampleSDP("127.0.0.1", 0, fmt.Sprintf("m=audio %d UDP/TLS/RTP/SAVP 0\r\na=rtcp-mux\r\na=setup:passive\r\na=fingerprint:%s\r\n",
		s.LocalAddr().Port(), named.Fingerprint()))
	if err := s.Update(rtp.Params{Remote: mustAddrPort("127.0.0.1:9"), Latch: true, Codec: media.PCMU,
		Security: &rtp.Security{DTLS: &rtp.DTLS{Fingerprints: []rtp.Fingerprint{b.identity.Fingerprint()}}}}); err != nil {
		t.Fatal(err)
	}
	w.sendDraft(d)
	line := b.incoming().Line
	if err := line.Answer(); err != nil {
		t.Fatal(err)
	}
	w.sendDraft(d.within("ACK", w.response(200, "INVITE")))
	bye := w.request("BYE")
	w.reply(bye, 200, "OK", "", "", "")
	e := expectUntil(t, line, bridge.LineEnded) // before the ACK or after it
	if e.Cause != bridge.CauseIncompatible || !strings.Contains(e.Reason, "certificate is not the one") || !strings.Contains(bye.value("reason"), "certificate is not the one") {
		t.Errorf("%s; BYE says %s", e.Reason, bye.value("reason"))
	}
	if q := line.Media().Quality(); q.PacketsSent != 0 {
		t.Errorf("%d packets were sent", q.PacketsSent)
	}
}

func identity(t *testing.T) *rtp.Identity {
	t.Helper()
	id, err := rtp.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A phone behind a NAT writes an address of its own network: it has to begin the
// handshake, from where it really is.
func TestHandshakeOfAPhoneBehindANAT(t *testing.T) {
	b, _ := underPolicy(t, dialplan.Trunk{SRTP: "required"})
	id := identity(t)
	s, err := rtp.Open(t.Context(), rtp.Config{LocalIP: mustAddr("127.0.0.1"), Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := newWire(t, b.Addr())
	d := w.invite()
	d.body = sampleSDP("192.168.7.7", 0, "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=rtcp-mux\r\na=setup:actpass\r\na=fingerprint:"+id.Fingerprint().String()+"\r\n")
	line, ok := secureCall(t, b, d, w)
	if !strings.Contains(string(ok.Body), "a=setup:passive\r\n") {
		t.Fatalf("the answer:\n%s", ok.Body)
	}
	if err := s.Update(rtp.Params{Remote: line.Media().LocalAddr(), Codec: media.PCMU, Mux: true, Send: true,
		Security: &rtp.Security{DTLS: &rtp.DTLS{Active: true, Fingerprints: []rtp.Fingerprint{b.identity.Fingerprint()}}}}); err != nil {
		t.Fatal(err)
	}
	expect(t, line, bridge.LineRenegotiated)
	if line.Media().Remote() != s.LocalAddr() || line.Media().Security() == "" {
		t.Errorf("the phone is taken to be at %s, protected by %q", line.Media().Remote(), line.Media().Security())
	}
	line.End(bridge.CauseNormal, "")
	bye := w.request("BYE")
	w.reply(bye, 200, "OK", "", "", "")
}
