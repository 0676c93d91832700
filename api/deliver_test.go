package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/store"
)

// The example of the Standard Webhooks specification and its reference libraries.
func TestSignatureOfTheSpecification(t *testing.T) {
	got, err := signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
		time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestNewWebhookSecretCanSign(t *testing.T) {
	a, b := NewWebhookSecret(), NewWebhookSecret()
	if a == b || !strings.HasPrefix(a, "whsec_") {
		t.Fatalf("%q and %q", a, b)
	}
	if _, err := signature(a, "x", time.Now(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestWrongSecretsAreRefused(t *testing.T) {
	short := base64.StdEncoding.EncodeToString(make([]byte, 23))
	long := base64.StdEncoding.EncodeToString(make([]byte, 65))
	for _, secret := range []string{"", "abc", "whsec_", "whsec_%%%", "whsec_" + short, "whsec_" + long} {
		if _, err := secretBytes(secret); err == nil {
			t.Errorf("%q was taken", secret)
		}
	}
}

// delivering makes a deliverer's house that hands out these deliveries once.
func delivering(t *testing.T, deliveries ...store.Delivery) *house {
	h := newHouse(t)
	var mu sync.Mutex
	h.store.claims = func(limit int) (batch []store.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		n := min(limit, len(deliveries))
		batch, deliveries = deliveries[:n], deliveries[n:]
		return batch
	}
	return h
}

// running runs the deliverer until stop.
func (h *house) running(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

func toDeliver(n int, url, secret string) store.Delivery {
	e := theEvent(n)
	e.Time = time.Now().UTC()
	return store.Delivery{EventID: e.ID, WebhookID: "wh_1", Event: e, Attempt: 1,
		Webhook: store.Webhook{ID: "wh_1", URL: url, Secret: secret}}
}

// The receiver checks the signature with nothing but the specification's words.
func TestDeliveryIsSigned(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	secret := "whsec_" + base64.StdEncoding.EncodeToString(key)
	got := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		var e bridge.Event
		switch err := json.Unmarshal(body, &e); {
		case err != nil:
			got <- err
		case r.Header.Get("webhook-signature") != want:
			got <- fmt.Errorf("signature %q, expected %q", r.Header.Get("webhook-signature"), want)
		case e.ID != r.Header.Get("webhook-id") || r.Method != "POST" || r.Header.Get("Content-Type") != "application/json":
			got <- fmt.Errorf("%s %v: %s", r.Method, r.Header, body)
		default:
			got <- nil
		}
	}))
	defer srv.Close()
	h := delivering(t, toDeliver(1, srv.URL, secret))
	defer h.running(t)()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if d := <-h.store.dones; d.EventID != theEvent(1).ID {
		t.Fatalf("done %+v", d)
	}
	if strings.Contains(h.logged.String(), "whsec_") {
		t.Fatal("a secret was logged")
	}
}

func TestFailedDeliveryIsRetriedLater(t *testing.T) {
	var elsewhere atomic.Bool
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) }))
	defer trap.Close()
	refused := httptest.NewServer(nil)
	refused.Close()
	for name, tt := range map[string]struct {
		answer   http.HandlerFunc
		url      string
		words    string
		minRetry time.Duration
	}{
		"500":         {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, words: "answered 500", minRetry: retryFirst},
		"redirect":    {answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, trap.URL, 307) }, words: "not followed", minRetry: retryFirst},
		"Retry-After": {answer: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "120"); w.WriteHeader(429) }, words: "answered 429", minRetry: 2 * time.Minute},
		"cut":         {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, words: "EOF", minRetry: retryFirst},
		"refused":     {url: refused.URL, words: "refused", minRetry: retryFirst},
	} {
		t.Run(name, func(t *testing.T) {
			url := tt.url
			if url == "" {
				srv := httptest.NewServer(tt.answer)
				defer srv.Close()
				url = srv.URL
			}
			h := delivering(t, toDeliver(1, url, NewWebhookSecret()))
			defer h.running(t)()
			f := <-h.store.fails
			wait := time.Until(f.retryAt)
			if !strings.Contains(f.reason, tt.words) || wait < tt.minRetry-time.Second || f.most == 1 {
				t.Fatalf("failed with %q, retry in %s, most %d", f.reason, wait, f.most)
			}
			if strings.Contains(f.reason, "whsec_") {
				t.Fatal("a secret is in the reason")
			}
		})
	}
	if elsewhere.Load() {
		t.Fatal("a redirect was followed")
	}
}

func TestEventOfThreeDaysIsGivenUp(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer srv.Close()
	d := toDeliver(1, srv.URL, NewWebhookSecret())
	d.Event.Time = time.Now().Add(-deliveryAge - time.Hour)
	h := delivering(t, d)
	defer h.running(t)()
	if f := <-h.store.fails; f.most != 1 {
		t.Fatalf("most %d", f.most)
	}
}

