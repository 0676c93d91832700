package phone

import (
	"fmt"
	"strings"
)

// parseTarget completes what people type to a SIP URI. "sip:" may be missing.
func parseTarget(s string) (string, error) {
	s = strings.TrimSpace(s)
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case s == "":
		return "", fmt.Errorf("there is nobody to call: expected sip:user@host:port")
	case ok && strings.EqualFold(scheme, "sips"):
		return "", fmt.Errorf("%s: TLS is not available yet, call with sip:", s)
	case ok && strings.EqualFold(scheme, "sip"):
	case strings.EqualFold(scheme, "tel"):
		return "", fmt.Errorf("%s: a number needs a server, as in sip:%s@127.0.0.1:5060", s, rest)
	default:
		rest = s
	}
	if user, host, at := strings.Cut(rest, "@"); !at || user == "" || host == "" {
		return "", fmt.Errorf("%q cannot be called: expected sip:user@host:port", s)
	}
	return "sip:" + rest, nil
}
