package dialplan

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
)

var (
	prefixForm   = regexp.MustCompile(`^\+([1-9][0-9]{0,14})?$`)
	usernameForm = regexp.MustCompile(`^[^\s:"\\\x00-\x1f\x7f]{1,64}$`)
	shownForm    = regexp.MustCompile(`^[A-Za-z0-9+*#._-]{1,64}$`)
	codecNames   = []string{"PCMU", "PCMA", "G722", "opus"}
)

// accounts are what must be unique among all trunks.
type accounts struct {
	names     map[string]bool
	networks  map[netip.Prefix]string
	usernames map[string]string
}

func (c *checker) trunks() {
	taken := accounts{map[string]bool{}, map[netip.Prefix]string{}, map[string]string{}}
	for i := range c.plan.Trunks {
		t, at := &c.plan.Trunks[i], fmt.Sprintf("trunks[%d]", i)
		c.name(at+".name", t.Name, taken.names)
		if len(t.Addresses) == 0 && t.Inbound == nil && t.Outbound == nil {
			c.wrong(at, t.Name, "expected addresses (who may call in), inbound (who may call in by password) or outbound (where calls leave)")
		}
		c.addresses(at+".addresses", t, taken.networks)
		c.inbound(at+".inbound", t, taken.usernames)
		c.outbound(at+".outbound", t.Outbound)
		c.standing(at, t)
		c.codecs(at+".codecs", t.Codecs)
		c.media(at, t)
		c.oneOf(at+".stir", t.STIR, []string{"off", "mark", "require"}, nil)
		c.oneOf(at+".refer", t.Refer, []string{"deny", "allow"}, nil)
		c.oneOf(at+".redirects", t.Redirects, []string{"deny", "follow"}, nil)
		c.country(at+".country", t.Country)
		c.callerID(at+".caller_id", t.CallerID)
		c.headerMap(at+".headers", t.Headers)
		c.limits(at+".limits", t.Limits)
	}
}

func (c *checker) addresses(field string, t *Trunk, networks map[netip.Prefix]string) {
	for i, a := range t.Addresses {
		at := fmt.Sprintf("%s[%d]", field, i)
		network, err := parseNetwork(a)
		if err != nil {
			c.wrong(at, a, err.Error())
			continue
		}
		if other, taken := networks[network]; taken {
			c.wrong(at, a, "trunk "+other+" has this address already, so calls from it would be ambiguous")
		}
		networks[network] = t.Name
	}
}

func (c *checker) inbound(field string, t *Trunk, usernames map[string]string) {
	i := t.Inbound
	if i == nil {
		return
	}
	switch other := usernames[i.Username]; {
	case i.Username == "":
		c.wrong(field+".username", "", "expected the name that the other side registers and calls with")
	case !usernameForm.MatchString(i.Username):
		c.wrong(field+".username", i.Username, "expected 1 to 64 characters without spaces, colons, quotes and backslashes")
	case other != "":
		c.wrong(field+".username", i.Username, "trunk "+other+" has this username already, so calls with it would be ambiguous")
	default:
		usernames[i.Username] = t.Name
	}
	if i.Password == "" {
		c.wrong(field+".password", "", "expected the password that the other side calls with")
	}
	c.password(field+".password", i.Password)
}

func (c *checker) outbound(field string, o *Outbound) {
	if o == nil {
		return
	}
	if len(o.Servers) == 0 {
		c.wrong(field+".servers", "", "expected at least one server: host, host:port or an IP address")
	}
	for i, s := range o.Servers {
		if _, _, err := parseServer(s); err != nil {
			c.wrong(fmt.Sprintf("%s.servers[%d]", field, i), s, err.Error())
		}
	}
	c.oneOf(field+".transport", o.Transport, []string{"udp", "tcp", "tls"}, []string{"ws", "wss"})
	if (o.Username == "") != (o.Password == "") {
		c.wrong(field, "", "expected username and password together, or neither")
	}
	if _, port, err := parseServer(o.Domain); o.Domain != "" && (err != nil || port != 0) {
		c.wrong(field+".domain", o.Domain, "expected a host name or an IP address, without a port")
	}
	c.printable(field+".username", o.Username)
	c.password(field+".password", o.Password)
}

