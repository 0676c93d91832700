package rtp

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/media"
)

type eventPacket struct {
	payload   []byte
	timestamp uint32
	marker    bool
}

func event(key rune, end bool, duration uint16) []byte {
	b := []byte{byte(strings.IndexRune(keys, key)), 10, 0, 0}
	if end {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], duration)
	return b
}

// press draws one key with the sender under test and returns its packets and
// the timestamp of the beat after it.
func press(t *testing.T, key rune, d time.Duration, beat uint32) ([]eventPacket, uint32) {
	t.Helper()
	var s DigitSender
	if err := s.Start(key, d); err != nil {
		t.Fatal(err)
	}
	var packets []eventPacket
	for {
		step, ok := s.Next()
		if !ok {
			return packets, beat
		}
		packets = append(packets, eventPacket{append([]byte(nil), step.Payload...), beat - step.Back, step.Marker})
		beat += beatUnits
	}
}

func heard(packets []eventPacket) string {
	var d digitReceiver
	var got []rune
	for _, p := range packets {
		if digit, ok := d.push(p.payload, p.timestamp, p.marker, eventClock); ok {
			got = append(got, digit.Key)
		}
	}
	return string(got)
}

func TestEachKeyIsReportedOnce(t *testing.T) {
	const dialled = "1123#*0099ABCD55"
	var packets []eventPacket
	at := uint32(0xFFFFF000) // the clock wraps on the way
	for _, key := range dialled {
		more, next := press(t, key, 60*time.Millisecond, at)
		packets = append(packets, more...)
		at = next + 2*beatUnits
	}
	if got := heard(packets); got != dialled {
		t.Errorf("heard %q, want %q", got, dialled)
	}
	t.Run("twice each", func(t *testing.T) {
		var doubled []eventPacket
		for _, p := range packets {
			doubled = append(doubled, p, p)
		}
		if got := heard(doubled); got != dialled {
			t.Errorf("heard %q, want %q", got, dialled)
		}
	})
	t.Run("lost packets, one of each key arrives", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			var left []eventPacket
			last := uint32(1)
			for i, p := range packets {
				final := i+1 == len(packets) || packets[i+1].timestamp != p.timestamp
				if rng.IntN(3) == 0 || final && last != p.timestamp {
					left, last = append(left, p), p.timestamp
				}
			}
			if got := heard(left); got != dialled {
				t.Fatalf("heard %q, want %q", got, dialled)
			}
		}
	})
	t.Run("neighbours swapped", func(t *testing.T) {
		swapped := append([]eventPacket(nil), packets...)
		for i := 0; i+1 < len(swapped); i += 2 {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		}
		if got := heard(swapped); got != dialled {
			t.Errorf("heard %q, want %q", got, dialled)
		}
	})
}

func TestKeyHeldLongerThanItsField(t *testing.T) {
	packets, next := press(t, '5', 20*time.Second, 0)
	if got := heard(packets); got != "5" {
		t.Errorf("heard %q, want one 5", got)
	}
	segments := map[uint32]uint16{}
	for _, p := range packets {
		d := binary.BigEndian.Uint16(p.payload[2:])
		segments[p.timestamp] = max(segments[p.timestamp], d)
	}
	if len(segments) != 3 || segments[0] != 0xFFFF || segments[0xFFFF] != 0xFFFF || segments[2*0xFFFF] != 160000-2*0xFFFF {
		t.Errorf("segments %v", segments)
	}
	again, _ := press(t, '5', 0, next+beatUnits)
	if got := heard(append(packets, again...)); got != "55" {
		t.Errorf("heard %q, want 55", got)
	}
	var thin []eventPacket // every third packet arrives, and the last
	for i, p := range packets {
		if i%3 == 0 || i+1 == len(packets) {
			thin = append(thin, p)
		}
	}
	if got := heard(thin); got != "5" {
		t.Errorf("heard %q under loss, want one 5", got)
	}
}

func TestDigitsOfOddSenders(t *testing.T) {
	run := func(key rune, from uint32) (p []eventPacket) { // timestamps run on, ends too
		for i := range uint32(8) {
			p = append(p, eventPacket{event(key, i > 4, uint16(160*min(i+1, 6))), from + 160*i, i == 0})
		}
		return p
	}
	tests := map[string]struct {
		packets []eventPacket
		want    string
	}{
		"timestamps that run on":    {append(run('7', 0), run('7', 160*13)...), "77"},
		"only end packets arrive":   {[]eventPacket{{event('4', true, 800), 100, false}, {event('4', true, 800), 100, false}, {event('4', true, 400), 4100, false}}, "44"},
		"no end arrives":            {[]eventPacket{{event('4', false, 160), 100, true}, {event('5', false, 160), 4100, true}}, "45"},
		"all have the marker":       {[]eventPacket{{event('4', false, 160), 100, true}, {event('4', false, 320), 100, true}, {event('4', true, 320), 100, true}}, "4"},
		"late packet of before":     {[]eventPacket{{event('1', true, 160), 100, true}, {event('2', false, 160), 2000, true}, {event('1', true, 160), 100, false}, {event('2', true, 160), 2000, false}}, "12"},
		"clock starts anew":         {[]eventPacket{{event('1', true, 160), 4000000000, true}, {event('1', true, 160), 0, true}}, "11"},
		"flash and silly events":    {[]eventPacket{{[]byte{16, 10, 0, 1}, 0, true}, {[]byte{255, 10, 0, 1}, 160, true}}, ""},
		"cut short":                 {[]eventPacket{{[]byte{1, 10, 0}, 0, true}, {nil, 160, true}}, ""},
		"segments in whole packets": {[]eventPacket{{event('1', false, 65440), 0, true}, {event('1', false, 160), 65440, false}, {event('1', true, 320), 65440, false}}, "1"},
	}
	for name, tt := range tests {
		if got := heard(tt.packets); got != tt.want {
			t.Errorf("%s: heard %q, want %q", name, got, tt.want)
		}
	}
}

