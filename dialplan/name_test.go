package dialplan

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRoomName(t *testing.T) {
	for user, want := range map[string]string{
		"lobby": "lobby", "Lobby": "Lobby", "lob%62y": "lobby", "lobby;user=phone": "lobby", "+1555": "+1555", "%2B1555": "+1555",
		"a.b_c-d+e": "a.b_c-d+e", strings.Repeat("a", 64): strings.Repeat("a", 64),
		"": "", ";x": "", "a b": "", "a%20b": "", "%": "", "%zz": "", "ä": "", "a/b": "", "a%00b": "", "a\n": "", strings.Repeat("a", 65): "",
	} {
		if got, err := RoomName(user); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", user, got, err)
		}
	}
}

func TestExpand(t *testing.T) {
	vars := map[string]string{"call.id": "c1", "call.to": "+1555", "call.from": "sip:a@b ä"}
	for template, want := range map[string]string{
		"lobby": "lobby", "sos-{{call.id}}": "sos-c1", "{{ call.to }}-{{call.id}}": "+1555-c1", "x-{{call.from}}": "x-sip-a-b--",
		"": "", "{{}}": "", "{{call.secret}}": "", "{{call.id": "", "a b": "",
	} {
		if got, err := Expand(template, vars); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", template, got, err)
		}
	}
}

// Whatever a caller sends, a template that was accepted gives a room name.
func TestExpandNeverFailsOnWhatCallersSend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vars := map[string]string{"call.id": rapid.String().Draw(t, "id"), "call.to": rapid.String().Draw(t, "to"), "call.from": rapid.String().Draw(t, "from")}
		template := rapid.StringMatching(`[a-z{}.]{0,6}(\{\{call\.(id|to|from)\}\}){0,3}`).Draw(t, "template")
		if checkTemplate(template) != nil {
			t.Skip()
		}
		got, err := Expand(template, vars)
		if err != nil || !roomForm.MatchString(got) {
			t.Fatalf("%q with %q: got %q, %v", template, vars, got, err)
		}
	})
}
