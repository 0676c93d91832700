package dialplan

import (
	"strings"
	"testing"
)

const ladderPlan = `
trunks:
  - {name: carrier, outbound: {servers: [sip.carrier.example]}, limits: {prefixes: ["+1"]}}
agents:
  - {name: bot, urls: ["wss://a.example/m", "wss://b.example/m"], pool: 20, fallback: {number: "+12025550123", trunks: [carrier]}}
  - {name: other, url: "wss://c.example/m", protocol: websocket-l16, fallback: {agent: bot}}
queues:
  - {name: people, members: [{number: "+12025550124"}, {number: "+442079460000"}], max_wait: 2m, else: {agent: other}}
routes:
  - {name: bot, to: bot, agent: bot, answer: early, else: {queue: people}}
  - {name: room, to: room, room: lobby, else: {number: "+12025550123", trunks: [carrier]}}
  - {name: out, from_room: true, to: "+*", trunk: carrier}
`

func TestTheLadderIsExplained(t *testing.T) {
	p, err := Parse([]byte(ladderPlan), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	got := p.Explain(Query{To: "bot"}).String()
	for _, want := range []string{
		"1. agent bot: first: is heard ringing until it is ready, 2 workers over twilio-media-streams, 20 calls at once; one that fails is replaced, at most 3 times a minute\n",
		"2. queue people: when that fails: 2 phones and whoever looks at it, for at most 2m\n",
		"3. agent other: when queue people has nobody, or not in time: answers at once, 1 worker over websocket-l16; one that",
		"4. number +12025550123 by carrier: when nothing else is left: the fallback of agent bot\n",
		"5. agent bot: when nothing else is left: the fallback of agent other: answers at once",
		"→ number +12025550124 by trunk carrier: may dial +12025550124\n",
		"  number +442079460000 by trunk carrier: ",
		"→ number +12025550123 by trunk carrier: may dial +12025550123\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if e := p.Explain(Query{To: "room"}); e.Ladder != nil || len(e.Exits) != 1 {
		t.Errorf("rooms and numbers alone: %+v", e)
	}
}
