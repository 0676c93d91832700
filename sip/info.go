package sip

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media/rtp"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// Bodies that INFO carries keys in. Neither has an RFC: the first is Cisco's,
// with lines Signal= and Duration= (milliseconds); the second is the bare key.
const (
	dtmfRelay = "application/dtmf-relay"
	dtmfPlain = "application/dtmf"
)

// How long a key may last that INFO names, and how long one does that says nothing.
const (
	shortestKey = 40 * time.Millisecond
	longestKey  = 10 * time.Second
	usualKey    = 250 * time.Millisecond
)

// dtmfKeys are the keys in the order of their codes, RFC 4733 section 3.2; some
// phones send the code instead of the key.
const dtmfKeys = "0123456789*#ABCD"

// onInfo takes a key out of an INFO. There is no Info-Package that we understand
// (RFC 6086); INFO without a body is a sign of life.
func (l *Line) onInfo(req *sipmsg.Request, tx *sipmsg.ServerTx) {
	if !l.inOrder(req, tx) {
		return
	}
	l.overtaken()
	if len(req.GetHeaders("Info-Package")) > 0 {
		l.ua.reply(req, tx, 469, "no INFO package is understood here", sipmsg.NewHeader("Recv-Info", ""))
		return
	}
	digit, f := readInfo(req)
	if f != nil {
		l.ua.reply(req, tx, f.Code, f.Words, sipmsg.NewHeader("Accept", dtmfRelay+", "+dtmfPlain))
		return
	}
	tx.Respond(l.respond(req, 200, "OK"))
	if digit.Key != 0 {
		l.emit(bridge.LineEvent{Kind: bridge.LineDigit, Digit: digit})
	}
}

// readInfo reads an INFO's body; a zero Key means that there is nothing to do.
func readInfo(req sipmsg.Message) (rtp.Digit, *grammar.Fault) {
	body := strings.TrimSpace(string(req.Body()))
	if body == "" || optionalBody(req) {
		return rtp.Digit{}, nil
	}
	kind, _, err := mime.ParseMediaType(contentType(req))
	switch {
	case err != nil:
		return rtp.Digit{}, grammar.Faultf(400, "Content-Type cannot be read")
	case kind == dtmfRelay:
		return readRelay(body)
	case kind == dtmfPlain:
		return readPlain(body)
	}
	return rtp.Digit{}, grammar.Faultf(415, "a body of type %s is not read here", text.Printable(kind, 64))
}

// optionalBody says whether the sender lets us pass over the body, RFC 3261 section 20.11.
func optionalBody(m sipmsg.Message) bool {
	h := m.GetHeaders("Content-Disposition")
	if len(h) == 0 {
		return false
	}
	_, params, _ := strings.Cut(h[0].Value(), ";")
	v, _ := grammar.Param(";"+params, "handling")
	return strings.EqualFold(v, "optional") && !strings.Contains(strings.ToLower(contentType(m)), "dtmf")
}

func readRelay(body string) (rtp.Digit, *grammar.Fault) {
	d := rtp.Digit{Duration: usualKey}
	named := false
	for _, line := range strings.Split(body, "\n") {
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "signal":
			key, ok := readKey(value)
			if !ok || named {
				return rtp.Digit{}, grammar.Faultf(400, "Signal is not one key")
			}
			d.Key, named = key, true
		case "duration":
			ms, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return rtp.Digit{}, grammar.Faultf(400, "Duration is not a number of milliseconds")
			}
			d.Duration = min(time.Duration(ms)*time.Millisecond, longestKey)
		}
	}
	if !named {
		return rtp.Digit{}, grammar.Faultf(400, "there is no Signal")
	}
	return d, nil
}

func readPlain(body string) (rtp.Digit, *grammar.Fault) {
	if strings.Contains(body, "=") {
		return readRelay(body) // some phones put the relay's lines under this name
	}
	key, ok := readKey(body)
	if !ok {
		return rtp.Digit{}, grammar.Faultf(400, "the body is not one key")
	}
	return rtp.Digit{Key: key, Duration: usualKey}, nil
}

// readKey reads a key or its code; 16, the hook flash, is understood and is no key.
func readKey(s string) (key rune, ok bool) {
	if len(s) == 1 {
		i := strings.IndexByte(dtmfKeys, strings.ToUpper(s)[0])
		if i < 0 {
			return 0, false
		}
		return rune(dtmfKeys[i]), true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	switch {
	case err != nil || len(s) != 2 || n > 16:
		return 0, false
	case n == 16:
		return 0, true
	}
	return rune(dtmfKeys[n]), true
}

// keyWish is a call of Line.SendDigit that waits for its turn or its answer.
type keyWish struct {
	ctx      context.Context
	key      rune
	duration time.Duration
	reply    chan error // buffered
}

// SendDigit implements bridge.Line: one INFO at a time, so that keys arrive in order.
func (l *Line) SendDigit(ctx context.Context, key rune, duration time.Duration) error {
	if !strings.ContainsRune(dtmfKeys, key) {
		return errors.New("keys are 0-9, *, # and A-D")
	}
	w := keyWish{ctx, key, duration, make(chan error, 1)}
	return l.await(ctx, w.reply, func() {
		l.keys = append(l.keys, w)
		if len(l.keys) == 1 {
			l.nextKey()
		}
	})
}

// nextKey sends the oldest key.
func (l *Line) nextKey() {
	if len(l.keys) == 0 {
		return
	}
	w := l.keys[0]
	err := w.ctx.Err()
	if err == nil && l.state != talking {
		err = errors.New("keys can only be sent on an answered call")
	}
	var req *sipmsg.Request
	if err == nil {
		req, err = l.request(&l.dialog, sipmsg.INFO)
	}
	if err != nil {
		l.dropKey(err)
		l.nextKey()
		return
	}
	duration := min(max(w.duration, shortestKey), longestKey)
	req.AppendHeader(sipmsg.NewHeader("Content-Type", dtmfRelay))
	req.SetBody(fmt.Appendf(nil, "Signal=%c\r\nDuration=%d\r\n", w.key, duration.Milliseconds()))
	l.exchange(&l.dialog, req, l.onKeySent)
}

func (l *Line) onKeySent(res *sipmsg.Response) {
	switch {
	case res == nil:
		l.dropKey(errors.New("the other side did not answer the INFO"))
	case !res.IsSuccess():
		l.dropKey(fmt.Errorf("the other side refused the key: %d %s", res.StatusCode, text.Printable(res.Reason, 100)))
	default:
		l.dropKey(nil)
	}
	l.nextKey()
}

// dropKey answers the oldest wish.
func (l *Line) dropKey(err error) {
	l.keys[0].reply <- err
	l.keys = l.keys[1:]
}
