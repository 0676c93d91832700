package dialplan

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestThePINOfAQueuesElseIsNotShown(t *testing.T) {
	old := &Plan{Queues: []Queue{{Name: "desk", Else: &Target{Queue: "night", Else: &Target{Room: "vault", PIN: "4711"}}}}}
	shown := old.Masked()
	text, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "4711") || !strings.Contains(string(text), Mask) {
		t.Errorf("shown as %s", text)
	}
	shown.KeepSecrets(old)
	if pin := shown.Queues[0].Else.Else.PIN; pin != "4711" {
		t.Errorf("written back with PIN %q", pin)
	}
	if pin := old.Queues[0].Else.Else.PIN; pin != "4711" {
		t.Errorf("the plan itself has PIN %q now", pin)
	}
}

func TestARouteMayNameTheRoomOfItsQueue(t *testing.T) {
	for text, want := range map[string]string{
		`{name: a, room: "sos-{{call.id}}", queue: desk, priority: high}`: "",
		`{name: a, room: "sos-{{call.nothing}}", queue: desk}`:            "call.nothing",
		`{name: a, room: x, pin: "4711", queue: desk}`:                    "only rooms ask for a PIN",
		`{name: a, room: x, agent: b, queue: desk}`:                       "found 2",
	} {
		_, err := Parse([]byte("agents: [{name: b, url: \"wss://a.example/m\"}]\nqueues: [{name: desk, wrap_up: 0s}]\nroutes:\n  - "+text+"\n"), func(string) string { return "" })
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestADiffShowsNoSecretsOfAgentsAndQueues(t *testing.T) {
	vault := &Target{Room: "vault", PIN: "4711"}
	p := &Plan{Agents: []Agent{{Name: "b", Key: "s3cret", Fallback: vault}}, Queues: []Queue{{Name: "desk", Else: vault}}}
	for _, c := range append(Diff(nil, p), Diff(p, &Plan{Agents: []Agent{{Name: "b"}}, Queues: []Queue{{Name: "desk"}}})...) {
		if text := strings.Join(c.Details, "\n"); strings.Contains(text, "4711") || strings.Contains(text, "s3cret") {
			t.Errorf("%s %s: %s", c.Kind, c.Object, text)
		}
	}
}
