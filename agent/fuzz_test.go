package agent

import (
	"encoding/json"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/dialplan"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/media/rtp"
)

// offline is a leg without a connection, in a room that nobody else is in.
func offline(t testing.TB, a dialplan.Agent) *leg {
	t.Helper()
	x := &bridge.Exchange{}
	l := &leg{
		house: &House{Exchange: x}, agent: a, cancel: func() {}, events: make(chan bridge.AgentEvent, 64),
		spec:  bridge.AgentSpec{Room: "room", From: "+1555", To: "+1556", CallID: bridge.NewID("call")},
		inbox: inbox{wake: make(chan struct{}, 1)}, patience: newPatience("off", nil), asked: time.Now(),
	}
	l.house.init()
	l.log = l.house.Log
	var err error
	if l.protocol, err = newProtocol(l); err != nil {
		t.Fatal(err)
	}
	if err := l.protocol.begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.leave()
		l.house.running.Wait()
	})
	return l
}

// messages empties what would be sent.
func (l *leg) messages() (out []string) {
	from := 0
	for _, c := range l.out.ends {
		out = append(out, string(l.out.bytes[from:c.at]))
		from = c.at
	}
	l.out = l.out.emptied()
	return out
}

func FuzzTwilioRead(f *testing.F) {
	for _, s := range []string{
		`{"event":"media","streamSid":"MZ","media":{"payload":"/////w=="}}`, `{"event":"mark","mark":{"name":"a\u0000\"b"}}`,
		`{"event":"clear"}`, `{"event":"transfer","transfer":{"to":"+1","mode":"warm","data":{"a":1}}}`, `{"event":"hangup"}`,
		`{"event":"transcript","transcript":{"text":"x","start_ms":-9223372036854775808,"end_ms":5,"speaker":"agent"}}`, `[`, `null`,
	} {
		f.Add(true, []byte(s))
	}
	f.Add(false, []byte{0})
	fuzzRead(f, dialplan.Agent{Name: "bot"})
}

func FuzzL16Read(f *testing.F) {
	f.Add(false, []byte{1, 2, 3, 4, 5, 6})
	f.Add(true, []byte(`{"type":"mark","name":"m"}`))
	f.Add(true, []byte(`{"type":"dtmf","dtmf":{"digits":"1"}}`))
	f.Add(true, []byte(`{"type":"stop"}`))
	fuzzRead(f, dialplan.Agent{Name: "bot", Protocol: dialplan.WebSocketL16, RateHz: 24000})
}

