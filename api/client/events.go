package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/roomline/roomline/bridge"
)

// maxEvent bounds one line of the stream, in bytes.
const maxEvent = 1 << 20

// ErrStop ends [Client.Events] without an error.
var ErrStop = errors.New("stop")

// Events follows what happens after an event, or from now on when after is
// empty, and calls seen for each, in order and each once, until seen returns an
// error (ErrStop for a good end) or ctx ends. A stream that breaks is resumed;
// an error comes back when the gateway cannot be reached five times in a row.
func (c *Client) Events(ctx context.Context, after string, seen func(bridge.Event) error) error {
	last := after
	for failures := 0; ; {
		err := c.follow(ctx, last, func(e bridge.Event) error {
			failures, last = 0, e.ID
			return seen(e)
		})
		var stopped *stopError
		switch {
		case errors.As(err, &stopped):
			if errors.Is(stopped.reason, ErrStop) {
				return nil
			}
			return stopped.reason
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !errors.Is(err, errAway):
			return err
		}
		if failures++; failures > 5 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(failures) * retryPause):
		}
	}
}

// stopError carries what seen returned.
type stopError struct{ reason error }

func (e *stopError) Error() string { return e.reason.Error() }

// follow reads one connection until it ends.
func (c *Client) follow(ctx context.Context, after string, seen func(bridge.Event) error) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	if after != "" {
		header.Set("Last-Event-ID", after)
	}
	resp, err := c.stream(ctx, http.MethodGet, "/v1/events", nil, header, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return readEvents(resp.Body, seen)
}

// readEvents parses server-sent events; only unnamed ones are events of the house.
func readEvents(r io.Reader, seen func(bridge.Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	var name, data string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data += value
		}
		if lines.Text() != "" {
			continue
		}
		if data != "" && name == "" {
			var e bridge.Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return err
			}
			if err := seen(e); err != nil {
				return &stopError{err}
			}
		}
		name, data = "", ""
	}
	if err := lines.Err(); err != nil {
		return &awayError{"the stream of events broke: " + plain(err)}
	}
	return &awayError{"the stream of events ended"}
}
