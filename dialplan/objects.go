package dialplan

import "go.yaml.in/yaml/v3"

// This file names every key that a dial plan file may hold.

func (r *reader) plan(n *yaml.Node, p *Plan, others []string) {
	known := fields{
		"trunks":   list(r, &p.Trunks, r.trunk),
		"numbers":  list(r, &p.Numbers, r.ownNumber),
		"routes":   list(r, &p.Routes, r.route),
		"holidays": list(r, &p.Holidays, r.holiday),
		"agents":   list(r, &p.Agents, r.agent),
		"queues":   list(r, &p.Queues, r.queue),
	}
	for _, key := range others {
		if known[key] == nil {
			known[key] = func(*yaml.Node, string) {}
		}
	}
	r.object(n, "", known)
}

func (r *reader) trunk(n *yaml.Node, path string) (t Trunk) {
	r.object(n, path, fields{
		"name": r.text(&t.Name), "addresses": r.texts(&t.Addresses),
		"register": r.flag(&t.Register), "keepalive": r.text(&t.Keepalive), "listen": r.text(&t.Listen),
		"codecs": r.texts(&t.Codecs), "srtp": r.text(&t.SRTP), "keying": r.text(&t.Keying), "dtmf": r.text(&t.DTMF),
		"country": r.text(&t.Country), "stir": r.text(&t.STIR), "refer": r.text(&t.Refer), "redirects": r.text(&t.Redirects),
		"inbound":   func(n *yaml.Node, path string) { t.Inbound = r.inbound(n, path) },
		"outbound":  func(n *yaml.Node, path string) { t.Outbound = r.outbound(n, path) },
		"caller_id": func(n *yaml.Node, path string) { t.CallerID = r.callerID(n, path) },
		"headers":   func(n *yaml.Node, path string) { t.Headers = r.headerMap(n, path) },
		"limits":    func(n *yaml.Node, path string) { t.Limits = r.limits(n, path) },
	})
	return t
}

func (r *reader) inbound(n *yaml.Node, path string) *Inbound {
	var i Inbound
	r.object(n, path, fields{"username": r.text(&i.Username), "password": r.text(&i.Password)})
	return &i
}

func (r *reader) outbound(n *yaml.Node, path string) *Outbound {
	var o Outbound
	r.object(n, path, fields{
		"servers": r.texts(&o.Servers), "transport": r.text(&o.Transport),
		"username": r.text(&o.Username), "password": r.text(&o.Password), "domain": r.text(&o.Domain),
	})
	return &o
}

func (r *reader) callerID(n *yaml.Node, path string) *CallerID {
	var c CallerID
	r.object(n, path, fields{
		"default": r.text(&c.Default), "allowed": r.patterns(&c.Allowed),
		"identity": r.text(&c.Identity), "privacy": r.flag(&c.Privacy),
	})
	return &c
}

func (r *reader) headerMap(n *yaml.Node, path string) *HeaderMap {
	var m HeaderMap
	r.object(n, path, fields{"in": table(r, &m.In, r.text), "out": table(r, &m.Out, r.text)})
	return &m
}

func (r *reader) limits(n *yaml.Node, path string) *Limits {
	var l Limits
	r.object(n, path, fields{
		"calls": r.whole(&l.Calls), "cps": r.number(&l.CPS), "minutes": r.whole(&l.Minutes), "prefixes": r.texts(&l.Prefixes),
	})
	return &l
}

func (r *reader) ownNumber(n *yaml.Node, path string) (o Number) {
	r.object(n, path, fields{"number": r.text(&o.Number), "trunk": r.text(&o.Trunk), "label": r.text(&o.Label)})
	return o
}

func (r *reader) holiday(n *yaml.Node, path string) (h Holiday) {
	r.object(n, path, fields{"name": r.text(&h.Name), "dates": list(r, &h.Dates, r.date)})
	return h
}

func (r *reader) date(n *yaml.Node, path string) string {
	return r.scalar(n, path, "a date like 2026-12-24 or 12-25", "!!timestamp", "!!str")
}

func (r *reader) route(n *yaml.Node, path string) (o Route) {
	known := r.target(&o.Target)
	known["name"], known["from_room"], known["trunk"] = r.text(&o.Name), r.flag(&o.FromRoom), r.text(&o.Trunk)
	known["to"], known["from"] = r.patterns(&o.To), r.patterns(&o.From)
	known["headers"] = table(r, &o.Headers, r.patterns)
	known["hours"], known["holidays"], known["priority"] = r.text(&o.Hours), r.text(&o.Holidays), r.text(&o.Priority)
	r.object(n, path, known)
	return o
}

func (r *reader) target(t *Target) fields {
	return fields{
		"room": r.text(&t.Room), "pin": r.text(&t.PIN),
		"number": r.text(&t.Number), "trunks": r.texts(&t.Trunks), "ring_timeout": r.text(&t.RingTimeout),
		"agent": r.text(&t.Agent), "queue": r.text(&t.Queue),
		"reject": r.text(&t.Reject), "answer": r.text(&t.Answer), "record": r.flag(&t.Record),
		"else": func(n *yaml.Node, path string) { t.Else = r.otherwise(n, path) },
	}
}

func (r *reader) otherwise(n *yaml.Node, path string) *Target {
	var t Target
	r.object(n, path, r.target(&t))
	return &t
}

func (r *reader) agent(n *yaml.Node, path string) (a Agent) {
	r.object(n, path, fields{
		"name": r.text(&a.Name), "url": r.text(&a.URL), "urls": r.texts(&a.URLs), "protocol": r.text(&a.Protocol),
		"pool": r.whole(&a.Pool), "account": r.text(&a.Account), "key": r.text(&a.Key),
		"parameters": table(r, &a.Parameters, r.text), "probe": r.text(&a.Probe), "patience": r.text(&a.Patience),
		"filler": r.text(&a.Filler), "rate_hz": r.whole(&a.RateHz), "model": r.text(&a.Model), "voice": r.text(&a.Voice),
		"language": r.text(&a.Language), "instructions": r.text(&a.Prompt),
		"fallback": func(n *yaml.Node, path string) { a.Fallback = r.otherwise(n, path) },
	})
	return a
}

func (r *reader) queue(n *yaml.Node, path string) (q Queue) {
	r.object(n, path, fields{
		"name": r.text(&q.Name), "members": list(r, &q.Members, r.queueMember), "ring": r.text(&q.Ring),
		"ring_timeout": r.text(&q.RingTimeout), "max_wait": r.text(&q.MaxWait), "max_callers": r.whole(&q.MaxCallers),
		"announce": r.text(&q.Announce), "accept": r.text(&q.Accept), "wrap_up": r.text(&q.WrapUp),
		"else": func(n *yaml.Node, path string) { q.Else = r.otherwise(n, path) },
	})
	return q
}

func (r *reader) queueMember(n *yaml.Node, path string) (m Member) {
	r.object(n, path, fields{"number": r.text(&m.Number), "name": r.text(&m.Name), "trunk": r.text(&m.Trunk)})
	return m
}