func (c *checker) password(field, password string) {
	if password == Mask {
		c.wrong(field, "", maskKept("password"))
	}
	c.printable(field, password)
}

// maskKept says that nothing stands behind a mask that was sent back.
func maskKept(what string) string {
	return "this is the mask that is shown in place of a " + what + ", and there is no stored one that it could keep: send the " + what
}

// standing checks what a trunk does between calls.
func (c *checker) standing(at string, t *Trunk) {
	if t.Register && (t.Outbound == nil || t.Outbound.Username == "") {
		c.wrong(at+".register", "", "registering needs outbound with servers, username and password")
	}
	if t.Keepalive != "" && t.Keepalive != "off" {
		c.duration(at+".keepalive", t.Keepalive, 5*time.Second, time.Hour)
		if t.Outbound == nil {
			c.wrong(at+".keepalive", t.Keepalive, "there are no outbound servers that could be asked")
		}
	}
	if t.Listen == "" {
		return
	}
	_, notAddr := netip.ParseAddr(t.Listen)
	ap, notPort := netip.ParseAddrPort(t.Listen)
	if notAddr != nil && (notPort != nil || ap.Port() == 0) {
		c.wrong(at+".listen", t.Listen, "expected one of the --sip addresses, such as 192.0.2.1:5060 or 192.0.2.1")
	}
}

func (c *checker) codecs(field string, codecs []string) {
	for i, name := range codecs {
		at := fmt.Sprintf("%s[%d]", field, i)
		c.oneOf(at, name, codecNames, nil)
		if name == "" {
			c.wrong(at, "", "expected "+strings.Join(codecNames, " or "))
		}
		if slices.Contains(codecs[:i], name) {
			c.wrong(at, name, "this codec is listed already")
		}
	}
}

func (c *checker) media(at string, t *Trunk) {
	c.oneOf(at+".srtp", t.SRTP, []string{"off", "optional", "required"}, nil)
	c.oneOf(at+".keying", t.Keying, []string{"sdes", "dtls"}, nil)
	if t.Keying != "" && (t.SRTP == "" || t.SRTP == "off") {
		c.wrong(at+".keying", t.Keying, "keying says how SRTP is offered: it needs srtp: optional or required")
	}
	c.oneOf(at+".dtmf", t.DTMF, []string{"auto", "rfc4733", "info", "inband"}, nil)
}

func (c *checker) country(field, country string) {
	if country == "" || isCountry(country) {
		return
	}
	message := "expected the two letters of an ISO 3166 country, such as US or DE"
	if upper := strings.ToUpper(country); isCountry(upper) {
		message += ": did you mean " + upper + "?"
	}
	c.wrong(field, country, message)
}

func isCountry(s string) bool { return len(s) == 2 && phonenumbers.GetSupportedRegions()[s] }

func (c *checker) callerID(field string, id *CallerID) {
	if id == nil {
		return
	}
	if id.Default != "" && !shownForm.MatchString(id.Default) {
		c.wrong(field+".default", id.Default, "expected a number like +15551230000, or a name without spaces")
	}
	c.patterns(field+".allowed", id.Allowed)
	c.oneOf(field+".identity", id.Identity, []string{"pai", "rpid", "none"}, nil)
}

func (c *checker) limits(field string, l *Limits) {
	if l == nil {
		return
	}
	for name, value := range map[string]int{".calls": l.Calls, ".minutes": l.Minutes} {
		if value < 0 {
			c.wrong(field+name, fmt.Sprint(value), "expected 0 (no limit) or more")
		}
	}
	if !(l.CPS >= 0 && l.CPS < 1e6) {
		c.wrong(field+".cps", fmt.Sprint(l.CPS), "expected 0 (no limit) or more")
	}
	for i, p := range l.Prefixes {
		if !prefixForm.MatchString(p) {
			c.wrong(fmt.Sprintf("%s.prefixes[%d]", field, i), p, "expected + and the digits that a number starts with, like +1, without *")
		}
	}
}
