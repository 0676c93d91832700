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
	c.Trunks = slices.Clone(p.Trunks)
	for i := range c.Trunks {
		c.Trunks[i] = c.Trunks[i].Masked()
	}
	return &c
}

// Masked is a copy of the trunk with its password replaced by [Mask].
func (t Trunk) Masked() Trunk {
	if t.Outbound != nil && t.Outbound.Password != "" {
		o := *t.Outbound
		o.Password = Mask
		t.Outbound = &o
	}
	return t
}

// KeepSecrets puts the secrets of old where t has [Mask], so that what was read
// from the API can be written back.
func (t Trunk) KeepSecrets(old Trunk) Trunk {
	if t.Outbound != nil && t.Outbound.Password == Mask && old.Outbound != nil {
		o := *t.Outbound
		o.Password = old.Outbound.Password
		t.Outbound = &o
	}
	return t
}

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

// LogValue keeps passwords out of structured logs.
func (t Trunk) LogValue() slog.Value { return slog.StringValue(t.Name) }

// LogValue keeps passwords out of structured logs.
func (p *Plan) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("trunks", len(p.Trunks)), slog.Int("numbers", len(p.Numbers)), slog.Int("routes", len(p.Routes)))
}
