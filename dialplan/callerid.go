package dialplan

// CallerID is the number to show towards a trunk, by its caller_id rules, and
// whether it is to be hidden (RFC 3323). A number that we own, on this trunk or on
// no trunk in particular, may always be shown. from is what the call brings, a
// number in any form that [Normalize] takes or one of the trunk's country; where
// it is not allowed or empty, the trunk's default takes its place, which may be
// empty. A hidden number is returned too: it is what the trunk may assert.
func (p *Plan) CallerID(t Trunk, from string, private bool) (number string, hidden bool) {
	id := t.CallerID
	number = shown(from, t.Country)
	if id == nil {
		return number, private
	}
	if _, allowed := id.Allowed.Match(number); number == "" || !allowed && !p.owns(number, t.Name) {
		number = id.Default
	}
	return number, private || id.Privacy
}

// shown is a caller in the one form in which rules are compared.
func shown(from, country string) string {
	if from == "" || isE164(from) {
		return from
	}
	if number, err := Normalize(from); err == nil && !Emergency(number) {
		return number
	}
	return normal(from, country)
}

// owns reports whether a number is ours, and may be shown on a trunk.
func (p *Plan) owns(number, trunk string) bool {
	on, ok := p.prepared().numbers[number]
	return ok && (on == "" || on == trunk)
}
