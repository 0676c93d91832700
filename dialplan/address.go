package dialplan

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// address is what somebody asked to dial, taken apart.
type address struct {
	number string // E.164 or an emergency number; else empty
	urgent bool   // number is an emergency number
	secure bool   // a sips URI: only by trunks with TLS
	name   string // user part of a SIP URI that is no number: a name, or an extension
	host   string // of a SIP URI, lower case, without brackets
	port   uint16 // 0: not said
}

// called is what patterns of routes are compared with.
func (a address) called() string {
	if a.number != "" {
		return a.number
	}
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != 0 {
		host += ":" + strconv.Itoa(int(a.port))
	}
	return "sip:" + a.name + "@" + host
}

// extension reports a user part that a carrier might take for a number.
func (a address) extension() bool { return a.name != "" && a.name[0] >= '0' && a.name[0] <= '9' }

var (
	nameUser  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)
	extension = regexp.MustCompile(`^[0-9]{2,6}$`)
)

// address reads a number in the forms that [Normalize] takes, or a SIP URI with a
// user part and no other parameters than user=phone and transport, which the
// trunk decides anyway.
func (n numbering) address(to string) (address, error) {
	to = strings.TrimSpace(to)
	scheme, rest, _ := strings.Cut(to, ":")
	switch {
	case len(to) > 256:
		return address{}, errors.New("this is too long to be dialled")
	case (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips")) && rest != "":
		a, err := n.uri(rest)
		a.secure = len(scheme) == len("sips")
		return a, err
	case strings.Contains(to, "@"):
		return address{}, errors.New("expected a number like +15551234567 or a SIP URI like sip:name@server")
	}
	return n.number(to)
}

func (n numbering) number(text string) (address, error) {
	number, err := n.normalize(text)
	return address{number: number, urgent: n.urgent(number)}, err
}

// harmless reports whether a parameter says nothing about where the call goes.
func harmless(parameter string) bool {
	switch strings.ToLower(parameter) {
	case "", "user=phone", "transport=udp", "transport=tcp", "transport=tls":
		return true
	}
	return false
}

func (n numbering) uri(rest string) (address, error) {
	escaped, server, _ := strings.Cut(rest, "@")
	server, parameters, _ := strings.Cut(server, ";")
	if strings.ContainsAny(escaped+server+parameters, ";?") || !harmless(parameters) {
		return address{}, errors.New("parameters and headers in a SIP URI are not available: expected sip:name@server")
	}
	user, err := url.PathUnescape(escaped)
	if err != nil || user == "" || server == "" {
		return address{}, errors.New("expected a SIP URI like sip:name@server")
	}
	host, port, err := parseServer(server)
	if err != nil {
		return address{}, err
	}
	if a, err := netip.ParseAddr(server); err == nil && a.Is6() {
		return address{}, errors.New("expected brackets around the IPv6 address: sip:name@[2001:db8::1]")
	}
	phone := strings.EqualFold(parameters, "user=phone")
	if !phone && (nameUser.MatchString(user) || extension.MatchString(user) && !n.urgent(user)) {
		return address{name: user, host: host, port: port}, nil
	}
	if strings.Contains(user, "%") {
		return address{}, errors.New("the user part of the SIP URI is escaped twice")
	}
	a, err := n.number(user)
	if err != nil {
		return address{}, errors.New("the user part of the SIP URI is neither a name, an extension nor a number: " + err.Error())
	}
	a.host, a.port = host, port
	return a, nil
}
