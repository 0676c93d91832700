package web

import (
	"math"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/roomline/roomline/web/chromium"
)

// remember says who is there and how their sound has travelled.
func (s *seat) remember(t *testing.T, history map[string][]message, participants ...message) {
	t.Helper()
	s.send(t, message{"type": "participants", "participants": participants, "history": history})
}

// moment is a point of quality that ended some time ago; worse from 0 to 1.
func moment(ago time.Duration, worse float64) message {
	lost := 25 * worse
	return message{
		"at": time.Now().Add(-ago).UTC(), "loss_percent": lost, "concealed_percent": lost / 2, "jitter_ms": 3 + 40*worse,
		"round_trip_ms": 42, "delay_ms": 45 + 160*worse, "buffer_ms": 100 * worse, "remote_loss_percent": 0.5,
		"r_factor": 92 - 45*worse, "mos": 4.4 - 2*worse, "remote_r_factor": 88, "remote_mos": 4.3,
	}
}

// badMinute is so many points until five seconds ago, with a bad minute in the middle.
func badMinute(points int) []message {
	out := make([]message, points)
	for i := range out {
		worse := max(0, 0.05*math.Sin(float64(i)/3))
		if i > points/3 && i < points/3+12 {
			worse = 0.4 + 0.5*math.Sin(float64(i-points/3)/4)
		}
		out[i] = moment(time.Duration(points-i)*5*time.Second, max(0, worse))
	}
	return out
}

func TestQualityIsDrawnOverTime(t *testing.T) {
	g, p := newGateway(t), chromium.Start(t, chromium.FakeMicrophone())
	s := enter(t, g, p, "dispatcher")
	phone := func(live message) message {
		c := caller()
		c["quality"] = message{"mos": 4.2, "mos_avg": 4.05, "mos_min": 2.61, "live": live}
		return c
	}
	s.remember(t, map[string][]message{"ph1": badMinute(40)}, dana("dispatcher"), phone(moment(0, 0)))
	p.Sees(t, "quality", "4.3") // the worse direction
	p.Do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="quality"]`)))
	const (
		line  = `document.querySelector('[data-id="ph1"] .chart-line:not(.theirs)').getAttribute("d")`
		bars  = `document.querySelector('[data-id="ph1"] .chart-made-up').getAttribute("d")`
		plot  = `document.querySelector('[data-id="ph1"] [data-test="quality-plot"]')`
		words = plot + `.getAttribute("aria-valuetext")`
	)
	p.Wait(t, line+`.split("L").length >= 40 && `+bars+`.split("z").length > 10`)
	p.Sees(t, "quality-chart", "4.05")
	p.Sees(t, "quality-chart", "2.61")
	p.Wait(t, words+`.startsWith("now: good, MOS 4.4, 0.0 % lost")`)

	// It turns bad while we look, in words and not in colour alone, and is said.
	s.present(t, dana("dispatcher"), phone(moment(0, 1)))
	s.send(t, message{"type": "event", "event": message{"id": "e1", "type": "participant.quality", "call_id": "call_1",
		"data": message{"participant": "ph1", "class": "bad", "was": "good"}}})
	p.Sees(t, "quality", "bad 2.4")
	p.Sees(t, "quality-chart", "25.0 %")
	p.Sees(t, "quality-chart", "100 ms")
	p.Wait(t, words+`.startsWith("now: bad, MOS 2.4, 25.0 % lost, 12.5 % made up, 205 ms delay")`)
	p.Wait(t, `document.querySelector('[data-test="announcer"]').textContent.includes("Call quality turned bad: +15551230000")`)

	// The keyboard looks into the past, and comes back.
	p.Do(t, chromedp.Focus(chromedp.CSS(`[data-id="ph1"] [data-test="quality-plot"]`)), chromedp.KeyEvent(kb.ArrowLeft))
	p.Wait(t, words+`.includes("ago: good")`)
	p.Run(t, plot+`.blur()`)
	p.Wait(t, words+`.startsWith("now: bad")`)

	// So does the mouse, here into the bad minute.
	box := chromium.Evaluate[[]float64](t, p, `(() => { const b = `+plot+`.querySelector("svg").getBoundingClientRect(); return [b.left + 0.65 * b.width, b.top + 20]; })()`)
	p.Do(t, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box[0], box[1]))
	p.Wait(t, words+`.includes("min ago: bad")`)
	p.Wait(t, `document.querySelector('[data-id="ph1"] [data-test="quality-when"]').textContent.endsWith("ago")`)
	p.Picture(t, "quality-looked-at.png")
	p.Do(t, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 5, 5))
	p.Wait(t, words+`.startsWith("now: bad")`)

	p.Do(t, chromedp.Click(chromedp.CSS(`[data-id="ph1"] [data-test="quality-table"] summary`)))
	p.Wait(t, `document.querySelectorAll('[data-id="ph1"] [data-test="quality-table"] tbody tr').length > 40`)
	p.Picture(t, "quality-over-time.png")
	p.Clean(t, g.URL)
}
