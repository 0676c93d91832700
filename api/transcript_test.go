package api

import (
	"testing"

	"github.com/roomline/roomline/bridge"
)

func TestTranscriptOfALiveAndOfAnEndedCall(t *testing.T) {
	h := newHouse(t)
	hello := bridge.Utterance{Seq: 1, Identity: "+15550100", Text: "hello", Final: true, StartMS: 120, EndMS: 600}
	h.exchange.put(&fakeCall{record: bridge.CallRecord{ID: "call_live"}, said: []bridge.Utterance{hello}})
	h.store.cdrs = []bridge.CDR{{CallRecord: bridge.CallRecord{ID: "call_ended"}}, {CallRecord: bridge.CallRecord{ID: "call_mute"}}}
	h.store.events = []bridge.Event{
		{ID: "1", Type: "call.created", CallID: "call_ended"},
		{ID: "2", Type: "transcript.final", CallID: "call_ended", Data: map[string]any{"utterance": map[string]any{"seq": 1, "text": "good bye", "start_ms": 80}}},
		{ID: "3", Type: "transcript.final", CallID: "call_other", Data: map[string]any{"utterance": hello}},
	}
	for id, want := range map[string][]bridge.Utterance{
		"call_live": {hello}, "call_ended": {{Seq: 1, Text: "good bye", StartMS: 80}}, "call_mute": {},
	} {
		got := into[list[bridge.Utterance]](h.ask(t, "GET", "/v1/calls/"+id+"/transcript", "").is(200)).Items
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("%s: %+v", id, got)
		}
	}
	h.ask(t, "GET", "/v1/calls/call_none/transcript", "").is(404)
}
