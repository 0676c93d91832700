package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roomline/roomline/agent"
	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// Agents that were written for Twilio end and redirect calls by its REST API:
//
//	POST /2010-04-01/Accounts/{AC…}/Calls/{CA…}.json   Status=completed, or Twiml=<Response>…, or Url=https://…
//	GET  the same                                      the call
//
// by the account and call that they were told in start, Basic authentication,
// forms in, Twilio's JSON out. The password is the agent's key, which reaches the
// calls of that agent, or an API key, which reaches all.

const (
	twilioPath    = "/2010-04-01/Accounts/{account}/Calls/{file}"
	twilioVersion = "2010-04-01"
	twilioBody    = 128 << 10 // bytes of a form; TwiML within it may have 64 KiB
	twilioPatient = 15 * time.Second
)

// twilioError is an answer in Twilio's shape.
type twilioError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	More    string `json:"more_info"`
	Status  int    `json:"status"`
}

// Error implements error.
func (e *twilioError) Error() string { return e.Message }

func twilioFault(status, code int, format string, args ...any) *twilioError {
	return &twilioError{code, fmt.Sprintf(format, args...), "https://www.twilio.com/docs/errors/" + strconv.Itoa(code), status}
}

// twilioCaller is who may do what.
type twilioCaller struct {
	account string
	agents  []dialplan.Agent // of that account
	all     bool             // calls of everybody: an API key
}

// registerTwilio puts the route in its place; it has keys of its own.
func (s *Server) registerTwilio(mux *http.ServeMux) {
	serve := func(do func(*http.Request, twilioCaller, string) (bridge.CallRecord, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, twilioBody)
			ctx, cancel := context.WithTimeout(r.Context(), twilioPatient)
			defer cancel()
			who, rec, err := s.twilio(r.WithContext(ctx), do)
			writeTwilio(w, who.account, rec, err)
		}
	}
	mux.HandleFunc("GET "+twilioPath, serve(s.twilioRead))
	mux.HandleFunc("POST "+twilioPath, serve(s.twilioChange))
}

// twilio finds out who asks, and for which call.
func (s *Server) twilio(r *http.Request, do func(*http.Request, twilioCaller, string) (bridge.CallRecord, error)) (twilioCaller, bridge.CallRecord, error) {
	who, err := s.twilioCaller(r, time.Now())
	if err != nil {
		return who, bridge.CallRecord{}, err
	}
	gone := twilioFault(http.StatusNotFound, 20404, "The requested resource %s was not found", r.URL.Path)
	sid, ok := strings.CutSuffix(r.PathValue("file"), ".json")
	id, known := agent.CallID(sid)
	if !ok || !known {
		return who, bridge.CallRecord{}, gone
	}
	rec, err := do(r, who, id)
	var ours *twilioError
	switch {
	case err == nil || errors.As(err, &ours):
	case s.isGone(id):
		err = gone
	default:
		err = ofBridge(err)
	}
	return who, rec, err
}

func (s *Server) isGone(id string) bool {
	_, live := s.exchange.Live(id)
	return !live
}

// ofBridge translates what the house says.
func ofBridge(err error) error {
	var known *bridge.Error
	switch {
	case !errors.As(err, &known):
		return twilioFault(http.StatusInternalServerError, 20500, "something went wrong on our side; the gateway's log says what")
	case known.Code == bridge.Conflict:
		return twilioFault(http.StatusBadRequest, 21220, "%s", known.Message)
	case known.Code == bridge.LimitReached:
		return twilioFault(http.StatusTooManyRequests, 20429, "%s", known.Message)
	}
	return twilioFault(http.StatusBadRequest, 13224, "%s", known.Message)
}

// twilioCaller checks user and password; a source that failed too often must wait.
func (s *Server) twilioCaller(r *http.Request, now time.Time) (twilioCaller, error) {
	account := r.PathValue("account")
	who := twilioCaller{account: account}
	for _, a := range s.plan().Agents {
		if agent.AccountSID(a) == account {
			who.agents = append(who.agents, a)
		}
	}
	user, password, ok := r.BasicAuth()
	refused := twilioFault(http.StatusUnauthorized, 20003, "Authenticate: use Basic authentication with the account's SID and the agent's key, or an API key as password")
	if !ok || password == "" || len(password) > keyBytes {
		return who, refused
	}
	source := sourceOf(r)
	if wait := s.keys.failures.wait(source, now); wait > 0 && !s.keys.trusted(password) {
		return who, twilioFault(http.StatusTooManyRequests, 20429, "too many wrong keys came from this address; wait and check the key")
	}
	for _, a := range who.agents {
		if a.Key != "" && user == account && subtle.ConstantTimeCompare([]byte(a.Key), []byte(password)) == 1 {
			return who, nil
		}
	}
	switch _, err := s.keys.check(r.Context(), password, now); {
	case err == nil:
		who.all = true
		return who, nil
	case errors.Is(err, errWrongKey):
		s.keys.failures.add(source, now)
		s.log.Warn("api: a wrong key was tried", "source", source.Addr().String(), "path", r.URL.Path)
		return who, refused
	}
	return who, twilioFault(http.StatusServiceUnavailable, 20503, "the store cannot be reached now; nothing was changed")
}

// reaches reports whether the caller may see and change a call.
func (w twilioCaller) reaches(rec bridge.CallRecord) bool {
	if w.all {
		return true
	}
	for _, a := range w.agents {
		if rec.Agent == a.Name {
			return true
		}
	}
	return false
}

