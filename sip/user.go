package sip

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
)

// asksForSIPS says whether our Contact must be a sips URI, section 12.1.1.
func asksForSIPS(req *sipmsg.Request) bool {
	if sipmsg.NetworkToLower(req.Transport()) != "tls" {
		return false
	}
	if req.Recipient.IsEncrypted() {
		return true
	}
	if records := req.GetHeaders("Record-Route"); len(records) > 0 {
		return grammar.IsSIPS(uriOf(records[0].Value()))
	}
	c := req.Contact()
	return c != nil && c.Address.IsEncrypted()
}

// userPart is what a dial plan matches: the user of a sip: URI, percent-decoded
// and without parameters; the number of a tel: URI; a URN as a whole.
func userPart(uri *sipmsg.Uri) string {
	switch uri.Scheme {
	case "sip", "sips", "":
		return decodeUser(uri.User)
	case "tel":
		number, _, _ := strings.Cut(uri.Raw(), ";")
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("-.() ", r) {
				return -1 // visual separators, RFC 3966 section 5.1.1
			}
			return r
		}, decodeUser(number))
	}
	return uri.Scheme + ":" + uri.Raw()
}

// userOf is userPart for a URI that may be broken.
func userOf(uri string) string {
	var u sipmsg.Uri
	if sipmsg.ParseUri(uri, &u) != nil {
		return ""
	}
	return userPart(&u)
}

func decodeUser(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return grammar.Decode(s)
}
