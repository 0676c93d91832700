package dialplan

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// TrunkOf finds the trunk that a source address belongs to: the most specific
// network wins. IPv4 in IPv6 form counts as IPv4, zones are ignored.
func (p *Plan) TrunkOf(source netip.Addr) (Trunk, bool) {
	i, ok := p.prepared().trunkOf(source.Unmap().WithZone(""))
	if !ok {
		return Trunk{}, false
	}
	return p.Trunks[i], true
}

// TrunkNamed finds a trunk by its name.
func (p *Plan) TrunkNamed(name string) (Trunk, bool) {
	if p.ready != nil && p.ready.of == p {
		i, ok := p.ready.trunks[name]
		if !ok {
			return Trunk{}, false
		}
		return p.Trunks[i], true
	}
	for i := range p.Trunks {
		if p.Trunks[i].Name == name {
			return p.Trunks[i], true
		}
	}
	return Trunk{}, false
}

// parseNetwork reads an IP address or a network in CIDR form.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	network, err := netip.ParsePrefix(s)
	switch {
	case err != nil || network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("expected an IP address or a network like 203.0.113.0/24")
	case network.Bits() == 0:
		return netip.Prefix{}, errors.New("this is the whole Internet: expected the networks of one carrier")
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("this network has bits set behind its mask: did you mean %s?", network.Masked())
	}
	return network, nil
}

var hostForm = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$`)

// parseServer reads host, host:port, an IPv4 address, or an IPv6 address, in
// brackets when a port follows. port is 0 when it is not said. The host comes
// back in lower case, without brackets.
func parseServer(s string) (host string, port uint16, err error) {
	expected := errors.New("expected host, host:port, an IP address, or [IPv6]:port")
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && a.Zone() == "" {
		return a.Unmap().String(), 0, nil
	}
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Port() != 0 && ap.Addr().Zone() == "" {
		return ap.Addr().Unmap().String(), ap.Port(), nil
	}
	name, portText, hasPort := strings.Cut(s, ":")
	if hasPort {
		n, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || n == 0 || portText[0] == '+' {
			return "", 0, expected
		}
		port = uint16(n)
	}
	if len(name) > 253 || !hostForm.MatchString(name) {
		return "", 0, expected
	}
	return strings.ToLower(strings.TrimSuffix(name, ".")), port, nil
}

// serverAt returns the server of the trunk that an address in a SIP URI names,
// as it is written in the plan. A URI without a port means whichever port the plan says.
func (t *Trunk) serverAt(host string, port uint16) (string, bool) {
	if t.Outbound == nil {
		return "", false
	}
	usual := uint16(5060)
	if t.Outbound.Transport == "tls" {
		usual = 5061
	}
	for _, s := range t.Outbound.Servers {
		h, p, err := parseServer(s)
		if err != nil || h != host {
			continue
		}
		if port == 0 || port == p || port == usual && p == 0 {
			return s, true
		}
	}
	return "", false
}
