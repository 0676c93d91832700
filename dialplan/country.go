package dialplan

import (
	"errors"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// normal is how a caller or called user part reads in a country: a national
// number (015551234) or one with an international prefix becomes E.164. Emergency
// numbers, short codes, extensions and names stay as they are, and so does
// everything without a country.
func normal(user, country string) string {
	if country == "" || user == "" || isE164(user) || Emergency(user) {
		return user
	}
	digits, err := onlyDigits(user)
	if err != nil || Emergency(digits) {
		return user
	}
	if strings.HasPrefix(digits, "+") {
		if number, err := e164(digits); err == nil {
			return number
		}
		return user
	}
	if number, ok := national(digits, country); ok {
		return number
	}
	return user
}

// shortest is the length from which digits are taken for a national number even
// when the library does not know them as one; below, they are short codes and extensions.
const shortest = 7

// national gives the E.164 form of digits as they are dialled inside a country.
// It is false for what is not a whole number there.
func national(digits, country string) (string, bool) {
	n, err := phonenumbers.Parse(digits, country)
	if err != nil || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return "", false
	}
	if len(digits) < shortest && !phonenumbers.IsValidNumberForRegion(n, country) {
		return "", false
	}
	number := phonenumbers.Format(n, phonenumbers.E164)
	return number, isE164(number)
}

// countryOf is the country by which a call that leaves reads a number without +:
// that of the trunks it may leave by. Trunks that would read it differently are
// an error, for the second trunk must not dial another number than the first.
func (p *Plan) countryOf(c *call) (string, error) {
	countries := c.ready.countries
	switch {
	case len(c.trunks) > 0:
		countries = p.countriesOf(c.trunks, c.ready)
	case c.Trunk != "":
		countries = p.countriesOf([]string{c.Trunk}, c.ready)
	}
	switch len(countries) {
	case 0:
		return "", nil
	case 1:
		return countries[0], nil
	}
	return "", errors.New("expected a number with + and its country code: the trunks are in different countries (" + strings.Join(countries, ", ") + ")")
}

func (p *Plan) countriesOf(trunks []string, x *prepared) (countries []string) {
	for _, name := range trunks {
		i, ok := x.trunks[name]
		if ok && p.Trunks[i].Country != "" && !slices.Contains(countries, p.Trunks[i].Country) {
			countries = append(countries, p.Trunks[i].Country)
		}
	}
	return countries
}

// E164 is a number as it comes over the trunk, in international form where that
// can be told: by itself, or as a national number of the trunk's country. Other
// numbers, short ones and names stay as they are.
func (t Trunk) E164(user string) string { return normal(user, t.Country) }
