package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/roomline/roomline/bridge"
)

// TrunkTest says what a trunk's test does.
type TrunkTest struct {
	To     string `json:"to,omitempty"`     // a number to call; empty: no call
	From   string `json:"from,omitempty"`   // its caller id; empty: the trunk's
	Listen int    `json:"listen,omitempty"` // seconds; 0: the gateway's default
}

// TestTrunk has the gateway test a trunk and calls seen for each step while it
// happens.
func (c *Client) TestTrunk(ctx context.Context, name string, test TrunkTest, seen func(bridge.TrunkStep)) error {
	text, err := json.Marshal(test)
	if err != nil {
		return err
	}
	resp, err := c.stream(ctx, http.MethodPost, "/v1/trunks/"+url.PathEscape(name)+"/test", nil, nil, bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return steps(ctx, c, resp, seen)
}

// TrunkStates lists how the trunks stand on this gateway.
func (c *Client) TrunkStates(ctx context.Context) (all []bridge.TrunkState, err error) {
	for cursor := ""; ; {
		var page struct {
			Items []bridge.TrunkState `json:"items"`
			Next  string              `json:"next"`
		}
		query := url.Values{"limit": {"500"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := c.call(ctx, http.MethodGet, "/v1/trunk-states", query, nil, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// Trace writes the SIP messages of a call to w: as text (a ladder), json, or pcap.
func (c *Client) Trace(ctx context.Context, callID, format string, w io.Writer) error {
	resp, err := c.stream(ctx, http.MethodGet, "/v1/calls/"+url.PathEscape(callID)+"/trace", url.Values{"format": {format}}, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return c.unreachable(ctx, err)
	}
	return nil
}
