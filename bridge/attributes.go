package bridge

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/roomline/roomline/dialplan"
)

// What a peer may write into a call's record is bounded.
const (
	mostAttributes   = 32
	longestName      = 64
	longestAttribute = 256
	mostDiversions   = 5
)

// attributesOf are a call's attributes: the X- header fields of its INVITE under
// their own names, and what the trunk's header map makes of others. nil for none.
func attributesOf(inv Invite, t dialplan.Trunk) map[string]string {
	if len(inv.Headers) == 0 {
		return nil
	}
	mapped := t.Headers.Attributes(inv.Headers)
	out := map[string]string{}
	for _, from := range []map[string]string{mapped, ownNamed(inv.Headers)} {
		for _, name := range slices.Sorted(maps.Keys(from)) {
			if value := printable(from[name], longestAttribute); len(out) < mostAttributes && value != "" {
				out[name] = value
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// ownNamed are the X- header fields.
func ownNamed(headers map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range headers {
		if len(name) > 2 && len(name) <= longestName && strings.EqualFold(name[:2], "x-") {
			out[name] = value
		}
	}
	return out
}

// identify notes what the peer says about who calls. It counts only when a
// trunk says it, which is a peer that somebody has chosen to trust.
func (r *CallRecord) identify(id Identity, t dialplan.Trunk) {
	if t.Name == "" {
		return
	}
	r.Asserted, r.Private = printable(id.Asserted, longestAttribute), id.Private
	for _, d := range id.Diversion[:min(len(id.Diversion), mostDiversions)] {
		r.Diversion = append(r.Diversion, printable(d, longestAttribute))
	}
}

// vars are what templates of the dial plan may say about a call.
func (r CallRecord) vars() map[string]string {
	vars := map[string]string{"call.id": r.ID, "call.to": r.To, "call.from": r.From}
	for name, value := range r.Attributes {
		vars["call.attributes."+name] = value
	}
	return vars
}

// printable keeps what can be shown of a text that a peer sent.
func printable(s string, longest int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "")
	}
	return strings.TrimSpace(s)
}
