package dialplan

import (
	"strings"
	"testing"
	"time"
)

func TestHolidaysCloseRoutesInTheZoneOfTheirHours(t *testing.T) {
	p := mustParse(t, `
routes:
  - {name: shop, to: shop, hours: "Mo-Su 00:00-24:00 America/New_York", holidays: us, room: open, else: {room: closed}}
  - {name: night, to: night, hours: "Mo-Su 22:00-06:00 Europe/Berlin", holidays: us, room: open}
  - {name: two, to: two, hours: "Th 09:00-12:00 America/New_York; Fr 00:00-24:00 Asia/Tokyo", holidays: us, room: open, else: {room: closed}}
  - {name: rest, room: rest}
holidays:
  - {name: us, dates: [2026-12-24, 07-04, 02-29]}
`)
	for _, c := range []struct{ to, at, room string }{
		{"shop", "2026-12-24T04:59:59Z", "open"}, // still the 23rd in New York
		{"shop", "2026-12-24T05:00:00Z", "closed"},
		{"shop", "2026-12-25T04:59:59Z", "closed"},
		{"shop", "2026-12-25T05:00:00Z", "open"},
		{"shop", "2027-12-24T12:00:00Z", "open"}, // that year only
		{"shop", "2027-07-04T12:00:00Z", "closed"},
		{"shop", "2028-02-29T12:00:00Z", "closed"},
		{"night", "2026-07-03T21:00:00Z", "open"},
		{"night", "2026-07-03T22:30:00Z", "rest"}, // 00:30 on the 4th in Berlin
		{"night", "2026-07-04T21:00:00Z", "rest"},
		{"two", "2026-12-24T15:00:00Z", "open"}, // a holiday in New York, Friday the 25th in Tokyo
		{"two", "2026-12-24T14:30:00Z", "closed"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Decide(Query{To: c.to, At: at}); d.Target.Room != c.room {
			t.Errorf("%s at %s: got %s", c.to, c.at, d)
		}
	}
	at := time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	for to, want := range map[string]string{
		"shop": "matches; it is a holiday of us, so else", "night": "outside hours Mo-Su 22:00-06:00 Europe/Berlin, and it has no else",
	} {
		if s := p.Explain(Query{To: to, At: at}).String(); !strings.Contains(s, want) {
			t.Errorf("%q is not in\n%s", want, s)
		}
	}
}
