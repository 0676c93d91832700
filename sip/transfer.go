package sip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// transfer is a REFER of ours until the peer has said how it ended.
type transfer struct {
	first uint32 // its CSeq; a challenge makes it a later one
	reply chan error
	limit *time.Timer
}

var (
	errTransferring   = errors.New("a transfer of this call is under way already")
	errSilentTransfer = errors.New("the other side stopped telling how the transfer goes")
	errLostTransfer   = errors.New("the call ended before the other side said how the transfer went")
)

// Refer implements bridge.Line. target may be empty if with is given: then it is
// the place where with's peer is reached.
func (l *Line) Refer(ctx context.Context, target string, with bridge.Line) error {
	var named string
	if with != nil {
		other, ok := with.(*Line)
		if !ok || other.ua != l.ua || other == l {
			return errors.New("a call can only be transferred to another call of this gateway")
		}
		if err := other.ask(func() (err error) { target, named, err = other.asTarget(target); return err }); err != nil {
			return err
		}
	}
	t := &transfer{reply: make(chan error, 1)}
	err := l.await(ctx, t.reply, func() { l.refer(t, target, named) })
	if ctx.Err() != nil {
		l.post(func() { l.endTransfer(t, ctx.Err()) })
	}
	return err
}

// asTarget is where this call's peer is reached, and the Replaces that names the
// call as the peer sees it: its own tag is the to-tag.
func (l *Line) asTarget(target string) (uri, named string, err error) {
	if l.state != talking {
		return "", "", errors.New("only an answered call can be the target of a transfer")
	}
	if target == "" {
		target, _, _ = strings.Cut(l.dialog.Target, "?")
	}
	return target, replaces{callID: l.callID, toTag: l.dialog.RemoteTag, fromTag: l.dialog.LocalTag}.escaped(), nil
}

// refer sends the REFER.
func (l *Line) refer(t *transfer, target, named string) {
	if l.state != talking {
		t.reply <- errors.New("only an answered call can be transferred")
		return
	}
	if l.transfer != nil {
		t.reply <- errTransferring
		return
	}
	uri, err := l.referURI(target)
	if err != nil {
		t.reply <- err
		return
	}
	if named != "" {
		uri += "?Replaces=" + named
	}
	req, err := l.request(&l.dialog, sipmsg.REFER)
	if err != nil {
		t.reply <- err
		return
	}
	req.AppendHeader(sipmsg.NewHeader("Refer-To", "<"+uri+">"))
	req.AppendHeader(sipmsg.NewHeader("Referred-By", "<"+uriOf(l.dialog.Local)+">"))
	req.AppendHeader(sipmsg.NewHeader("Supported", supported))
	req.SetBody(nil)
	t.first = req.CSeq().SeqNo
	l.transfer = t
	t.limit = l.after(subscriptionTime, func() {
		l.endTransfer(t, errors.New("the other side did not say in time how the transfer went"))
	})
	l.exchange(&l.dialog, req, func(res *sipmsg.Response) { l.onReferAnswered(t, res) })
}

// onReferAnswered: 2xx means that NOTIFYs will tell, unless it says that there
// will be none (RFC 4488).
func (l *Line) onReferAnswered(t *transfer, res *sipmsg.Response) {
	switch {
	case res == nil:
		l.endTransfer(t, errors.New("the other side did not answer the REFER"))
	case !res.IsSuccess():
		words := fmt.Sprintf("%d %s", res.StatusCode, text.Printable(res.Reason, 100))
		l.endTransfer(t, errors.New("the other side refused to transfer the call: "+words))
	case wantsNoSubscription(res):
		l.endTransfer(t, nil)
	}
}

// transferOutcome says a final status line in words; nil is success.
func transferOutcome(code int, phrase string) error {
	if code < 300 {
		return nil
	}
	return fmt.Errorf("the other side could not reach the target: %d %s", code, phrase)
}

func (l *Line) endTransfer(t *transfer, err error) {
	if l.transfer != t {
		return
	}
	l.transfer = nil
	l.cancelTimer(t.limit)
	t.reply <- err
}

// referURI makes a URI of a number: at the peer's own host, which knows what to
// do with numbers.
func (l *Line) referURI(target string) (string, error) {
	scheme, _, named := strings.Cut(target, ":")
	switch strings.ToLower(scheme) {
	case "sip", "sips", "tel":
		if words := grammar.AddressFault(target); words != "" {
			return "", fmt.Errorf("%q cannot be dialled: %s", text.Printable(target, 128), words)
		}
		if strings.Contains(target, "?") {
			return "", errors.New("the target of a transfer may not carry header fields")
		}
		return target, nil
	}
	if named || strings.TrimSpace(target) == "" {
		return "", fmt.Errorf("%q is neither a number nor a URI that can be dialled", text.Printable(target, 128))
	}
	for _, at := range []string{uriOf(l.dialog.Remote), l.dialog.Target} {
		h, ok := hopOf(at, "")
		if !ok || strings.HasSuffix(strings.ToLower(h.host), ".invalid") {
			continue
		}
		host := h.host
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
			host = "[" + host + "]"
		}
		if h.port != 0 && h.port != 5060 {
			host = fmt.Sprintf("%s:%d", host, h.port)
		}
		return "sip:" + escapeUser(target) + "@" + host, nil
	}
	return "", errors.New("the peer has no address to transfer the call at")
}
