package sip

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/sip/text"
)

const (
	realm     = "roomline"
	nonceLife = 2 * time.Minute
	maxNonces = 4096 // that have been used and are not stale yet
)

// algorithms that callers may use, in our order of preference: RFC 8760.
var algorithms = []string{"SHA-256", "MD5"}

// verdict is what became of a caller's credentials.
type verdict uint8

const (
	absent verdict = iota // there are none for us
	stale                 // the password is right, the nonce is too old or was used
	wrong                 // unknown user or wrong password: nobody can tell which
	right
)

// doorman checks the passwords of callers, RFC 3261 section 22 and RFC 8760. Its
// nonces carry their own proof, so that challenges cost no memory; it remembers
// only those with which somebody showed a right password, and how often.
type doorman struct {
	secret [32]byte

	mu    sync.Mutex
	used  map[string]int // nonce → its highest nc
	order []string       // of used, the oldest first
	floor time.Time      // nonces from before have been forgotten and are stale
}

func newDoorman() *doorman {
	d := &doorman{used: map[string]int{}}
	rand.Read(d.secret[:])
	return d
}

// challenges are the header fields of a 401, one for each algorithm.
func (d *doorman) challenges(source netip.Addr, isStale bool, now time.Time) []sipmsg.Header {
	nonce := d.nonce(source, now)
	var list []sipmsg.Header
	for _, a := range algorithms {
		value := fmt.Sprintf(`Digest realm="%s", nonce="%s", algorithm=%s, qop="auth"`, realm, nonce, a)
		if isStale {
			value += ", stale=true"
		}
		list = append(list, sipmsg.NewHeader("WWW-Authenticate", value))
	}
	return list
}

// nonce is a time and a random number, signed for one source.
func (d *doorman) nonce(source netip.Addr, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli()))
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(append(b[:], d.sign(b[:], source)...))
}

func (d *doorman) sign(b []byte, source netip.Addr) []byte {
	m := hmac.New(sha256.New, d.secret[:])
	m.Write(b)
	m.Write([]byte(source.Unmap().String()))
	return m.Sum(nil)[:16]
}

// issued says whether a nonce is ours for a source, and when it was made.
func (d *doorman) issued(nonce string, source netip.Addr) (time.Time, bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 32 || !hmac.Equal(b[16:], d.sign(b[:16], source)) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:8]))), true
}

// check says who a request comes from: the trunk whose password it shows. An
// unknown user is computed like a known one, with a password that nobody has.
func (d *doorman) check(req *sipmsg.Request, source netip.Addr, plan *dialplan.Plan, now time.Time) (trunk string, v verdict) {
	c := credentialsFor(req)
	if c == nil {
		return "", absent
	}
	made, ok := d.issued(c.Nonce, source)
	if !ok {
		return "", absent
	}
	account, password, known := accountOf(plan, c.Username, d.secret[:])
	good := matches(c, string(req.Method), password)
	switch {
	case !good || !known || !sameURI(c.URI, req.Recipient.String()):
		return "", wrong
	case now.Sub(made) > nonceLife || made.After(now.Add(time.Second)) || !d.count(c.Nonce, c.Nc, made):
		return "", stale
	}
	return account, right
}

// count is true for a use of a nonce that is later than all before it.
func (d *doorman) count(nonce string, nc int, made time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	last, seen := d.used[nonce]
	if nc <= last || !seen && !made.After(d.floor) {
		return false
	}
	if !seen {
		if len(d.order) >= maxNonces {
			d.forgetLocked()
		}
		d.order = append(d.order, nonce)
	}
	d.used[nonce] = nc
	return true
}

// forgetLocked drops the older half; what was made before that is stale from now on.
func (d *doorman) forgetLocked() {
	half := len(d.order) / 2
	for _, nonce := range d.order[:half] {
		delete(d.used, nonce)
		if b, err := base64.RawURLEncoding.DecodeString(nonce); err == nil && len(b) == 32 {
			if made := time.UnixMilli(int64(binary.BigEndian.Uint64(b[:8]))); made.After(d.floor) {
				d.floor = made
			}
		}
	}
	d.order = append([]string(nil), d.order[half:]...)
}

