package sip

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// Bounds on what an INVITE may say about who calls.
const (
	mostIdentities = 8
	longestParty   = 128
)

// identityOf reads what an INVITE says about its caller beyond From. Whether
// that may be believed is for the bridge to know.
func identityOf(req *sipmsg.Request) bridge.Identity {
	id := bridge.Identity{Private: privacyOf(req)}
	if id.Asserted = asserted(addresses(req, "P-Asserted-Identity")); id.Asserted == "" {
		var hidden bool
		id.Asserted, hidden = remoteParty(req)
		id.Private = id.Private || hidden
	}
	if id.Diversion = diversions(req); len(id.Diversion) == 0 {
		id.Diversion = history(req)
	}
	return id
}

// address is one name-addr of a header field: its URI and the parameters behind it.
type address struct{ uri, params string }

// addresses reads a list of them, leaving out what cannot be read.
func addresses(m sipmsg.Message, field string) []address {
	var list []address
	for _, h := range m.GetHeaders(field) {
		for _, value := range grammar.Split(h.Value(), ',') {
			if len(list) >= mostIdentities {
				return list
			}
			if uri, params, words := grammar.SplitAddress(value); words == "" {
				list = append(list, address{uri, params})
			}
		}
	}
	return list
}

// asserted chooses among the one or two values of P-Asserted-Identity, RFC 3325
// section 9.1: the telephone number where there is one.
func asserted(list []address) string {
	for _, a := range list {
		if strings.HasPrefix(strings.ToLower(a.uri), "tel:") {
			return party(a.uri)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return party(list[0].uri)
}

// party is the number or user part of a URI where it can be shown, else the URI.
func party(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	if user := userOf(uri); user != "" && text.Printable(user, longestParty) == user && !strings.ContainsAny(user, ";,<>") {
		return user
	}
	return text.Printable(uri, longestParty)
}

// privacyOf says whether the caller asks not to be shown, RFC 3323 section 4.2.
func privacyOf(req *sipmsg.Request) bool {
	for _, h := range req.GetHeaders("Privacy") {
		for _, v := range strings.FieldsFunc(h.Value(), func(r rune) bool { return r == ';' || r == ',' }) {
			switch strings.ToLower(strings.TrimSpace(v)) {
			case "id", "user", "header":
				return true
			case "none":
				return false
			}
		}
	}
	return strings.EqualFold(req.From().Address.Host, "anonymous.invalid")
}

// remoteParty reads Remote-Party-ID, which never became an RFC and is still sent.
func remoteParty(m sipmsg.Message) (caller string, hidden bool) {
	for _, a := range addresses(m, "Remote-Party-ID") {
		if p, ok := grammar.Param(a.params, "party"); ok && !strings.EqualFold(p, "calling") {
			continue
		}
		privacy, _ := grammar.Param(a.params, "privacy")
		privacy = strings.ToLower(strings.Trim(privacy, `"`))
		return party(a.uri), privacy != "" && privacy != "off"
	}
	return "", false
}

// diversions reads who was called before out of Diversion, RFC 5806: the latest first.
func diversions(m sipmsg.Message) []string {
	var list []string
	for _, a := range addresses(m, "Diversion") {
		reason, _ := grammar.Param(a.params, "reason")
		list = append(list, diversion(a.uri, strings.ToLower(strings.Trim(reason, `"`))))
	}
	return list
}

// diversion is one entry of bridge.Identity's.
func diversion(uri, reason string) string {
	uri, _, _ = strings.Cut(uri, "?")
	if !grammar.IsToken(reason) || len(reason) > 32 {
		reason = "unknown"
	}
	who, _, _ := strings.Cut(party(uri), ";")
	return who + ";reason=" + reason
}

// history reads the same out of History-Info, RFC 7044, whose last entry is the
// present target and whose reasons stand in the entry that was left, or as cause
// of the one that was gone to (RFC 7544).
func history(m sipmsg.Message) []string {
	entries := addresses(m, "History-Info")
	var list []string
	for i := len(entries) - 2; i >= 0; i-- {
		uri, fields, _ := strings.Cut(entries[i].uri, "?")
		if strings.Contains(strings.ToLower(fields), "privacy=history") {
			continue
		}
		cause := causeIn(fields)
		if cause == "" {
			_, params, _ := strings.Cut(entries[i+1].uri, ";")
			cause, _ = grammar.Param(";"+params, "cause")
		}
		reason, ok := reasonOfCause[cause]
		if !ok {
			reason = "unknown"
		}
		list = append(list, diversion(uri, reason))
	}
	return list
}

// causeIn finds the SIP cause of an escaped Reason among a URI's header fields.
func causeIn(fields string) string {
	for _, f := range strings.Split(fields, "&") {
		name, value, _ := strings.Cut(f, "=")
		if !strings.EqualFold(name, "Reason") {
			continue
		}
		_, params, _ := strings.Cut(grammar.Decode(value), ";")
		cause, _ := grammar.Param(";"+params, "cause")
		return cause
	}
	return ""
}

// reasonOfCause translates History-Info's causes into Diversion's reasons, RFC 7544.
var reasonOfCause = map[string]string{
	"302": "unconditional", "404": "unknown", "408": "no-answer", "480": "deflection",
	"486": "user-busy", "487": "deflection", "503": "unavailable",
}

// Bounds on the header fields that become attributes.
const (
	mostFields   = 32
	longestField = 1024
)

// fieldsOf are the X- header fields of an INVITE, the first value of each. See
// addNamed for those that the dial plan names beside them.
func fieldsOf(req *sipmsg.Request) map[string]string {
	fields, seen := map[string]string{}, map[string]bool{}
	for _, h := range req.Headers() {
		name, value := h.Name(), h.Value()
		low := strings.ToLower(name)
		if !strings.HasPrefix(low, "x-") || len(low) == 2 || low == strings.ToLower(pathField) || seen[low] ||
			len(name) > 64 || len(value) > longestField {
			continue
		}
		if len(fields) == mostFields {
			break
		}
		fields[name], seen[low] = value, true
	}
	return fields
}
