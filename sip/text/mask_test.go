package text

import (
	"strings"
	"testing"
)

func TestMaskedHidesKeysAndNothingElse(t *testing.T) {
	for in, want := range map[string]string{
		"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:S3CRET|2^20 WSH=64\r\na=ptime:20\r\n": "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 *************************\r\na=ptime:20\r\n",
		"A=CRYPTO:2 X inline:S3CRET":       "A=CRYPTO:2 X *************",
		"  a=crypto:2 X Inline:S3CRET\n":   "  a=crypto:2 X *************\n",
		"X-Odd: INLINE:S3CRET; rest\r\n":   "X-Odd: INLINE:******* rest\r\n",
		"k=clear:S3CRET\r\n":               "k=************\r\n",
		"a=key-mgmt:mikey S3CRET\r\nb=x":   "a=key-mgmt:************\r\nb=x",
		"a=fingerprint:sha-256 AB:CD\r\n":  "a=fingerprint:sha-256 AB:CD\r\n",
		"":                                 "",
		"a=crypto:":                        "a=crypto:",
		"a=crypto:1 S3CRET-out-of-order\n": "a=crypto:1 S3CRET-out-of-order\n",
	} {
		got := string(Masked([]byte(in)))
		if got != want {
			t.Errorf("%q: %q", in, got)
		}
		if len(got) != len(in) {
			t.Errorf("%q changed its length", in)
		}
	}
}

func FuzzMasked(f *testing.F) {
	f.Add("a=crypto:1 AES_CM_128_HMAC_SHA1_80 ")
	f.Fuzz(func(t *testing.T, before string) {
		if strings.Contains(before, "S3CRET") {
			return
		}
		got := string(Masked([]byte(before + "inline:S3CRET")))
		if strings.Contains(got, "S3CRET") || len(got) != len(before)+len("inline:S3CRET") {
			t.Errorf("%q", got)
		}
	})
}
