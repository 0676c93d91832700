package sip

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/text"
)

// supported is the Supported header field: the extensions that are built.
const supported = "100rel, timer, replaces, norefersub"

// unsupported lists what a request requires and is not built here, for the
// Unsupported header field of a 420.
func unsupported(req *sipmsg.Request) string {
	var list []string
	for _, tag := range listed(req, "Require") {
		if !inList(supported, tag) {
			list = append(list, text.Printable(tag, 64))
		}
	}
	return strings.Join(list, ", ")
}

// requires says whether a message cannot be handled without an extension.
func requires(m sipmsg.Message, tag string) bool { return has(m, "Require", tag) }

// supports says whether the sender of a message knows an extension.
func supports(m sipmsg.Message, tag string) bool {
	return has(m, "Supported", tag) || has(m, "k", tag)
}

func has(m sipmsg.Message, field, token string) bool {
	for _, h := range m.GetHeaders(field) {
		if inList(h.Value(), token) {
			return true
		}
	}
	return false
}

// inList finds a token in a list with commas, whatever its case.
func inList(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), token) {
			return true
		}
	}
	return false
}

// listed are the tokens of a field that may come more than once.
func listed(m sipmsg.Message, field string) []string {
	var list []string
	for _, h := range m.GetHeaders(field) {
		for part := range strings.SplitSeq(h.Value(), ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}
