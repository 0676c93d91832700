package grammar

import (
	"net/netip"
	"strconv"
	"strings"
)

// HostPortFault says in words what is wrong with host[:port]; "" when nothing is.
func HostPortFault(s string) string {
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "the IPv6 address has no closing bracket"
		}
		if a, err := netip.ParseAddr(s[1:end]); err != nil || !a.Is6() {
			return "the address in brackets is not IPv6"
		}
		host, port = "", s[end+1:]
		if port != "" && port[0] != ':' {
			return "there is text behind the IPv6 address"
		}
		port = strings.TrimPrefix(port, ":")
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
		if port == "" {
			return "the port is empty"
		}
	}
	if port = strings.TrimSpace(port); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "the port is not a number from 1 to 65535"
		}
	}
	if strings.HasPrefix(s, "[") {
		return ""
	}
	return hostFault(strings.TrimSpace(host))
}

func hostFault(host string) string {
	if host == "" {
		return "the host is empty"
	}
	for i := 0; i < len(host); i++ {
		c := host[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			return "the host is not a name or an address"
		}
	}
	return ""
}
