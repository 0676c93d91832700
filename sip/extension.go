package sip

import (
	"iter"
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
	for value := range values(req, "Require", "") {
		for tag := range strings.SplitSeq(value, ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !inList(supported, tag) {
				list = append(list, text.Printable(tag, 64))
			}
		}
	}
	return strings.Join(list, ", ")
}

// fieldList is a request or a response.
type fieldList interface{ Headers() []sipmsg.Header }

// requires says whether a message cannot be handled without an extension.
func requires(m fieldList, tag string) bool { return has(m, "Require", "", tag) }

// supports says whether the sender of a message knows an extension.
func supports(m fieldList, tag string) bool { return has(m, "Supported", "k", tag) }

func has(m fieldList, field, compact, token string) bool {
	for value := range values(m, field, compact) {
		if inList(value, token) {
			return true
		}
	}
	return false
}

// values are those of a field under its name or its compact form; it costs less
// than GetHeaders, which allocates.
func values(m fieldList, field, compact string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range m.Headers() {
			name := h.Name()
			if strings.EqualFold(name, field) || compact != "" && strings.EqualFold(name, compact) {
				if !yield(h.Value()) {
					return
				}
			}
		}
	}
}

// only is the value of a field that must not come twice, empty if it does.
func only(m fieldList, field, compact string) string {
	var found string
	n := 0
	for value := range values(m, field, compact) {
		found = value
		n++
	}
	if n != 1 {
		return ""
	}
	return found
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