func TestDigitSender(t *testing.T) {
	packets, next := press(t, 'd', 100*time.Millisecond, 5000)
	if len(packets) != 7 || next != 5000+7*beatUnits {
		t.Fatalf("%d packets up to %d, want 5 and two more ends", len(packets), next)
	}
	for i, p := range packets {
		want := event('D', i >= 4, uint16(160*min(i+1, 5)))
		if string(p.payload) != string(want) || p.timestamp != 5000 || p.marker != (i == 0) {
			t.Errorf("packet %d: % x at %d, marker %v; want % x", i, p.payload, p.timestamp, p.marker, want)
		}
	}
	var s DigitSender
	if err := s.Start('X', 0); err == nil {
		t.Error("key X was taken")
	}
	if _, ok := s.Next(); ok || s.Active() {
		t.Error("an idle sender has a packet")
	}
	if err := s.Start('1', 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Start('2', 0); err == nil {
		t.Error("a second key was taken while the first is sent")
	}
	if n := testing.AllocsPerRun(3, func() { s.Next() }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func FuzzDigits(f *testing.F) {
	f.Add(event('1', false, 160), uint32(0), true, event('1', true, 320), uint32(0), false)
	f.Add(event('1', false, 0xFFFF), uint32(0xFFFFFF00), true, event('1', false, 1), uint32(0xFEFF), false)
	f.Fuzz(func(t *testing.T, a []byte, at uint32, am bool, b []byte, bt uint32, bm bool) {
		var d digitReceiver
		reports := 0
		for range 3 {
			for _, p := range []eventPacket{{a, at, am}, {a, at, am}} {
				if digit, ok := d.push(p.payload, p.timestamp, p.marker, eventClock); ok {
					reports++
					if !strings.ContainsRune(keys, digit.Key) || digit.Duration < 0 {
						t.Fatalf("digit %+v", digit)
					}
				}
			}
		}
		if reports > 1 {
			t.Fatalf("one packet repeated gives %d keys", reports)
		}
		d.push(b, bt, bm, eventClock)
		d.push(a, at, am, eventClock)
	})
}

// Beside Opus, telephone-event counts in 48000ths of a second (RFC 4733 section 2.1).
func TestDigitsAtTheClockOfOpus(t *testing.T) {
	peer := socketAt(t, "127.0.0.1")
	p := telephone(addr(peer))
	p.Codec, p.PayloadType, p.EventPayloadType, p.EventHz = media.Opus, 96, 110, 48000
	p.Accept = []PayloadCodec{{96, media.Opus, 48000}, {110, media.TelephoneEvent, 48000}}
	s := open(t, p)
	for units, want := range map[uint16]uint16{160: 960, 800: 4800, 20000: 0xFFFF} {
		payload := []byte{5, 10, byte(units >> 8), byte(units)}
		if err := s.WritePacket(&media.Packet{Codec: media.TelephoneEvent, Payload: payload}); err != nil {
			t.Fatal(err)
		}
		if b := read(t, peer); b[1] != 110 || binary.BigEndian.Uint16(b[headerSize+2:]) != want {
			t.Errorf("%d units went out as %x", units, b[headerSize:])
		}
		if binary.BigEndian.Uint16(payload[2:]) != units {
			t.Error("the caller's payload was changed")
		}
	}
	digits := make(chan Digit, 8)
	s.Receive(nil, func(d Digit) { digits <- d })
	press := func(sequence uint16, timestamp uint32, marker bool) {
		b := wire(t, 110, sequence, timestamp, 7, []byte{5, 10, 0x12, 0xC0}) // 100 ms
		if marker {
			b[1] |= 0x80
		}
		s.receivedRTP(b, addr(peer), time.Now())
	}
	press(1, 48000, true)
	press(2, 48000, false)
	press(3, 48000+48000/5, true) // 200 ms later
	if len(digits) != 2 {
		t.Fatalf("%d keys", len(digits))
	}
	if d := <-digits; d.Key != '5' || d.Duration != 100*time.Millisecond {
		t.Errorf("%+v", d)
	}
}
