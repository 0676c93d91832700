package sip

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// addNamed adds the header fields that the dial plan looks at, under the names
// that it gives them: the first value of each. X- header fields are there already;
// passwords never are.
func addNamed(headers map[string]string, req *sipmsg.Request, names []string) {
	for _, name := range names {
		list := req.GetHeaders(name)
		if len(list) == 0 && strings.EqualFold(name, "Subject") {
			list = req.GetHeaders("s") // its compact form, RFC 3261 section 20.36
		}
		low := strings.ToLower(name)
		if len(list) > 0 && !strings.HasPrefix(low, "x-") && !strings.HasSuffix(low, "authorization") && len(list[0].Value()) <= longestField {
			headers[name] = list[0].Value()
		}
	}
}
