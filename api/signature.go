package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// secretPrefix marks a webhook secret, as the Standard Webhooks specification
// asks, so that scanners find one that leaked.
const secretPrefix = "whsec_"

// NewWebhookSecret makes a secret of 32 random bytes: "whsec_" and base64.
func NewWebhookSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// signature returns the value of the webhook-signature header: one "v1,…" for
// the message id, its Unix time in seconds and its body, by the Standard
// Webhooks specification ("{id}.{timestamp}.{body}", HMAC-SHA256, base64).
func signature(secret, id string, at time.Time, body []byte) (string, error) {
	key, err := secretBytes(secret)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// secretBytes decodes a webhook secret. Between 24 and 64 bytes are allowed, as
// the specification says.
func secretBytes(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return nil, errors.New(`expected a secret that starts with "whsec_"`)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New(`expected base64 after "whsec_"`)
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, errors.New("expected 24 to 64 bytes of secret, " + strconv.Itoa(len(key)) + " given")
	}
	return key, nil
}
