// Package dialplan decides where a call goes: it parses the dial plan file,
// checks it, and matches calls against it, explaining each step. It is pure: it
// places no calls, opens no files and knows no database. A [Plan] is immutable
// once made; replace it as a whole.
package dialplan

// Plan is one consistent set of trunks, numbers, routes and agents.
type Plan struct {
	Trunks  []Trunk  `json:"trunks" yaml:"trunks"`
	Numbers []Number `json:"numbers" yaml:"numbers"`
	Routes  []Route  `json:"routes" yaml:"routes"`
	Agents  []Agent  `json:"agents" yaml:"agents"`
}

// Trunk is a carrier or PBX that we peer with.
type Trunk struct {
	Name      string    `json:"name" yaml:"name"`                               // [a-z0-9][a-z0-9-]{0,62}
	Addresses []string  `json:"addresses,omitempty" yaml:"addresses,omitempty"` // IP or CIDR: who may call in
	Outbound  *Outbound `json:"outbound,omitempty" yaml:"outbound,omitempty"`
	Register  bool      `json:"register,omitempty" yaml:"register,omitempty"`
	Codecs    []string  `json:"codecs,omitempty" yaml:"codecs,omitempty"` // PCMU, PCMA in order of preference; empty: both
	SRTP      string    `json:"srtp,omitempty" yaml:"srtp,omitempty"`     // off (default) | optional | required
	Limits    *Limits   `json:"limits,omitempty" yaml:"limits,omitempty"`
}

// Outbound says how calls leave over a trunk.
type Outbound struct {
	Servers   []string `json:"servers" yaml:"servers"`                         // host, host:port, IP, [IPv6]:port; tried in order
	Transport string   `json:"transport,omitempty" yaml:"transport,omitempty"` // udp (default) | tcp | tls
	Username  string   `json:"username,omitempty" yaml:"username,omitempty"`
	Password  string   `json:"password,omitempty" yaml:"password,omitempty"` // never logged; masked in API answers
}

// Limits bound what a trunk may cost. Zero means no limit; empty Prefixes allow nothing to be dialled.
type Limits struct {
	Calls    int      `json:"calls,omitempty" yaml:"calls,omitempty"`
	CPS      float64  `json:"cps,omitempty" yaml:"cps,omitempty"`
	Prefixes []string `json:"prefixes,omitempty" yaml:"prefixes,omitempty"`
}

// Number is an E.164 number that we own, for caller id and for labels.
type Number struct {
	Number string `json:"number" yaml:"number"` // +15551230000
	Trunk  string `json:"trunk,omitempty" yaml:"trunk,omitempty"`
	Label  string `json:"label,omitempty" yaml:"label,omitempty"`
}

// Agent is an AI voice; routes may not name one until agents are available.
type Agent struct {
	Name     string  `json:"name" yaml:"name"`
	URL      string  `json:"url" yaml:"url"`
	Protocol string  `json:"protocol" yaml:"protocol"`
	Pool     int     `json:"pool,omitempty" yaml:"pool,omitempty"`
	Fallback *Target `json:"fallback,omitempty" yaml:"fallback,omitempty"`
}

// Patterns is one pattern or a list of them; in YAML and JSON a single string stands
// for a list of one. A pattern matches exactly, or by prefix when it ends in "*".
type Patterns []string

// Route is one rule. Every condition that is set must hold; the first route that matches wins.
type Route struct {
	Name     string   `json:"name" yaml:"name"`
	FromRoom bool     `json:"from_room,omitempty" yaml:"from_room,omitempty"` // calls that leave a room or the API; else calls that come in
	Trunk    string   `json:"trunk,omitempty" yaml:"trunk,omitempty"`         // condition for calls coming in; target for from_room routes
	To       Patterns `json:"to,omitempty" yaml:"to,omitempty"`
	From     Patterns `json:"from,omitempty" yaml:"from,omitempty"`
	Hours    string   `json:"hours,omitempty" yaml:"hours,omitempty"` // "Mo-Fr 09:00-17:00 America/New_York"
	Priority string   `json:"priority,omitempty" yaml:"priority,omitempty"`
	Target   `yaml:",inline"`
	Else     *Target `json:"else,omitempty" yaml:"else,omitempty"` // taken outside hours, or when the target cannot take the call
}

// Target is where a call goes. Exactly one of Room, Agent, Queue, Reject is set
// on routes for calls coming in; on from_room routes none is.
type Target struct {
	Room   string `json:"room,omitempty" yaml:"room,omitempty"` // may hold {{call.id}}, {{call.to}}, {{call.from}}
	Agent  string `json:"agent,omitempty" yaml:"agent,omitempty"`
	Queue  string `json:"queue,omitempty" yaml:"queue,omitempty"`
	Reject string `json:"reject,omitempty" yaml:"reject,omitempty"` // busy | rejected | unknown_number
	Answer string `json:"answer,omitempty" yaml:"answer,omitempty"` // now (default) | ready
	Record bool   `json:"record,omitempty" yaml:"record,omitempty"`
}
