package bridge

import (
	"slices"

	"github.com/roomline/roomline/dialplan"
)

// mostRedirects bounds how often a call may be sent on by 3xx responses.
const mostRedirects = 5

// redirected finds the exits to where a 3xx response points, if the trunk lets
// it be followed. Each contact is held to the dial plan like any dialled number,
// and none is called twice.
func (c *Call) redirected(e ending) []dialplan.Exit {
	if c.trunk.Redirects != "follow" {
		return nil
	}
	if c.redirects++; c.redirects > mostRedirects {
		c.tale = append(c.tale, "redirected more than 5 times")
		return nil
	}
	var exits []dialplan.Exit
	for _, contact := range e.contacts[:min(len(e.contacts), mostRedirects)] {
		found, err := c.x.exits(dialplan.Query{To: contact, From: c.way.from})
		if err != nil {
			c.log.Info("a redirection is not followed", "contact", printable(contact, longestAttribute), "reason", err.Error())
			c.tale = append(c.tale, "redirected to "+printable(contact, longestAttribute)+": "+err.Error())
			continue
		}
		exits = append(exits, found...)
	}
	return slices.DeleteFunc(exits, func(e dialplan.Exit) bool { return slices.Contains(c.called, e.Trunk.Name+" "+e.To) })
}