// fuzzRead looks that whatever is read, what is sent stays well-formed.
func fuzzRead(f *testing.F, a dialplan.Agent) {
	l := offline(f, a)
	var mu sync.Mutex
	f.Fuzz(func(t *testing.T, text bool, message []byte) {
		mu.Lock()
		defer mu.Unlock()
		err := l.message(text, message)
		if err != nil && faultOf(err).reason == "" {
			t.Fatal("a fault without words")
		}
		if _, err := json.Marshal(l.voice.Waiting()); err != nil || l.voice.Waiting() > 11*time.Minute {
			t.Fatal("too much waits")
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.clear()
		_, marks := l.inbox.fetchKeys()
		for _, m := range marks {
			if err := l.protocol.played(m); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range l.messages() {
			if m[0] == '{' && !json.Valid([]byte(m)) {
				t.Fatalf("sent %q", m)
			}
		}
	})
}

// Every message to the agent is well-formed, whatever a call brings with it.
func TestTwilioSendsJSON(t *testing.T) {
	l := offline(t, dialplan.Agent{Name: "bot", Parameters: map[string]string{"a": "{{call.from}} {{nobody}} \"\x01"}})
	l.mu.Lock()
	defer l.mu.Unlock()
	sound := make([]byte, media.FrameSamples)
	for n := range int64(3) {
		if err := l.protocol.hear(sound, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, do := range []error{
		l.protocol.key(rtp.Digit{Key: '#'}), l.protocol.played("a\x00\"\u2028"), l.protocol.(*twilio).refuse("dtmf", &fault{reason: `"no"`}), l.protocol.end("x"),
	} {
		if do != nil {
			t.Fatal(do)
		}
	}
	sent := l.messages()
	if len(sent) != 9 {
		t.Fatalf("sent %q", sent)
	}
	for i, text := range sent {
		var e event
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := []string{"connected", "start", "media", "media", "media", "dtmf", "mark", "error", "stop"}[i]
		if e.Event != want || i > 0 && (e.SequenceNumber != string(rune('0'+i)) || e.StreamSID == "") {
			t.Errorf("message %d is %s", i, text)
		}
		switch e.Event {
		case "mark":
			if e.Mark.Name != "a\x00\"\u2028" {
				t.Errorf("the mark is %q", e.Mark.Name)
			}
		case "dtmf":
			if e.DTMF.Digit != "#" || e.DTMF.Track != "inbound_track" {
				t.Errorf("the key is %+v", e.DTMF)
			}
		case "start":
			if e.Start.CallSID != CallSID(l.spec.CallID) || e.Start.CustomParameters["a"] != "{{call.from}} {{nobody}} \"\x01" {
				t.Errorf("started by %s", text)
			}
		}
	}
}

// A hundred years of frames are numbered as exactly as the first.
func TestTwilioCountsFarAhead(t *testing.T) {
	l := offline(t, dialplan.Agent{Name: "bot"})
	l.messages()
	if err := l.protocol.hear(make([]byte, media.FrameSamples), math.MaxInt32*100); err != nil {
		t.Fatal(err)
	}
	var e event
	if err := json.Unmarshal([]byte(l.messages()[0]), &e); err != nil || e.Media.Timestamp != "4294967294000" || e.Media.Chunk != "214748364701" {
		t.Errorf("%+v %v", e.Media, err)
	}
}

func TestSIDsMapBothWays(t *testing.T) {
	id := bridge.NewID("call")
	sid := CallSID(id)
	if back, ok := CallID(sid); !ok || back != id || len(sid) != 34 {
		t.Errorf("%s became %s became %s", id, sid, back)
	}
	for _, bad := range []string{"", "CA", sid + "0", "AC" + sid[2:], "CA" + "Z" + sid[3:], "ca" + sid[2:]} {
		if got, ok := CallID(bad); ok {
			t.Errorf("%q became %s", bad, got)
		}
	}
	for _, bad := range []string{"", "call_", id + "0", "room_" + id[5:]} {
		if got := CallSID(bad); got != "" {
			t.Errorf("%q became %s", bad, got)
		}
	}
	if AccountSID(dialplan.Agent{Name: "a"}) == AccountSID(dialplan.Agent{Name: "b"}) {
		t.Error("two agents have one account")
	}
}

// BenchmarkTwilioHear is the way of 20 ms from the seat's stream into a message
// that is ready to be sent.
func BenchmarkTwilioHear(b *testing.B) { benchmarkHear(b, dialplan.Agent{Name: "bot"}) }

func BenchmarkL16Hear(b *testing.B) {
	benchmarkHear(b, dialplan.Agent{Name: "bot", Protocol: dialplan.WebSocketL16, RateHz: 16000})
}

func benchmarkHear(b *testing.B, a dialplan.Agent) {
	l := offline(b, a)
	frames := &bridge.Frames{Take: l.heard}
	p := &media.Packet{Codec: media.PCMU, Payload: make([]byte, media.FrameSamples)}
	var out outbox
	b.ReportAllocs()
	for b.Loop() {
		p.Timestamp += media.FrameSamples
		_ = frames.WritePacket(p)
		if err := l.gather(&out); err != nil {
			b.Fatal(err)
		}
		out = out.emptied()
	}
}

func TestHearingAllocatesNothing(t *testing.T) {
	for _, protocol := range []string{"", dialplan.WebSocketL16} {
		l := offline(t, dialplan.Agent{Name: "bot", Protocol: protocol})
		sound, n := make([]byte, media.FrameSamples), int64(0)
		var out outbox
		if allocs := testing.AllocsPerRun(1000, func() {
			l.heard(sound, n)
			n++
			if err := l.gather(&out); err != nil {
				t.Fatal(err)
			}
			out = out.emptied()
		}); allocs > 0.1 {
			t.Errorf("%q: %v allocations for 20 ms", protocol, allocs)
		}
	}
}
