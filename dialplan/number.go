package dialplan

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// Normalize gives the E.164 form of a number (+15551234567), or the number itself
// when it is an emergency number. It takes what people write: tel:, % escapes,
// spaces, dashes, dots, brackets, digits of any script. It does not guess a
// country: a number without + is an error that says so.
func Normalize(number string) (string, error) { return numbering{}.normalize(number) }

// numbering is how numbers are read: without + as in a country, if there is one,
// and short ones as emergency numbers.
type numbering struct {
	country string
	emergencies
}

func (n numbering) normalize(number string) (string, error) {
	if Emergency(number) {
		return strings.ToLower(number), nil
	}
	if len(number) > 256 {
		return "", errors.New("this is too long to be a number")
	}
	if len(number) >= 4 && strings.EqualFold(number[:4], "tel:") {
		number = number[4:]
	}
	bare, err := url.PathUnescape(number)
	if err != nil || !utf8.ValidString(bare) {
		return "", errors.New("the number holds a broken % escape")
	}
	digits, err := onlyDigits(strings.TrimSpace(bare))
	if err != nil || n.urgent(digits) {
		return digits, err
	}
	if n.country == "" || strings.HasPrefix(digits, "+") || digits == "" {
		return e164(digits)
	}
	normal, ok := national(digits, n.country)
	if !ok {
		return "", errors.New("this is no whole number of country " + n.country + ": expected one, or + and a country code like +15551234567")
	}
	return normal, nil
}

// onlyDigits drops what people put between digits and maps digits of any script to ASCII.
func onlyDigits(s string) (string, error) {
	var out strings.Builder
	for _, r := range s {
		switch {
		case (r == '+' || r == '＋') && out.Len() == 0:
			out.WriteByte('+')
		case unicode.IsDigit(r):
			out.WriteByte('0' + digitValue(r))
		case strings.ContainsRune("-.()/", r) || unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Pd, r):
		case r == ';':
			return "", errors.New("parameters behind a number are not available: write the number alone")
		case unicode.IsLetter(r):
			return "", errors.New("expected a number like +15551234567, found letters")
		default:
			return "", fmt.Errorf("expected a number like +15551234567, found the character %U", r)
		}
	}
	return out.String(), nil
}

// digitValue relies on Unicode to list decimal digits in runs of ten from zero up.
func digitValue(r rune) byte {
	for _, run := range unicode.Nd.R16 {
		if r >= rune(run.Lo) && r <= rune(run.Hi) {
			return byte((r - rune(run.Lo)) % 10)
		}
	}
	for _, run := range unicode.Nd.R32 {
		if r >= rune(run.Lo) && r <= rune(run.Hi) {
			return byte((r - rune(run.Lo)) % 10)
		}
	}
	return 0
}

// e164 checks the country code and lets the library drop trunk zeros, as in +44 (0)20.
func e164(digits string) (string, error) {
	switch {
	case digits == "" || digits == "+":
		return "", errors.New("expected a number like +15551234567, found nothing")
	case strings.HasPrefix(digits, "00"):
		return "", errors.New("expected a number like +15551234567: write + instead of 00")
	case digits[0] != '+':
		return "", errors.New("expected a number with + and its country code, like +15551234567")
	case len(digits) > 18:
		return "", errors.New("this is too long: E.164 numbers have at most 15 digits")
	}
	n, err := phonenumbers.Parse(digits, "")
	if err != nil {
		return "", errors.New("no such number: the country code is unknown or the rest is too short")
	}
	if phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.TOO_SHORT {
		return "", errors.New("this number is too short for its country")
	}
	normal := phonenumbers.Format(n, phonenumbers.E164)
	if !isE164(normal) {
		return "", errors.New("expected an E.164 number of at most 15 digits")
	}
	return normal, nil
}

// isE164 wants + and 2 to 15 ASCII digits, not starting with 0.
func isE164(s string) bool {
	if len(s) < 3 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
