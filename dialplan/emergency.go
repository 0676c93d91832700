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

// names reports whether a pattern of the route was written for emergency calls:
// an emergency number, or a short number of a route with priority: emergency,
// such as 110 or 999.
func (r *Route) names(pattern string) bool {
	return namesEmergency(pattern) || r.Priority == "emergency" && isShort(pattern)
}

func isShort(s string) bool {
	return len(s) >= 2 && len(s) <= 6 && strings.Trim(s, "0123456789") == ""
}

// namesEmergency reports whether one of the route's patterns is an emergency
// pattern that matches to.
func (r *Route) namesEmergency(to string) bool {
	for _, p := range r.To {
		if r.names(p) && matchOne(p, to) {
			return true
		}
	}
	return false
}

// emergencies are numbers that routes make emergency numbers, beside those of [Emergency].
type emergencies map[string]bool

func (p *Plan) emergencies() emergencies {
	all := emergencies{}
	for i := range p.Routes {
		for _, pattern := range p.Routes[i].To {
			if p.Routes[i].names(pattern) && isShort(pattern) {
				all[pattern] = true
			}
		}
	}
	return all
}

func (e emergencies) urgent(to string) bool { return e[to] || Emergency(to) }
