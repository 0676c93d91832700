package sip

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// sdpBody finds the session description in a message: the body itself, or the
// first such part of a multipart body, as emergency calls carry it beside a
// location (RFC 6442). nil without a fault means that there is none.
func sdpBody(m sipmsg.Message) ([]byte, *grammar.Fault) {
	body := m.Body()
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if h := m.GetHeaders("Content-Encoding"); len(h) > 0 && !strings.EqualFold(strings.TrimSpace(h[0].Value()), "identity") {
		return nil, grammar.Faultf(415, "content encoding %s is not read here", text.Printable(h[0].Value(), 32))
	}
	kind, params, err := mime.ParseMediaType(contentType(m))
	switch {
	case err != nil:
		return nil, grammar.Faultf(400, "Content-Type cannot be read")
	case kind == "application/sdp":
		return body, nil
	case strings.HasPrefix(kind, "multipart/"):
		return sdpPart(body, params["boundary"])
	}
	return nil, grammar.Faultf(415, "a body of type %s is not read here, application/sdp is", text.Printable(kind, 64))
}

func sdpPart(body []byte, boundary string) ([]byte, *grammar.Fault) {
	if boundary == "" {
		return nil, grammar.Faultf(400, "the multipart body names no boundary")
	}
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for range 16 {
		p, err := r.NextPart()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, grammar.Faultf(400, "the multipart body is broken")
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if kind != "application/sdp" {
			continue
		}
		sdp, err := io.ReadAll(p)
		if err != nil {
			return nil, grammar.Faultf(400, "the multipart body is broken")
		}
		return sdp, nil
	}
	return nil, grammar.Faultf(400, "the multipart body has too many parts")
}

func contentType(m sipmsg.Message) string {
	if h := m.GetHeaders("Content-Type"); len(h) > 0 {
		return h[0].Value()
	}
	if h := m.GetHeaders("c"); len(h) > 0 {
		return h[0].Value()
	}
	return ""
}
