package sip

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
)

// Dialog is one SIP dialog, RFC 3261 section 12, as plain data: everything that
// the next request or response within it depends on.
type Dialog struct {
	CallID    string
	LocalTag  string
	RemoteTag string // empty until the peer's first response with a tag

	Local  string // our From value without the tag: "Name" <uri>
	Remote string // the peer's, likewise

	LocalSeq  uint32 // of the last request that we sent, ACK and CANCEL apart
	RemoteSeq uint32 // of the last one that came; 0 before the first

	Target   string   // the peer's Contact URI
	RouteSet []string // Route values, <uri;lr>, the next hop first
	Contact  string   // our Contact URI
	Allow    string   // the methods that the peer takes, as it last said; empty: never
	Timer    SessionTimer

	Secure    bool           // it was opened with a sips URI: TLS on every hop, and our Contact says so
	Transport string         // udp, tcp or tls
	Server    string         // outbound: the host that the TLS server was verified to be
	Source    netip.AddrPort // where the peer's last message came from
	Socket    netip.AddrPort // our listening address that requests leave from
	SentBy    netip.AddrPort // what our Via says
}

// dialogOfInvite is the dialog that an INVITE opens when it is answered with
// tag, section 12.1.1.
func dialogOfInvite(req *sipmsg.Request, tag string) Dialog {
	d := Dialog{
		CallID: req.CallID().Value(), LocalTag: tag, RemoteTag: req.From().Params.GetOr("tag", ""),
		Local: withoutTag(req.To().Value()), Remote: withoutTag(req.From().Value()),
		RemoteSeq: req.CSeq().SeqNo, Transport: sipmsg.NetworkToLower(req.Transport()), Secure: asksForSIPS(req),
	}
	d.Source, _ = netip.ParseAddrPort(req.Source())
	d.Source = netip.AddrPortFrom(d.Source.Addr().Unmap(), d.Source.Port())
	for _, h := range req.GetHeaders("Record-Route") {
		d.RouteSet = append(d.RouteSet, h.Value())
	}
	if c := req.Contact(); c != nil {
		d.Target = c.Address.String()
	}
	d.hear(req)
	return d
}

// hear keeps what a message says of the methods that the peer takes.
func (d *Dialog) hear(m fieldList) {
	said := ""
	for value := range values(m, "Allow", "") {
		if said != "" {
			said += ","
		}
		said += value
	}
	if said != "" {
		d.Allow = said
	}
}

// allows says whether the peer takes a method.
func (d *Dialog) allows(method string) bool { return inList(d.Allow, method) }

// learn completes the dialog of our INVITE from a response with a To tag,
// section 12.1.2: the route set is the response's, backwards.
func (d *Dialog) learn(res *sipmsg.Response) {
	d.RemoteTag = res.To().Params.GetOr("tag", "")
	d.RouteSet = nil
	records := res.GetHeaders("Record-Route")
	for i := len(records) - 1; i >= 0; i-- {
		d.RouteSet = append(d.RouteSet, records[i].Value())
	}
	d.follow(res)
}

// follow takes a new remote target and source from a response, section 12.2.1.2.
func (d *Dialog) follow(res *sipmsg.Response) {
	d.hear(res)
	if c := res.Contact(); c != nil && c.Address.Host != "" {
		d.Target = c.Address.String()
	}
	if source, err := netip.ParseAddrPort(res.Source()); err == nil {
		d.Source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	}
}

// followRequest takes a new remote target from a re-INVITE or UPDATE, section 12.2.2.
func (d *Dialog) followRequest(req *sipmsg.Request) {
	d.hear(req)
	if c := req.Contact(); c != nil && c.Address.Host != "" {
		d.Target = c.Address.String()
	}
	if source, err := netip.ParseAddrPort(req.Source()); err == nil {
		d.Source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	}
}

