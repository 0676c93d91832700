package dialplan

import "log/slog"

// Protocols that agents are spoken to in.
const (
	TwilioMediaStreams = "twilio-media-streams" // the default
	OpenAIRealtime     = "openai-realtime"
	WebSocketL16       = "websocket-l16"
)

// Agent is an AI voice: a program behind a WebSocket, or several of the same kind.
// The gateway is the client.
type Agent struct {
	Name       string            `json:"name" yaml:"name"`
	URL        string            `json:"url,omitempty" yaml:"url,omitempty"`                   // wss://… of its one worker
	URLs       []string          `json:"urls,omitempty" yaml:"urls,omitempty"`                 // of several workers, in place of URL: calls are spread over them
	Protocol   string            `json:"protocol,omitempty" yaml:"protocol,omitempty"`         // one of the protocols; default twilio-media-streams
	Pool       int               `json:"pool,omitempty" yaml:"pool,omitempty"`                 // calls at once over all workers; 0: no cap
	Account    string            `json:"account,omitempty" yaml:"account,omitempty"`           // AC and 32 hexadecimal digits, told as accountSid; default: made from the name
	Key        string            `json:"key,omitempty" yaml:"key,omitempty"`                   // secret: signs Twilio's handshake and opens its REST route; elsewhere goes as Bearer. Masked in API answers
	Parameters map[string]string `json:"parameters,omitempty" yaml:"parameters,omitempty"`     // told to the agent at the start of every call
	Probe      string            `json:"probe,omitempty" yaml:"probe,omitempty"`               // how often a worker without calls is probed by a synthetic call, a duration such as 30s, or off; default 30s
	Patience   string            `json:"patience,omitempty" yaml:"patience,omitempty"`         // how long after the caller's last word the agent may think before a filler is heard; default 4s, or off
	Filler     string            `json:"filler,omitempty" yaml:"filler,omitempty"`             // what is heard while no agent speaks: tone (default), music or silence
	RateHz     int               `json:"rate_hz,omitempty" yaml:"rate_hz,omitempty"`           // of websocket-l16: 8000 (default), 16000 or 24000
	Model      string            `json:"model,omitempty" yaml:"model,omitempty"`               // of openai-realtime
	Voice      string            `json:"voice,omitempty" yaml:"voice,omitempty"`               // of openai-realtime
	Language   string            `json:"language,omitempty" yaml:"language,omitempty"`         // of openai-realtime: of what callers say, such as en
	Prompt     string            `json:"instructions,omitempty" yaml:"instructions,omitempty"` // of openai-realtime
	Fallback   *Target           `json:"fallback,omitempty" yaml:"fallback,omitempty"`         // where a call goes when the agent and the else of its route have failed
}

// Workers returns the URLs of all workers.
func (a Agent) Workers() []string {
	if a.URL != "" {
		return append([]string{a.URL}, a.URLs...)
	}
	return a.URLs
}

// Told returns the parameters for one call: {{call.id}}, {{call.to}}, {{call.from}}
// and {{call.attributes.NAME}} are filled from vars, as header templates are. What
// else stands between braces stays as it is.
func (a Agent) Told(vars map[string]string) map[string]string {
	told := make(map[string]string, len(a.Parameters))
	for name, template := range a.Parameters {
		value, err := expand(template, vars, func(v string) (string, error) { return v, nil })
		if err != nil {
			value = template
		}
		told[name] = value
	}
	return told
}

// AgentNamed finds an agent.
func (p *Plan) AgentNamed(name string) (Agent, bool) {
	for _, a := range p.Agents {
		if a.Name == name {
			return a, true
		}
	}
	return Agent{}, false
}

// QueueNamed finds a queue.
func (p *Plan) QueueNamed(name string) (Queue, bool) {
	for _, q := range p.Queues {
		if q.Name == name {
			return q, true
		}
	}
	return Queue{}, false
}

// String names the agent, never its key.
func (a Agent) String() string { return a.Name }

// GoString is String, so that %#v shows no key either.
func (a Agent) GoString() string { return "dialplan.Agent(" + a.Name + ")" }

// LogValue keeps keys out of structured logs.
func (a Agent) LogValue() slog.Value { return slog.StringValue(a.Name) }

// Queue is a line of callers who wait for people: emergencies first, then by the
// priority of their routes, then who has waited for longest. Phones that ring get
// whoever is first when they are picked up, whomever they began to ring for.
type Queue struct {
	Name        string   `json:"name" yaml:"name"`
	Members     []Member `json:"members,omitempty" yaml:"members,omitempty"`           // phones that are rung; browsers look at the queue by themselves
	Ring        string   `json:"ring,omitempty" yaml:"ring,omitempty"`                 // all (default): every free member rings for the first in line; one: for each who waits one member, who has been free for longest, then the next
	RingTimeout string   `json:"ring_timeout,omitempty" yaml:"ring_timeout,omitempty"` // of a member's phone; default 20s
	WrapUp      string   `json:"wrap_up,omitempty" yaml:"wrap_up,omitempty"`           // how long a member's phone is left alone after a call that it took; default 3s
	MaxWait     string   `json:"max_wait,omitempty" yaml:"max_wait,omitempty"`         // a duration; then the call takes Else; default: for ever
	MaxCallers  int      `json:"max_callers,omitempty" yaml:"max_callers,omitempty"`   // who wait at once; more take Else, emergencies apart; 0: no limit
	Announce    string   `json:"announce,omitempty" yaml:"announce,omitempty"`         // how often callers hear their position, a duration, or off; default 30s
	Accept      string   `json:"accept,omitempty" yaml:"accept,omitempty"`             // how a phone takes the call: answer (default), or key: after the answer it is asked to press 1; 2 declines
	// Else is where a call goes that has no else of its own when the wait is over, the
	// queue is full, or there is nobody: no members, and no page that looks at the
	// queue (at once where none ever did, else after 15 s, for a page may be loaded
	// again). Without any else callers wait where there is nobody, and are rung off
	// only when the wait is over; emergencies not even then.
	Else *Target `json:"else,omitempty" yaml:"else,omitempty"`
}

// Member is a phone that a queue rings.
type Member struct {
	Number string `json:"number" yaml:"number"`                   // as in a target's number: dialled by a from_room route
	Name   string `json:"name,omitempty" yaml:"name,omitempty"`   // for people to read
	Trunk  string `json:"trunk,omitempty" yaml:"trunk,omitempty"` // by which it is dialled; empty: the dial plan chooses
}
