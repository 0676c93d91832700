package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// quickReader reads Twilio's media messages without taking their JSON apart.
type quickReader struct{ buf []byte }

// read returns the sound of a media message, until the next one is read; false
// says that the message must be read the long way.
func (q *quickReader) read(message []byte) (sound []byte, ok bool) {
	if sound, ok = quickSound(q.buf[:0], message); cap(sound) <= keepBuffer {
		q.buf = sound
	}
	return sound, ok
}

// quickSound reads a message as nearly all are written: event first, the payload
// in media, with or without spaces after colons. It appends the sound to buf;
// false says that it does not know the message, or that something is wrong with it.
func quickSound(buf, message []byte) (sound []byte, ok bool) {
	rest, ok := after(message, `{"event":`, `"media"`)
	if !ok {
		return buf, false
	}
	at := bytes.Index(rest, []byte(`"media":`))
	if at < 0 {
		return buf, false
	}
	if rest, ok = after(rest[at:], `"media":`, `{"payload":`, `"`); !ok {
		return buf, false
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 || !json.Valid(message) {
		return buf, false
	}
	sound, err := base64.StdEncoding.AppendDecode(buf, rest[:end])
	return sound, err == nil
}

// after returns what follows parts that stand one after the other, with at most a
// space between them.
func after(text []byte, parts ...string) (rest []byte, ok bool) {
	for _, p := range parts {
		text = bytes.TrimPrefix(text, []byte(" "))
		if text, ok = bytes.CutPrefix(text, []byte(p)); !ok {
			return nil, false
		}
	}
	return text, true
}
