package sip

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// caller is who we say calls, in a call of ours.
type caller struct {
	from    string          // From, without tag
	contact string          // user part of our Contact
	fields  []sipmsg.Header // the others that say it
}

// dialogFields are those that nobody may write into an INVITE beside us: they
// belong to the dialog, or are made elsewhere.
var dialogFields = map[string]bool{
	"via": true, "v": true, "from": true, "f": true, "to": true, "t": true, "call-id": true, "i": true, "cseq": true,
	"contact": true, "m": true, "max-forwards": true, "route": true, "record-route": true, "content-length": true, "l": true,
	"content-type": true, "c": true, "content-encoding": true, "e": true, "require": true, "supported": true, "k": true,
	"proxy-require": true, "allow": true, "replaces": true, "rack": true, "rseq": true, "session-expires": true, "x": true, "min-se": true,
	"authorization": true, "proxy-authorization": true, "www-authenticate": true, "proxy-authenticate": true,
	"identity": true, "y": true, "refer-to": true, "r": true, strings.ToLower(pathField): true,
}

// anonymous is the From of those who want not to be shown, RFC 3323 section 4.1.1.3.
const anonymous = `"Anonymous" <sip:anonymous@anonymous.invalid>`

// callerOf says who calls: From, and by what the trunk believes, the asserted
// identity. host stands behind numbers; target is the request URI.
func callerOf(spec bridge.DialSpec, host, target string) (caller, error) {
	number, uri, err := speak(spec.From, host)
	if words := grammar.HostPortFault(host); words != "" {
		err = errors.New("the trunk's domain: " + words)
	}
	if err != nil {
		return caller{}, fmt.Errorf("caller id: %w", err)
	}
	rules := spec.Trunk.CallerID
	private := spec.Identity.Private || rules != nil && rules.Privacy
	c := caller{from: quoted(spec.FromName) + "<" + uri + ">", contact: number}
	if private {
		c.from, c.contact = anonymous, "anonymous"
	}
	say := func(name, value string) {
		for given := range spec.Headers {
			if strings.EqualFold(given, name) {
				return // the trunk's header map has the last word
			}
		}
		c.fields = append(c.fields, sipmsg.NewHeader(name, value))
	}
	// What a stranger's INVITE brought and cannot be said again is left out.
	_, known, err := speak(spec.Identity.Asserted, host)
	switch {
	case spec.Identity.Asserted != "" && err == nil:
	case private && number != "anonymous":
		known = uri
	default:
		known = ""
	}
	if private {
		say("Privacy", "id")
	}
	if known != "" {
		assert(quoted(spec.FromName)+"<"+known+">", private, rules, say)
	}
	divert(spec.Identity.Diversion, host, target, say)
	return c, nil
}

// assert says who calls where the trunk looks for it.
func assert(who string, private bool, rules *dialplan.CallerID, say func(name, value string)) {
	where, privacy := "pai", "off"
	if rules != nil && rules.Identity != "" {
		where = rules.Identity
	}
	if private {
		privacy = "full"
	}
	switch where {
	case "pai":
		say("P-Asserted-Identity", who)
	case "rpid":
		say("Remote-Party-ID", who+";party=calling;screen=yes;privacy="+privacy)
	}
}

// divert says who was called before, in both of the forms that are in use.
func divert(list []string, host, target string, say func(name, value string)) {
	var before, reasons []string
	for _, entry := range list[:min(len(list), mostIdentities)] {
		who, params, _ := strings.Cut(entry, ";")
		reason, _ := grammar.Param(";"+params, "reason")
		if !grammar.IsToken(reason) {
			reason = "unknown"
		}
		_, uri, err := speak(who, host)
		if err != nil || who == "" {
			continue
		}
		before, reasons = append(before, "<"+uri+">;reason="+reason+";counter=1"), append(reasons, reason)
	}
	if len(before) > 0 {
		say("Diversion", strings.Join(before, ", "))
		say("History-Info", historyOf(before, reasons, target))
	}
}

// historyOf writes the same as History-Info, RFC 7044 section 5: oldest first,
// the present target last, each with the cause for which it was gone to (RFC 7544).
func historyOf(before, reasons []string, target string) string {
	var list []string
	index, cause := "1", ""
	for i := len(before) - 1; i >= -1; i-- {
		uri := target
		if i >= 0 {
			uri = uriOf(before[i])
		}
		entry := "<" + uri + cause + ">;index=" + index
		if len(list) > 0 {
			entry += ";mp=" + index[:len(index)-2]
		}
		list = append(list, entry)
		index += ".1"
		if i >= 0 {
			cause = ";cause=" + causeOfReason(reasons[i])
		}
	}
	return strings.Join(list, ", ")
}

func causeOfReason(reason string) string {
	switch reason {
	case "unknown":
		return "404"
	case "deflection":
		return "480"
	}
	for cause, r := range reasonOfCause {
		if r == reason {
			return cause
		}
	}
	return "404"
}

// speak makes a URI of a number or user part at host, or takes one as it is.
func speak(who, host string) (user, uri string, err error) {
	scheme, _, _ := strings.Cut(who, ":")
	switch strings.ToLower(scheme) {
	case "sip", "sips", "tel":
		if words := grammar.AddressFault(who); words != "" || strings.Contains(who, "?") || text.Printable(who, 512) != who {
			return "", "", fmt.Errorf("%q is no URI that can be shown", text.Printable(who, longestParty))
		}
		return userOf(who), who, nil
	}
	if len(who) > longestParty {
		return "", "", errors.New("it is longer than 128 bytes")
	}
	if who == "" {
		who = "anonymous"
	}
	return who, "sip:" + escapeUser(who) + "@" + host, nil
}

// quoted is a display name in quotes with a space behind, or nothing: no line
// ends, no control or format characters, no quotes of its own.
func quoted(name string) string {
	var b strings.Builder
	for _, r := range name {
		if b.Len() > longestParty {
			break
		}
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r != utf8.RuneError && unicode.IsPrint(r):
			b.WriteRune(r)
		}
	}
	if strings.TrimSpace(b.String()) == "" {
		return ""
	}
	return `"` + strings.TrimSpace(b.String()) + `" `
}
