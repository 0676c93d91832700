package dialplan

// Exit is the way out that a plan allows for one outbound call.
type Exit struct {
	Trunk     Trunk
	To        string // +E.164, an emergency number, or sip:user@server
	Route     string
	Emergency bool
}

// Denied says why a call may not be dialled.
type Denied struct {
	Code   string // invalid_number, no_route, no_trunk, prefix, server
	Number string // as asked for
	Reason string // in words: what was wrong and what to do
}

// Error is the reason in words.
func (d *Denied) Error() string { return d.Reason }

// Outbound says by which trunk and to which normalised address a call may leave
// now. Default deny: a from_room route must match and the trunk's prefixes must
// allow it. trunkName may be empty. The error is a [*Denied].
func (p *Plan) Outbound(to, trunkName string) (Trunk, string, error) {
	return Trunk{}, "", errNotBuilt
}

// Exit is [Plan.Outbound] for a query with caller id and time; q.FromRoom is implied.
func (p *Plan) Exit(q Query) (Exit, error) { return Exit{}, errNotBuilt }

// Normalize gives the E.164 form of a number (+15551234567), or the number itself
// when it is an emergency number.
func Normalize(number string) (string, error) { return "", errNotBuilt }

// Emergency reports whether a called address is an emergency service: 911, 112, 933 or urn:service:sos….
func Emergency(to string) bool { return false }
