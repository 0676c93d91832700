package stir

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// token is one value of an Identity header field, RFC 8224 section 4.
type token struct {
	jwt  string // header.payload.signature
	info string // where the certificate is
	alg  string
	ppt  string
}

// split takes Identity values apart; several may stand in one, by commas.
func split(values []string) (list []token) {
	for _, v := range values {
		for _, part := range outside(v, ',') {
			if len(list) == maxTokens {
				return list
			}
			if t, ok := parseToken(part); ok {
				list = append(list, t)
			}
		}
	}
	return list
}

func parseToken(s string) (t token, ok bool) {
	params := outside(s, ';')
	t.jwt = strings.TrimSpace(params[0])
	for _, p := range params[1:] {
		name, value, _ := strings.Cut(p, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "info":
			t.info = strings.Trim(value, "<>")
		case "alg":
			t.alg = strings.Trim(value, `"`)
		case "ppt":
			t.ppt = strings.Trim(value, `"`)
		}
	}
	return t, t.jwt != ""
}

// outside splits at sep where it stands outside quotes and angle brackets.
func outside(s string, sep byte) (parts []string) {
	start, quoted, bracket := 0, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<' || c == '>':
			bracket = c == '<'
		case c == sep && !bracket:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// claims are those of a PASSporT, RFC 8225 section 5, with SHAKEN's.
type claims struct {
	IssuedAt int64 `json:"iat"`
	Orig     party `json:"orig"`
	Dest     struct {
		TN  []string `json:"tn"`
		URI []string `json:"uri"`
	} `json:"dest"`
	Attest string `json:"attest"`
	OrigID string `json:"origid"`

	jwt.Claims `json:"-"` // none of the library's: it checks the signature only
}

type party struct {
	TN  string `json:"tn"`
	URI string `json:"uri"`
}

var parser = jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation())

// open checks form and signature of a token and the chain of its certificate.
func (v *Verifier) open(ctx context.Context, t token) (c claims, signer string, err error) {
	switch {
	case len(t.jwt) > maxToken || strings.Count(t.jwt, ".") != 2:
		return c, "", faultf(438, "the Identity is not a token of three parts")
	case strings.HasPrefix(t.jwt, ".."):
		return c, "", faultf(438, "the Identity is in its compact form, which SHAKEN does not allow")
	case t.ppt != "" && t.ppt != "shaken":
		return c, "", faultf(unsupported, "an Identity of type %.16q says nothing about the caller's number", t.ppt)
	case t.alg != "" && t.alg != "ES256":
		return c, "", faultf(437, "the Identity is signed by %.16q, only ES256 is allowed", t.alg)
	}
	_, err = parser.ParseWithClaims(t.jwt, &c, func(parsed *jwt.Token) (any, error) {
		var key *ecdsa.PublicKey
		key, signer, err = v.key(ctx, parsed.Header, t)
		return key, err
	})
	var f *fault
	switch {
	case err == nil:
		return c, signer, nil
	case errors.As(err, &f):
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		err = faultf(438, "the Identity's signature is wrong")
	default:
		err = faultf(438, "the Identity cannot be read")
	}
	return claims{}, "", err
}

// key finds the public key that a token names.
func (v *Verifier) key(ctx context.Context, header map[string]any, t token) (*ecdsa.PublicKey, string, error) {
	where, _ := header["x5u"].(string)
	ppt, _ := header["ppt"].(string)
	typ, _ := header["typ"].(string)
	switch {
	case !strings.EqualFold(typ, "passport"):
		return nil, "", faultf(438, "the Identity is not a PASSporT")
	case ppt != t.ppt:
		return nil, "", faultf(438, "the Identity's header field and its token disagree about its type")
	case where == "":
		return nil, "", faultf(436, "the Identity names no certificate")
	case t.info != "" && t.info != where:
		return nil, "", faultf(438, "the Identity's header field and its token name different certificates")
	}
	chain, err := v.certificates.get(ctx, where)
	if err != nil {
		return nil, "", err
	}
	return chain.verify(v.roots, v.now())
}

// match holds the claims to the call, RFC 8224 section 6.2 steps 3 and 5.
func (c claims) match(call Call, now time.Time) error {
	age := now.Sub(time.Unix(c.IssuedAt, 0))
	switch {
	case age > freshness || age < -freshness:
		return faultf(403, "the Identity is not fresh: it was signed %s", ago(age))
	case c.Orig.TN == "" && c.Orig.URI == "":
		return faultf(438, "the Identity names no caller")
	case !c.Orig.among(call.Orig):
		return faultf(438, "the Identity is about another caller")
	}
	for _, tn := range c.Dest.TN {
		if (party{TN: tn}).among(call.Dest) {
			return nil
		}
	}
	for _, uri := range c.Dest.URI {
		if (party{URI: uri}).among(call.Dest) {
			return nil
		}
	}
	return faultf(438, "the Identity is about a call to somebody else")
}

func ago(age time.Duration) string {
	if age < 0 {
		return (-age).Round(time.Second).String() + " from now"
	}
	return age.Round(time.Second).String() + " ago"
}

// among reports whether the party is one of those numbers or URIs.
func (p party) among(forms []string) bool {
	if p.TN != "" {
		tn := canonical(p.TN)
		return tn != "" && slices.ContainsFunc(forms, func(f string) bool { return canonical(f) == tn })
	}
	return p.URI != "" && slices.ContainsFunc(forms, func(f string) bool { return strings.EqualFold(f, p.URI) })
}

// canonical is a number without + and separators, RFC 8224 section 8.3; empty
// when it is not a number.
func canonical(number string) string {
	bad := false
	digits := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9' || r == '#' || r == '*':
			return r
		case strings.ContainsRune("+-.() ", r):
			return -1
		}
		bad = true
		return -1
	}, number)
	if bad {
		return ""
	}
	return digits
}
