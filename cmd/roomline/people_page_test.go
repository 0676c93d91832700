package main

import (
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/web/chromium"
)

//go:embed testdata/ear.js
var earScript string

// visitor is somebody in a room with the real page, in a Chromium of their own.
type visitor struct {
	*chromium.Page
	t    *testing.T
	h    *house
	room string
	id   string // of the participant
}

// processed says that the browser cleans its microphone's sound, as it does for
// people; tests with steady tones go without.
type processed bool

// visits opens the room page with a fake microphone that says a WAV file, joins,
// and waits until sound can flow. at replaces the house's address, for a road
// that can be cut; empty for none.
func (h *house) visits(room, identity string, role bridge.Role, clean processed, at string, options ...chromium.Option) *visitor {
	h.t.Helper()
	v := &visitor{Page: chromium.Start(h.t, append(options, chromium.FakeMicrophone())...), t: h.t, h: h, room: room}
	v.Before(h.t, strings.ReplaceAll(earScript, "PLAIN", strconv.FormatBool(!bool(clean))))
	_, link := h.token(room, identity, role)
	if at != "" {
		link = strings.Replace(link, h.url(), at, 1)
	}
	v.Open(h.t, link)
	v.Wait(h.t, `document.querySelector('[data-test="microphone"]').options.length > 0 && ear.microphone !== null`)
	v.Click(h.t, "join")
	v.Sees(h.t, "status", "Connected")
	h.until(identity+" is in "+room, func() bool {
		p, ok := h.present(room, identity)
		v.id = p.ID
		return ok && len(p.Tracks) > 0
	})
	return v
}

// present finds a participant by identity.
func (h *house) present(room, identity string) (found bridge.ParticipantRecord, ok bool) {
	h.t.Helper()
	all := h.everybody(room)
	for _, p := range all {
		if p.Identity == identity {
			return p, true
		}
	}
	return found, false
}

// everybody is who is in a room.
func (h *house) everybody(room string) []bridge.ParticipantRecord {
	h.t.Helper()
	var r bridge.RoomRecord
	h.ask("GET", "/v1/rooms/"+room, nil, &r)
	return r.Participants
}

// arrives waits for somebody to be in the room and for their sound to be played
// by the page.
func (v *visitor) arrives(identity string) bridge.ParticipantRecord {
	v.t.Helper()
	var p bridge.ParticipantRecord
	v.h.until(identity+" is there", func() (ok bool) { p, ok = v.h.present(v.room, identity); return ok })
	v.plays(p.ID)
	return p
}

// plays waits until the page plays somebody's sound.
func (v *visitor) plays(id string) {
	v.t.Helper()
	v.Wait(v.t, fmt.Sprintf("ear.plays(%q)", id))
}

// row is the selector of something in a participant's row.
func row(id, name string) string {
	return fmt.Sprintf(`[data-test="participant"][data-id=%q] [data-test=%q]`, id, name)
}

// hear records for a while what the page plays of some participants and, as
// "us", what its microphone says; all of it at once.
func (v *visitor) hear(d time.Duration, ids ...string) map[string]*heard {
	v.t.Helper()
	v.startHearing(ids...)
	return v.heardAll(d, ids...)
}

func (v *visitor) startHearing(ids ...string) {
	v.t.Helper()
	script := "ear.listenToUs();"
	for _, id := range ids {
		script += fmt.Sprintf("ear.listen(%q);", id)
	}
	v.Run(v.t, script+"undefined")
}

// heardAll ends what startHearing began, once there are d of it all.
func (v *visitor) heardAll(d time.Duration, ids ...string) map[string]*heard {
	v.t.Helper()
	all := map[string]*heard{}
	for _, id := range append(ids, "us") {
		v.WaitFor(v.t, fmt.Sprintf("ear.seconds(%q) >= %f", id, d.Seconds()), d+15*time.Second)
	}
	for _, id := range append(ids, "us") {
		all[id] = parseHeard(v.t, chromium.Evaluate[string](v.t, v.Page, fmt.Sprintf("ear.told(%q)", id)), id == "us")
	}
	return all
}

// heard is sound with the time of every sample.
type heard struct {
	rateHz  int
	pcm     []int16
	origins []origin
}

// origin is when sample 0 would have been, by what was seen at a position.
type origin struct {
	position int
	at       time.Time
}

// when says when a sample was. What tells the time may have been late, but never
// early: so the earliest of a second around it is right.
func (h *heard) when(position int) (at time.Time) {
	best := time.Time{}
	for _, o := range h.origins {
		if o.position > position-h.rateHz && o.position < position+h.rateHz && (best.IsZero() || o.at.Before(best)) {
			best = o.at
		}
	}
	return best.Add(samplesAt(position, h.rateHz))
}

func samplesAt(n, rateHz int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(rateHz)
}

// parseHeard reads what ear.js has told. A block that was said is complete at its
// end; one that is played is taken at its beginning.
func parseHeard(t *testing.T, text string, said bool) *heard {
	t.Helper()
	var told struct {
		Rate int
		At   [][3]float64 // first sample, samples, milliseconds since 1970
		PCM  string
	}
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(told.PCM)
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{rateHz: told.Rate, pcm: make([]int16, len(raw)/2)}
	for i := range h.pcm {
		h.pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	for _, b := range told.At {
		first := int(b[0])
		seen := first
		if said {
			seen += int(b[1])
		}
		at := time.UnixMicro(int64(b[2] * 1000))
		h.origins = append(h.origins, origin{first, at.Add(-samplesAt(seen, h.rateHz))})
	}
	return h
}
