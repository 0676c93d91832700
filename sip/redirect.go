package sip

import (
	"slices"
	"strconv"
	"strings"

	"github.com/roomline/roomline/sip/grammar"
)

// mostContacts bounds how many contacts of a redirection are kept.
const mostContacts = 8

// contactsOf is where a 3xx response points to, RFC 3261 section 8.1.3.4: the
// best first, each once, as the dial plan is asked about it (see dialled).
// Contacts that have expired, and those that cannot be dialled, are left out.
func (l *Line) contactsOf(res fieldList) []string {
	type contact struct {
		to string
		q  float64
	}
	var list []contact
	for field := range values(res, "Contact", "m") {
		for _, value := range grammar.Split(field, ',') {
			uri, params, words := grammar.SplitAddress(value)
			if words != "" || methodFault(uri) != nil || len(uri) > 256 {
				continue
			}
			if v, ok := grammar.Param(params, "expires"); ok && strings.Trim(v, "0 ") == "" {
				continue
			}
			uri, _, _ = strings.Cut(uri, "?")
			list = append(list, contact{l.dialled(uri), qValue(params)})
		}
	}
	slices.SortStableFunc(list, func(a, b contact) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	var best []string
	for _, c := range list {
		if len(best) < mostContacts && !slices.Contains(best, c.to) {
			best = append(best, c.to)
		}
	}
	return best
}

// qValue is a contact's preference from 0 to 1; what says nothing has 1.
func qValue(params string) float64 {
	v, ok := grammar.Param(params, "q")
	if !ok {
		return 1
	}
	q, err := strconv.ParseFloat(v, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}
