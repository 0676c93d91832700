package room

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/roomline/roomline/bridge"
)

// problem answers with an error as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

var statuses = map[string]int{
	bridge.NotFound: http.StatusNotFound, bridge.Invalid: http.StatusUnprocessableEntity, bridge.Conflict: http.StatusConflict,
	bridge.Forbidden: http.StatusForbidden, bridge.Unavailable: http.StatusServiceUnavailable, bridge.LimitReached: http.StatusTooManyRequests,
}

// refuse answers with the status that an error asks for.
func refuse(w http.ResponseWriter, err error) {
	var denied *Denial
	if errors.As(err, &denied) {
		if denied.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		problem(w, denied.Status, denied.Message)
		return
	}
	var refused *bridge.Error
	if errors.As(err, &refused) {
		problem(w, statuses[refused.Code], refused.Message)
		return
	}
	problem(w, http.StatusInternalServerError, "something went wrong inside the gateway; its log says more")
}

// allowed lets pages of our own host and of the configured ones call us from
// another origin; true when the request has been answered: a preflight.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request, methods string) bool {
	if origin := r.Header.Get("Origin"); origin != "" && s.mayCall(r, origin) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Expose-Headers", "Location, Link, ETag, Accept-Patch, Accept-Post")
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
		h.Set("Access-Control-Max-Age", "600")
	}
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Allow", methods)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// mayCall is the one rule about origins: our own host, or a configured one.
func (s *Server) mayCall(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	for _, pattern := range s.cfg.Origins {
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(u.Host)); err == nil && ok {
			return true
		}
	}
	return false
}
