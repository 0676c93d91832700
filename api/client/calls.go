package client

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/roomline/roomline/bridge"
)

// CallRequest asks for an outbound call into a room.
type CallRequest struct {
	To          string            `json:"to"`                     // E.164 or a SIP URI within a trunk's servers
	From        string            `json:"from,omitempty"`         // caller id
	Trunk       string            `json:"trunk,omitempty"`        // empty: the routes choose
	Room        string            `json:"room,omitempty"`         // where the phone is brought
	Agent       string            `json:"agent,omitempty"`        // that talks to it once it has answered, in place of Room
	Queue       string            `json:"queue,omitempty"`        // where it waits once it has answered, in place of Room
	RingTimeout int               `json:"ring_timeout,omitempty"` // seconds; 0: the gateway's default
	Headers     map[string]string `json:"headers,omitempty"`      // X- headers

	// IdempotencyKey makes retries safe; empty: one is made for this request.
	IdempotencyKey string `json:"-"`
}

// createTries is how often a call is asked for when the answer does not come;
// the key makes sure that it is dialled once.
const createTries = 3

// CreateCall places a call and returns it as queued.
func (c *Client) CreateCall(ctx context.Context, r CallRequest) (bridge.CallRecord, error) {
	key := r.IdempotencyKey
	if key == "" {
		key = rand.Text()
	}
	header := http.Header{"Idempotency-Key": {key}}
	for try := 1; ; try++ {
		var record bridge.CallRecord
		err := c.call(ctx, http.MethodPost, "/v1/calls", nil, header, r, &record)
		if err == nil || try == createTries || !errors.Is(err, errAway) {
			return record, err
		}
		select {
		case <-ctx.Done():
			return bridge.CallRecord{}, err
		case <-time.After(retryPause):
		}
	}
}

// Call reads a call, live or ended.
func (c *Client) Call(ctx context.Context, id string) (record bridge.CallRecord, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/calls/"+url.PathEscape(id), nil, nil, nil, &record)
	return record, err
}

// CallFilter narrows a list of calls; empty fields do not.
type CallFilter struct{ State, Room, From, To string }

// Calls lists one page of calls, live ones first; next is empty on the last page.
func (c *Client) Calls(ctx context.Context, f CallFilter, cursor string) (items []bridge.CallRecord, next string, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"state": f.State, "room": f.Room, "from": f.From, "to": f.To, "cursor": cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var page struct {
		Items []bridge.CallRecord `json:"items"`
		Next  string              `json:"next"`
	}
	err = c.call(ctx, http.MethodGet, "/v1/calls", query, nil, nil, &page)
	return page.Items, page.Next, err
}
