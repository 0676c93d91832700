package whip

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A refusal comes back with what the server said, and leaves nothing behind. Media
// is proven where there is a room: in room, bench and cmd/roomline.
func TestRefusalsAreTold(t *testing.T) {
	var asked []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		http.Error(w, "this token has expired", http.StatusUnauthorized)
	}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	for name, open := range map[string]func() (*Client, error){
		"publish": func() (*Client, error) { return Publish(context.Background(), server.URL+"/whip", "secret") },
		"listen":  func() (*Client, error) { return Listen(context.Background(), server.URL+"/whep", "secret", nil) },
	} {
		c, err := open()
		if err == nil || c != nil {
			t.Fatalf("%s: %v, %v", name, c, err)
		}
		if text := err.Error(); !strings.Contains(text, "401") || !strings.Contains(text, "has expired") || strings.Contains(text, "secret") {
			t.Errorf("%s: %q", name, text)
		}
	}
	for _, r := range asked {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Content-Type") != "application/sdp" || r.URL.RawQuery != "" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
	}
}

func TestAnAnswerThatIsNoSDPIsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		w.Write([]byte("hello"))
	}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if c, err := Publish(context.Background(), server.URL, "t"); err == nil || c != nil {
		t.Errorf("%v, %v", c, err)
	}
}

func TestPlaybackRate(t *testing.T) {
	for sdp, want := range map[string]int{
		"a=fmtp:111 minptime=10;maxplaybackrate=8000;useinbandfec=1": 8000,
		"a=fmtp:111 maxplaybackrate=16000":                           16000,
		"a=fmtp:111 maxplaybackrate=48000":                           48000,
		"a=fmtp:111 maxplaybackrate=12345":                           48000,
		"a=fmtp:111 minptime=10":                                     48000,
		"":                                                           48000,
	} {
		if got := PlaybackRate(sdp); got != want {
			t.Errorf("%q: %d, want %d", sdp, got, want)
		}
	}
}