func (s *Server) twilioRead(r *http.Request, who twilioCaller, id string) (bridge.CallRecord, error) {
	rec, err := s.call(r.Context(), id)
	if err != nil || !who.reaches(rec) {
		return rec, twilioFault(http.StatusNotFound, 20404, "The requested resource %s was not found", r.URL.Path)
	}
	return rec, nil
}

// twilioChange ends or redirects a live call.
func (s *Server) twilioChange(r *http.Request, who twilioCaller, id string) (bridge.CallRecord, error) {
	call, live := s.exchange.Live(id)
	if !live || !who.reaches(call.Record()) || call.Record().State == bridge.StateEnded {
		return bridge.CallRecord{}, twilioFault(http.StatusNotFound, 20404, "The requested resource %s was not found", r.URL.Path)
	}
	if err := r.ParseForm(); err != nil {
		return bridge.CallRecord{}, twilioFault(http.StatusBadRequest, 20001, "the form cannot be read, or is larger than 128 KiB; nothing was changed")
	}
	return call.Record(), s.twilioUpdate(r.Context(), call, who, r.PostForm)
}

func (s *Server) twilioUpdate(ctx context.Context, call LiveCall, who twilioCaller, form url.Values) error {
	status, twiml, address := form.Get("Status"), form.Get("Twiml"), form.Get("Url")
	answered := call.Record().AnsweredAt != nil
	switch {
	case form.Get("ApplicationSid") != "":
		return twilioFault(http.StatusBadRequest, 21218, "ApplicationSid is unknown here: there are no applications; send Twiml or Url")
	case status == "completed", status == "canceled" && !answered:
		call.Hangup(bridge.CauseNone, "ended by the agent's program")
		return nil
	case status == "canceled":
		return twilioFault(http.StatusBadRequest, 21220, "Invalid call state: the call is in progress; send Status=completed to end it")
	case status != "":
		return twilioFault(http.StatusBadRequest, 20001, "Status must be completed or canceled")
	case twiml == "" && address == "":
		return twilioFault(http.StatusBadRequest, 20001, "send Status=completed, Twiml or Url; nothing was changed")
	case !answered:
		return twilioFault(http.StatusBadRequest, 21220, "Unable to update record. Call is not in-progress. Cannot redirect.")
	}
	run := &twimlRun{s: s, call: call, who: who, asked: true}
	if twiml != "" {
		return run.document(ctx, []byte(twiml), nil)
	}
	return run.fetch(ctx, address, form.Get("Method"))
}

// writeTwilio answers.
func writeTwilio(w http.ResponseWriter, account string, rec bridge.CallRecord, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	var fault *twilioError
	if errors.As(err, &fault) {
		if fault.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="roomline"`)
		}
		w.WriteHeader(fault.Status)
		_ = json.NewEncoder(w).Encode(fault)
		return
	}
	_ = json.NewEncoder(w).Encode(twilioCall(account, rec))
}

// twilioCall is a call in Twilio's words.
func twilioCall(account string, rec bridge.CallRecord) map[string]any {
	sid := agent.CallSID(rec.ID)
	out := map[string]any{
		"sid": sid, "account_sid": account, "api_version": twilioVersion, "to": rec.To, "to_formatted": rec.To,
		"from": rec.From, "from_formatted": rec.From, "status": twilioStatus(rec), "direction": twilioDirection(rec),
		"date_created": twilioTime(&rec.CreatedAt), "date_updated": twilioTime(&rec.CreatedAt),
		"start_time": twilioTime(rec.AnsweredAt), "end_time": twilioTime(rec.EndedAt), "duration": nil,
		"uri":             "/" + twilioVersion + "/Accounts/" + account + "/Calls/" + sid + ".json",
		"parent_call_sid": nil, "phone_number_sid": "", "price": nil, "price_unit": "USD", "answered_by": nil, "annotation": nil,
		"forwarded_from": nil, "caller_name": nil, "group_sid": nil, "queue_time": "0", "trunk_sid": nil, "subresource_uris": map[string]string{},
	}
	if parent := agent.CallSID(rec.ParentID); parent != "" {
		out["parent_call_sid"] = parent
	}
	if rec.EndedAt != nil {
		seconds := 0
		if rec.AnsweredAt != nil {
			seconds = int(rec.EndedAt.Sub(*rec.AnsweredAt).Seconds())
		}
		out["duration"], out["date_updated"] = strconv.Itoa(seconds), twilioTime(rec.EndedAt)
	}
	return out
}

// twilioTime is a time as of RFC 2822, nil where it has not come.
func twilioTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000")
}

func twilioDirection(rec bridge.CallRecord) string {
	switch {
	case rec.Direction == bridge.Inbound:
		return "inbound"
	case rec.ParentID != "":
		return "outbound-dial"
	}
	return "outbound-api"
}

func twilioStatus(rec bridge.CallRecord) string {
	switch rec.State {
	case bridge.StateQueued, bridge.StateDialing:
		return "queued"
	case bridge.StateRinging, bridge.StateEarly:
		return "ringing"
	case bridge.StateActive, bridge.StateHeld:
		return "in-progress"
	}
	switch {
	case rec.AnsweredAt != nil:
		return "completed"
	case rec.Cause == bridge.CauseBusy:
		return "busy"
	case rec.Cause == bridge.CauseNoAnswer:
		return "no-answer"
	case rec.Cause == bridge.CauseCanceled:
		return "canceled"
	}
	return "failed"
}
