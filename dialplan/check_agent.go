package dialplan

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	accountForm   = regexp.MustCompile(`^AC[0-9a-f]{32}$`)
	parameterForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
)

// Bounds of what an agent may be told.
const (
	mostWorkers      = 64
	mostParameters   = 32
	longestParameter = 500
	longestPrompt    = 32 << 10
)

func (c *checker) agentNames() (names []string) {
	for _, a := range c.plan.Agents {
		names = append(names, a.Name)
	}
	return names
}

func (c *checker) agents() {
	seen := map[string]bool{}
	for i, a := range c.plan.Agents {
		at := fmt.Sprintf("agents[%d]", i)
		c.name(at+".name", a.Name, seen)
		c.workers(at, a)
		c.oneOf(at+".protocol", a.Protocol, []string{TwilioMediaStreams, OpenAIRealtime, WebSocketL16}, nil)
		c.oneOf(at+".filler", a.Filler, []string{"tone", "music", "silence"}, nil)
		if a.Pool < 0 {
			c.wrong(at+".pool", "", "expected how many calls at once, or 0 for no cap")
		}
		if a.Account != "" && !accountForm.MatchString(a.Account) {
			c.wrong(at+".account", a.Account, "expected AC and 32 hexadecimal digits in small letters")
		}
		if a.Key == Mask {
			c.wrong(at+".key", "", maskKept("key"))
		}
		c.orOff(at+".probe", a.Probe, time.Second, time.Hour)
		c.orOff(at+".patience", a.Patience, 500*time.Millisecond, time.Minute)
		c.parameters(at+".parameters", a.Parameters)
		c.realtime(at, a)
		if a.RateHz != 0 && (a.Protocol != WebSocketL16 || !slices.Contains([]int{8000, 16000, 24000}, a.RateHz)) {
			c.wrong(at+".rate_hz", "", "expected 8000, 16000 or 24000, with protocol websocket-l16")
		}
		c.chain(at+".fallback", a.Fallback)
		if a.Fallback != nil && a.Fallback.Agent == a.Name && a.Name != "" {
			c.wrong(at+".fallback.agent", a.Name, "an agent is no fallback of its own: one that fails is replaced anyhow")
		}
	}
}

func (c *checker) workers(at string, a Agent) {
	if (a.URL == "") == (len(a.URLs) == 0) {
		c.wrong(at+".url", a.URL, "expected url, or urls for several workers of the same kind")
	}
	if len(a.URLs) > mostWorkers {
		c.wrong(at+".urls", "", fmt.Sprintf("expected at most %d workers", mostWorkers))
	}
	for _, text := range a.Workers() {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss":
			c.wrong(at+".url", "", "expected a WebSocket address such as wss://agent.example/media")
		case u.User != nil || u.Fragment != "":
			c.wrong(at+".url", "", "an agent's address holds no user, password or fragment; use key")
		}
	}
}

func (c *checker) realtime(at string, a Agent) {
	if a.Protocol == OpenAIRealtime {
		if len(a.Prompt) > longestPrompt {
			c.wrong(at+".instructions", "", fmt.Sprintf("expected at most %d bytes", longestPrompt))
		}
		return
	}
	for name, text := range map[string]string{"model": a.Model, "voice": a.Voice, "language": a.Language, "instructions": a.Prompt} {
		if text != "" {
			c.wrong(at+"."+name, "", "only agents of protocol openai-realtime are told this: leave it out, or use parameters")
		}
	}
}

func (c *checker) parameters(at string, parameters map[string]string) {
	if len(parameters) > mostParameters {
		c.wrong(at, "", fmt.Sprintf("expected at most %d parameters", mostParameters))
	}
	for name, value := range parameters {
		if !parameterForm.MatchString(name) {
			c.wrong(at, name, "expected a name of 1 to 64 letters, digits, _, . and -")
		}
		if len(value) > longestParameter {
			c.wrong(at+"."+name, "", fmt.Sprintf("expected at most %d bytes", longestParameter))
		}
	}
}

// orOff checks a duration that may be switched off.
func (c *checker) orOff(field, text string, least, most time.Duration) {
	if text != "off" {
		c.duration(field, text, least, most)
	}
}

func (c *checker) queueNames() (names []string) {
	for _, q := range c.plan.Queues {
		names = append(names, q.Name)
	}
	return names
}

func (c *checker) queues() {
	seen := map[string]bool{}
	for i, q := range c.plan.Queues {
		at := fmt.Sprintf("queues[%d]", i)
		c.name(at+".name", q.Name, seen)
		c.oneOf(at+".ring", q.Ring, []string{"all", "one"}, nil)
		c.oneOf(at+".accept", q.Accept, []string{"answer", "key"}, nil)
		c.duration(at+".ring_timeout", q.RingTimeout, time.Second, 10*time.Minute)
		c.duration(at+".wrap_up", q.WrapUp, 0, time.Hour)
		c.duration(at+".max_wait", q.MaxWait, time.Second, 24*time.Hour)
		c.orOff(at+".announce", q.Announce, 5*time.Second, time.Hour)
		if q.MaxCallers < 0 {
			c.wrong(at+".max_callers", "", "expected how many callers wait at once, or 0 for no limit")
		}
		for j, m := range q.Members {
			c.queueMember(fmt.Sprintf("%s.members[%d]", at, j), m)
		}
		c.chain(at+".else", q.Else)
	}
}

func (c *checker) queueMember(at string, m Member) {
	if m.Number == "" || strings.Contains(m.Number, "{{") {
		c.wrong(at+".number", m.Number, "expected a number that a from_room route dials")
	}
	c.printable(at+".name", m.Name)
	c.knownTrunk(at+".trunk", m.Trunk)
}
