package sip

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
)

const relayType = "Content-Type: application/dtmf-relay\r\n"

func TestInfoCarriesKeysIn(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, d, ok := w.call(a)
	info := d.within("INFO", ok)
	for _, c := range []struct {
		extra, body string
		code        int
		key         rune
		duration    time.Duration
	}{
		{relayType, "Signal=5\r\nDuration=160\r\n", 200, '5', 160 * time.Millisecond},
		{relayType, "Signal= 10\nDuration= 99999999\n", 200, '*', longestKey},
		{relayType, "signal=#", 200, '#', usualKey},
		{"Content-Type: application/dtmf\r\n", "d", 200, 'D', usualKey},
		{relayType, "Signal=16\r\n", 200, 0, 0},
		{relayType, "Signal=55\r\n", 400, 0, 0},
		{relayType, "Signal=5\r\nSignal=6\r\n", 400, 0, 0},
		{relayType, "Signal=5\r\nDuration=-1\r\n", 400, 0, 0},
		{relayType, "Duration=100\r\n", 400, 0, 0},
		{"Content-Type: application/media_control+xml\r\n", "<x/>", 415, 0, 0},
		{"Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n", "x", 200, 0, 0},
		{"Info-Package: conference\r\n", "", 469, 0, 0},
		{"", "", 200, 0, 0},
	} {
		info.extra, info.body, info.branch = c.extra, c.body, "z9hG4bK"+unique("b")
		info.cseq++
		w.sendDraft(info)
		w.response(c.code, "INFO")
		if c.key == 0 {
			continue
		}
		e := expect(t, l, bridge.LineDigit)
		if e.Digit.Key != c.key || e.Digit.Duration != c.duration {
			t.Errorf("%q gave %q for %v", c.body, e.Digit.Key, e.Digit.Duration)
		}
	}
	info.cseq -= 2 // an old one
	info.branch = "z9hG4bK" + unique("b")
	w.sendDraft(info)
	w.response(500, "INFO")
	info.fromTag = "stranger"
	info.branch = "z9hG4bK" + unique("b")
	w.sendDraft(info)
	w.response(481, "INFO")
}

func TestInfoCarriesKeysOutOneByOne(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	l, _, _ := w.call(a)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	results := make(chan string, 2)
	for _, key := range "7#" {
		go func() { results <- fmt.Sprintf("%c %v", key, l.SendDigit(ctx, key, 120*time.Millisecond)) }()
	}
	var bodies []string
	for i, code := range []int{200, 488} {
		m := w.request("INFO")
		bodies = append(bodies, string(m.Body))
		// The second key waits for the answer to the first.
		w.silence(60*time.Millisecond, func(next message) bool { return next.value("cseq") != m.value("cseq") })
		w.reply(m, code, "Whatever", "", "", "")
		got := <-results
		if want := m.Body[7:8]; !strings.HasPrefix(got, string(want)) || strings.HasSuffix(got, "<nil>") != (i == 0) {
			t.Errorf("SendDigit: %s, INFO %q", got, m.Body)
		}
	}
	if !strings.Contains(strings.Join(bodies, ""), "Signal=7\r\nDuration=120\r\n") {
		t.Errorf("bodies %q", bodies)
	}
	if l.SendDigit(ctx, 'x', 0) == nil {
		t.Error("x was taken for a key")
	}
	l.End(bridge.CauseNormal, "")
	if err := l.SendDigit(ctx, '1', 0); err == nil {
		t.Error("a key was sent on an ended call")
	}
}

func FuzzInfo(f *testing.F) {
	f.Add(dtmfRelay, "", "Signal=1\r\nDuration=100\r\n")
	f.Add(dtmfPlain, "render;handling=optional", "5")
	f.Fuzz(func(t *testing.T, kind, disposition, body string) {
		req := sipmsg.NewRequest(sipmsg.INFO, sipmsg.Uri{Host: "example.com"})
		req.AppendHeader(sipmsg.NewHeader("Content-Type", kind))
		req.AppendHeader(sipmsg.NewHeader("Content-Disposition", disposition))
		req.SetBody([]byte(body))
		d, fault := readInfo(req)
		if d.Key != 0 && (fault != nil || !strings.ContainsRune(dtmfKeys, d.Key) || d.Duration < 0 || d.Duration > longestKey) {
			t.Errorf("%q %q: %q for %v, %v", kind, body, d.Key, d.Duration, fault)
		}
	})
}

func TestARequestThatOvertakesTheAckStandsForIt(t *testing.T) {
	a := startAgent(t, nil)
	w := newWire(t, a.Addr())
	d := w.invite()
	w.sendDraft(d)
	c := a.incoming()
	if err := c.Answer(); err != nil {
		t.Fatal(err)
	}
	ok := w.response(200, "INVITE")
	info := d.within("INFO", ok)
	info.extra, info.body = relayType, "Signal=3\r\n"
	w.sendDraft(info)
	expect(t, c.Line, bridge.LineAnswered)
	expect(t, c.Line, bridge.LineDigit)
	w.sendDraft(d.within("ACK", ok)) // and changes nothing any more
}
