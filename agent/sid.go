package agent

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// Twilio's ids are two letters and 32 hexadecimal digits: 128 bits, as many as
// ours have.

const (
	callPrefix = "call_"
	sidDigits  = 32
)

var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// CallSID is what an agent that expects Twilio's calls is told of the call with
// this id. It is empty for what is no id of a call.
func CallSID(id string) string {
	bits, err := idAlphabet.DecodeString(strings.TrimPrefix(id, callPrefix))
	if err != nil || len(bits) != sidDigits/2 || !strings.HasPrefix(id, callPrefix) {
		return ""
	}
	return "CA" + hex.EncodeToString(bits)
}

// CallID is the id of the call that such an agent names. ok is false for what
// [CallSID] never makes.
func CallID(sid string) (id string, ok bool) {
	bits, ok := sidBits("CA", sid)
	if !ok {
		return "", false
	}
	return callPrefix + idAlphabet.EncodeToString(bits), true
}

// AccountSID is the account that an agent is told to be called by, and names in
// requests to Twilio's REST route: its own setting, else made from its name.
func AccountSID(a dialplan.Agent) string {
	if a.Account != "" {
		return a.Account
	}
	sum := sha256.Sum256([]byte("roomline agent " + a.Name))
	return "AC" + hex.EncodeToString(sum[:sidDigits/2])
}

// newStreamSID makes the id of one stream.
func newStreamSID() string { return "MZ" + randomDigits() }

func randomDigits() string {
	sid := CallSID(bridge.NewID("call"))
	return sid[2:]
}

// sidBits reads the number of an id with a prefix.
func sidBits(prefix, sid string) (bits []byte, ok bool) {
	digits, ok := strings.CutPrefix(sid, prefix)
	if !ok || len(digits) != sidDigits || strings.ToLower(digits) != digits {
		return nil, false
	}
	bits, err := hex.DecodeString(digits)
	return bits, err == nil
}

// Signature is Twilio's X-Twilio-Signature over the URL of a WebSocket: the
// HMAC-SHA1 of the URL as the agent is configured with it, under the account's
// key, in base64.
func Signature(key, url string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(url))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
