package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// desk is how callers are passed on, and hung up on: by the REST route that
// frameworks for Twilio use.
type desk struct {
	url, account, key, person string
}

// transfer sends the caller to the person.
func (d desk) transfer(ctx context.Context, account, call string) error {
	kind, name, named := strings.Cut(d.person, ":")
	verb := "<Dial><Number>" + escape(d.person) + "</Number></Dial>"
	switch {
	case named && kind == "queue":
		verb = "<Enqueue>" + escape(name) + "</Enqueue>"
	case named && kind == "room":
		verb = "<Dial><Conference>" + escape(name) + "</Conference></Dial>"
	}
	return d.update(ctx, account, call, url.Values{"Twiml": {"<Response>" + verb + "</Response>"}})
}

// hangUp ends the call.
func (d desk) hangUp(ctx context.Context, account, call string) error {
	return d.update(ctx, account, call, url.Values{"Status": {"completed"}})
}

func (d desk) update(ctx context.Context, account, call string, form url.Values) error {
	if d.account != "" {
		account = d.account
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	where := fmt.Sprintf("%s/2010-04-01/Accounts/%s/Calls/%s.json", strings.TrimRight(d.url, "/"), account, call)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(account, d.key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		words, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return fmt.Errorf("the gateway answered %s: %s", res.Status, words)
	}
	return nil
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
