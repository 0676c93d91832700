package sip

import (
	"net"
	"net/netip"

	"github.com/roomline/roomline/sip/socket"
)

// scope orders addresses by how far they carry.
type scope uint8

const (
	nowhere  scope = iota // unspecified, multicast
	thisHost              // loopback
	thisLink              // link-local
	thisSite              // RFC 1918, RFC 6598 (carrier NAT), ULA
	worldwide
)

var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

func scopeOf(a netip.Addr) scope {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast():
		return nowhere
	case a.IsLoopback():
		return thisHost
	case a.IsLinkLocalUnicast():
		return thisLink
	case a.IsPrivate() || carrierNAT.Contains(a):
		return thisSite
	}
	return worldwide
}

// reachable says whether an address that a peer wrote into a message can be
// meant for us, who saw the message come from source and stand at local.
//
// The rule: an address of a narrower scope than the one the packet came from
// was written behind a NAT (or by somebody who wants us to send to our own
// loopback) and means nothing here. An address of another family than our
// socket's cannot be reached at all, nor anything but loopback from a loopback
// socket. The source itself is always reachable: a packet just came from there.
// Two private addresses are trusted to be routed to each other; that they
// differ proves nothing, media and signalling often live on different hosts.
func reachable(written, source, local netip.Addr) bool {
	written, source, local = written.Unmap(), source.Unmap(), local.Unmap()
	if written == source {
		return true
	}
	if scopeOf(written) == nowhere || written.Is4() != source.Is4() {
		return false
	}
	if local.IsLoopback() && !written.IsLoopback() {
		return false
	}
	return scopeOf(written) >= scopeOf(source)
}

// routeTo finds the local address that packets to a peer leave from. It asks
// the routing table by connecting a UDP socket, which sends nothing.
func routeTo(peer netip.AddrPort) (netip.Addr, error) {
	c, err := net.Dial("udp", peer.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	local, _ := socket.AddrPort(c.LocalAddr())
	return local.Addr(), nil
}
