// Package dialplan decides where a call goes: it parses the dial plan file,
// checks it, and matches calls against it, explaining each step. It is pure: it
// places no calls, opens no files and knows no database. A [Plan] is immutable
// once made; replace it as a whole.
package dialplan

// Plan is one consistent set of trunks, numbers, routes and agents.
type Plan struct {
	Trunks   []Trunk   `json:"trunks" yaml:"trunks"`
	Numbers  []Number  `json:"numbers" yaml:"numbers"`
	Routes   []Route   `json:"routes" yaml:"routes"`
	Agents   []Agent   `json:"agents" yaml:"agents"`
	Queues   []Queue   `json:"queues" yaml:"queues"`
	Holidays []Holiday `json:"holidays,omitempty" yaml:"holidays,omitempty"`

	ready *prepared // see Prepare
}

// Trunk is a carrier or PBX that we peer with. SRTP with SDES keys over a
// transport that is not TLS shows the keys to whoever sees the signalling; it is
// taken, because carriers do it.
type Trunk struct {
	Name      string    `json:"name" yaml:"name"`                               // [a-z0-9][a-z0-9-]{0,62}
	Addresses []string  `json:"addresses,omitempty" yaml:"addresses,omitempty"` // IP or CIDR: who may call in without a password
	Inbound   *Inbound  `json:"inbound,omitempty" yaml:"inbound,omitempty"`     // who may call in by digest, from any address
	Outbound  *Outbound `json:"outbound,omitempty" yaml:"outbound,omitempty"`
	Register  bool      `json:"register,omitempty" yaml:"register,omitempty"`   // keep us registered at outbound's first server
	Keepalive string    `json:"keepalive,omitempty" yaml:"keepalive,omitempty"` // how often OPTIONS asks outbound's servers: a duration such as 30s; off is the default
	Listen    string    `json:"listen,omitempty" yaml:"listen,omitempty"`       // the --sip address that this trunk uses; empty: by the route to the peer

	Codecs    []string `json:"codecs,omitempty" yaml:"codecs,omitempty"`       // PCMU, PCMA, G722, opus in order of preference; empty: PCMU, PCMA
	SRTP      string   `json:"srtp,omitempty" yaml:"srtp,omitempty"`           // off (default) | optional | required
	Keying    string   `json:"keying,omitempty" yaml:"keying,omitempty"`       // how we offer SRTP: sdes (default) | dtls; both are answered
	DTMF      string   `json:"dtmf,omitempty" yaml:"dtmf,omitempty"`           // auto (default: rfc4733 where agreed, else inband) | rfc4733 | info | inband
	Country   string   `json:"country,omitempty" yaml:"country,omitempty"`     // ISO 3166 region whose national numbers become E.164, such as US
	STIR      string   `json:"stir,omitempty" yaml:"stir,omitempty"`           // off | mark (default: verstat on the call) | require (refuse what fails, emergency calls apart)
	Refer     string   `json:"refer,omitempty" yaml:"refer,omitempty"`         // what the peer may do by REFER: deny (default) | allow (within the dial plan)
	Redirects string   `json:"redirects,omitempty" yaml:"redirects,omitempty"` // 3xx: deny (default) | follow (within the dial plan)

	CallerID *CallerID  `json:"caller_id,omitempty" yaml:"caller_id,omitempty"`
	Headers  *HeaderMap `json:"headers,omitempty" yaml:"headers,omitempty"`
	Limits   *Limits    `json:"limits,omitempty" yaml:"limits,omitempty"`
}

// Inbound is an account by which a PBX or phone calls in, RFC 3261 section 22.
type Inbound struct {
	Username string `json:"username" yaml:"username"`
	Password string `json:"password" yaml:"password"` // never logged; masked in API answers
}

// Outbound says how calls leave over a trunk.
type Outbound struct {
	Servers   []string `json:"servers" yaml:"servers"`                         // host, host:port, IP, [IPv6]:port; tried in order, names by SRV first
	Transport string   `json:"transport,omitempty" yaml:"transport,omitempty"` // udp (default) | tcp | tls
	Username  string   `json:"username,omitempty" yaml:"username,omitempty"`
	Password  string   `json:"password,omitempty" yaml:"password,omitempty"` // never logged; masked in API answers
	Domain    string   `json:"domain,omitempty" yaml:"domain,omitempty"`     // host of From and of the registration; default: the first server
}

// CallerID says who we claim to be towards a trunk.
type CallerID struct {
	Default  string   `json:"default,omitempty" yaml:"default,omitempty"`   // number shown when the call brings none that is allowed
	Allowed  Patterns `json:"allowed,omitempty" yaml:"allowed,omitempty"`   // numbers that may be shown; empty: any
	Identity string   `json:"identity,omitempty" yaml:"identity,omitempty"` // where the asserted identity goes: pai (default) | rpid | none
	Privacy  bool     `json:"privacy,omitempty" yaml:"privacy,omitempty"`   // hide the caller id of every call
}

