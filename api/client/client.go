// Package client speaks the gateway's HTTP API for the commands of roomline. It
// has typed calls and errors that are one sentence and say what to do. It knows
// nothing of the gateway but what the API shows, keeps no state and starts no
// goroutine that outlives a call.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 20

// Client calls one gateway. It is safe for concurrent use.
type Client struct {
	base *url.URL
	key  string
	http *http.Client
}

// New makes a client for a gateway's URL, such as http://127.0.0.1:8080, and
// one of its API keys.
func New(base, key string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a gateway; expected one like http://127.0.0.1:8080 (--url or ROOMLINE_URL)", base)
	}
	if key == "" {
		return nil, errors.New("a key is needed: pass --key or set ROOMLINE_KEY, or run where the gateway's data folder is")
	}
	return &Client{base: u, key: key, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key goes nowhere else
	}}, nil
}

// Error is what the gateway answered when it did not do what was asked.
type Error struct {
	Status int     // of HTTP
	Detail string  // a sentence of the gateway
	Fields []Field // which fields are wrong
	advice string
}

// Field is one thing that is wrong in a request.
type Field struct {
	Location string `json:"location"` // body.to, query.limit, …
	Message  string `json:"message"`
}

// Error is one sentence.
func (e *Error) Error() string {
	if e.advice != "" {
		return e.advice
	}
	if e.Detail == "" {
		return fmt.Sprintf("the gateway answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return e.Detail
}

// call sends one JSON request and reads the answer into out, which may be nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, header http.Header, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("the request cannot be written as JSON: %w", err)
		}
		body = bytes.NewReader(text)
	}
	if header = header.Clone(); header == nil {
		header = http.Header{}
	}
	header.Set("Accept", "application/json")
	resp, err := c.stream(ctx, method, path, query, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return c.notGateway()
	}
	return nil
}

// stream sends a request whose answer the caller reads, and closes.
func (c *Client) stream(ctx context.Context, method, path string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "*/*")
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return nil, c.refused(resp, text)
}

// request makes one with the key. Elements of path are escaped already.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	target := strings.TrimSuffix(c.base.String(), "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("the request cannot be made: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// refused reads an RFC 9457 problem.
func (c *Client) refused(resp *http.Response, text []byte) error {
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		return c.notGateway()
	}
	var p struct {
		Detail string  `json:"detail"`
		Errors []Field `json:"errors"`
	}
	if json.Unmarshal(text, &p) != nil {
		return c.notGateway()
	}
	e := &Error{Status: resp.StatusCode, Detail: p.Detail, Fields: p.Errors}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.advice = "the gateway at " + c.base.Host + " refuses this key: pass the right one with --key or ROOMLINE_KEY"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if wait := resp.Header.Get("Retry-After"); wait != "" {
			e.advice = p.Detail + " (try again in " + wait + " s)"
		}
	}
	return e
}

// errAway marks failures to reach the gateway: whether it got the request is not known.
var errAway = errors.New("not reached")

// unreachable says why nobody answered.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &awayError{fmt.Sprintf("no gateway answers at %s: start one with \"roomline serve\", or name another with --url or ROOMLINE_URL", c.base)}
	case errors.As(err, &dns):
		return &awayError{fmt.Sprintf("the name %s cannot be found: check --url or ROOMLINE_URL", dns.Name)}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &awayError{fmt.Sprintf("the gateway at %s did not answer in time: check that it is well, then try again", c.base)}
	}
	return &awayError{fmt.Sprintf("the connection to %s broke: %s", c.base, plain(err))}
}

// awayError is a sentence about a gateway that was not reached.
type awayError struct{ text string }

func (e *awayError) Error() string        { return e.text }
func (e *awayError) Is(target error) bool { return target == errAway }

// plain is the innermost reason, without the URL around it.
func plain(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// notGateway is for answers that no gateway gives.
func (c *Client) notGateway() error {
	return fmt.Errorf("something answers at %s, but it is not a Roomline gateway: check --url or ROOMLINE_URL", c.base)
}

// retryPause is how long a request that may be repeated waits before it is.
const retryPause = 300 * time.Millisecond
