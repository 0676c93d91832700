package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/roomline/roomline/store"
)

// Bounds of webhook delivery.
const (
	deliveryTimeout  = 10 * time.Second
	deliveryLease    = time.Minute // longer than an attempt: another gateway may then try
	deliveryParallel = 16
	deliveryPoll     = time.Second
	deliveryAge      = 72 * time.Hour // older events are given up
	retryFirst       = 5 * time.Second
	retryMost        = time.Hour
	pauseAfter       = 3 // failures in a row before an endpoint is left alone for a while
	pauseMost        = 15 * time.Minute
)

// deliverer sends events from the store's outbox to webhooks, at least once
// each: an attempt whose answer was lost is repeated, with the same webhook-id.
type deliverer struct {
	outbox  outbox
	client  *http.Client
	log     *slog.Logger
	metrics *metrics

	mu     sync.Mutex
	health map[string]endpoint // by webhook id; only those that fail
}

// endpoint is a webhook that fails.
type endpoint struct {
	failures int       // in a row
	until    time.Time // it is left alone until then
}

func newDeliverer(o outbox, m *metrics, log *slog.Logger) *deliverer {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = deliveryParallel
	transport.MaxResponseHeaderBytes = 64 << 10
	return &deliverer{
		outbox: o, metrics: m, log: log, health: map[string]endpoint{},
		client: &http.Client{
			Transport: transport,
			Timeout:   deliveryTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a signed body goes where the owner said, nowhere else
			},
		},
	}
}

// Run delivers webhooks until ctx ends, then returns when the attempts in
// flight have ended; they are cut short, and made again after the next start.
//
// TwiML that agents have left behind stops, too.
func (s *Server) Run(ctx context.Context) error {
	defer s.scripts.Wait()
	defer close(s.ending)
	return s.deliver.run(ctx)
}

func (d *deliverer) run(ctx context.Context) error {
	var sending sync.WaitGroup
	defer d.client.CloseIdleConnections()
	defer sending.Wait()
	busy := make(chan struct{}, deliveryParallel)
	freed := make(chan struct{}, 1)
	poll := time.NewTicker(deliveryPoll)
	defer poll.Stop()
	for {
		room := deliveryParallel - len(busy)
		batch := d.claim(ctx, room)
		for _, next := range batch {
			busy <- struct{}{}
			sending.Go(func() {
				d.attempt(ctx, next)
				<-busy
				select {
				case freed <- struct{}{}:
				default:
				}
			})
		}
		more := freed // as long as claims come back full, each attempt that ends makes room for another
		if len(batch) < room {
			more = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		case <-more:
		}
	}
}

// claim leases what is due; a store that is away is asked again at the next beat.
func (d *deliverer) claim(ctx context.Context, limit int) []store.Delivery {
	if limit <= 0 || ctx.Err() != nil {
		return nil
	}
	batch, err := d.outbox.ClaimDeliveries(ctx, time.Now(), deliveryLease, limit)
	if err != nil && ctx.Err() == nil {
		d.log.Debug("webhooks: the outbox cannot be read now", "error", err)
	}
	return batch
}

// attempt sends one delivery and writes down what came of it.
func (d *deliverer) attempt(ctx context.Context, next store.Delivery) {
	defer func() {
		if p := recover(); p != nil { // the lease runs out and it is tried again
			d.log.Error("webhooks: panic in a delivery", "webhook", next.WebhookID, "panic", p)
		}
	}()
	now := time.Now()
	if until := d.pausedUntil(next.WebhookID, now); until.After(now) {
		d.failed(ctx, next, until.Add(jitter(retryFirst)), "waiting: this endpoint failed several times in a row")
		return
	}
	wait, err := d.send(ctx, next, now)
	switch {
	case err == nil:
		d.recovered(next.WebhookID)
		d.metrics.deliveries.WithLabelValues("delivered").Inc()
		d.settled(next, d.outbox.DeliveryDone(context.WithoutCancel(ctx), next))
	case ctx.Err() != nil: // cut short by our own stop; the lease runs out
	default:
		d.metrics.deliveries.WithLabelValues("failed").Inc()
		d.pause(next.WebhookID, time.Now())
		d.failed(ctx, next, time.Now().Add(max(wait, backoff(next.Attempt, retryFirst, retryMost))), err.Error())
	}
}

// send posts one event, signed. wait is what a Retry-After asked for.
func (d *deliverer) send(ctx context.Context, next store.Delivery, now time.Time) (wait time.Duration, err error) {
	body, err := json.Marshal(next.Event)
	if err != nil {
		return 0, err
	}
	sig, err := signature(next.Webhook.Secret, next.EventID, now, body)
	if err != nil {
		return 0, fmt.Errorf("the secret cannot sign: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, next.Webhook.URL, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Roomline-Webhooks/1")
	req.Header.Set("webhook-id", next.EventID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", sig)
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return 0, nil
	}
	if seconds, e := strconv.Atoi(resp.Header.Get("Retry-After")); e == nil && seconds > 0 {
		wait = min(time.Duration(seconds)*time.Second, retryMost)
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return wait, fmt.Errorf("answered %d; redirects are not followed, change the URL instead", resp.StatusCode)
	}
	return wait, fmt.Errorf("answered %d", resp.StatusCode)
}

// failed plans the next attempt, or gives up on an event that is too old.
func (d *deliverer) failed(ctx context.Context, next store.Delivery, retryAt time.Time, reason string) {
	most := math.MaxInt32
	if time.Since(next.Event.Time) > deliveryAge {
		most = 1
	}
	dead, err := d.outbox.DeliveryFailed(context.WithoutCancel(ctx), next, retryAt, most, reason)
	d.settled(next, err)
	if dead {
		d.metrics.deliveries.WithLabelValues("dead").Inc()
		d.log.Warn("webhooks: an event was given up after three days", "webhook", next.WebhookID, "event", next.EventID)
	}
}

// settled logs an outcome that could not be written; the lease runs out then.
func (d *deliverer) settled(next store.Delivery, err error) {
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		d.log.Warn("webhooks: an outcome could not be stored; it is sent again", "webhook", next.WebhookID, "error", err)
	}
}

// pausedUntil is until when an endpoint is left alone. The first to ask after
// that may try; others wait for what comes of it.
func (d *deliverer) pausedUntil(id string, now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, failing := d.health[id]
	if !failing || e.failures < pauseAfter || e.until.After(now) {
		return e.until
	}
	e.until = now.Add(deliveryTimeout)
	d.health[id] = e
	return time.Time{}
}

// pause notes a failure; from the third in a row the endpoint is left alone.
func (d *deliverer) pause(id string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.health[id]
	e.failures++
	if e.failures >= pauseAfter {
		e.until = now.Add(backoff(e.failures-pauseAfter+1, retryFirst, pauseMost))
	}
	d.health[id] = e
}

func (d *deliverer) recovered(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.health, id)
}

// backoff grows threefold with each attempt from 1, up to most, and varies by a
// fifth so that many do not come back at once.
func backoff(attempt int, first, most time.Duration) time.Duration {
	d := min(float64(first)*math.Pow(3, float64(min(max(attempt, 1), 20)-1)), float64(most))
	return time.Duration(d) + jitter(time.Duration(d))
}

// jitter is up to a fifth of d.
func jitter(d time.Duration) time.Duration { return time.Duration(rand.Float64() * float64(d) / 5) }
