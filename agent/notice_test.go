package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
)

// TestAgentsAreToldInWords: every protocol has a way to say what has happened.
func TestAgentsAreToldInWords(t *testing.T) {
	const words = `you now speak with "somebody else"`
	quoted, _ := json.Marshal(words)
	for _, protocol := range []string{dialplan.TwilioMediaStreams, dialplan.WebSocketL16} {
		t.Run(protocol, func(t *testing.T) {
			told := make(chan string, 1)
			url := program(t, func(ctx context.Context, ws *websocket.Conn, _ *http.Request) {
				for {
					_, text, err := ws.Read(ctx)
					if err != nil {
						return
					}
					if strings.Contains(string(text), `"notice"`) {
						told <- string(text)
					}
				}
			})
			s := newStage(t, dialplan.Agent{Name: "bot", URL: url, Protocol: protocol})
			leg := s.send("bot")
			await(t, leg, bridge.AgentReady)
			leg.(bridge.Informed).Inform(words)
			if text := <-told; !json.Valid([]byte(text)) || !strings.Contains(text, string(quoted)) {
				t.Errorf("told %s", text)
			}
			leg.End("enough")
			await(t, leg, bridge.AgentEnded)
		})
	}
	t.Run(dialplan.OpenAIRealtime, func(t *testing.T) {
		v, a := model(t)
		a.Parameters = map[string]string{greetingParameter: "off"}
		s := &talk{stage: newStage(t, a)}
		leg := openedLeg(s, a)
		await(t, leg, bridge.AgentReady)
		leg.Inform(words)
		if item, _ := json.Marshal(v.Session(soon(t)).Await(soon(t), "conversation.item.create", 0).Body); !strings.Contains(string(item), string(quoted[1:20])) {
			t.Errorf("told %s", item)
		}
		leg.End("enough")
		await(t, leg, bridge.AgentEnded)
	})
}
