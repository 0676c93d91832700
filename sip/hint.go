package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/text"
)

// hintOf says in words what an error on the way to a server means for somebody
// who set the trunk up.
func hintOf(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("the name %s does not exist in DNS: is it written right?", text.Printable(dns.Name, 128))
	case errors.As(err, &dns):
		return fmt.Sprintf("DNS does not answer for %s: does this machine have a working resolver?", text.Printable(dns.Name, 128))
	case errors.Is(err, errCredentials):
		return "the username or the password is wrong"
	case errors.Is(err, errRefused), errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is the address, the port and the transport right?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that address from this machine: routing or a firewall"
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "no answer came: a wrong address or port, a firewall, or a router that rewrites SIP (ALG)"
	}
	return text.Printable(err.Error(), 200)
}

// hintOfTLS says what to do about a handshake that failed; the error says what is wrong.
func hintOfTLS(err error) string {
	words := err.Error()
	for _, h := range []struct{ part, hint string }{
		{"not trusted", "if the carrier has an authority of its own, give it with --sip-tls-ca; else somebody stands between"},
		{"expired", "the carrier must renew it; or the clock of this machine is wrong"},
		{"not valid before", "the clock of this machine is wrong, or the certificate is too new"},
		{"the certificate is for", "write the trunk's server as a name that is in the certificate"},
		{"names nobody", "write the trunk's server as a name that is in the certificate"},
		{"does not speak TLS", "the port is another one, usually 5061, or the transport is tcp or udp"},
		{"refused TLS", "the carrier may want a certificate of ours: give --sip-tls-cert and --sip-tls-key"},
	} {
		if strings.Contains(words, h.part) {
			return h.hint
		}
	}
	return "is it a SIP server that speaks TLS?"
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// hintOfCode says what a final response to one of our requests most likely
// means; what is register, options or call. Empty: the phrase must do.
func hintOfCode(res *sipmsg.Response, what string) string {
	from := "our address"
	if via := res.Via(); via != nil {
		from = text.Printable(via.Params.GetOr("received", via.Host), 64)
	}
	switch res.StatusCode {
	case 401, 407:
		return "the username or the password is wrong"
	case 403:
		if what == "register" {
			return "the carrier does not take this account or this address: check username and password, and that " + from + " (where we come from) is allowed there"
		}
		return "your address is not allowed at the carrier, or the caller id is not: it must allow " + from + " (where we come from)"
	case 404, 484, 604:
		if what == "register" {
			return "the account is not known there: check username and domain"
		}
		return "the carrier does not know that number: check its form, such as +15551234 with or without the plus sign"
	case 405, 501:
		return "the server does not offer this; it need not be a fault"
	case 408, 480:
		return "the carrier reached nobody there"
	case 488, 606:
		return "there is no codec in common; " + offered(res)
	case 503:
		return "the carrier is out of order or overloaded, or has no room on this trunk"
	}
	return ""
}

// offered says which codecs a 488 lists, section 21.4.26.
func offered(res *sipmsg.Response) string {
	var names []string
	for _, line := range strings.Split(string(res.Body()), "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "a=rtpmap:"); ok && len(names) < 16 {
			_, name, _ := strings.Cut(rest, " ")
			names = append(names, text.Printable(name, 32))
		}
	}
	if len(names) > 0 {
		return "they offer " + strings.Join(names, ", ")
	}
	if h := res.GetHeader("Warning"); h != nil {
		return "they say " + text.Printable(h.Value(), 160)
	}
	return "they do not say what they offer: set the trunk's codecs to those that the carrier names"
}
