package sip

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// destination finds the request URI of a call and the servers to send it to.
func destination(spec bridge.DialSpec) (uri string, hops []hop, err error) {
	transport := "udp"
	if o := spec.Trunk.Outbound; o != nil {
		switch o.Transport {
		case "", "udp":
		case "tcp", "tls":
			transport = o.Transport
		default:
			return "", nil, fmt.Errorf("transport %q of trunk %q is not available yet", o.Transport, spec.Trunk.Name)
		}
		for _, s := range o.Servers {
			h, err := serverHop(s, transport)
			if err != nil {
				return "", nil, fmt.Errorf("trunk %q: %w", spec.Trunk.Name, err)
			}
			hops = append(hops, h)
		}
	}
	to := strings.TrimSpace(spec.To)
	if grammar.IsSIP(to) {
		if words := grammar.URIFault(to); words != "" {
			return "", nil, fmt.Errorf("%q cannot be dialled: %s", text.Printable(to, 128), words)
		}
		h, ok := hopOf(to, transport)
		if !ok {
			return "", nil, fmt.Errorf("%q cannot be dialled: it has no host", text.Printable(to, 128))
		}
		if len(hops) == 0 {
			hops = []hop{h}
		}
		return to, hops, nil
	}
	if len(hops) == 0 {
		return "", nil, errNoServer
	}
	return numberURI(to, hops[0]), hops, nil
}

// requestURI is the request URI for one server: a number is asked for at the
// server that it is sent to.
func (d *dialling) requestURI(t target) string {
	if to := strings.TrimSpace(d.spec.To); !grammar.IsSIP(to) {
		return numberURI(to, t.hop)
	}
	return strings.TrimSpace(d.spec.To)
}

func numberURI(number string, h hop) string {
	return "sip:" + escapeUser(number) + "@" + h.hostport()
}

// hostport is the hop as it stands in a URI.
func (h hop) hostport() string {
	host := h.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if h.port != 0 && h.port != 5060 {
		host += ":" + strconv.Itoa(h.port)
	}
	return host
}

// serverHop reads host, host:port, IP or [IPv6]:port.
func serverHop(s, transport string) (hop, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return hop{a.Unmap().String(), 0, transport}, nil
	}
	if words := grammar.HostPortFault(s); words != "" {
		return hop{}, fmt.Errorf("server %q: %s", text.Printable(s, 128), words)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return hop{s, 0, transport}, nil
	}
	n, err := strconv.Atoi(port)
	return hop{host, n, transport}, err
}

// escapeUser percent-encodes what the user part of a URI may not hold, section 25.1.
func escapeUser(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if plain || slices.Contains([]byte("-_.!~*'()&=+$,?/"), c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