// HeaderMap translates between SIP header fields and call attributes. X-
// header fields that come in are attributes under their own name anyway.
type HeaderMap struct {
	In  map[string]string `json:"in,omitempty" yaml:"in,omitempty"`   // header field → attribute, [a-z][a-z0-9_]{0,62}
	Out map[string]string `json:"out,omitempty" yaml:"out,omitempty"` // header field → template, such as {{call.id}} or {{call.attributes.case}}
}

// Limits bound what a trunk may cost. Zero means no limit; empty Prefixes allow nothing to be dialled.
type Limits struct {
	Calls    int      `json:"calls,omitempty" yaml:"calls,omitempty"`
	CPS      float64  `json:"cps,omitempty" yaml:"cps,omitempty"`
	Minutes  int      `json:"minutes,omitempty" yaml:"minutes,omitempty"` // of answered outbound calls per day, UTC
	Prefixes []string `json:"prefixes,omitempty" yaml:"prefixes,omitempty"`
}

// Number is an E.164 number that we own, for caller id and for labels.
type Number struct {
	Number string `json:"number" yaml:"number"` // +15551230000
	Trunk  string `json:"trunk,omitempty" yaml:"trunk,omitempty"`
	Label  string `json:"label,omitempty" yaml:"label,omitempty"`
}

// Holiday is a named calendar of days on which routes are closed.
type Holiday struct {
	Name  string   `json:"name" yaml:"name"`
	Dates []string `json:"dates" yaml:"dates"` // 2026-12-24, or 12-25 for every year
}

// Patterns is one pattern or a list of them; in YAML and JSON a single string stands
// for a list of one. A pattern matches exactly, or by prefix when it ends in "*".
type Patterns []string

// Route is one rule. Every condition that is set must hold; the first route that
// matches wins. To and From of calls coming in are compared as the trunk's
// country writes them and as they came; of calls that leave only as they are dialled.
type Route struct {
	Name     string              `json:"name" yaml:"name"`
	FromRoom bool                `json:"from_room,omitempty" yaml:"from_room,omitempty"` // calls that leave a room or the API; else calls that come in
	Trunk    string              `json:"trunk,omitempty" yaml:"trunk,omitempty"`         // condition for calls coming in; target for from_room routes, short for one of Trunks
	To       Patterns            `json:"to,omitempty" yaml:"to,omitempty"`
	From     Patterns            `json:"from,omitempty" yaml:"from,omitempty"`
	Headers  map[string]Patterns `json:"headers,omitempty" yaml:"headers,omitempty"`   // header field or attribute → patterns, all must match
	Hours    string              `json:"hours,omitempty" yaml:"hours,omitempty"`       // "Mo-Fr 09:00-17:00 America/New_York"
	Holidays string              `json:"holidays,omitempty" yaml:"holidays,omitempty"` // a calendar's name: closed on its days, in the zone of Hours
	Priority string              `json:"priority,omitempty" yaml:"priority,omitempty"` // emergency, or in queues high or low; empty is between these
	Target   `yaml:",inline"`
}

// Target is where a call goes. Exactly one of Room, Number, Agent, Queue, Reject
// is set on routes for calls coming in, but for Room beside Queue, which names the
// room where its caller waits and is taken; on from_room routes only Trunks may be.
type Target struct {
	Room        string   `json:"room,omitempty" yaml:"room,omitempty"`                 // may hold {{call.id}}, {{call.to}}, {{call.from}} and {{call.attributes.NAME}}
	PIN         string   `json:"pin,omitempty" yaml:"pin,omitempty"`                   // 4 to 12 digits that callers must key before they enter Room; masked in API answers
	Number      string   `json:"number,omitempty" yaml:"number,omitempty"`             // dial this number and connect; may hold the templates of Room
	Trunks      []string `json:"trunks,omitempty" yaml:"trunks,omitempty"`             // by which Number, or a from_room call, leaves: tried in order
	RingTimeout string   `json:"ring_timeout,omitempty" yaml:"ring_timeout,omitempty"` // of Number; a duration such as 20s
	Agent       string   `json:"agent,omitempty" yaml:"agent,omitempty"`
	Queue       string   `json:"queue,omitempty" yaml:"queue,omitempty"`
	Reject      string   `json:"reject,omitempty" yaml:"reject,omitempty"` // busy | rejected | unknown_number
	Answer      string   `json:"answer,omitempty" yaml:"answer,omitempty"` // now (default) | ready: rings until somebody listens | early: of an agent or a queue: is heard, before it is answered
	Record      bool     `json:"record,omitempty" yaml:"record,omitempty"`
	Else        *Target  `json:"else,omitempty" yaml:"else,omitempty"` // taken outside hours, or when the target cannot take the call; may have its own else
}
