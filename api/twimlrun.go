package api

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// twimlRun runs documents on one call.
type twimlRun struct {
	s    *Server
	call LiveCall
	who  twilioCaller
	hops int
	// asked: the document that runs on the call by now is to end when the first of
	// these has been read.
	asked bool
}

// document runs one. Up to the first pause, which goes on behind the caller's
// back, an error says what could not be done.
func (r *twimlRun) document(ctx context.Context, text []byte, base *url.URL) error {
	verbs, err := parseTwiML(text, base, r.agents())
	if err != nil {
		return err
	}
	if r.asked {
		r.asked = false
		r.s.scripts.stop(r.call.Record().ID)
	}
	return r.run(ctx, verbs)
}

// agents are those that the caller may send calls to.
func (r *twimlRun) agents() []dialplan.Agent {
	if r.who.all {
		return r.s.plan().Agents
	}
	return r.who.agents
}

func (r *twimlRun) run(ctx context.Context, verbs []verb) error {
	for i, v := range verbs {
		switch {
		case v.pause > 0:
			r.later(verbs[i:])
			return nil
		case v.digits != "":
			if strings.ContainsAny(v.digits, "wW") {
				r.later(verbs[i:])
				return nil
			}
			if err := r.call.SendDigits(ctx, v.digits); err != nil {
				return err
			}
		case v.address != "":
			return r.fetch(ctx, v.address, v.method)
		case v.on != nil:
			return r.call.Transfer(ctx, *v.on)
		case v.last:
			r.call.Hangup(bridge.CauseNone, "the agent's document has ended")
		}
	}
	return nil
}

// scripts are the documents under way, of which a call has one at a time.
type scripts struct {
	sync.WaitGroup
	mu   sync.Mutex
	live map[string]*script // by call id
}

type script struct{ stop context.CancelFunc }

// begin puts a call's document in the place of the one before; end takes it out.
func (s *scripts) begin(id string) (ctx context.Context, end func()) {
	s.stop(id)
	ctx, cancel := context.WithCancel(context.Background())
	ours := &script{cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = map[string]*script{}
	}
	s.live[id] = ours
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.live[id] == ours {
			delete(s.live, id)
		}
	}
}

// stop ends the document that runs on a call, if there is one.
func (s *scripts) stop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.live[id]; before != nil {
		before.stop()
		delete(s.live, id)
	}
}

// later runs verbs that take time.
func (r *twimlRun) later(verbs []verb) {
	ctx, end := r.s.scripts.begin(r.call.Record().ID)
	r.s.scripts.Go(func() {
		defer end()
		defer func() {
			if p := recover(); p != nil {
				r.s.log.Error("api: panic in a document", "call", r.call.Record().ID, "panic", p)
			}
		}()
		for len(verbs) > 0 {
			v := verbs[0]
			if v.pause == 0 && !strings.ContainsAny(v.digits, "wW") {
				break
			}
			if !r.slow(ctx, v) {
				return
			}
			verbs = verbs[1:]
		}
		if err := r.run(ctx, verbs); err != nil && ctx.Err() == nil {
			r.s.log.Warn("api: a document could not be run to its end", "call", r.call.Record().ID, "error", err)
		}
	})
}

// slow pauses, or presses keys with pauses between them; it reports whether the
// call still lasts.
func (r *twimlRun) slow(ctx context.Context, v verb) bool {
	if v.pause > 0 {
		return r.sleep(ctx, v.pause)
	}
	for keys := range strings.FieldsSeq(strings.NewReplacer("w", " w ", "W", " w ").Replace(v.digits)) {
		if keys == "w" {
			if !r.sleep(ctx, 500*time.Millisecond) {
				return false
			}
			continue
		}
		if err := r.call.SendDigits(ctx, keys); err != nil {
			return false
		}
	}
	return true
}

func (r *twimlRun) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-r.call.Done():
	case <-r.s.ending:
	}
	return false
}

// parseConnect finds the agent of <Connect><Stream>, by its name or its address.
// <Parameter>s go to it as data of the handover.
func parseConnect(e *element, agents []dialplan.Agent) (verb, error) {
	if len(e.Elements) != 1 || e.Elements[0].XMLName.Local != "Stream" {
		return verb{}, unknownVerb("<Connect> needs one <Stream>")
	}
	stream := &e.Elements[0]
	name, address := stream.attr("name"), stream.attr("url")
	i := slices.IndexFunc(agents, func(a dialplan.Agent) bool {
		return address != "" && slices.Contains(a.Workers(), address) || address == "" && a.Name == name
	})
	if i < 0 {
		return verb{}, unknownVerb("<Stream> names none of the account's agents: url must be that of an agent in the dial plan, or name its name")
	}
	told := map[string]string{}
	for _, p := range stream.Elements {
		if p.XMLName.Local != "Parameter" || p.attr("name") == "" {
			return verb{}, unknownVerb("<Stream> holds <Parameter name value> only")
		}
		told[p.attr("name")] = p.attr("value")
	}
	req := bridge.TransferRequest{Agent: agents[i].Name}
	if len(told) > 0 {
		data, _ := json.Marshal(told) // strings: cannot fail
		req.Handover = &bridge.Handover{Data: data}
	}
	return sends(req), nil
}
