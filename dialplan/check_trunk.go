package dialplan

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

var (
	prefixForm = regexp.MustCompile(`^\+([1-9][0-9]{0,14})?$`)
	built      = []string{"PCMU", "PCMA"}
	planned    = []string{"G722", "opus", "OPUS", "Opus", "telephone-event"}
)

func (c *checker) trunks() {
	seen, networks := map[string]bool{}, map[netip.Prefix]string{}
	for i := range c.plan.Trunks {
		t, at := &c.plan.Trunks[i], fmt.Sprintf("trunks[%d]", i)
		c.name(at+".name", t.Name, seen)
		if len(t.Addresses) == 0 && t.Outbound == nil {
			c.wrong(at, t.Name, "expected addresses (who may call in), outbound (where calls leave), or both")
		}
		c.addresses(at+".addresses", t, networks)
		c.outbound(at+".outbound", t.Outbound)
		if t.Register {
			c.wrong(at+".register", "", notYet)
		}
		c.codecs(at+".codecs", t.Codecs)
		c.oneOf(at+".srtp", t.SRTP, []string{"off"}, []string{"optional", "required"})
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
	c.oneOf(field+".transport", o.Transport, []string{"udp", "tcp"}, []string{"tls", "ws", "wss"})
	if (o.Username == "") != (o.Password == "") {
		c.wrong(field, "", "expected username and password together, or neither")
	}
	if o.Password == Mask {
		c.wrong(field+".password", "", "this is the mask that is shown in place of a password, not a password")
	}
	c.printable(field+".username", o.Username)
	c.printable(field+".password", o.Password)
}

func (c *checker) codecs(field string, codecs []string) {
	for i, name := range codecs {
		at := fmt.Sprintf("%s[%d]", field, i)
		c.oneOf(at, name, built, planned)
		if name == "" {
			c.wrong(at, "", "expected "+strings.Join(built, " or "))
		}
		if slices.Contains(codecs[:i], name) {
			c.wrong(at, name, "this codec is listed already")
		}
	}
}

func (c *checker) limits(field string, l *Limits) {
	if l == nil {
		return
	}
	if l.Calls < 0 {
		c.wrong(field+".calls", fmt.Sprint(l.Calls), "expected 0 (no limit) or more")
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
