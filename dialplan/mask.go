package dialplan

import (
	"log/slog"
	"slices"
	"strings"
)

// Mask stands for a secret that is not shown.
const Mask = "********"

// Masked is a copy of the plan with every secret replaced by [Mask]. It shares
// everything else with p.
func (p *Plan) Masked() *Plan {
	c := *p
	c.Trunks, c.Routes = slices.Clone(p.Trunks), slices.Clone(p.Routes)
	c.Agents, c.Queues = slices.Clone(p.Agents), slices.Clone(p.Queues)
	for i := range c.Queues {
		c.Queues[i] = c.Queues[i].Masked()
	}
	for i := range c.Agents {
		c.Agents[i] = c.Agents[i].Masked()
	}
	for i := range c.Trunks {
		c.Trunks[i] = c.Trunks[i].Masked()
	}
	for i := range c.Routes {
		c.Routes[i] = c.Routes[i].Masked()
	}
	return &c
}

// Masked is a copy of the trunk with its passwords replaced by [Mask].
func (t Trunk) Masked() Trunk {
	if t.Outbound != nil && t.Outbound.Password != "" {
		o := *t.Outbound
		o.Password = Mask
		t.Outbound = &o
	}
	if t.Inbound != nil && t.Inbound.Password != "" {
		i := *t.Inbound
		i.Password = Mask
		t.Inbound = &i
	}
	return t
}

// Masked is a copy of the agent with its key replaced by [Mask].
func (a Agent) Masked() Agent {
	if a.Key != "" {
		a.Key = Mask
	}
	a.Fallback = a.Fallback.masked()
	return a
}

// KeepSecrets puts the secrets of old where a has [Mask].
func (a Agent) KeepSecrets(old Agent) Agent {
	if a.Key == Mask && old.Key != "" {
		a.Key = old.Key
	}
	a.Fallback = a.Fallback.keep(old.Fallback)
	return a
}

// Masked is a copy of the queue with the PINs of its else replaced by [Mask].
func (q Queue) Masked() Queue {
	q.Else = q.Else.masked()
	return q
}

// KeepSecrets puts the PINs of old where q has [Mask].
func (q Queue) KeepSecrets(old Queue) Queue {
	q.Else = q.Else.keep(old.Else)
	return q
}

// Masked is a copy of the route with the PINs of its targets replaced by [Mask].
func (r Route) Masked() Route {
	r.Target = r.Target.Masked()
	return r
}

// Masked is a copy of the target and those that follow it, with their PINs
// replaced by [Mask].
func (t Target) Masked() Target {
	if t.PIN != "" {
		t.PIN = Mask
	}
	t.Else = t.Else.masked()
	return t
}

// masked is Masked of a target that may be nil.
func (t *Target) masked() *Target {
	if t == nil {
		return nil
	}
	next := t.Masked()
	return &next
}

// Masked is a copy of the decision with PINs replaced by [Mask].
func (d Decision) Masked() Decision {
	d.Target = d.Target.Masked()
	d.Else = d.Else.masked()
	return d
}

// KeepSecrets puts the secrets of old where p has [Mask], trunks and routes by
// their names, so that what was read from the API can be written back. What old
// has no secret for stays a mask, which [Plan.Check] refuses. It changes the
// lists of p, and shares nothing that it changes with old.
func (p *Plan) KeepSecrets(old *Plan) {
	p.Trunks, p.Routes = slices.Clone(p.Trunks), slices.Clone(p.Routes)
	p.Agents, p.Queues = slices.Clone(p.Agents), slices.Clone(p.Queues)
	for i, q := range p.Queues {
		if o, ok := old.QueueNamed(q.Name); ok {
			p.Queues[i] = q.KeepSecrets(o)
		}
	}
	for i, a := range p.Agents {
		if o, ok := old.AgentNamed(a.Name); ok {
			p.Agents[i] = a.KeepSecrets(o)
		}
	}
	for i, t := range p.Trunks {
		if o, ok := old.TrunkNamed(t.Name); ok {
			p.Trunks[i] = t.KeepSecrets(o)
		}
	}
	before := make(map[string]Route, len(old.Routes))
	for _, r := range old.Routes {
		before[r.Name] = r
	}
	for i, r := range p.Routes {
		p.Routes[i] = r.KeepSecrets(before[r.Name])
	}
}

// KeepSecrets puts the secrets of old where t has [Mask].
func (t Trunk) KeepSecrets(old Trunk) Trunk {
	if t.Outbound != nil && t.Outbound.Password == Mask && old.Outbound != nil && old.Outbound.Password != "" {
		o := *t.Outbound
		o.Password = old.Outbound.Password
		t.Outbound = &o
	}
	if t.Inbound != nil && t.Inbound.Password == Mask && old.Inbound != nil && old.Inbound.Password != "" {
		i := *t.Inbound
		i.Password = old.Inbound.Password
		t.Inbound = &i
	}
	return t
}

// KeepSecrets puts the PINs of old where r has [Mask].
func (r Route) KeepSecrets(old Route) Route {
	r.Target = r.Target.KeepSecrets(old.Target)
	return r
}

// KeepSecrets puts the PINs of old where t or one that follows it has [Mask];
// the first belongs to the first, the second to the second.
func (t Target) KeepSecrets(old Target) Target {
	if t.PIN == Mask && old.PIN != "" {
		t.PIN = old.PIN
	}
	t.Else = t.Else.keep(old.Else)
	return t
}

// keep is KeepSecrets of targets that may be nil.
func (t *Target) keep(old *Target) *Target {
	if t == nil || old == nil {
		return t
	}
	next := t.KeepSecrets(*old)
	return &next
}

// String names the user, never the password.
func (i Inbound) String() string { return i.Username }

// GoString is String, so that %#v shows no password either.
func (i Inbound) GoString() string { return "dialplan.Inbound(" + i.Username + ")" }

// LogValue keeps passwords out of structured logs.
func (i Inbound) LogValue() slog.Value { return slog.StringValue(i.Username) }

// String names the servers and the user, never the password.
func (o Outbound) String() string {
	s := strings.Join(o.Servers, ",")
	if o.Transport != "" {
		s += ";transport=" + o.Transport
	}
	if o.Username != "" {
		s = o.Username + "@" + s
	}
	return s
}

// GoString is String, so that %#v shows no password either.
func (o Outbound) GoString() string { return "dialplan.Outbound(" + o.String() + ")" }

// LogValue keeps passwords out of structured logs.
func (o Outbound) LogValue() slog.Value { return slog.StringValue(o.String()) }

// GoString is [Target.String], so that %#v shows no PIN either.
func (t Target) GoString() string { return "dialplan.Target(" + t.String() + ")" }

// LogValue keeps PINs out of structured logs.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

// LogValue keeps passwords out of structured logs.
func (t Trunk) LogValue() slog.Value { return slog.StringValue(t.Name) }

// LogValue keeps PINs out of structured logs.
func (r Route) LogValue() slog.Value { return slog.StringValue(r.Name) }

// LogValue keeps PINs out of structured logs.
func (d Decision) LogValue() slog.Value { return slog.StringValue(d.String()) }

// LogValue keeps passwords out of structured logs.
func (p *Plan) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("trunks", len(p.Trunks)), slog.Int("numbers", len(p.Numbers)), slog.Int("routes", len(p.Routes)))
}
