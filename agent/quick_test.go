package agent

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestQuickAndLongReadingAgree(t *testing.T) {
	for message, quick := range map[string]bool{
		`{"event":"media","streamSid":"MZ1","media":{"payload":"//8="}}`:                    true,
		`{"event": "media", "streamSid": "MZ1", "media": {"payload": "//8=", "track":"x"}}`: true,
		`{"event":"media","media":{"payload":""}}`:                                          true,
		`{"event":"media","media":{"payload":"\/\/8="}}`:                                    false,
		`{"media":{"payload":"//8="},"event":"media"}`:                                      false,
		`{"event":"media","media":{"track":"x","payload":"//8="}}`:                          false,
		`{"event":"media","media":{"payload":"//8="}`:                                       false,
		`{"event":"media","media":{"payload":"/"}}`:                                         false,
		`{"event":"media","media":{"payload":7}}`:                                           false,
		`{"event":"mark","mark":{"name":"{\"event\":\"media\""}}`:                           false,
		`{"event":"media"`: false,
		``:                 false,
	} {
		agrees(t, []byte(message), &quick)
	}
}

// agrees compares the two ways of reading; quick says which must be taken.
func agrees(t *testing.T, message []byte, quick *bool) {
	t.Helper()
	sound, ok := quickSound(nil, message)
	if quick != nil && ok != *quick {
		t.Errorf("%s: quick %v", message, ok)
	}
	var m twilioMessage
	if !ok {
		return
	}
	if err := json.Unmarshal(message, &m); err != nil {
		t.Errorf("%s: read quickly, and in truth: %v", message, err)
	} else if m.Event == "media" && quick != nil && !bytes.Equal(sound, m.Media.Payload) {
		t.Errorf("%s: %x, in truth %x", message, sound, m.Media.Payload)
	}
}

func BenchmarkTwilioMedia(b *testing.B) {
	message := []byte(mediaOf(20_000_000))
	b.ReportAllocs()
	for buf := []byte(nil); b.Loop(); {
		if buf, _ = quickSound(buf[:0], message); len(buf) != 160 {
			b.Fatal(len(buf))
		}
	}
}
