package dialplan

import "strings"

// Emergency reports whether a called address is an emergency service: 911, 112,
// 933 (the test number of 911), or a service URN below urn:service:sos (RFC 5031).
func Emergency(to string) bool {
	switch to {
	case "911", "112", "933":
		return true
	}
	rest, ok := strings.CutPrefix(strings.ToLower(to), sosURN)
	return ok && (rest == "" || rest[0] == '.' && !strings.ContainsAny(rest, " ;@"))
}

const sosURN = "urn:service:sos"

// namesEmergency reports whether a pattern was written for emergency calls: a
// prefix that happens to cover 911 was not.
func namesEmergency(pattern string) bool {
	bare := strings.TrimSuffix(pattern, "*")
	return Emergency(pattern) || strings.EqualFold(bare, sosURN) || strings.HasPrefix(strings.ToLower(bare), sosURN+".")
}

// namesEmergency reports whether one of the route's patterns is an emergency
// pattern that matches to.
func (r *Route) namesEmergency(to string) bool {
	for _, p := range r.To {
		if namesEmergency(p) && matchOne(p, to) {
			return true
		}
	}
	return false
}
