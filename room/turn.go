package room

import (
	"crypto/hmac"
	"crypto/sha1" // the scheme's hash: HMAC-SHA1 is what TURN servers check
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/roomline/roomline/media/webrtc"
)

// TURN is a relay that clients may use, with the secret that it shares with us.
type TURN struct {
	URLs   []string // "turn:turn.example.com:3478?transport=udp"
	Secret string   // empty: the servers want no credentials, as STUN servers do
	TTL    time.Duration
}

// Servers returns what a client with this identity is told. Credentials are
// time-limited as in draft-uberti-behave-turn-rest: the user name is the expiry
// in Unix seconds and the identity, the password its HMAC-SHA1 in base64.
func (t TURN) Servers(identity string, now time.Time) []webrtc.ICEServer {
	if len(t.URLs) == 0 {
		return []webrtc.ICEServer{}
	}
	s := webrtc.ICEServer{URLs: t.URLs}
	if t.Secret != "" {
		ttl := t.TTL
		if ttl == 0 {
			ttl = 12 * time.Hour
		}
		s.Username = strconv.FormatInt(now.Add(ttl).Unix(), 10) + ":" + identity
		mac := hmac.New(sha1.New, []byte(t.Secret))
		mac.Write([]byte(s.Username))
		s.Credential = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return []webrtc.ICEServer{s}
}

// linkICE adds one Link header per URL, RFC 9725 section 4.6.
func linkICE(h http.Header, servers []webrtc.ICEServer) {
	for _, s := range servers {
		for _, url := range s.URLs {
			link := fmt.Sprintf(`<%s>; rel="ice-server"`, url)
			if s.Username != "" {
				link += fmt.Sprintf(`; username="%s"; credential="%s"; credential-type="password"`, quoted(s.Username), quoted(s.Credential))
			}
			h.Add("Link", link)
		}
	}
}

// quoted escapes what a quoted-string may not hold, RFC 9110 section 5.6.4.
func quoted(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(s)
}
