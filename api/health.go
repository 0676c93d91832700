package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// readiness is the answer of /readyz.
type readiness struct {
	Ready    bool   `json:"ready"`
	Draining bool   `json:"draining"`
	Store    string `json:"store"` // "ok", or "away": calls are accepted all the same
}

// healthz says that the process lives; it looks at nothing else.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// readyz says whether new calls should come here. A store that is away does not
// change that: calls go on without it, and it is reported.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	answer := readiness{Ready: true, Store: "ok"}
	if s.draining != nil && s.draining() {
		answer.Ready, answer.Draining = false, true
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		answer.Store = "away"
	}
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(answer)
}
