package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers every request with f and makes a client of it.
func serve(t *testing.T, f http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	c, err := New(srv.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// problem answers with a problem.
func problem(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestErrorsAreOneSentenceThatSaysWhatToDo(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tt := range map[string]struct {
		url   string
		f     http.HandlerFunc
		words []string
	}{
		"nobody there":   {url: closed.URL, words: []string{"no gateway answers at", "roomline serve", "--url"}},
		"no such name":   {url: "http://gateway.invalid:8080", words: []string{"gateway.invalid", "--url"}},
		"wrong key":      {f: problem(401, `{"detail":"x"}`), words: []string{"refuses this key", "--key"}},
		"problem":        {f: problem(422, `{"detail":"body.to: expected a number","errors":[{"location":"body.to","message":"expected a number"}]}`), words: []string{"body.to: expected a number"}},
		"busy":           {f: problem(503, `{"detail":"this gateway is stopping"}`), words: []string{"stopping"}},
		"another server": {f: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, words: []string{"not a Roomline gateway", "--url"}},
		"another 404":    {f: http.NotFound, words: []string{"not a Roomline gateway"}},
		"a redirect":     {f: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://192.0.2.1/", 302) }, words: []string{"not a Roomline gateway"}},
		"cut":            {f: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, words: []string{"broke"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := New(tt.url, "secret-key")
			if tt.f != nil {
				c = serve(t, tt.f)
			}
			_, err := c.Call(t.Context(), "call_1")
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tt.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("expected %q in %q", w, err)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret-key") {
				t.Errorf("error %q", err)
			}
		})
	}
}

func TestProblemFieldsAreTyped(t *testing.T) {
	c := serve(t, problem(422, `{"detail":"wrong","errors":[{"location":"body.to","message":"expected a number"}]}`))
	_, err := c.CreateCall(t.Context(), CallRequest{To: "x"})
	var e *Error
	if !errors.As(err, &e) || e.Status != 422 || len(e.Fields) != 1 || e.Fields[0].Location != "body.to" {
		t.Fatalf("%#v", err)
	}
}

func TestNewRefusesWhatIsNoURL(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://x", "http://", "::"} {
		if _, err := New(url, "k"); err == nil || !strings.Contains(err.Error(), "--url") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := New("http://127.0.0.1:8080", ""); err == nil || !strings.Contains(err.Error(), "--key") {
		t.Errorf("no key: %v", err)
	}
}

// A call whose answer is lost is asked for again under the same key.
func TestCreateCallRetriesUnderItsKey(t *testing.T) {
	var keys []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) < createTries {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(201)
		fmt.Fprint(w, `{"id":"call_1","state":"queued"}`)
	})
	call, err := c.CreateCall(t.Context(), CallRequest{To: "+15551234567"})
	if err != nil || call.ID != "call_1" {
		t.Fatalf("%+v, %v", call, err)
	}
	if len(keys) != createTries || keys[0] == "" || slices.ContainsFunc(keys, func(k string) bool { return k != keys[0] }) {
		t.Fatalf("keys %v", keys)
	}
}

func TestEventsGoOnAfterABreak(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch n.Add(1) {
		case 1:
			fmt.Fprint(w, "retry: 1000\n\nid: 01\ndata: {\"id\":\"01\",\"type\":\"a\"}\n\n: still here\n\nevent: end\ndata: {\"reason\":\"stopping\"}\n\n")
		case 2:
			if r.Header.Get("Last-Event-ID") != "01" {
				t.Errorf("resumed after %q", r.Header.Get("Last-Event-ID"))
			}
			fmt.Fprint(w, "id: 02\ndata: {\"id\":\"02\",\"type\":\"b\"}\n\n")
		}
	})
	var seen []string
	err := c.Events(t.Context(), "", func(e bridge.Event) error {
		if seen = append(seen, e.Type); len(seen) == 2 {
			return ErrStop
		}
		return nil
	})
	if err != nil || !slices.Equal(seen, []string{"a", "b"}) {
		t.Fatalf("saw %v, %v", seen, err)
	}
}

func TestEventsEndWithTheirReasons(t *testing.T) {
	one := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "id: 01\ndata: {\"id\":\"01\"}\n\n") }
	boom := errors.New("boom")
	if err := serve(t, one).Events(t.Context(), "", func(bridge.Event) error { return boom }); err != boom {
		t.Fatalf("the reader's error: %v", err)
	}
	if err := serve(t, problem(401, `{}`)).Events(t.Context(), "", nil); err == nil || !strings.Contains(err.Error(), "key") {
		t.Fatalf("a wrong key: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := serve(t, one).Events(ctx, "", func(bridge.Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add("id: 1\ndata: {\"id\":\"1\"}\n\n")
	f.Add("event: end\ndata: x\n\n")
	f.Add("data: {\ndata: }\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		readEvents(strings.NewReader(text), func(bridge.Event) error { return nil })
	})
}
