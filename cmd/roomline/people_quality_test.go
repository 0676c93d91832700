package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/roomline/roomline/bridge"
	"github.com/roomline/roomline/media"
	"github.com/roomline/roomline/phone"
)

// TestABadLineIsSeenWhileItIsBad: a phone's network loses one packet in four for a
// while. The dispatcher's page shows it within seconds and its end too; events,
// metrics, the API and the CDR say the same, and who joins later sees it in the past.
func TestABadLineIsSeenWhileItIsBad(t *testing.T) {
	h := startHouse(t, "")
	line := newWire()
	dana := h.visits("lobby", "dana", bridge.RoleDispatcher, false, "", steady(t, 910))
	caller := h.calls(softphone(t, phone.Config{Listen: line.listen}), "lobby", phone.DialOptions{From: "caller"})
	caller.Speak(phone.Tone(440, -20))
	id := dana.arrives("caller").ID
	call, _ := h.present("lobby", "caller")
	dana.Do(t, chromedp.Click(chromedp.CSS(row(id, "quality"))))
	isBad := func(v *visitor, want bool) {
		t.Helper() // on a slow machine a sound line is not always good, but never bad
		v.Wait(t, fmt.Sprintf(`(({level}) => level !== "unknown" && (level === "bad") === %t)(document.querySelector(%q).dataset)`, want, row(id, "quality")))
	}
	drawn := func(v *visitor, what string, bars int) {
		t.Helper()
		v.Wait(t, fmt.Sprintf(`document.querySelectorAll(%q)[0].getAttribute("d").split("z").length > %d`,
			fmt.Sprintf(`[data-id=%q] .%s`, id, what), bars))
	}
	var before struct{ Items []media.QualityPoint }
	h.until("a good point is kept", func() bool {
		h.ask("GET", "/v1/calls/"+call.CallID+"/quality", nil, &before)
		return len(before.Items) > 0
	})
	isBad(dana, false)

	line.thin(4)
	isBad(dana, true)
	drawn(dana, "chart-made-up", 1)
	dana.Picture(t, "bad-line.png")
	if text := h.page("/metrics"); !strings.Contains(text, `roomline_legs_by_quality{class="bad",kind="phone"} 1`) {
		t.Error("metrics do not tell of the bad leg")
	}
	line.thin(0)
	isBad(dana, false)
	dana.Click(t, "tab-events")
	dana.Sees(t, "event-line", "Call quality turned bad")
	dana.Wait(t, `[...document.querySelectorAll('[data-type="participant.quality"] .what')].some((e, i) => i > 0 && !e.textContent.endsWith("bad"))`)

	late := h.visits("lobby", "late", bridge.RoleDispatcher, false, "", steady(t, 600))
	late.arrives("caller")
	late.Do(t, chromedp.Click(chromedp.CSS(row(id, "quality"))))
	drawn(late, "chart-made-up", 1)

	var room struct{ Items []bridge.ParticipantQuality }
	h.ask("GET", "/v1/rooms/lobby/quality", nil, &room)
	if len(room.Items) != 3 || room.Items[1].Participant != id || len(room.Items[1].Points) < 3 {
		t.Errorf("the room's quality: %+v", room.Items)
	}
	for _, p := range room.Items[0].Points { // dana's own line is not to blame for gaps that came from the phone
		if p.RemoteLoss > 10 {
			t.Errorf("%.1f %% of loss towards dana: %+v", p.RemoteLoss, p)
		}
	}
	caller.Hangup()
	cdr := h.cdrs(1)[0]
	q := cdr.Quality
	if q == nil || q.LowestMOS > 3.1 || q.MeanMOS < q.LowestMOS || q.MOS < q.LowestMOS || q.ConcealedMS < 20*float64(q.PacketsLost)-200 || q.PacketsLost < 20 || cdr.Trend == nil {
		t.Fatalf("CDR: %+v, %+v", q, cdr.Trend)
	}
	var after struct{ Items []media.QualityPoint }
	h.ask("GET", "/v1/calls/"+call.CallID+"/quality", nil, &after)
	if len(after.Items) < len(before.Items)+2 {
		t.Errorf("%d points of the ended call", len(after.Items))
	}
}
