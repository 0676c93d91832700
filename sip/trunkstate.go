package sip

import (
	"slices"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// TrunkStates says how every trunk of the plan stands, in the plan's order. It
// waits for nothing: names that were never looked up have no address yet.
func (u *UA) TrunkStates() []bridge.TrunkState {
	plan := u.config.Plan()
	list := make([]bridge.TrunkState, 0, len(plan.Trunks))
	for _, t := range plan.Trunks {
		st := bridge.TrunkState{Name: t.Name, Servers: u.serverStates(t)}
		u.trunks.mu.Lock()
		v := u.trunks.services[t.Name]
		u.trunks.mu.Unlock()
		if t.Register {
			st.Registration = "trying"
			if v != nil && v.registration != nil {
				v.registration.describe(&st)
			}
		}
		list = append(list, st)
	}
	return list
}

// describe fills in how the registration stands.
func (r *registration) describe(st *bridge.TrunkState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Registration, st.RegisterError = r.status, r.words
	if r.status != "registered" {
		return
	}
	if !time.Now().Before(r.until) {
		st.Registration = "failed"
		return
	}
	at, until := r.at.UTC(), r.until.UTC()
	st.RegisteredAt, st.ExpiresAt = &at, &until
}

// serverStates lists the addresses of a trunk's servers in the order in which
// they would be tried now.
func (u *UA) serverStates(t dialplan.Trunk) []bridge.ServerState {
	if t.Outbound == nil {
		return nil
	}
	var list []bridge.ServerState
	for _, server := range t.Outbound.Servers {
		u.trunks.mu.Lock()
		found := u.trunks.found[serverKey{t.Name, server}]
		u.trunks.mu.Unlock()
		if len(found) == 0 {
			list = append(list, bridge.ServerState{Server: server, State: "unknown"})
		}
		for _, to := range found {
			list = append(list, u.serverState(server, to))
		}
	}
	slices.SortStableFunc(list, func(a, b bridge.ServerState) int { return rankOf(a) - rankOf(b) })
	return list
}

func (u *UA) serverState(server string, to target) bridge.ServerState {
	s := bridge.ServerState{Server: server, Address: to.String(), State: "unknown"}
	h, known := u.names.healthOf(to)
	if !known {
		return s
	}
	s.State, s.Reason = "down", h.reason
	if h.up {
		s.State = "up"
	}
	if !h.checked.IsZero() {
		at := h.checked.UTC()
		s.CheckedAt, s.RTTMS = &at, float64(h.rtt.Microseconds())/1000
	}
	return s
}

func rankOf(s bridge.ServerState) int {
	if s.State == "down" {
		return 1
	}
	return 0
}
