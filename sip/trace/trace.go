// Package trace keeps the SIP messages of calls for a set time, with secrets
// masked, and shows them as a ladder and as a capture file.
//
// It owns a folder of segments: plain files to which messages are appended in
// the order in which they were seen. There is no index: a call's messages are
// found by reading the segments of its time. It does not know the sockets; whoever
// does hands every message to [Recorder.Record].
//
// [Recorder.Run] is the one goroutine that writes and deletes.
package trace

import (
	"bytes"
	"net/netip"
	"strings"
	"time"
)

// Message is one SIP message as it went over the wire.
type Message struct {
	Time      time.Time      `json:"time"`
	Sent      bool           `json:"sent"`      // by us; else received
	Transport string         `json:"transport"` // udp, tcp, tls, ws
	Local     netip.AddrPort `json:"local"`
	Remote    netip.AddrPort `json:"remote"`
	Raw       []byte         `json:"-"`
}

// Start is the message's first line.
func (m Message) Start() string {
	line, _, _ := bytes.Cut(m.Raw, []byte("\n"))
	return strings.TrimSpace(string(line))
}

// Text is the whole message, masked where it held secrets.
func (m Message) Text() string { return string(m.Raw) }

// CallID returns a message's Call-ID, which may be spelled i; empty without one.
func CallID(raw []byte) string {
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		raw = rest
		if line = bytes.TrimRight(line, "\r"); len(line) == 0 {
			return ""
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if name = bytes.TrimSpace(name); ok && (bytes.EqualFold(name, []byte("call-id")) || bytes.EqualFold(name, []byte("i"))) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
