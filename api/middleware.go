package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Bounds of one JSON request.
const (
	maxBody      = 1 << 20 // bytes; huma refuses at the same size
	bodyTimeout  = 10 * time.Second
	callTimeout  = 60 * time.Second // what a handler may take; a re-INVITE takes up to 32 s
	writeTimeout = 30 * time.Second
)

// secure sets the headers that every answer carries. Pages set a wider policy
// of their own over this one.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			h.Set("Cache-Control", "no-store")
		}
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// observed logs one line at debug per request, never its query, headers or
// body, counts it, and turns a panic into a 500 that costs this request alone.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &statusWriter{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				s.panicked(rec, r, p)
			}
			s.metrics.answered(r.Method, rec.code())
			s.log.LogAttrs(r.Context(), slog.LevelDebug, "http", slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", rec.code()),
				slog.String("source", sourceOf(r).Addr().String()), slog.Duration("took", time.Since(start)))
		}()
		next.ServeHTTP(rec, r)
	})
}

// panicked answers 500 if nothing was sent yet. http.ErrAbortHandler keeps its
// meaning: the connection is cut.
func (s *Server) panicked(w *statusWriter, r *http.Request, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.log.Error("api: panic in a handler", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if w.status == 0 {
		writeProblem(w, problem(http.StatusInternalServerError, "something went wrong on our side; the gateway's log says what"))
	}
}

// statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController and WebSocket upgrades reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// code is the status as the client saw it; 101 for a connection that was taken over.
func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// patient gives the body of every request a deadline, whoever reads it or leaves
// it: the server reads what a handler left, and would wait for ever. The deadline
// is lifted with the body's end: one that stays would cancel the context of a
// handler that waits for a phone.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			control := http.NewResponseController(w)
			control.SetReadDeadline(time.Now().Add(bodyTimeout)) // an error means that there is no connection: tests
			r.Body = &timedBody{r.Body, control}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the deadline of reading once it was read to its end.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// bounded reads the whole body first, with a limit, and gives the rest a time of its own.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			writeProblem(w, bodyProblem(err))
			return
		}
		if len(body) > 0 && !isJSON(r.Header.Get("Content-Type")) {
			writeProblem(w, problem(http.StatusBadRequest, "send the body with Content-Type: application/json; nothing was changed",
				at("header.Content-Type", "expected application/json")))
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Body = io.NopCloser(bytes.NewReader(body))
		ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
		defer cancel()
		control.SetWriteDeadline(time.Now().Add(callTimeout + writeTimeout))
		defer control.SetWriteDeadline(time.Time{})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// isJSON reports whether a content type, or the lack of one, stands for JSON.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// bodyProblem says why a body could not be read.
func bodyProblem(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB; nothing was changed", at("body", "is larger than 1 MiB"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem(http.StatusRequestTimeout, "the body did not arrive within 10 s; nothing was changed")
	}
	return problem(http.StatusBadRequest, "the body ended before its announced length; nothing was changed")
}

// worded gives the mux's own 404 and 405 the form of a problem.
func worded(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		blank := &headerOnly{header: http.Header{}}
		mux.ServeHTTP(blank, r)
		if allow := blank.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			writeProblem(w, problem(http.StatusMethodNotAllowed, r.Method+" is not possible here, only "+allow))
			return
		}
		writeProblem(w, problem(http.StatusNotFound, "there is nothing at "+r.URL.Path+"; /v1/openapi.json lists what there is"))
	})
}

// headerOnly takes an answer's headers and forgets the rest.
type headerOnly struct{ header http.Header }

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h *headerOnly) WriteHeader(int)             {}
