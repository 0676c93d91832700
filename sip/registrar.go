package sip

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
)

// grantedTo is how long a 200 to REGISTER lets a contact live, section 10.2.4.
func grantedTo(res *sipmsg.Response, contact string, asked time.Duration) time.Duration {
	ours, _, _ := strings.Cut(contact, ";")
	for _, h := range res.GetHeaders("Contact") {
		for _, value := range grammar.Split(h.Value(), ',') {
			uri, params, _ := grammar.SplitAddress(value)
			uri, _, _ = strings.Cut(uri, ";")
			if v, ok := grammar.Param(params, "expires"); ok && strings.EqualFold(uri, ours) {
				if n, err := strconv.ParseUint(v, 10, 31); err == nil && n > 0 {
					return min(time.Duration(n)*time.Second, registerMost)
				}
			}
		}
	}
	if d, ok := secondsIn(res, "Expires"); ok && d > 0 {
		return min(d, registerMost)
	}
	return max(asked, time.Second)
}

// secondsIn reads a header field that counts seconds.
func secondsIn(res *sipmsg.Response, name string) (time.Duration, bool) {
	h := res.GetHeader(name)
	if h == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 31)
	return time.Duration(n) * time.Second, err == nil
}

// seenFrom is the address that a response says our request came from.
func seenFrom(res *sipmsg.Response) (netip.AddrPort, bool) {
	via := res.Via()
	if via == nil {
		return netip.AddrPort{}, false
	}
	host := via.Params.GetOr("received", strings.Trim(via.Host, "[]"))
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	port, bad := strconv.ParseUint(via.Params.GetOr("rport", ""), 10, 16)
	if err != nil || bad != nil || port == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), true
}

// refreshAfter is 85 to 90 % of what was granted.
func refreshAfter(granted time.Duration) time.Duration {
	return max(time.Duration(float64(granted)*(0.85+0.05*rand.Float64())), time.Second)
}

// backoff is the pause after a number of failures, RFC 5626 section 4.5 with a
// quicker first try: 5 s, then 30 s doubled up to 30 min, of which chance takes up to half.
func backoff(failures int, chance float64) time.Duration {
	d := retryFirst
	if failures > 1 {
		d = min(retryBase<<min(failures-2, 10), retryMost)
	}
	return d/2 + time.Duration(float64(d/2)*chance)
}
