package room

import (
	"strings"
	"testing"
)

var hostile = map[string]struct{ text, want string }{
	"empty":              {"", "one JSON object"},
	"no JSON":            {"hello", "syntax error"},
	"array":              {"[]", "array"},
	"number":             {"7", "number"},
	"two objects":        {`{"type":"leave"}{"type":"leave"}`, "one JSON object"},
	"cut off":            {`{"type":"join"`, "too early"},
	"not UTF-8":          {"{\"type\":\"\xff\"}", "UTF-8"},
	"no type":            {`{}`, "needs a type"},
	"unknown type":       {`{"type":"shutdown"}`, `"shutdown" is unknown`},
	"type of wrong type": {`{"type":7}`, `"type" must not be a number`},
	"sdp of wrong type":  {`{"type":"answer","sdp":{}}`, `"sdp" must not be a object`},
	"no sdp":             {`{"type":"answer"}`, "sdp must not be empty"},
	"candidate a string": {`{"type":"candidate","candidate":"x"}`, "candidate must be"},
	"line index":         {`{"type":"candidate","candidate":{"sdpMLineIndex":-1}}`, "candidate must be"},
	"mute what":          {`{"type":"mute","muted":true}`, "kind must be audio or video"},
	"mute how":           {`{"type":"mute","kind":"audio"}`, "muted must be true or false"},
	"mute null":          {`{"type":"mute","kind":"audio","muted":null}`, "muted must be true or false"},
	"resume what":        {`{"type":"resume"}`, "session must not be empty"},
	"event what":         {`{"type":"event"}`, "event must be"},
	"event of ours":      {`{"type":"event","event":{"type":"participant.left"}}`, "event must be"},
	"event empty":        {`{"type":"event","event":{"type":"text","data":{}}}`, "text must not be empty"},
	"event long":         {`{"type":"event","event":{"type":"text","data":{"text":"` + strings.Repeat("x", maxText+1) + `"}}}`, "at most 2048"},
	"hangup whom":        {`{"type":"hangup"}`, "participant must not be empty"},
	"dtmf whose":         {`{"type":"dtmf","digits":"1"}`, "call_id must not be empty"},
	"dtmf what":          {`{"type":"dtmf","call_id":"c","digits":"1x"}`, "digits must be"},
	"dtmf long":          {`{"type":"dtmf","call_id":"c","digits":"` + strings.Repeat("1", 65) + `"}`, "digits must be"},
	"accept what":        {`{"type":"accept"}`, "call_id must not be empty"},
	"heard by whom":      {`{"type":"heard_by"}`, "heard_by must not be empty"},
	"deep":               {strings.Repeat(`{"type":`, 5000), ""},
}

func TestHostileMessagesAreExplained(t *testing.T) {
	for name, c := range hostile {
		if _, err := parseMessage([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestGoodMessagesAreRead(t *testing.T) {
	m, err := parseMessage([]byte(`{"type":"candidate","candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"x"},"extra":1}`))
	if err != nil || *m.candidate.SDPMid != "0" || *m.candidate.SDPMLineIndex != 0 || m.candidate.Candidate == "" {
		t.Errorf("%+v %v", m, err)
	}
	if m, err = parseMessage([]byte(`{"type":"candidate","candidate":null}`)); err != nil || m.candidate.Candidate != "" {
		t.Errorf("%+v %v", m, err)
	}
	if m, err = parseMessage([]byte(`{"type":"mute","kind":"audio","muted":false}`)); err != nil || *m.Muted {
		t.Errorf("%+v %v", m, err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, c := range hostile {
		f.Add([]byte(c.text))
	}
	f.Add([]byte(`{"type":"join","token":"x","name":"y"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMessage(text)
		if err == nil && m.Type == "" {
			t.Error("a message without a type passed")
		}
		if err != nil {
			if code, words := codeOf(err); code == "" || words == "" {
				t.Error("an error without words")
			}
		}
	})
}

func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n")
	f.Add("a=candidate:")
	f.Add("x")
	f.Fuzz(func(t *testing.T, text string) {
		if frag, err := parseFragment(text); err == nil && len(frag.candidates) > maxCandidates {
			t.Error("too many candidates passed")
		}
		withCredentials(text, "u", "p")
		fragmentOf(text)
	})
}

func TestFragmentsOfRFC8840(t *testing.T) {
	f, err := parseFragment("a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" +
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\na=end-of-candidates\r\n")
	if err != nil || f.ufrag != "EsAw" || f.pwd != "P2uYro0UCOQ4zxjKXaWCBui1" || len(f.candidates) != 1 || *f.candidates[0].SDPMid != "0" {
		t.Errorf("%+v %v", f, err)
	}
	for text, want := range map[string]string{
		"a=ice-ufrag:abc":                       "4 to 256",
		"a=ice-pwd:short":                       "22 to 256",
		"a=ice-ufrag:ab c":                      "4 to 256",
		"nonsense":                              "line 1",
		strings.Repeat("a=candidate:1\r\n", 65): "more than 64",
	} {
		if _, err := parseFragment(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if got := nextVersion("o=- 7 2 IN IP4 127.0.0.1"); got != "o=- 7 3 IN IP4 127.0.0.1" {
		t.Error(got)
	}
}
