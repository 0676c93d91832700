package sip

import (
	"errors"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// credentials answer the challenges of one Line's requests, RFC 3261 section 22.
type credentials struct {
	username, password string

	tried map[string]bool // challenge field and realm that were answered already
	nonce string          // the nonce that the last answer was for
	count int             // how often that nonce was used
}

var errCredentials = errors.New("the credentials were refused")

// answer puts the answer to res's challenge into req. A realm that challenges
// again has refused the password, unless it says that only the nonce was stale:
// it is not asked a third time.
func (c *credentials) answer(req *sipmsg.Request, res *sipmsg.Response) error {
	ask, reply := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		ask, reply = "Proxy-Authenticate", "Proxy-Authorization"
	}
	if c.username == "" {
		return errors.New("the other side asks for a username and password, and the trunk has none")
	}
	chal, stale := chooseChallenge(res.GetHeaders(ask))
	if chal == nil {
		return errors.New("the other side asks for a kind of authentication that is not supported")
	}
	key := ask + "|" + chal.Realm
	if c.tried[key] && (!stale || c.tried[key+"|stale"]) {
		return errCredentials
	}
	if c.tried == nil {
		c.tried = map[string]bool{}
	}
	if c.tried[key] {
		c.tried[key+"|stale"] = true
	}
	c.tried[key] = true
	if c.nonce != chal.Nonce {
		c.nonce, c.count = chal.Nonce, 0
	}
	c.count++
	cred, err := digest.Digest(chal, digest.Options{
		Method: string(req.Method), URI: req.Recipient.String(), Count: c.count,
		Username: c.username, Password: c.password,
	})
	if err != nil {
		return errors.New("the other side's challenge cannot be answered")
	}
	for req.RemoveHeader(reply) {
	}
	req.AppendHeader(sipmsg.NewHeader(reply, cred.String()))
	return nil
}

// forget lets the next request be challenged afresh.
func (c *credentials) forget() { c.tried = nil }

// chooseChallenge takes the first challenge that can be answered; servers list
// them in order of preference, RFC 8760 section 2.4.
func chooseChallenge(list []sipmsg.Header) (*digest.Challenge, bool) {
	for _, h := range list {
		chal, err := digest.ParseChallenge(h.Value())
		if err != nil {
			continue
		}
		chal.Algorithm = strings.ToUpper(chal.Algorithm)
		for i, q := range chal.QOP {
			chal.QOP[i] = strings.TrimSpace(q)
		}
		// auth-int would need the body; servers that offer it offer auth too.
		if digest.CanDigest(chal) && (len(chal.QOP) == 0 || chal.SupportsQOP("auth")) {
			return chal, chal.Stale
		}
	}
	return nil, false
}