// credentialsFor finds the answer to one of our challenges.
func credentialsFor(req *sipmsg.Request) *digest.Credentials {
	list := req.GetHeaders("Authorization")
	for _, h := range list[:min(len(list), 8)] {
		c, err := digest.ParseCredentials(h.Value())
		if err == nil && c.Realm == realm && strings.EqualFold(c.QOP, "auth") && c.Nc > 0 && c.Cnonce != "" && !c.Userhash {
			return c
		}
	}
	return nil
}

// accountOf finds the trunk of a username. It looks at all of them, and has a
// password for those that do not exist.
func accountOf(plan *dialplan.Plan, username string, secret []byte) (trunk, password string, known bool) {
	password = base64.RawURLEncoding.EncodeToString(secret)
	want := sha256.Sum256([]byte(username))
	for i := range plan.Trunks {
		in := plan.Trunks[i].Inbound
		if in == nil || in.Username == "" || in.Password == "" {
			continue
		}
		have := sha256.Sum256([]byte(in.Username))
		if subtle.ConstantTimeCompare(want[:], have[:]) == 1 && !known {
			trunk, password, known = plan.Trunks[i].Name, in.Password, true
		}
	}
	return trunk, password, known
}

// matches computes the answer that the password gives, and compares.
func matches(c *digest.Credentials, method, password string) bool {
	algorithm := c.Algorithm
	if algorithm == "" {
		algorithm = "MD5"
	}
	offered := false
	for _, a := range algorithms {
		offered = offered || strings.EqualFold(a, algorithm)
	}
	want, err := digest.Digest(
		&digest.Challenge{Realm: realm, Nonce: c.Nonce, Algorithm: algorithm, QOP: []string{"auth"}},
		digest.Options{Method: method, URI: c.URI, Username: c.Username, Password: password, Cnonce: c.Cnonce, Count: c.Nc},
	)
	if err != nil || !offered {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(strings.ToLower(c.Response)), []byte(want.Response)) == 1
}

// sameURI compares the digest's URI with the request's, section 22.4 item 5, as
// far as it says who is called.
func sameURI(a, b string) bool {
	if a == b {
		return true
	}
	var x, y sipmsg.Uri
	if sipmsg.ParseUri(a, &x) != nil || sipmsg.ParseUri(b, &y) != nil {
		return false
	}
	return strings.EqualFold(x.Scheme, y.Scheme) && x.User == y.User && strings.EqualFold(x.Host, y.Host) && x.Port == y.Port
}

func takesPasswords(plan *dialplan.Plan) bool {
	for i := range plan.Trunks {
		if plan.Trunks[i].Inbound != nil {
			return true
		}
	}
	return false
}

// identify finds out which trunk a call comes from, where its address does not
// tell. false: the caller was asked for a password.
func (u *UA) identify(req *sipmsg.Request, tx *sipmsg.ServerTx, inv *bridge.Invite) bool {
	source := inv.Source.Addr()
	known := u.config.Known == nil || u.config.Known(source)
	if u.cameByRegistration(req, inv, known) || known {
		return true
	}
	plan := u.config.Plan()
	if !takesPasswords(plan) {
		return true
	}
	now := time.Now()
	trunk, v := u.doorman.check(req, source, plan, now)
	switch v {
	case right:
		u.bans.Vouch(source, now)
		inv.Trunk = trunk
		return true
	case wrong:
		u.refuseInvite(req, tx, bridge.Refusal{SIPCode: 401, Cause: bridge.CauseAuthentication, Reason: "the username or the password is wrong"},
			u.doorman.challenges(source, false, now)...)
		u.strike(inv.Source, inv.Transport, "a wrong password", true)
	default:
		u.log.Debug("a caller is asked for a password", "source", inv.Source.String(), "sip_call_id", text.Printable(inv.SIPCallID, 128), "stale", v == stale)
		u.reply(req, tx, 401, "Unauthorized", u.doorman.challenges(source, v == stale, now)...)
		if v == absent {
			u.strike(inv.Source, inv.Transport, "an INVITE without a password", false)
		}
	}
	return false
}