// request builds a request within the dialog, section 12.2.1.1, without body.
// It takes the next sequence number, except for ACK, which has its INVITE's.
func (d *Dialog) request(method sipmsg.RequestMethod, seq uint32) (*sipmsg.Request, error) {
	target, routes := d.Target, d.RouteSet
	if target == "" {
		return nil, errors.New("the peer gave no Contact")
	}
	if len(routes) > 0 && !isLoose(routes[0]) {
		// A strict router wants to be the request URI, and the target last.
		target, routes = uriOf(routes[0]), append(append([]string(nil), routes[1:]...), "<"+target+">")
	}
	var uri sipmsg.Uri
	if err := sipmsg.ParseUri(target, &uri); err != nil {
		return nil, errors.New("the peer's Contact cannot be read")
	}
	uri.Headers = nil
	req := sipmsg.NewRequest(method, uri)
	req.AppendHeader(d.via())
	for _, r := range routes {
		req.AppendHeader(sipmsg.NewHeader("Route", r))
	}
	forwards := sipmsg.MaxForwardsHeader(70)
	callID := sipmsg.CallIDHeader(d.CallID)
	req.AppendHeader(sipmsg.NewHeader("From", d.Local+";tag="+d.LocalTag))
	to := d.Remote
	if d.RemoteTag != "" {
		to += ";tag=" + d.RemoteTag
	}
	req.AppendHeader(sipmsg.NewHeader("To", to))
	req.AppendHeader(&callID)
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: seq, MethodName: method})
	req.AppendHeader(&forwards)
	req.AppendHeader(sipmsg.NewHeader("Contact", "<"+d.Contact+">"))
	return req, nil
}

// via is a fresh Via hop; rport asks that the response come back here, RFC 3581.
func (d *Dialog) via() *sipmsg.ViaHeader {
	v := &sipmsg.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(d.Transport),
		Host: d.SentBy.Addr().String(), Port: int(d.SentBy.Port()),
	}
	v.Params.Add("branch", sipmsg.GenerateBranch())
	v.Params.Add("rport", "")
	return v
}

// hop is where a request goes first.
type hop struct {
	host      string // name or address
	port      int    // 0: not said
	transport string
}

func (h hop) String() string { return net.JoinHostPort(h.host, strconv.Itoa(h.port)) }

// nextHop is the first route, else the peer's Contact, else, when that cannot
// be reached from here (see reachable), the address that the peer's messages
// come from: the Contact of a phone behind a NAT names its own network.
func (d *Dialog) nextHop() hop {
	uri := d.Target
	if len(d.RouteSet) > 0 {
		uri = uriOf(d.RouteSet[0])
	}
	h, ok := hopOf(uri, d.Transport)
	addr, err := netip.ParseAddr(h.host)
	named := err != nil
	unreachable := !named && !reachable(addr, d.Source.Addr(), d.Socket.Addr())
	if !ok || d.Source.IsValid() && (unreachable || named && strings.HasSuffix(strings.ToLower(h.host), ".invalid")) {
		return hop{d.Source.Addr().String(), int(d.Source.Port()), d.Transport}
	}
	return h
}

// hopOf reads host, port and transport out of a URI.
func hopOf(uri, transport string) (hop, bool) {
	var u sipmsg.Uri
	if err := sipmsg.ParseUri(uri, &u); err != nil || u.Host == "" {
		return hop{}, false
	}
	h := hop{host: strings.Trim(u.Host, "[]"), port: u.Port, transport: transport}
	if m := u.UriParams.GetOr("maddr", ""); m != "" {
		h.host = strings.Trim(m, "[]")
	}
	if t := strings.ToLower(u.UriParams.GetOr("transport", "")); t == "tcp" || t == "udp" || t == "tls" {
		h.transport = t
	}
	if u.IsEncrypted() {
		h.transport = "tls" // whatever its transport parameter says, section 26.2.2
	}
	return h, true
}

// isLoose says whether a route's URI has the lr parameter.
func isLoose(route string) bool {
	_, params, _ := strings.Cut(uriOf(route), ";")
	_, ok := grammar.Param(";"+params, "lr")
	return ok
}

func uriOf(address string) string {
	uri, _, _ := grammar.SplitAddress(address)
	return uri
}

// withoutTag drops the tag parameter of a From or To value.
func withoutTag(value string) string {
	head, tail := value, ""
	if i := strings.LastIndexByte(value, '>'); i >= 0 {
		head, tail = value[:i+1], value[i+1:]
	} else if i := strings.IndexByte(value, ';'); i >= 0 {
		head, tail = value[:i], value[i:]
	}
	for _, p := range strings.Split(tail, ";") {
		name, _, _ := strings.Cut(p, "=")
		if p = strings.TrimSpace(p); p != "" && !strings.EqualFold(strings.TrimSpace(name), "tag") {
			head += ";" + p
		}
	}
	return head
}