// One endpoint that hangs must not keep others waiting, nor be hammered.
func TestDeadEndpointIsLeftAlone(t *testing.T) {
	var tried atomic.Int32
	dead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tried.Add(1)
		w.WriteHeader(500)
	}))
	defer dead.Close()
	var all []store.Delivery
	for n := range 60 {
		all = append(all, toDeliver(n+1, dead.URL, NewWebhookSecret()))
	}
	h := delivering(t, all...)
	defer h.running(t)()
	waited := 0
	for range all {
		if f := <-h.store.fails; strings.Contains(f.reason, "waiting") {
			waited++
		}
	}
	if n := tried.Load(); n > pauseAfter+deliveryParallel || waited == 0 {
		t.Fatalf("tried %d times, %d waited", n, waited)
	}
}

func TestDeliveriesRunSideBySideWithinABound(t *testing.T) {
	var now, most atomic.Int32
	full := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == deliveryParallel {
			close(full)
		}
		<-full
	}))
	defer srv.Close()
	var all []store.Delivery
	for n := range 3 * deliveryParallel {
		all = append(all, toDeliver(n+1, srv.URL, NewWebhookSecret()))
	}
	h := delivering(t, all[:deliveryParallel]...)
	defer h.running(t)()
	for range deliveryParallel {
		<-h.store.dones
	}
	if most.Load() != deliveryParallel {
		t.Fatalf("%d at once", most.Load())
	}
}

func TestStopCutsAttemptsShortAndTellsNothing(t *testing.T) {
	arrived := make(chan struct{})
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived); <-release }))
	defer srv.Close()
	defer close(release)
	h := delivering(t, toDeliver(1, srv.URL, NewWebhookSecret()))
	stop := h.running(t)
	<-arrived
	start := time.Now()
	stop()
	if took := time.Since(start); took > deliveryTimeout/2 {
		t.Fatalf("stopping took %s", took)
	}
	if len(h.store.dones)+len(h.store.fails) != 0 {
		t.Fatal("an attempt that we cut was counted")
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	last := time.Duration(0)
	for attempt := 1; attempt < 40; attempt++ {
		d := backoff(attempt, retryFirst, retryMost)
		if d < retryFirst || d > retryMost*6/5 {
			t.Fatalf("attempt %d: %s", attempt, d)
		}
		if attempt < 6 && d < last {
			t.Fatalf("attempt %d: %s after %s", attempt, d, last)
		}
		last = d
	}
}

func TestPausedEndpointIsProbedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		d := h.Server.deliver
		for range pauseAfter {
			d.pause("wh", time.Now())
		}
		if !d.pausedUntil("wh", time.Now()).After(time.Now()) {
			t.Fatal("not paused after failures in a row")
		}
		time.Sleep(pauseMost)
		if d.pausedUntil("wh", time.Now()).After(time.Now()) {
			t.Fatal("paused for ever")
		}
		if !d.pausedUntil("wh", time.Now()).After(time.Now()) {
			t.Fatal("two probe at once")
		}
		d.recovered("wh")
		if d.pausedUntil("wh", time.Now()).After(time.Now()) {
			t.Fatal("paused after it recovered")
		}
	})
}

func TestWebhooksAreMadeReadReplacedAndDeleted(t *testing.T) {
	h := newHouse(t)
	made := into[store.Webhook](h.ask(t, "POST", "/v1/webhooks", `{"url":"https://hook.example/x","events":["call.*"]}`).is(201))
	if _, err := secretBytes(made.Secret); err != nil {
		t.Fatalf("secret %q: %v", made.Secret, err)
	}
	path := "/v1/webhooks/" + made.ID
	shown := h.ask(t, "GET", path, "").is(200).body + h.ask(t, "GET", "/v1/webhooks", "").is(200).body
	shown += h.ask(t, "PUT", path, `{"url":"https://hook.example/y","secret":"********"}`).is(200).body
	if strings.Contains(shown, made.Secret) || !strings.Contains(shown, "********") {
		t.Fatal("the secret was shown again")
	}
	if w := h.store.hooks[made.ID]; w.URL != "https://hook.example/y" || w.Secret != made.Secret || len(w.Events) != 0 {
		t.Fatalf("stored %+v", w)
	}
	fresh := NewWebhookSecret()
	h.ask(t, "PUT", path, `{"url":"https://hook.example/y","secret":"`+fresh+`"}`).is(200)
	if h.store.hooks[made.ID].Secret != fresh {
		t.Fatal("the new secret was not taken")
	}
	h.ask(t, "GET", path+"/deliveries?state=dead", "").is(200)
	h.ask(t, "DELETE", path, "").is(204)
	h.ask(t, "DELETE", path, "").is(404)
	h.ask(t, "GET", path, "").is(404)
	h.ask(t, "PUT", path, `{"url":"https://hook.example/y"}`).is(404)
	h.ask(t, "GET", path+"/deliveries", "").is(404)
}
