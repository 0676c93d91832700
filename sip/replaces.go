package sip

import (
	"net/url"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// replaces names a dialog as its receiver sees it, RFC 3891 section 6.1: toTag is
// the receiver's own tag.
type replaces struct {
	callID, toTag, fromTag string
	earlyOnly              bool
}

// String is the value of a Replaces header field.
func (r replaces) String() string {
	s := r.callID + ";to-tag=" + r.toTag + ";from-tag=" + r.fromTag
	if r.earlyOnly {
		s += ";early-only"
	}
	return s
}

// escaped is String for the header part of a URI, RFC 3261 section 19.1.1.
func (r replaces) escaped() string {
	return strings.ReplaceAll(url.QueryEscape(r.String()), "+", "%20")
}

// readReplaces reads a Replaces value that is not escaped.
func readReplaces(value string) (replaces, *grammar.Fault) {
	id, params, _ := strings.Cut(strings.TrimSpace(value), ";")
	r := replaces{callID: strings.TrimSpace(id)}
	if r.callID == "" || len(r.callID) > 256 || strings.ContainsAny(r.callID, " \t,\"<>") || text.Printable(r.callID, 256) != r.callID {
		return r, grammar.Faultf(400, "Replaces: the Call-ID is not one word of at most 256 letters")
	}
	seen := map[string]bool{}
	for _, p := range strings.Split(params, ";") {
		name, v, _ := strings.Cut(p, "=")
		name, v = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(v)
		switch name {
		case "to-tag":
			r.toTag = v
		case "from-tag":
			r.fromTag = v
		case "early-only":
			r.earlyOnly = true
		default:
			continue
		}
		if seen[name] {
			return r, grammar.Faultf(400, "Replaces: %s appears twice", name)
		}
		seen[name] = true
	}
	if !grammar.IsToken(r.toTag) || !grammar.IsToken(r.fromTag) || len(r.toTag)+len(r.fromTag) > 512 {
		return r, grammar.Faultf(400, "Replaces needs a to-tag and a from-tag")
	}
	return r, nil
}

// replacedBy finds the Line that an INVITE wants to take the place of, section
// 3; nil without a fault when it has no such wish.
func (u *UA) replacedBy(req *sipmsg.Request) (*Line, *grammar.Fault) {
	list := req.GetHeaders("Replaces")
	switch {
	case len(list) == 0:
		return nil, nil
	case len(list) > 1 || len(grammar.Split(list[0].Value(), ',')) > 1:
		return nil, grammar.Faultf(400, "an INVITE replaces one call, not several")
	case len(req.GetHeaders("Join")) > 0:
		return nil, grammar.Faultf(400, "Replaces and Join exclude each other")
	}
	r, f := readReplaces(list[0].Value())
	if f != nil {
		return nil, f
	}
	l := u.lineNamed(r)
	if l == nil {
		return nil, grammar.Faultf(481, "there is no call to be replaced")
	}
	err := l.ask(func() error { return l.replaceable(r) })
	if f, ok := err.(*grammar.Fault); ok {
		return nil, f
	}
	if err != nil {
		return nil, grammar.Faultf(481, "there is no call to be replaced")
	}
	return l, nil
}

// lineNamed finds the Line that our tag and the Call-ID name.
func (u *UA) lineNamed(r replaces) *Line {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lines[lineKey{r.callID, r.toTag}]
}

// replaceable says whether this Line is the dialog meant, and in a state in which
// it can be replaced. The fault is the INVITE's answer.
func (l *Line) replaceable(r replaces) error {
	fork := false
	if l.dial != nil && l.state == inviting {
		_, fork = l.dial.forks[r.fromTag]
	}
	switch {
	case !fork && (l.dialog.RemoteTag == "" || l.dialog.RemoteTag != r.fromTag):
		return grammar.Faultf(481, "there is no call to be replaced")
	case l.ended || l.state >= leaving:
		return grammar.Faultf(603, "the call to be replaced is over")
	case l.state == inviting && l.inbound:
		return grammar.Faultf(481, "a call that rings here cannot be replaced")
	case r.earlyOnly && l.state != inviting:
		return grammar.Faultf(486, "the call to be replaced is answered already")
	}
	return nil
}
