package sip

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/roomline/roomline/sip/sdp"
	"github.com/roomline/roomline/sip/socket"
)

// Address is one place to listen on and how it shows itself, as --sip says it:
// IP:port, followed by any of /public=IP, /media=IP and /media-public=IP.
type Address struct {
	Listen netip.AddrPort
	// Public is what Contact, Via and SDP say, behind a NAT; zero: Config.PublicIP
	// if that is of the same family, else the local address. NoPublic says that
	// the local address is right although there is a Config.PublicIP: public=none.
	Public   netip.Addr
	NoPublic bool
	// Media is the local address of RTP; zero: where signalling is.
	Media netip.Addr
	// MediaPublic is what SDP says of RTP; zero: Public if Media is zero too or
	// Public is set, else Media.
	MediaPublic netip.Addr
}

// ParseAddress reads an Address; the error says what was expected.
func ParseAddress(s string) (Address, error) {
	head, rest, more := strings.Cut(s, "/")
	listen, err := netip.ParseAddrPort(head)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: expected IP:PORT, such as 192.0.2.1:5060", head)
	}
	a := Address{Listen: listen}
	for more {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if err := a.set(part); err != nil {
			return Address{}, fmt.Errorf("address %q: %w", s, err)
		}
	}
	return a, nil
}

func (a *Address) set(part string) error {
	name, value, _ := strings.Cut(part, "=")
	if name == "public" && value == "none" {
		a.NoPublic = true
		return nil
	}
	ip, err := netip.ParseAddr(value)
	if err == nil && ip.Unmap().Is4() != a.Listen.Addr().Unmap().Is4() {
		return fmt.Errorf("%s is not of the same family, IPv4 or IPv6, as the address listened on", part)
	}
	switch {
	case name != "public" && name != "media" && name != "media-public":
		return fmt.Errorf("%q is not known; expected public=IP, media=IP or media-public=IP", part)
	case err != nil:
		return fmt.Errorf("%s: expected an IP address behind %s=", part, name)
	case name == "public":
		a.Public = ip.Unmap()
	case name == "media":
		a.Media = ip.Unmap()
	case name == "media-public":
		a.MediaPublic = ip.Unmap()
	}
	return nil
}

// face is an Address that is listened on.
type face struct {
	Address
	addr   netip.AddrPort // with its real port
	secure bool           // TLS; else UDP and TCP
	index  int            // among the UDP sockets, see socket.FaceIndex
	udp    *socket.UDP    // nil if secure
}

// signals says whether requests over a transport belong to this face.
func (f *face) signals(transport string) bool { return f.secure == (transport == "tls") }

// shown is what peers are told about our address ip.
func (f *face) shown(ip netip.Addr) netip.Addr {
	if f.Public.IsValid() {
		return f.Public
	}
	return ip
}

// shownMedia is what SDP says about our address ip.
func (f *face) shownMedia(ip netip.Addr) netip.Addr {
	switch {
	case f.MediaPublic.IsValid():
		return f.MediaPublic
	case f.Public.IsValid():
		return f.Public
	}
	return ip
}

// newFace is the face of an address, with the configured public IP where it says nothing.
func newFace(a Address, real netip.AddrPort, secure bool, public netip.Addr) *face {
	if public = public.Unmap(); !a.NoPublic && !a.Public.IsValid() && public.IsValid() && public.Is4() == real.Addr().Is4() {
		a.Public = public
	}
	return &face{Address: a, addr: real, secure: secure}
}

// faceAt finds the face that listens at an address; nil without one.
func (u *UA) faceAt(addr netip.AddrPort) *face {
	for _, f := range u.faces {
		if f.addr == addr {
			return f
		}
	}
	return nil
}

// faceTo chooses the face of a call that we place: the one that the trunk names,
// else the one whose address packets to the peer leave from, else a wildcard's or
// the first of the peer's family. Over TLS it is one that listens for TLS, if any does.
func (u *UA) faceTo(peer netip.AddrPort, transport, listen string) (*face, error) {
	list := u.facesFor(peer.Addr(), transport)
	if len(list) == 0 {
		family := sdp.Family(peer.Addr())
		return nil, fmt.Errorf("%s is an %s address and no %s address is listened on", peer.Addr(), family, family)
	}
	if listen != "" {
		for _, f := range list {
			if f.named(listen) {
				return f, nil
			}
		}
		return nil, fmt.Errorf("the trunk leaves from %s, which is not listened on for that peer", listen)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	from, err := routeTo(peer)
	for _, f := range list {
		if err == nil && f.addr.Addr() == from {
			return f, nil
		}
	}
	for _, f := range list {
		if f.addr.Addr().IsUnspecified() {
			return f, nil
		}
	}
	return list[0], nil
}

// likelyPeer is where a call to a hop will go, as far as that is known without
// asking DNS: the documentation prefix stands for "somewhere else".
func (u *UA) likelyPeer(h hop) netip.AddrPort {
	if a, err := netip.ParseAddr(h.host); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 5060)
	}
	v4 := u.faces[0].addr.Addr().Is4()
	if seen, ok := u.names.lastSeen(h.host); ok && seen.Addr().Is4() == v4 {
		return seen
	}
	if v4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 5060)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 5060)
}

// facesFor are the faces of a family that speak a transport, or, when none
// does, all of the family: a connection that we open needs no listener.
func (u *UA) facesFor(peer netip.Addr, transport string) []*face {
	var speaks, family []*face
	for _, f := range u.faces {
		if f.addr.Addr().Is4() != peer.Unmap().Is4() {
			continue
		}
		family = append(family, f)
		if f.signals(transport) {
			speaks = append(speaks, f)
		}
	}
	if len(speaks) > 0 {
		return speaks
	}
	return family
}

// named says whether a trunk's listen means this face: its IP:port or its IP.
func (f *face) named(listen string) bool {
	if a, err := netip.ParseAddrPort(listen); err == nil {
		return a == f.addr || a == f.Listen
	}
	a, err := netip.ParseAddr(listen)
	return err == nil && a == f.addr.Addr()
}
